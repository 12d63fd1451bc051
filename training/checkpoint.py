"""Checkpoints of a training in a folder: tensors as safetensors, facts as JSON beside them.

A checkpoint is there when its JSON is, which is written last and has the digest of the tensors.
The one before it is kept until the next, so that a damaged file costs minutes, not the training.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save

from training.saved import Saved
from training.schedule import Schedule
from training.schedule_document import schedule_from_json, schedule_to_json
from workspace.errors import InputError, OperationError
from workspace.files import write_whole

VERSION = 1

KEPT = 2
"""Checkpoints that are there at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a training is; one goes on only from a checkpoint of the same.

    Attributes:
        architecture: Key of its network, at the size of evaluations.
        task: Name of its data.
        schedule: How much and how.
        seed: Of order and augmentation.
        classes: Names of the data's; empty where nobody says.
        digest: Of the data, where it may change (see ``Task``); empty where nobody says.
    """

    architecture: str
    task: str
    schedule: Schedule
    seed: int
    classes: tuple[str, ...] = ()
    digest: str = ""

    def to_json(self) -> dict[str, Any]:
        """A document from which ``from_json`` makes an equal value."""
        return {
            "architecture": self.architecture,
            "task": self.task,
            "schedule": schedule_to_json(self.schedule),
            "seed": self.seed,
            **({"classes": [*self.classes]} if self.classes else {}),
            **({"digest": self.digest} if self.digest else {}),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Identity:
        """What ``to_json`` gave.

        Raises:
            KeyError: If something is missing; ValueError or TypeError: if it is of another kind.
        """
        return cls(
            architecture=document["architecture"],
            task=document["task"],
            schedule=schedule_from_json(document["schedule"]),
            seed=document["seed"],
            classes=tuple(document.get("classes", ())),
            digest=document.get("digest", ""),
        )

    def require(self, other: Identity, where: Path) -> None:
        """Do nothing if ``other``, which ``where`` holds, is the same.

        Classes and digest are compared where both have them: they were not always kept.

        Raises:
            InputError: If not; the text names the first difference.
        """
        for mine, theirs in ((self, other), (self.schedule, other.schedule)):
            for item in fields(mine):
                wanted, there = getattr(mine, item.name), getattr(theirs, item.name)
                if item.name in ("schedule", "classes", "digest") or wanted == there:
                    continue
                what = item.name.replace("_", " ")
                msg = (
                    f"{str(where)!r} has a training of another {what}: {_shown(there)}, and "
                    f"{_shown(wanted)} was asked for"
                )
                raise InputError(msg)
        self._require_data(other, where)

    def _require_data(self, other: Identity, where: Path) -> None:
        """Do nothing if the data of ``other`` is the same, as far as it is known."""
        if self.classes and other.classes and self.classes != other.classes:
            was, now = (", ".join(each.classes) for each in (other, self))
            what = f"classes: {_shown(was)}, and it has {_shown(now)} now"
        elif self.digest and other.digest and self.digest != other.digest:
            what = "files or labels than it has now"
        else:
            return
        msg = (
            f"{str(where)!r} has a training on {self.task!r} with other {what}; go on with the "
            "data as it was, or train anew"
        )
        raise InputError(msg)


class Checkpoints:
    """The checkpoints of one training.

    Args:
        folder: Of them alone; it is made with the first.
        identity: Of the training.
        every_s: Seconds between two; 0 for one after every step.
        writes: Whether this process writes them; one of several does.
    """

    def __init__(
        self, folder: Path, identity: Identity, *, every_s: float = 60.0, writes: bool = True
    ) -> None:
        self._folder, self._identity = folder, identity
        self._every_s, self._writes = every_s, writes
        self._last = time.monotonic()

    def latest(self) -> Saved | None:
        """The last one that can be read; None where there is none.

        Raises:
            InputError: If it is of another training, or of a newer version.
            OperationError: If none of them can be read.
        """
        found = sorted(self._folder.glob("step-*.json"), reverse=True)
        for path in found:
            saved = self._read(path)
            if saved is not None:
                return saved
        if found:
            msg = f"none of the {len(found)} checkpoints in {str(self._folder)!r} can be read"
            raise OperationError(msg)
        return None

    def require_same(self) -> None:
        """Do nothing if those that are there are of this training.

        Raises:
            InputError: If not.
        """
        for path in self._folder.glob("step-*.json"):
            self._document(path)

    @property
    def is_due(self) -> bool:
        """Whether it is time for the next one."""
        return self._writes and time.monotonic() - self._last >= self._every_s

    def save(self, saved: Saved) -> None:
        """Write one, and remove those before the last two.

        Raises:
            OperationError: If it cannot be written; the one before it is still there.
        """
        if not self._writes:
            return
        name = f"step-{int(str(saved.facts['step'])):09d}"
        content = save(dict(saved.tensors))
        document = {
            "version": VERSION,
            **self._identity.to_json(),
            "facts": dict(saved.facts),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_whole(self._folder / f"{name}.safetensors", content)
            write_whole(self._folder / f"{name}.json", json.dumps(document, indent=1).encode())
            self._remove_old()
        except OSError as error:
            msg = f"no checkpoint can be written to {str(self._folder)!r}: {error}"
            raise OperationError(msg) from error
        self._last = time.monotonic()

    def _remove_old(self) -> None:
        kept = {path.stem for path in sorted(self._folder.glob("step-*.json"))[-KEPT:]}
        for ending in ("json", "safetensors"):  # in this order: no JSON without its tensors
            for path in self._folder.glob(f"step-*.{ending}"):
                if path.stem not in kept:
                    path.unlink(missing_ok=True)
        for path in self._folder.glob(".step-*"):  # what a killed process had begun to write
            path.unlink(missing_ok=True)

    def _read(self, path: Path) -> Saved | None:
        """One checkpoint; None if it is damaged."""
        document = self._document(path)
        if document is None:
            return None
        try:
            content = path.with_suffix(".safetensors").read_bytes()
            if hashlib.sha256(content).hexdigest() != document["sha256"]:
                return None
            return Saved(tensors=load(content), facts=document["facts"])
        except (OSError, ValueError, KeyError, TypeError, SafetensorError):
            return None

    def _document(self, path: Path) -> dict[str, Any] | None:
        """What is said of a checkpoint of this training; None if it is damaged."""
        try:
            document: dict[str, Any] = json.loads(path.read_bytes())
            if document["version"] > VERSION:
                msg = f"{str(path)!r} is of a newer version: {document['version']}"
                raise InputError(msg)
            self._identity.require(Identity.from_json(document), path)
        except InputError:
            raise
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return document


def _shown(value: object) -> str:
    text = str(value) if not isinstance(value, tuple) else f"{len(value)} stages: {value}"
    return text if len(text) <= 200 else f"{text[:200]}…"
