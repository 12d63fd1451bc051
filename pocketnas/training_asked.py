"""Makes the plan of a training out of what the command line asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from pocketnas.heads import require_head
from pocketnas.networks import resolve
from pocketnas.training_plan import TrainingPlan
from pocketnas.variants import variant_of
from search_space.chain import Activation
from training.possible import without_impossible
from training.progressive import Rule
from training.recipes import Length, RecipeName, schedule_of
from training.schedule import Arithmetic, Decay, OptimizerName, Schedule, StageBatch
from training.schedule_document import schedule_from_json, schedule_to_json
from training.stages import TrainingStage
from workspace.errors import InputError

if TYPE_CHECKING:
    from search_space.architecture import Architecture

Named = TypeVar("Named", bound=StrEnum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Options of ``pocketnas train``; None and empty text are what was not given.

    Attributes:
        architecture: ARCH.
        dataset: Name of the task.
        recipe: Whose settings hold where no option says otherwise.
        progressive: ``paper``, ``code``, or the path of a file with stages; empty for none.
        size: Pixels a side of evaluations.
        train_size: Of the training, in the end.
        length: How long.
        settings: Fields of the schedule by name, as its document has them; None for the recipe's.
        evaluate_epochs: Epochs between evaluations on the way; 0 for none.
        seed: Of order and augmentation.
        threads: Of the CPU, for each process; None for as many as torch takes, shared.
        processes: That share each batch.
        checkpoint_s: Seconds between checkpoints.
        board: Whether to write for TensorBoard.
        activation: Of the network; empty for its own.
        stochastic_depth: Likewise; None for its own.
    """

    architecture: str
    dataset: str
    recipe: str = RecipeName.PROXY
    progressive: str = ""
    size: int | None = None
    train_size: int | None = None
    length: Length
    settings: Mapping[str, float | bool | str | None]
    evaluate_epochs: float = 1.0
    seed: int = 0
    threads: int | None = None
    processes: int = 1
    checkpoint_s: float = 60.0
    board: bool = False
    activation: str = ""
    stochastic_depth: float | None = None


def plan_of(asked: Asked) -> TrainingPlan:
    """The plan of what was asked for.

    Raises:
        InputError: If an option cannot be used.
        OperationError: If torch or the data is not there.
    """
    recipe = one_of(RecipeName, asked.recipe, "recipe")
    chosen = _chosen(asked)
    for name in ("evaluate_epochs", "checkpoint_s"):
        if not 0 <= getattr(asked, name) < float("inf"):
            words = name.replace("_", " ")
            msg = f"{words} must be a finite number of at least 0, got {getattr(asked, name)!r}"
            raise InputError(msg)
    architecture = _network(asked)
    stages = _stages(asked, architecture)
    import torch

    from training.task import Split, create, full_name, seen_by

    task = create(asked.dataset)
    require_head(architecture, task.head, asked.dataset)
    task = seen_by(task, architecture.inputs)
    epoch = len(task.examples(Split.TRAIN, (stages or [_whole(architecture)])[0].size))
    schedule = schedule_of(recipe, task.proxy.schedule, asked.length, epoch=epoch)
    notes: tuple[str, ...] = ()
    if asked.progressive in tuple(Rule):
        stages, notes = without_impossible(stages, task)
    schedule = replace(_changed(schedule, chosen), stages=stages)
    return TrainingPlan(
        name=asked.architecture,
        architecture=architecture,
        dataset=full_name(asked.dataset),
        schedule=schedule,
        seed=asked.seed,
        threads=asked.threads or max(1, torch.get_num_threads() // asked.processes),
        evaluate_every=round(asked.evaluate_epochs * epoch),
        checkpoint_s=asked.checkpoint_s,
        board=asked.board,
        notes=tuple(f"--progressive {asked.progressive} {note}" for note in notes),
    )


def _network(asked: Asked) -> Architecture:
    activation = asked.activation and one_of(Activation, asked.activation, "activation")
    return variant_of(
        resolve(asked.architecture, size=asked.size).architecture,
        activation=activation or None,
        stochastic_depth=asked.stochastic_depth,
    )


def one_of(kind: type[Named], text: str, what: str) -> Named:
    """The member of ``kind`` that ``text`` names.

    >>> one_of(Decay, "staircase", "decay")
    <Decay.STAIRCASE: 'staircase'>

    Raises:
        InputError: If there is none.
    """
    try:
        return kind(text)
    except ValueError:
        msg = f"unknown {what} {text!r}; there are {', '.join(kind)}"
        raise InputError(msg) from None


_KINDS: Mapping[str, type[StrEnum]] = {
    "optimizer": OptimizerName,
    "decay": Decay,
    "arithmetic": Arithmetic,
    "stage_batch": StageBatch,
}
"""Settings that are one of several names."""


def _chosen(asked: Asked) -> dict[str, float | bool | str]:
    """Settings that were given."""
    chosen = {name: value for name, value in asked.settings.items() if value is not None}
    for name, kind in _KINDS.items():
        if name in chosen:
            one_of(kind, str(chosen[name]), name.replace("_", " "))
    _changed(Schedule(samples=1, drops=(0.5,)), chosen)  # found out before any data is read
    return chosen


def _changed(schedule: Schedule, chosen: Mapping[str, float | bool | str]) -> Schedule:
    return schedule_from_json({**schedule_to_json(schedule), **chosen})


def _stages(asked: Asked, architecture: Architecture) -> tuple[TrainingStage, ...]:
    if asked.progressive:
        from training.progressive import stages_for

        return stages_for(
            asked.progressive, architecture, name=asked.architecture, size=asked.train_size
        )
    if asked.settings.get("stage_batch"):
        msg = "--stage-batch would be without effect, since there are no stages: --progressive"
        raise InputError(msg)
    if asked.train_size is None:
        return ()
    return (TrainingStage(until=1, size=asked.train_size),)


def _whole(architecture: Architecture) -> TrainingStage:
    return TrainingStage(until=1, size=architecture.inputs[0].shape[-1])
