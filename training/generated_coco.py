"""Generated scenes as files in COCO's format, for other tools.

>>> from training.generated_coco import write_scenes  # doctest: +SKIP
>>> write_scenes(Path("fashion-scenes"))  # doctest: +SKIP

writes PNG images below ``train``, ``val`` and ``test``, and for each
``annotations/instances_train.json`` and so on, whose ``info`` says that they are generated.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from training.coco_document import CocoBox, CocoImage, document_of
from training.fashion_scenes import SIZE, FashionScenes, scenes
from training.framing import PAD
from training.task import Split
from workspace.errors import OperationError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FOLDERS: Mapping[Split, str] = {
    Split.TRAIN: "train",
    Split.VALIDATION: "val",
    Split.TEST: "test",
}

WHAT = (
    "Generated scenes: images of Fashion-MNIST placed before clutter, by PocketNAS's data set "
    f"{FashionScenes.name}; no photographs"
)


def write_scenes(folder: Path) -> None:
    """Write every split of ``generated-fashion-scenes`` into ``folder``.

    Raises:
        OperationError: If Fashion-MNIST is not there, or the folder cannot be written to.
    """
    try:
        for split, name in FOLDERS.items():
            _write_split(folder, name, *scenes(split))
    except OSError as error:
        msg = f"scenes cannot be written to {str(folder)!r}: {error}"
        raise OperationError(msg) from error


def _write_split(
    folder: Path, name: str, images: NDArray[np.uint8], boxes: NDArray[np.float32]
) -> None:
    from PIL import Image

    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "annotations").mkdir(exist_ok=True)
    told = []
    for number, (image, placed) in enumerate(zip(images, boxes, strict=True)):
        file = f"{number:06d}.png"
        Image.fromarray(image).save(folder / name / file)
        told.append(CocoImage(path=file, width=SIZE, height=SIZE, boxes=_boxes(placed)))
    document = document_of(told, FashionScenes.labels, WHAT)
    text = json.dumps(document)
    (folder / "annotations" / f"instances_{name}.json").write_text(text, encoding="utf-8")


def _boxes(placed: NDArray[np.float32]) -> tuple[CocoBox, ...]:
    made = []
    for label, left, top, right, bottom in placed.tolist():
        if label != PAD:
            corners = (left * SIZE, top * SIZE, right * SIZE, bottom * SIZE)
            made.append(CocoBox(label=int(label), corners=corners))
    return tuple(made)
