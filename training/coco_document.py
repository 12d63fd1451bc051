"""Annotations in COCO's format (https://cocodataset.org/#format-data): read, and written."""

from __future__ import annotations

import json
import logging
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workspace.errors import InputError

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CocoBox:
    """A thing in an image.

    Attributes:
        label: Place of its class among the names of all.
        corners: Left, top, right, bottom in pixels, within the image.
        is_crowd: Whether it stands for many things that nobody counted.
    """

    label: int
    corners: tuple[float, float, float, float]
    is_crowd: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CocoImage:
    """An image with what is in it.

    Attributes:
        path: As the file has it, with ``/`` between the parts.
        width: In pixels.
        height: In pixels.
        boxes: In the file's order.
    """

    path: str
    width: int
    height: int
    boxes: tuple[CocoBox, ...] = ()

    def at(self, path: str) -> CocoImage:
        """The same at another path."""
        return replace(self, path=path)


@dataclass(frozen=True, slots=True, kw_only=True)
class CocoFile:
    """What an annotations file has.

    Attributes:
        classes: Names of the categories, in the order of their numbers.
        images: By their numbers.
    """

    classes: tuple[str, ...]
    images: tuple[CocoImage, ...]


def read_file(path: Path) -> CocoFile:
    """The images and boxes of an annotations file.

    A box that reaches beyond its image is cut to it, and one of which nothing is left is left out;
    a warning counts both.

    Raises:
        InputError: If it cannot be read, or is of another format.
    """
    try:
        document = json.loads(path.read_bytes())
        categories = [(_whole(each, "id"), str(each["name"])) for each in document["categories"]]
        found = [(_whole(each, "id"), _image(each)) for each in document["images"]]
        annotations = [_Annotation.read(each) for each in document["annotations"]]
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        said = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        msg = f"{str(path)!r} has no annotations in COCO's format: {said}"
        raise InputError(msg) from error
    if not categories:
        msg = f"{str(path)!r} has no categories"
        raise InputError(msg)
    _require_once(path, [number for number, _ in found], "images of number")
    _require_once(path, [number for number, _ in categories], "categories of number")
    _require_once(path, [name for _, name in categories], "categories of name")
    names, images = dict(categories), dict(found)
    numbers = sorted(names)
    for each in annotations:
        if each.image not in images or each.category not in names:
            what = "image" if each.image not in images else "category"
            msg = (
                f"{str(path)!r} has an annotation, {each.number}, of {what} "
                f"{getattr(each, what)}, which it does not have"
            )
            raise InputError(msg)
    placed = _boxes(path, images, annotations, {name: at for at, name in enumerate(numbers)})
    return CocoFile(
        classes=tuple(names[number] for number in numbers),
        images=tuple(replace(images[number], boxes=placed[number]) for number in sorted(images)),
    )


def document_of(images: Sequence[CocoImage], classes: Sequence[str], what: str) -> dict[str, Any]:
    """Images with their boxes as an annotations file has them; numbers begin at 1.

    Args:
        images: In order.
        classes: Names, in order.
        what: They are; a sentence.
    """
    annotations: list[dict[str, Any]] = []
    for number, image in enumerate(images, start=1):
        for box in image.boxes:
            left, top, right, bottom = box.corners
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": box.label + 1,
                    "bbox": [left, top, right - left, bottom - top],
                    "area": (right - left) * (bottom - top),
                    "iscrowd": int(box.is_crowd),
                    "segmentation": [],
                }
            )
    return {
        "info": {"description": what},
        "images": [
            {"id": number, "file_name": image.path, "width": image.width, "height": image.height}
            for number, image in enumerate(images, start=1)
        ],
        "categories": [
            {"id": number, "name": name, "supercategory": "thing"}
            for number, name in enumerate(classes, start=1)
        ],
        "annotations": annotations,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Annotation:
    number: int
    image: int
    category: int
    box: tuple[float, float, float, float]
    is_crowd: bool

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> _Annotation:
        left, top, width, height = map(float, document["bbox"])
        number = _whole(document, "id")
        if not all(map(math.isfinite, (left, top, width, height))) or min(width, height) < 0:
            msg = f"the box of annotation {number} is {document['bbox']}"
            raise ValueError(msg)
        return cls(
            number=number,
            image=_whole(document, "image_id"),
            category=_whole(document, "category_id"),
            box=(left, top, left + width, top + height),
            is_crowd=bool(document.get("iscrowd", 0)),
        )


def _whole(document: Mapping[str, Any], key: str) -> int:
    try:
        return int(document[key])
    except (ValueError, OverflowError) as error:
        msg = f"{key} is {document[key]!r}, which is no whole number"
        raise ValueError(msg) from error


def _require_once(path: Path, values: Sequence[int | str], what: str) -> None:
    """Do nothing if no two parts of a file have the same number or name."""
    several = [value for value, count in Counter(values).items() if count > 1]
    if several:
        named = f"{several[0]!r}{f' and {len(several) - 1} others' if several[1:] else ''}"
        msg = f"{str(path)!r} has several {what} {named}: give each its own"
        raise InputError(msg)


def _image(document: Mapping[str, Any]) -> CocoImage:
    width, height = _whole(document, "width"), _whole(document, "height")
    if min(width, height) < 1:
        msg = f"image {document['id']} is of {width} x {height} pixels"
        raise ValueError(msg)
    return CocoImage(path=str(document["file_name"]), width=width, height=height)


def _boxes(
    path: Path,
    images: Mapping[int, CocoImage],
    annotations: Sequence[_Annotation],
    labels: Mapping[int, int],
) -> Mapping[int, tuple[CocoBox, ...]]:
    """By image, each cut to it."""
    placed: dict[int, list[CocoBox]] = defaultdict(list)
    cut, gone = 0, 0
    for each in annotations:
        image = images[each.image]
        left, right = (min(max(value, 0.0), float(image.width)) for value in each.box[::2])
        top, bottom = (min(max(value, 0.0), float(image.height)) for value in each.box[1::2])
        if right <= left or bottom <= top:
            gone += 1
            continue
        cut += _beyond(each.box, image)
        placed[each.image].append(
            CocoBox(
                label=labels[each.category],
                corners=(left, top, right, bottom),
                is_crowd=each.is_crowd,
            )
        )
    if cut or gone:
        _LOG.warning(
            "of the %d boxes in %s, %d reach beyond their images and are cut to them, and %d have "
            "nothing in them and are left out",
            len(annotations), path, cut, gone,
        )  # fmt: skip
    return {number: tuple(placed[number]) for number in images}


def _beyond(box: tuple[float, float, float, float], image: CocoImage) -> bool:
    """By more than what is lost in writing numbers down."""
    limits = (image.width, image.height) * 2
    return any(
        value < -0.5 or value > limit + 0.5 for value, limit in zip(box, limits, strict=True)
    )
