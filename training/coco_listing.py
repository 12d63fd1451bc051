"""Which images with boxes a folder in COCO's format has, in which split.

The folder holds an annotations file of each split: ``annotations/instances_train2017.json`` (or
``annotations/train.json``, ``train.json``, ``train/_annotations.coco.json``), likewise of ``val``
and ``test``. Images lie in the folder, in ``images/``, in a folder that is called as the file's
split or year (``train2017/``), there in ``images/``, or beside the file. Of a split that is not
there one in ten training images is held out, by the digests of their names.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.coco_document import CocoFile, CocoImage, read_file
from training.image_faults import Sizes, sizes_of
from training.listing_digest import digest_of
from training.task import Split
from workspace.errors import InputError

_LOG = logging.getLogger(__name__)

HELD_OUT = 10
"""One in so many training images is held out for a split that is not there."""

NAMED = 5
"""Images that an error names; it counts them all."""

_NAMES = {
    Split.TRAIN: ("train",),
    Split.VALIDATION: ("val", "valid", "validation"),
    Split.TEST: ("test",),
}
_PLACES = (
    "annotations/instances_{}*.json",
    "annotations/{}*.json",
    "{}.json",
    "{}/_annotations.coco.json",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxedListing:
    """What a folder has.

    Attributes:
        root: The folder.
        classes: Names of the classes, by COCO's numbers.
        splits: The images of each split; paths are below the folder.
    """

    root: Path
    classes: tuple[str, ...]
    splits: Mapping[Split, tuple[CocoImage, ...]]

    @property
    def digest(self) -> str:
        """Of paths and boxes."""
        return digest_of(self.splits, _words)


def _words(image: CocoImage) -> tuple[object, ...]:
    boxes = [(box.label, box.corners, box.is_crowd) for box in image.boxes]
    return image.path, image.width, image.height, boxes


def list_boxed(root: Path) -> BoxedListing:
    """What the folder has; warnings tell of boxes beyond their images and of classes without any.

    Raises:
        InputError: If it cannot be read, has no training images, images that cannot be read or
            are of another size than is stated, splits of other classes, or no box to train on or
            to validate with.
        OperationError: If Pillow is not installed.
    """
    found = {split: place for split in Split if (place := _file_of(root, split)) is not None}
    if Split.TRAIN not in found:
        msg = (
            f"the folder {str(root)!r} has no annotations of training images in COCO's format, as "
            "annotations/instances_train2017.json or train.json"
        )
        raise InputError(msg)
    files = {split: read_file(path) for split, path in found.items()}
    _require_same_classes(files, found)
    placed = {split: _placed(root, found[split], file) for split, file in files.items()}
    _require_as_stated(root, placed)
    lacking = [split for split in Split if split not in placed]
    splits = _divided(placed, lacking)
    classes = files[Split.TRAIN].classes
    for split, images in splits.items():
        if not images:
            msg = f"the folder {str(root)!r} has no images for {split}"
            raise InputError(msg)
        _check_boxes(split, images, classes, root)
    return BoxedListing(root=root, classes=classes, splits=splits)


def _file_of(root: Path, split: Split) -> Path | None:
    """The annotations of a split; None where there are none.

    Raises:
        InputError: If there is no such folder, or there are several such files.
    """
    if not root.is_dir():
        what = "no folder" if root.exists() else "not there"
        msg = (
            f"{str(root)!r} is {what}: it is to hold images and their annotations in COCO's "
            "format, as annotations/instances_train2017.json or train.json"
        )
        raise InputError(msg)
    for place in _PLACES:
        found = sorted({path for name in _NAMES[split] for path in root.glob(place.format(name))})
        if len(found) > 1:
            names = ", ".join(path.relative_to(root).as_posix() for path in found)
            msg = f"the folder {str(root)!r} has several annotations for {split}: {names}"
            raise InputError(msg)
        if found:
            return found[0]
    return None


def _require_same_classes(files: Mapping[Split, CocoFile], places: Mapping[Split, Path]) -> None:
    train = files[Split.TRAIN].classes
    for split, file in files.items():
        if file.classes != train:
            other = sorted(set(file.classes) ^ set(train)) or ["their order"]
            msg = (
                f"{str(places[split])!r} has other categories than the training images: "
                f"{', '.join(other[:NAMED])}"
            )
            raise InputError(msg)


def _placed(root: Path, path: Path, file: CocoFile) -> tuple[CocoImage, ...]:
    """The images of a file, their paths below the folder."""
    stem = path.stem.removeprefix("instances_")
    folders = ("", "images", stem, f"images/{stem}", path.parent.relative_to(root).as_posix())
    own = next((each for each in folders if _has_any(root / each, file)), "")
    return tuple(image.at((Path(own) / image.path).as_posix()) for image in file.images)


def _has_any(folder: Path, file: CocoFile) -> bool:
    return any((folder / image.path).is_file() for image in file.images)


def _require_as_stated(root: Path, placed: Mapping[Split, Sequence[CocoImage]]) -> None:
    """Do nothing if every image is there, can be decoded, and is as large as is stated of it.

    AP of some is another figure, and boxes that are for another size lie elsewhere.
    """
    images = [image for of_split in placed.values() for image in of_split]
    named = sorted({image.path for image in images})
    sizes = sizes_of(root, named)
    faults = [path for path, found in sizes.items() if isinstance(found, str)]
    if faults:
        raise _unreadable(root, faults, len(named))
    others = {
        image.path: _in_words(image, found)
        for image in images
        if not isinstance(found := sizes[image.path], str)
        and (image.width, image.height) not in found
    }
    if others:
        msg = (
            f"of the {len(named)} images that the annotations in {str(root)!r} name, "
            f"{len(others)} are of another size than is stated ({_some([*others.values()])}): "
            "put the images there that were annotated"
        )
        raise InputError(msg)


def _in_words(image: CocoImage, sizes: Sizes) -> str:
    width, height = sizes[0]
    return f"{image.path}: {width} x {height} instead of {image.width} x {image.height}"


def _unreadable(root: Path, faults: Sequence[str], count: int) -> InputError:
    """Of so many images, some are not there or cannot be decoded."""
    missing = [path for path in faults if not (root / path).is_file()]
    broken = [path for path in faults if path not in missing]
    parts = [
        f"{len(paths)} {what} ({_some(paths)})"
        for paths, what in ((missing, "not there"), (broken, "not to be read"))
        if paths
    ]
    return InputError(
        f"of the {count} images that the annotations in {str(root)!r} name, "
        f"{' and '.join(parts)}: put them there, or take them out of the annotations"
    )


def _some(names: Sequence[str]) -> str:
    return f"{', '.join(names[:NAMED])}{', …' if len(names) > NAMED else ''}"


def _divided(
    placed: Mapping[Split, tuple[CocoImage, ...]], lacking: Sequence[Split]
) -> dict[Split, tuple[CocoImage, ...]]:
    """Every split, held out of the training images where it is not there."""
    train = placed[Split.TRAIN]
    ranked = sorted(train, key=lambda image: hashlib.sha256(image.path.encode()).digest())
    count = len(train) // HELD_OUT
    parts = {
        split: tuple(ranked[place * count : (place + 1) * count])
        for place, split in enumerate(lacking)
    }
    rest = {image.path for image in ranked[len(lacking) * count :]}
    parts[Split.TRAIN] = tuple(image for image in train if image.path in rest)
    return {split: parts[split] if split in parts else placed[split] for split in Split}


def _check_boxes(
    split: Split, images: Sequence[CocoImage], classes: Sequence[str], root: Path
) -> None:
    """Tell of classes without a box.

    Raises:
        InputError: If no class has one, of what is trained on or chosen by.
    """
    there = {label for image in images for label in _labels(image)}
    if not there and split is not Split.TEST:
        msg = (
            f"the annotations in {str(root)!r} have no box for {split} that is no crowd: "
            "there is nothing to be found"
        )
        raise InputError(msg)
    empty = [name for label, name in enumerate(classes) if label not in there]
    if empty:
        _LOG.warning(
            "%d of the %d classes in %s have no box for %s: %s",
            len(empty), len(classes), root, split, ", ".join(empty),
        )  # fmt: skip


def _labels(image: CocoImage) -> Iterator[int]:
    yield from (box.label for box in image.boxes if not box.is_crowd)
