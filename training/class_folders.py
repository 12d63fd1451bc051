"""Which files a folder has, of which classes, in which split.

The folder holds a folder a class, or ``train/`` and ``val/`` (and ``test/``) that do. A split that
is not there is held out: validation and test of a single level, either of ``train/``. What is held
out goes by the digests of names, so it is the same everywhere and changes little with new files.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from training.listing_digest import bytes_of, digest_of
from training.task import Split
from workspace.errors import InputError

_LOG = logging.getLogger(__name__)

HELD_OUT = 10
"""One in so many files of a class is held out for a split that is not there."""

FEWEST = 3
"""Files of a class of which one is held out for each split that is not there."""

NAMED = 20
"""Files that cannot be read that a warning names; it counts them all."""

_FOLDERS = {
    Split.TRAIN: ("train",),
    Split.VALIDATION: ("val", "validation"),
    Split.TEST: ("test",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Medium:
    """What kind of files a data set is of.

    Attributes:
        one: What one is called, for people.
        all: What several are.
        endings: Of their names, in any case; other files are none.
        faults: Why each of some paths below a folder cannot be read that cannot.
    """

    one: str
    all: str
    endings: frozenset[str]
    faults: Callable[[Path, Sequence[str]], Mapping[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledFile:
    """A file with its label.

    Attributes:
        path: Below the folder, with ``/`` between the parts.
        label: Place of its class among the names of all.
    """

    path: str
    label: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What a folder has.

    Attributes:
        root: The folder.
        classes: Names of the class folders, in order.
        splits: The files of each split, by class and name.
        faults: Why each file cannot be read that is left out, by its path.
    """

    root: Path
    classes: tuple[str, ...]
    splits: Mapping[Split, tuple[LabelledFile, ...]]
    faults: Mapping[str, str]

    @property
    def digest(self) -> str:
        """Of paths, labels and lengths in bytes, as they are now."""
        root = self.root
        return digest_of(self.splits, lambda one: (one.path, one.label, bytes_of(root / one.path)))


def list_classes(root: Path, medium: Medium) -> Listing:
    """What the folder has; a warning names and counts files that cannot be read.

    Args:
        root: The folder.
        medium: Which files count.

    Raises:
        InputError: If it cannot be read, or what it has is no data set: no class, one alone, a
            class without files, or one in a split that is not in ``train/``.
        OperationError: If what reads the files is not installed.
    """
    try:
        parts = {split: _class_folders(place) for split, place in _places(root, medium).items()}
        found = {
            split: {name: _files(root, place, medium) for name, place in folders.items()}
            for split, folders in parts.items()
        }
    except OSError as error:
        msg = f"{_named(root, medium)} cannot be read: {error.strerror or error}"
        raise InputError(msg) from error
    classes = tuple(found[Split.TRAIN])
    _check_classes(root, found, medium)
    named = sorted(path for split in found.values() for paths in split.values() for path in paths)
    faults = medium.faults(root, named)
    tell_faults(root, faults, len(named), medium.all)
    readable = {
        split: {
            name: [path for path in paths if path not in faults] for name, paths in folders.items()
        }
        for split, folders in found.items()
    }
    splits = _splits(root, classes, readable, medium)
    return Listing(root=root, classes=classes, splits=splits, faults=faults)


def _named(root: Path, medium: Medium) -> str:
    return f"the {medium.one} folder {str(root)!r}"


def _places(root: Path, medium: Medium) -> dict[Split, Path]:
    """Folders with class folders in them; the root alone where it is not divided."""
    if not root.exists():
        msg = (
            f"{_named(root, medium)} is not there: it is to hold a folder a class, or train/ and "
            "val/ that do"
        )
        raise InputError(msg)
    if not _is_divided(root):
        return {Split.TRAIN: root}
    places = {}
    for split, names in _FOLDERS.items():
        there = [root / name for name in names if (root / name).is_dir()]
        if there:
            places[split] = there[0]
    for place in places.values():
        if not _class_folders(place):
            msg = (
                f"{_named(root, medium)} has no class folders in {place.name}/: each of train/, "
                "val/ and test/ that is there is to hold a folder a class"
            )
            raise InputError(msg)
    return places


def _is_divided(root: Path) -> bool:
    """Whether ``train/`` is a split, not a class of that name among others."""
    train = root / "train"
    if not train.is_dir():
        return False
    splits = {name for names in _FOLDERS.values() for name in names}
    beside = set(_class_folders(root)) - {"train"}
    return bool(_class_folders(train)) or bool(beside & splits) or not beside


