"""Which videos a list names: a CSV file with a line a video, or a folder with one for each split.

The first line names the columns. ``label`` is a video's class; ``labels`` are several, separated
by semicolons. ``path`` is its file, from the list's folder on; Kinetics' own ``youtube_id`` (with
``time_start`` and ``time_end`` in seconds) is a file anywhere in that folder which is called so:
``ID_000010_000020.mp4`` as those who fetch Kinetics call them, or ``ID.mp4``, of which these
seconds are read unless it is cut to them. ``split`` is train, val or test; a split that no line
has is held out of the training videos, of which each class keeps one.
"""

from __future__ import annotations

import csv
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from training.class_folders import FEWEST, held_out, tell_faults
from training.task import Split
from training.video_listing import (
    ENDINGS,
    Video,
    VideoListing,
    durations_of,
    faults_among,
    lengths_of,
)
from training.video_seconds import Seconds, cut_name, part_of, parted
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

SLACK_S = 1
"""That lengths may be off: of files that are cut to the seconds of a line, and of whole ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A video of a list.

    Attributes:
        path: Of its file below the list's folder (``_placed``), or what is known of its name where
            it is not there; perhaps of some seconds of it.
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
    root = (place if place.is_dir() else place.parent).resolve()
    is_multi_label, lists = has_several_labels(place), _lists(place)
    lines = [line for split, path in lists.items() for line in _lines(path, root, split)]
    lines = _whole_where_cut(root, lines)
    _require_each_once(root, lines)
    paths = [line.path for line in lines]
    lengths = lengths_of(root, paths)
    faults = faults_among(lengths)
    for path in faults:
        if not parted(root / path)[0].is_file():
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
        placed = _placed(root, file) if "path" in names else file
        yield Line(path=placed, labels=labels, split=split or _split(row, where), where=where)


def _placed(root: Path, file: str) -> str:
    """Where a file is below a folder, however it is spelled; one elsewhere as it is named."""
    found = (root / file).resolve()
    if found.is_relative_to(root):
        return found.relative_to(root).as_posix()
    return Path(file).as_posix()


def _split(row: Mapping[str, str], where: str) -> Split:
    said = row.get("split", "train").lower()
    if said not in _SPLITS:
        msg = f"{where} has the split {said!r}; there are {', '.join(_SPLITS)}"
        raise InputError(msg)
    return _SPLITS[said]


def _kinetics(row: Mapping[str, str], files: Mapping[str, str], where: str) -> str:
    """The file of a line as Kinetics has it; what it would be called where there is none."""
    name, seconds = row.get("youtube_id", ""), _seconds(row, where)
    if not name or seconds is None:
        return files.get(name, f"{name}.mp4" if name else "")
    cut = cut_name(name, seconds)
    if cut not in files and name in files:
        return part_of(files[name], seconds)
    return files.get(cut, f"{cut}.mp4")


def _seconds(row: Mapping[str, str], where: str) -> Seconds | None:
    """Those that a line names; None where it names none."""
    times = [row.get(key, "") for key in ("time_start", "time_end")]
    if not any(times):
        return None
    try:
        start, end = (int(float(time)) for time in times)
    except (ValueError, OverflowError) as error:
        msg = f"{where} has no times in seconds: {times}"
        raise InputError(msg) from error
    if not 0 <= start < end:
        msg = f"{where} ends before it begins, in seconds: {times}"
        raise InputError(msg)
    return start, end


def _whole_where_cut(root: Path, lines: Sequence[Line]) -> list[Line]:
    """The lines, without their seconds where a file is cut to them.

    It is if it is no longer than they are, or ends before they do.
    """
    parts = {line.path: parted(Path(line.path)) for line in lines}
    files = sorted({file.as_posix() for file, seconds in parts.values() if seconds})
    durations = durations_of(root, files) if files else {}
    found = []
    for line in lines:
        file, seconds = parts[line.path]
        if seconds is not None:
            (start, end), duration = seconds, durations[file.as_posix()]
            is_cut = duration <= end - start + SLACK_S or duration < end - SLACK_S
            line = replace(line, path=file.as_posix()) if is_cut else line
        found.append(line)
    return found


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


def _require_each_once(root: Path, lines: Sequence[Line]) -> None:
    """Do nothing if no two lines name one video, by whatever link or spelling."""
    seen: dict[tuple[Path, Seconds | None], str] = {}
    for line in lines:
        file, seconds = parted(root / line.path)
        video = file.resolve(), seconds
        if video in seen:
            msg = f"{line.where} names {line.path!r} again, which {seen[video]} has"
            raise InputError(msg)
        seen[video] = line.where


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
    """Every split, held out by first labels of the training videos where no line is of it.

    A video is not held out if it is the last one for training of any of its classes.
    """
    there = {line.split for line in lines}
    lacking = [split for split in Split if split not in there]
    labels = {line.path: line.labels for line in lines if line.split is Split.TRAIN}
    left = Counter(label for own in labels.values() for label in own)
    by_label: dict[str, list[str]] = defaultdict(list)
    for path, own in labels.items():
        by_label[own[0]].append(path)

    def goes(path: str) -> bool:
        if any(left[label] == 1 for label in labels[path]):
            return False
        left.subtract(labels[path])
        return True

    now: dict[str, Split] = {}
    for paths in by_label.values():
        for split, chosen in held_out(paths, lacking, goes).items():
            now.update(dict.fromkeys(chosen, split))
    divided: dict[Split, list[Line]] = {split: [] for split in Split}
    for line in lines:
        divided[now.get(line.path, line.split)].append(line)
    for split, videos in divided.items():
        if not videos:
            msg = (
                f"the list of videos {str(place)!r} has none for {split}: a class needs {FEWEST} "
                "before one is held out, and keeps one"
            )
            raise InputError(msg)
    return divided
