"""Where training runs: submit a job, get its result."""

from __future__ import annotations

import math
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

from search_space.architecture import Architecture
from training.evaluation import Evaluation
from training.schedule import Schedule
from workspace.errors import OperationError


class TrainingError(OperationError):
    """A training that gave no accuracy: it diverged, crashed, or ran past its deadline."""


class TrainingTimeoutError(TrainingError):
    """A training that ran past its deadline and was killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """A look at a training under way, and what it must have reached by then to go on.

    Attributes:
        samples: Training images after which the network is looked at; at least 1.
        least: Accuracy below which the training ends there; 0 lets every one go on.
    """

    samples: int
    least: float = 0.0

    def __post_init__(self) -> None:
        if self.samples < 1 or not math.isfinite(self.least):
            msg = f"a rung needs at least 1 sample and a finite accuracy, got {self}"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a look at a training under way showed.

    Attributes:
        samples: Training images seen by then.
        accuracy: The task's metric on a part of the validation split, in `[0, 1]`.
    """

    samples: int
    accuracy: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingJob:
    """One network to train.

    Attributes:
        id: Unique in the run, for logs and files.
        architecture: At the size that is to be trained.
        task: Name of the task, or ``package.module:NAME``.
        schedule: How much and how.
        seed: Fixes order and augmentation; the initial weights derive from the architecture's key.
        deadline_s: After which it is killed.
        checkpoint: Path of a safetensors file to write the trained weights to; empty for none.
        rungs: Where it is looked at on the way, the fewest samples first; only where the
            executor ``stops_early``.
    """

    id: str
    architecture: Architecture
    task: str
    schedule: Schedule
    seed: int
    deadline_s: float
    checkpoint: str = ""
    rungs: tuple[Rung, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingResult:
    """What a training gave.

    Attributes:
        accuracy: The task's metric on its held-out validation split, in `[0, 1]`; of a training
            that was stopped the last look's.
        samples: Training images seen.
        seconds: Wall-clock time of the training.
        feedback: Named numbers for the controller, e.g. learned connection weights.
        stand_in: Empty for a real training, else a sentence that says what stood in for it.
        looks: What rungs showed, in order.
        stopped: Whether it ended at the last of them, below what that asked for.
        evaluation: What the trained network is worth on the validation split; None where nobody
            says.
    """

    accuracy: float
    samples: int
    seconds: float
    feedback: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    stand_in: str = ""
    looks: tuple[Look, ...] = ()
    stopped: bool = False
    evaluation: Evaluation | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.accuracy) and 0 <= self.accuracy <= 1):
            msg = f"accuracy must be in [0, 1], got {self.accuracy!r}"
            raise ValueError(msg)
        if self.stopped and not self.looks:
            msg = "a training that was stopped needs the look that ended it"
            raise ValueError(msg)


class Executor(Protocol):
    """Runs training jobs.

    Laws, held by ``training.testing.ExecutorContract``: every future ends, with a result or a
    ``TrainingError``, by its job's deadline plus ten seconds; equal jobs give equal results where
    ``deterministic``; after ``close`` no process of it is left; where it ``stops_early``, a job
    ends at the first rung whose accuracy it misses, and one that misses none has the result of a
    job without rungs, with its looks beside.
    """

    @property
    def lanes(self) -> int:
        """How many jobs run at once; further ones wait."""
        ...

    @property
    def on_this_computer(self) -> bool:
        """Whether it takes this computer's cores while a job runs."""
        ...

    @property
    def deterministic(self) -> bool:
        """Whether equal jobs give equal results to the last bit."""
        ...

    @property
    def stops_early(self) -> bool:
        """Whether it heeds a job's rungs; one that does not trains to the end, without looks."""
        ...

    def submit(self, job: TrainingJob) -> Future[TrainingResult]:
        """Start ``job`` as soon as a lane is free.

        Raises:
            TrainingError: If the executor is closed.
        """
        ...

    def close(self) -> None:
        """End what runs and give back everything."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorSettings:
    """Where training should run.

    Attributes:
        command: The user's own training program; empty for ours.
        lanes: Jobs at once.
        threads: CPU threads of each job.
        cores: The only ones that our training may use; empty for all.
        stand_in: Whether accuracies come from a formula, without any training.
    """

    command: str = ""
    lanes: int = 1
    threads: int = 1
    cores: tuple[int, ...] = ()
    stand_in: bool = False


def create(settings: ExecutorSettings) -> Executor:
    """The executor that ``settings`` describe; it starts nothing before the first job.

    Raises:
        InputError: If the command, or a core, cannot be used.
    """
    if settings.stand_in:
        from training.analytic import AnalyticExecutor

        return AnalyticExecutor()
    if settings.command:
        from training.command_executor import CommandExecutor

        return CommandExecutor(settings.command, lanes=settings.lanes)
    from training.local_executor import LocalExecutor

    return LocalExecutor(lanes=settings.lanes, threads=settings.threads, cores=settings.cores)