def _class_folders(place: Path) -> dict[str, Path]:
    """By name, in order; hidden ones are none."""
    with os.scandir(place) as entries:
        names = sorted(each.name for each in entries if each.is_dir())
    return {name: place / name for name in names if not name.startswith(".")}


def _files(root: Path, place: Path, medium: Medium) -> list[str]:
    """Paths below ``root`` of the files in ``place`` and in folders in it, in order."""
    found = []

    def fail(error: OSError) -> None:
        raise error

    for folder, _, names in os.walk(place, onerror=fail, followlinks=True):
        above = Path(folder).relative_to(root).as_posix()
        found += [
            f"{above}/{name}"
            for name in names
            if os.path.splitext(name)[1].lower() in medium.endings and not name.startswith(".")
        ]
    return sorted(found)


def _check_classes(
    root: Path, found: Mapping[Split, Mapping[str, Sequence[str]]], medium: Medium
) -> None:
    classes, where = found[Split.TRAIN], _named(root, medium)
    if not any(any(folders.values()) for folders in found.values()):
        msg = (
            f"{where} has no {medium.all} in class folders: it is to hold a folder a class, or "
            "train/ and val/ that do"
        )
        raise InputError(msg)
    if len(classes) < 2:
        msg = f"{where} has one class only, {next(iter(classes))!r}: need two"
        raise InputError(msg)
    for split, folders in found.items():
        unknown = sorted(set(folders) - set(classes))
        if unknown:
            msg = f"{where} has the class {unknown[0]!r} for {split}, which train/ does not have"
            raise InputError(msg)


def _splits(
    root: Path,
    classes: Sequence[str],
    readable: Mapping[Split, Mapping[str, Sequence[str]]],
    medium: Medium,
) -> dict[Split, tuple[LabelledFile, ...]]:
    """Every split, held out of the training files where it is not there."""
    splits: dict[Split, list[LabelledFile]] = defaultdict(list)
    lacking = [split for split in (Split.VALIDATION, Split.TEST) if split not in readable]
    for label, name in enumerate(classes):
        paths = readable[Split.TRAIN][name]
        if not paths:
            msg = (
                f"the class {name!r} of {_named(root, medium)} has no {medium.one} that can be "
                f"read: it takes {', '.join(sorted(medium.endings))}"
            )
            raise InputError(msg)
        divided = held_out(paths, lacking)
        for split in Split:
            chosen = divided.get(split, readable.get(split, {}).get(name, ()))
            splits[split] += [LabelledFile(path=path, label=label) for path in chosen]
    for split in Split:
        if not splits[split]:
            why = f"a class needs {FEWEST} before one is held out"
            if split not in lacking:
                why = f"it takes {', '.join(sorted(medium.endings))} in class folders"
            msg = f"{_named(root, medium)} has no {medium.all} for {split}: {why}"
            raise InputError(msg)
    return {split: tuple(splits[split]) for split in Split}


def held_out(
    paths: Sequence[str], lacking: Sequence[Split], goes: Callable[[str], bool] | None = None
) -> dict[Split, Sequence[str]]:
    """The training files of a class, and those that become other splits, each in order.

    Args:
        paths: Of the class.
        lacking: Splits that are not there.
        goes: Whether a file can be spared, asked once before it is held out; None for any.
    """
    ranked = sorted(paths, key=lambda path: hashlib.sha256(path.encode()).digest())
    count = max(1, len(paths) // HELD_OUT) if len(paths) >= FEWEST else 0
    going = filter(goes, ranked) if goes else iter(ranked)
    parts: dict[Split, Sequence[str]] = {split: sorted(islice(going, count)) for split in lacking}
    gone = {path for part in parts.values() for path in part}
    return {**parts, Split.TRAIN: sorted(path for path in paths if path not in gone)}


def tell_faults(root: Path, faults: Mapping[str, str], count: int, what: str) -> None:
    """Warn of files that are left out, where there are some.

    Args:
        root: Where they are.
        faults: Why each cannot be read, by its path.
        count: Of all files, with those.
        what: They are, for people, in the plural.
    """
    if not faults:
        return
    named = "; ".join(f"{path}: {why}" for path, why in list(faults.items())[:NAMED])
    more = f"; and {len(faults) - NAMED} more" if len(faults) > NAMED else ""
    _LOG.warning(
        "%d of the %d %s in %s cannot be read and are left out: %s%s",
        len(faults), count, what, root, named, more,
    )  # fmt: skip
