"""Which videos a list names: a CSV file with a line a video, or a folder with one for each split.

The first line names the columns. ``label`` is a video's class; ``labels`` are several, separated
by semicolons. ``path`` is its file, from the list's folder on; Kinetics' own ``youtube_id`` (with
``time_start`` and ``time_end`` in seconds) is a file anywhere in that folder which is called so:
``ID.mp4``, or ``ID_000010_000020.mp4`` as those who fetch Kinetics call them. ``split`` is train,
val or test; a split that no line has is held out of the training videos.
"""

from __future__ import annotations

import csv
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.class_folders import FEWEST, held_out, tell_faults
from training.task import Split
from training.video_listing import ENDINGS, Video, VideoListing, faults_among, lengths_of
from workspace.errors import InputError

_SPLITS = {
    "train": Split.TRAIN,
    "val": Split.VALIDATION,
    "valid": Split.VALIDATION,
    "validate": Split.VALIDATION,
    "validation": Split.VALIDATION,
    "test": Split.TEST,
}
"""By what lists and their files are called."""

MISSING = "it is not there"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A video of a list.

    Attributes:
        path: Of its file below the list's folder, or what is known of its name where it is not
            there.
        labels: Its classes.
        split: It is of.
        where: File and number of the line, for messages.
    """

    path: str
    labels: tuple[str, ...]
    split: Split
    where: str


def list_videos(place: Path) -> VideoListing:
    """What a list names; a warning names and counts videos that are missing or cannot be read.

    Args:
        place: The CSV file, or the folder.

    Raises:
        InputError: If it is no such list, or what it names is no data set: one class alone, a
            class without a training video, a video named twice.
        OperationError: If PyAV is not installed.
    """
    root = place if place.is_dir() else place.parent
    is_multi_label, lists = has_several_labels(place), _lists(place)
    lines = [line for split, path in lists.items() for line in _lines(path, root, split)]
    _require_each_once(lines)
    paths = [line.path for line in lines]
    lengths = lengths_of(root, paths)
    faults = faults_among(lengths)
    for path in faults:
        if not (root / path).is_file():
            faults[path] = MISSING
    tell_faults(root, faults, len(paths), "videos")
    readable = [line for line in lines if line.path not in faults]
    classes = _classes(place, lines, readable)
    splits = {
        split: tuple(
            Video(
                path=line.path,
                labels=tuple(classes.index(label) for label in line.labels),
                length=int(lengths[line.path]),
            )
            for line in chosen
        )
        for split, chosen in _divided(place, readable).items()
    }
    return VideoListing(
        root=root, classes=classes, is_multi_label=is_multi_label, splits=splits, faults=faults
    )


def has_several_labels(place: Path) -> bool:
    """Whether a list gives videos several labels each, by the first lines of its files.

    Raises:
        InputError: If it is no such list.
    """
    several = {_labelled(path) == "labels" for path in _lists(place).values()}
    if len(several) > 1:
        msg = f"the lists in {str(place)!r} have some a label and some labels: let all have one"
        raise InputError(msg)
    return several.pop()


def _lists(place: Path) -> dict[Split | None, Path]:
    """The files, by the split that all their lines are of; None where the lines say it."""
    if place.is_file():
        return {None: place}
    found: dict[Split | None, Path] = {}
    for name, split in _SPLITS.items():
        if (place / f"{name}.csv").is_file():
            found.setdefault(split, place / f"{name}.csv")
    if Split.TRAIN not in found:
        msg = (
            f"{str(place)!r} is no list of videos: it is to be a CSV file, or a folder with "
            "train.csv, val.csv and test.csv"
        )
        raise InputError(msg)
    return found


def _rows(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Names of the columns, in small letters, and the lines by them."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            names = [name.strip().lower() for name in next(reader, [])]
            rows = [
                dict(zip(names, map(str.strip, row), strict=False)) for row in reader if any(row)
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        msg = f"the list of videos {str(path)!r} cannot be read: {error}"
        raise InputError(msg) from error
    return names, rows


def _labelled(path: Path) -> str:
    """The column of labels."""
    names, _ = _rows(path)
    found = [name for name in ("label", "labels") if name in names]
    if len(found) != 1 or not {"path", "youtube_id"} & set(names):
        msg = (
            f"the list of videos {str(path)!r} needs a first line with the column path (or "
            "Kinetics' youtube_id) and either label or labels, got "
            f"{', '.join(names) or 'nothing'}"
        )
        raise InputError(msg)
    return found[0]


def _lines(path: Path, root: Path, split: Split | None) -> Iterator[Line]:
    """The videos of one list.

    Args:
        path: Of the list.
        root: Below which files are.
        split: Of all of them; None where each line says it, or all are for training.
    """
    column = _labelled(path)
    names, rows = _rows(path)
    files = {} if "path" in names else _by_name(root)
    for number, row in enumerate(rows, 2):
        where = f"{path.name}, line {number}"
        given = row.get(column, "").split(";") if column == "labels" else [row.get(column, "")]
        labels = tuple(dict.fromkeys(label.strip() for label in given if label.strip()))
        file = row.get("path", "") if "path" in names else _kinetics(row, files, where)
        if not labels or not file:
            msg = f"{where} of {str(path.parent)!r} lacks a {column if file else 'path'}: {row}"
            raise InputError(msg)
        yield Line(path=file, labels=labels, split=split or _split(row, where), where=where)


def _split(row: Mapping[str, str], where: str) -> Split:
    said = row.get("split", "train").lower()
    if said not in _SPLITS:
        msg = f"{where} has the split {said!r}; there are {', '.join(_SPLITS)}"
        raise InputError(msg)
    return _SPLITS[said]


def _kinetics(row: Mapping[str, str], files: Mapping[str, str], where: str) -> str:
    """The file of a line as Kinetics has it; what it would be called where there is none."""
    name = row.get("youtube_id", "")
    times = [row.get(key, "") for key in ("time_start", "time_end")]
    if any(times):
        try:
            start, end = (int(float(time)) for time in times)
        except ValueError as error:
            msg = f"{where} has no times in seconds: {times}"
            raise InputError(msg) from error
        cut = f"{name}_{start:06d}_{end:06d}"
        if cut in files:
            return files[cut]
    return files.get(name, f"{name}.mp4" if name else "")


def _by_name(root: Path) -> dict[str, str]:
    """Paths below a folder of all videos in it, by their names without endings."""
    found: dict[str, str] = {}
    for folder, folders, names in os.walk(root, followlinks=True):
        folders.sort()
        above = Path(folder).relative_to(root)
        for name in sorted(names):
            stem, ending = os.path.splitext(name)
            if ending.lower() in ENDINGS:
                found.setdefault(stem, (above / name).as_posix())
    return found


def _require_each_once(lines: Sequence[Line]) -> None:
    seen: dict[str, str] = {}
    for line in lines:
        if line.path in seen:
            msg = f"{line.where} names {line.path!r} again, which {seen[line.path]} has"
            raise InputError(msg)
        seen[line.path] = line.where


def _classes(place: Path, lines: Sequence[Line], readable: Sequence[Line]) -> tuple[str, ...]:
    """Names of all classes, in order."""
    every = sorted({label for line in lines for label in line.labels})
    learnt = {label for line in readable if line.split is Split.TRAIN for label in line.labels}
    if len(every) < 2:
        msg = f"the list of videos {str(place)!r} needs two classes at least, got {every}"
        raise InputError(msg)
    lacking = [label for label in every if label not in learnt]
    if lacking:
        msg = (
            f"the class {lacking[0]!r} of the list {str(place)!r} has no training video that can "
            "be read"
        )
        raise InputError(msg)
    return tuple(every)


def _divided(place: Path, lines: Sequence[Line]) -> dict[Split, list[Line]]:
    """Every split, held out by first labels of the training videos where no line is of it."""
    there = {line.split for line in lines}
    lacking = [split for split in Split if split not in there]
    by_label: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        if line.split is Split.TRAIN:
            by_label[line.labels[0]].append(line.path)
    now: dict[str, Split] = {}
    for paths in by_label.values():
        for split, own in held_out(paths, lacking).items():
            now.update(dict.fromkeys(own, split))
    divided: dict[Split, list[Line]] = {split: [] for split in Split}
    for line in lines:
        divided[now.get(line.path, line.split)].append(line)
    for split, chosen in divided.items():
        if not chosen:
            msg = (
                f"the list of videos {str(place)!r} has none for {split}: a class needs {FEWEST} "
                "before one is held out"
            )
            raise InputError(msg)
    return divided
