"""Average precision as COCO has it, by pycocotools.

Sizes (small below 32^2, large from 96^2) are areas of boxes in pixels of the network's input.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from workspace.errors import OperationError

if TYPE_CHECKING:
    from torch import Tensor

NAMES = ("accuracy", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
"""Of the figures, in pycocotools' order: AP over IoU .50 to .95 first."""


def require_pycocotools() -> None:
    """Do nothing if AP can be taken: a training finds out before it begins.

    Raises:
        OperationError: If pycocotools is not installed.
    """
    if find_spec("pycocotools") is None:
        msg = "AP needs pycocotools: pip install 'pocketnas[train]'"
        raise OperationError(msg)


def average_precision(predictions: Tensor, targets: Tensor, classes: int) -> Mapping[str, float]:
    """The figures of a split by name, each in `[0, 1]`, without those that nothing is known of.

    AP is the mean over the classes that occur; 0 if none does.

    Args:
        predictions: `[N, D, 6]`: left, top, right, bottom, score, class; -1 pads.
        targets: `[N, M, 5]`, see ``training.detection``.
        classes: Of things.

    Raises:
        OperationError: If pycocotools is not installed.
    """
    require_pycocotools()
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def told(annotations: Iterator[dict[str, Any]]) -> COCO:
        made = COCO()
        made.dataset = {
            "images": [{"id": image} for image in range(len(targets))],
            "categories": [{"id": label} for label in range(classes)],
            "annotations": [{"id": 1 + place, **each} for place, each in enumerate(annotations)],
        }
        made.createIndex()
        return made

    with redirect_stdout(io.StringIO()):
        evaluation = COCOeval(told(_things(targets)), told(_found(predictions)), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    figures = dict(zip(NAMES, evaluation.stats[: len(NAMES)].tolist(), strict=True))
    known = {name: value for name, value in figures.items() if value >= 0}
    return {"accuracy": 0.0, **known}


def _things(targets: Tensor) -> Iterator[dict[str, Any]]:
    from training.detection import crowd_of

    for image, boxes in enumerate(targets.double().tolist()):
        for label, *corners in boxes:
            if label != -1:
                is_crowd = label < 0
                own = crowd_of(int(label)) if is_crowd else int(label)
                yield {**_box(image, own, *corners), "iscrowd": int(is_crowd)}


def _found(predictions: Tensor) -> Iterator[dict[str, Any]]:
    for image, boxes in enumerate(predictions.double().tolist()):
        for left, top, right, bottom, score, label in boxes:
            if label >= 0:
                yield {**_box(image, int(label), left, top, right, bottom), "score": score}


def _box(
    image: int, label: int, left: float, top: float, right: float, bottom: float
) -> dict[str, Any]:
    width, height = right - left, bottom - top
    return {
        "image_id": image,
        "category_id": label,
        "bbox": [left, top, width, height],
        "area": width * height,
        "iscrowd": 0,
    }
