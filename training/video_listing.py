"""Which videos a data set has, with their labels and lengths, in which split."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.class_folders import Medium, list_classes
from training.known_files import Looking, facts_of
from training.listing_digest import bytes_of, digest_of
from training.task import Split
from training.video_flow import flow_fault
from training.video_frames import LONGEST, duration_of, length_of
from training.video_seconds import parted
from workspace.errors import InputError

_LOG = logging.getLogger(__name__)

ENDINGS = frozenset(
    (
        ".3gp",
        ".avi",
        ".flv",
        ".m4v",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".ogv",
        ".webm",
        ".wmv",
    )
)
"""Of names of videos, in any case; other files are none."""

MANY = 200
"""Videos of which one is told that they are looked through: each is decoded once."""

NAMED = 5
"""Videos that do not fit that a message names; it counts them all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """A video with its labels.

    Attributes:
        path: Below the folder, with ``/`` between the parts; perhaps of some seconds of a file
            alone (``training.video_seconds``).
        labels: Places of its classes among the names of all, at least one.
        length: In frames.
    """

    path: str
    labels: tuple[int, ...]
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoListing:
    """What a data set of videos has.

    Attributes:
        root: The folder that paths are below.
        classes: Their names, in order.
        is_multi_label: Whether a video may have several.
        splits: The videos of each split.
        faults: Why each video cannot be read that is left out, by its path.
    """

    root: Path
    classes: tuple[str, ...]
    is_multi_label: bool
    splits: Mapping[Split, tuple[Video, ...]]
    faults: Mapping[str, str]

    @property
    def digest(self) -> str:
        """Of paths, labels and lengths in bytes, as they are now."""
        root = self.root
        return digest_of(
            self.splits, lambda one: (one.path, one.labels, bytes_of(parted(root / one.path)[0]))
        )

    def require_length(self, frames: int) -> None:
        """Do nothing if every video is as long.

        Raises:
            InputError: If not; it names those that are not.
        """
        every = [video for videos in self.splits.values() for video in videos]
        short = {video.path: str(video.length) for video in every if video.length < frames}
        if not short:
            return
        msg = (
            f"clips of {frames} frames are asked for, and {len(short)} of the {len(every)} videos "
            f"in {str(self.root)!r} have fewer: {_named(short)}; take a network of fewer frames, "
            "or take these videos out"
        )
        raise InputError(msg)

    def require_flow(self) -> None:
        """Do nothing if there is optical flow beside every video.

        Raises:
            InputError: If not; it names those that lack it.
        """
        every = [video for videos in self.splits.values() for video in videos]
        why = {video.path: flow_fault(self.root / video.path, video.length) for video in every}
        lacking = {path: fault for path, fault in why.items() if fault}
        if not lacking:
            return
        msg = (
            f"the network takes optical flow, and {len(lacking)} of the {len(every)} videos in "
            f"{str(self.root)!r} have none that fits: {_named(lacking)}; put NAME.flow.npy with "
            "[frames, 2, H, W] of float16 or float32 beside each, or take a network that computes "
            "it in itself"
        )
        raise InputError(msg)


def _named(videos: Mapping[str, str]) -> str:
    """Some of them by path, each with what is said of it, and how many more there are."""
    named = ", ".join(f"{path} ({said})" for path, said in list(videos.items())[:NAMED])
    return f"{named} and {len(videos) - NAMED} more" if len(videos) > NAMED else named


def lengths_of(root: Path, paths: Sequence[str]) -> dict[str, int | str]:
    """How many frames each video has, or why it cannot be read, by its path below ``root``.

    A warning counts those that are longer than what is read of them.

    Raises:
        OperationError: If PyAV is not installed.
    """
    looking = Looking(
        what="videos",
        folder="videos",
        many=MANY,
        look=length_of,
        file=lambda path: parted(path)[0],
    )
    facts = facts_of(root, paths, looking)
    lengths = {path: fact if isinstance(fact, int) else str(fact) for path, fact in facts.items()}
    long = sum(length == LONGEST for length in lengths.values())
    if long:
        _LOG.warning(
            "%d of the %d videos in %s have %d frames or more: what comes after is not looked at",
            long, len(lengths), root, LONGEST,
        )  # fmt: skip
    return lengths


def durations_of(root: Path, paths: Sequence[str]) -> dict[str, int]:
    """How many seconds each video takes, by its path below ``root``; 0 where that is not known.

    Raises:
        OperationError: If PyAV is not installed.
    """
    looking = Looking(what="videos", folder="durations", many=MANY, look=duration_of)
    facts = facts_of(root, paths, looking)
    return {path: fact if isinstance(fact, int) else 0 for path, fact in facts.items()}


def list_video_classes(root: Path) -> VideoListing:
    """What a folder has that holds a folder a class, or ``train/`` and ``val/`` that do.

    A warning names and counts videos that cannot be read.

    Raises:
        InputError: If it cannot be read, or what it has is no data set; see ``list_classes``.
        OperationError: If PyAV is not installed.
    """
    lengths: dict[str, int | str] = {}

    def faults(folder: Path, paths: Sequence[str]) -> dict[str, str]:
        lengths.update(lengths_of(folder, paths))
        return faults_among(lengths)

    listing = list_classes(root, Medium(one="video", all="videos", endings=ENDINGS, faults=faults))
    splits = {
        split: tuple(
            Video(path=each.path, labels=(each.label,), length=int(lengths[each.path]))
            for each in files
        )
        for split, files in listing.splits.items()
    }
    return VideoListing(
        root=root,
        classes=listing.classes,
        is_multi_label=False,
        splits=splits,
        faults=listing.faults,
    )


def faults_among(lengths: Mapping[str, int | str]) -> dict[str, str]:
    """Why videos cannot be read that cannot, by path."""
    return {path: length for path, length in lengths.items() if isinstance(length, str)}
