"""Finds the network that a command's ARCH argument means."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import assert_never

from search_space.architecture import (
    Architecture,
    Classifier,
    Detector,
    Family,
    Head,
    VideoClassifier,
)
from search_space.guidance import Told
from search_space.space import create as create_space
from workspace.errors import InputError

_FOR_DEVICE = ":best@"


class HeadName(StrEnum):
    """Kinds of head, as the command line names them."""

    CLASSIFIER = "classifier"
    DETECTOR = "detector"
    VIDEO_CLASSIFIER = "videoclassifier"

    def made(self, classes: int | None) -> Head:
        """The head, of as many classes as published networks have where None.

        Those are ImageNet's, COCO's (RetinaNet as published counts the background, and numbers
        that COCO leaves out), and those of Moments in Time.
        """
        match self:
            case HeadName.CLASSIFIER:
                return Classifier(classes=1000 if classes is None else classes)
            case HeadName.DETECTOR:
                return Detector(classes=91 if classes is None else classes)
            case HeadName.VIDEO_CLASSIFIER:
                return VideoClassifier(classes=339 if classes is None else classes)
        assert_never(self)


def usual_head(architecture: Architecture) -> HeadName:
    """The kind of head of a network of which nobody says: a classifier, of what it takes."""
    takes_clips = architecture.family is Family.MULTI_STREAM
    return HeadName.VIDEO_CLASSIFIER if takes_clips else HeadName.CLASSIFIER


def head_named(name: str, classes: int | None) -> Head:
    """The head of that name, of so many classes; see ``HeadName.made``.

    Raises:
        InputError: If there is none.
    """
    if name not in list(HeadName):
        msg = f"unknown head {name!r}; there are {', '.join(HeadName)}"
        raise InputError(msg)
    return HeadName(name).made(classes)


def head_for_space(
    name: str, options: Mapping[str, str], head: str | None, classes: int | None
) -> Head:
    """What networks of a space end in.

    Args:
        name: Of the space.
        options: Of it.
        head: Kind of head; None for what its networks have as published.
        classes: As many; None for as many as published networks have.

    Raises:
        InputError: If there is no such space or head.
    """
    if head is None:
        space = create_space(name, options)
        head = usual_head(space.decode(space.points.sample(random.Random(0))))
    return head_named(head, classes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A network and what it is known by.

    Attributes:
        architecture: At the size that was asked for.
        head: What it ends in.
        run: The run it comes from; None if it comes from elsewhere.
        index: Of its proposal in that run; None if it comes from elsewhere.
        device: Of the run's fleet, whose own best it was named as; else empty.
        training: Folder of the training that it comes from; None if it comes from elsewhere.
        name: In the catalog; empty if it comes from elsewhere.
        told: What its training in that run or folder told, the weights of its connections among
            it; None where it was not trained.
    """

    architecture: Architecture
    head: Head
    run: Path | None = None
    index: int | None = None
    device: str = field(default="", compare=False)
    training: Path | None = None
    name: str = field(default="", compare=False)
    told: Told | None = field(default=None, compare=False)


def resolve(
    text: str, *, size: int | None = None, classes: int | None = None, head: str | None = None
) -> Found:
    """The network that ``text`` means: a run's, a training's, or what the catalog resolves.

    ``RUN:best`` and ``RUN:12`` are of a run; a training's is named by its folder.

    ``RUN:best@DEVICE`` is the best for one device of a run's fleet alone.

    Args:
        text: ARCH, as every command takes it.
        size: Input size in pixels; its own where None.
        classes: Of the head; where None the run's where there is one, else as published.
        head: Kind of head, one of ``HeadName``; where None the run's, else a classifier, which
            is one of videos for networks that take clips.

    Raises:
        InputError: If there is no such network or head, or it cannot run at that size.
    """
    wanted = None if head is None else head_named(head, classes)
    found = _from_run(text) or _from_training(text) or _from_catalog(text)
    if wanted is not None and type(wanted) is not type(found.head):
        found = replace(found, head=wanted)
    elif classes is not None:
        found = replace(found, head=replace(found.head, classes=classes))
    return found if size is None else replace(found, architecture=found.architecture.at(size))


def _from_catalog(text: str) -> Found:
    from search_space import catalog

    architecture = catalog.resolve(text)
    head = usual_head(architecture).made(None)
    return Found(architecture=architecture, head=head, name="" if Path(text).is_file() else text)


def _from_run(text: str) -> Found | None:
    folder, colon, which = text.rpartition(":")
    if _FOR_DEVICE in text:  # whose name may have colons
        folder, _, device = text.partition(_FOR_DEVICE)
        which = f"best@{device}"
    if not colon or not (Path(folder) / "config.toml").is_file():
        return None
    from pocketnas.runs import trial_of

    return trial_of(Path(folder), which)


def _from_training(text: str) -> Found | None:
    from pocketnas.training_plan import is_training, read_plan, read_result

    folder = Path(text)
    if not is_training(folder):
        return None
    from training.task import create

    plan = read_plan(folder)
    return Found(
        architecture=plan.architecture,
        head=create(plan.dataset).head,
        training=folder,
        told=(read_result(folder) or {}).get("feedback"),
    )
