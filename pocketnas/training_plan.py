"""What a training of ``pocketnas train`` is, and the folder that it is in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search_space.architecture import Architecture, from_json
from training.schedule import Schedule
from training.schedule_document import schedule_from_json, schedule_to_json
from workspace.errors import InputError
from workspace.files import write_whole

if TYPE_CHECKING:
    from training.task import Task

VERSION = 1

PLAN, RESULT, LOG = "training.json", "result.json", "log.jsonl"
WEIGHTS, CHECKPOINTS, BOARD = "weights.safetensors", "checkpoints", "tensorboard"
"""What is in the folder of a training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """Everything that decides what a training gives, and what it leaves in its folder.

    Attributes:
        name: Of the network, for people.
        architecture: At the size that it is evaluated at, and exported.
        dataset: Name of the task, or ``package.module:NAME``.
        schedule: How much and how.
        seed: Of order and augmentation.
        threads: Of the CPU; another number may give other last bits.
        evaluate_every: Training images between evaluations on the way; 0 for none.
        checkpoint_s: Seconds between checkpoints.
        board: Whether it writes for TensorBoard.
        notes: What has to be said of the schedule, a sentence each.
    """

    name: str
    architecture: Architecture
    dataset: str
    schedule: Schedule
    seed: int = 0
    threads: int = 1
    evaluate_every: int = 0
    checkpoint_s: float = 60.0
    board: bool = False
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Pixels a side at which it is evaluated."""
        return self.architecture.inputs[0].shape[-1]

    def task(self) -> Task:
        """The data as the network sees it, its boxes from the schedule's anchors.

        Raises:
            InputError: If there is none such.
            OperationError: If what it needs is not installed.
        """
        from training.possible import anchored
        from training.task import create, seen_by

        task = seen_by(create(self.dataset), self.architecture.inputs)
        return anchored(task, self.schedule.anchor)

    def to_json(self) -> dict[str, Any]:
        """A document from which ``from_json`` makes an equal plan."""
        return {
            "version": VERSION,
            "name": self.name,
            "architecture": self.architecture.to_json(),
            "dataset": self.dataset,
            "schedule": schedule_to_json(self.schedule),
            "seed": self.seed,
            "threads": self.threads,
            "evaluate_every": self.evaluate_every,
            "checkpoint_s": self.checkpoint_s,
            "board": self.board,
            **({"notes": [*self.notes]} if self.notes else {}),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> TrainingPlan:
        """What ``to_json`` gave.

        Raises:
            KeyError: If something is missing; ValueError or TypeError: if it is of another kind.
        """
        values = {name: value for name, value in document.items() if name != "version"}
        values["architecture"] = from_json(values["architecture"])
        values["schedule"] = schedule_from_json(values["schedule"])
        values["notes"] = tuple(values.get("notes", ()))
        return cls(**values)

    def write(self, folder: Path) -> None:
        """Keep it in the folder of its training."""
        write_whole(folder / PLAN, json.dumps(self.to_json(), indent=1).encode())


def is_training(folder: Path) -> bool:
    """Whether it is the folder of a training."""
    return (folder / PLAN).is_file()


def read_plan(folder: Path) -> TrainingPlan:
    """The plan of the training in ``folder``.

    Raises:
        InputError: If there is none, or of a newer version, or it is damaged.
    """
    path = folder / PLAN
    try:
        document = json.loads(path.read_bytes())
        if document["version"] > VERSION:
            msg = f"the training in {str(folder)!r} is of a newer version: {document['version']}"
            raise InputError(msg)
        return TrainingPlan.from_json(document)
    except FileNotFoundError as error:
        msg = f"{str(folder)!r} is no training: it has no {PLAN}"
        raise InputError(msg) from error
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"{str(path)!r} cannot be read: {type(error).__name__}: {error}"
        raise InputError(msg) from error


def read_result(folder: Path) -> dict[str, Any] | None:
    """What a training gave; None if it is not done."""
    path = folder / RESULT
    if not path.is_file():
        return None
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found
