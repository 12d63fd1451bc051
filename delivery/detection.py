"""What an app does with a detector's outputs, as data: anchors, thresholds, names of outputs.

A network for ``training.detection.ObjectDetection`` is trained and judged by that class's anchors
and by ``training.retinanet.detections``; bundles carry a program that does the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from training.anchors import LEVELS, cell_anchors
from training.box_coding import LARGEST
from training.detection import ObjectDetection
from training.retinanet import CANDIDATES, LEAST_SCORE, SAME, require_levels
from workspace.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from delivery.network import Network
    from search_space.architecture import Json

FILE = "detection.json"
"""Of a bundle."""


def task_of(network: Network) -> ObjectDetection:
    """Whose anchors a detector starts from.

    Raises:
        InputError: If no dataset is known, or it is one whose outputs mean what only it knows.
    """
    if network.task is None:
        msg = (
            f"the boxes of {network.name}, a detector, start from anchors that its dataset "
            "decides, and none is known: give --dataset"
        )
        raise InputError(msg)
    if not isinstance(network.task, ObjectDetection):
        msg = (
            f"a bundle tells what a detector's outputs mean, and {network.task.name!r} keeps that "
            "to itself (it is no training.detection.ObjectDetection): export its files alone, "
            "without --bundle"
        )
        raise InputError(msg)
    return network.task


def decoding(network: Network) -> dict[str, Json]:
    """``detection.json``.

    Raises:
        InputError: If the network gives other outputs than a detector's five levels, or see
            ``task_of``.
    """
    from delivery.network import compared, outputs_of

    task, size = task_of(network), network.architecture.inputs[0].shape[-1]
    first = {name: value[:1] for name, value in compared(network).inputs.items()}
    made = outputs_of(network, first)
    require_levels(tuple(made.values()), classes=task.classes, size=size)
    names = list(made)
    levels: list[Json] = []
    for level, scores, boxes in zip(
        LEVELS, names[: len(LEVELS)], names[len(LEVELS) :], strict=True
    ):
        rows, columns = made[scores].shape[2:]
        anchors: list[Json] = [[*box] for box in cell_anchors(level, task.anchor).tolist()]
        levels.append(
            {
                "level": level,
                "stride": 2**level,
                "rows": rows,
                "columns": columns,
                "scores": scores,
                "boxes": boxes,
                "anchors": anchors,
            }
        )
    return {
        "version": 1,
        "size": size,
        "classes": task.classes,
        "candidates": CANDIDATES,
        "least_score": LEAST_SCORE,
        "overlap": SAME,
        "count": task.most,
        "largest_log": LARGEST,
        "levels": levels,
        "words": WORDS,
    }


WORDS = (
    "At each place of a level (row by row, its middle at stride * (column + 0.5, row + 0.5) "
    "pixels), the outputs have all numbers of each anchor one after the other: a logit for each "
    "class, whose sigmoid is the score; and a box as steps from the anchor (left, top, right, "
    "bottom around the middle): how far its middle is off, across and down, in widths and heights "
    "of the anchor, then the logarithms of its width and height in the anchor's, cut at "
    "largest_log. Of each level the best `candidates` scores above least_score count, boxes are "
    "cut to the input, of two of a class that overlap by more than `overlap` (intersection over "
    "union) the better one is kept, and the best `count` are told."
)
"""What the numbers of ``detection.json`` are for."""


def picture_of(inputs: Tensor) -> NDArray[np.uint8]:
    """The bytes `[H, W]` or `[H, W, 3]` that an image of the task's became `[C, H, W]` of."""
    import numpy as np

    pixels = ((inputs + 1) * 127.5).round().clamp(0, 255).byte().numpy()
    made: NDArray[np.uint8] = np.ascontiguousarray(np.moveaxis(pixels, 0, -1))
    return made[..., 0] if made.shape[-1] == 1 else made


def most_told(predictions: Tensor) -> int:
    """Which of images `[N, D, 6]` the most is found in; the first of several."""
    return int((predictions[..., 5] >= 0).sum(1).argmax())
