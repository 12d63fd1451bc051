"""Trainings of compared networks, all by one recipe, each kept as a line of a log when it is done.

A training is known by its network, schedule, data, size, seed and the code that trains, so a
run that was stopped goes on where it was, and one whose code has changed begins anew. Trained
networks see the test split once, after the last step; nothing is chosen by what it says.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.comparison.log import Log, key_of
from benchmarks.comparison.networks import Network
from search_space.architecture import Head, Json
from training.executor import TrainingError
from training.schedule import Schedule
from workspace.code import digest_of
from workspace.errors import OperationError

if TYPE_CHECKING:
    from torch import nn

    from training.progress import TrainingObserver


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One training.

    Attributes:
        network: What is trained.
        seed: Of its weights, the order and augmentation of images, and dropout.
        schedule: How much and how.
        size: Input size in pixels.
        task: Name of the data set.
        checkpoint: Where the trained weights go, as safetensors; None for nowhere.
    """

    network: Network
    seed: int
    schedule: Schedule
    size: int
    task: str = "fashion-mnist"
    checkpoint: Path | None = None

    @property
    def key(self) -> str:
        """What it is known by: equal ones give equal results."""
        facts: list[Json] = [self.network.key, self.task, repr(self.schedule), self.size]
        return key_of(*facts, self.seed, _code())

    @property
    def is_kept(self) -> bool:
        """Whether the weights that it should leave are there."""
        return self.checkpoint is None or self.checkpoint.is_file()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What a training gave.

    Attributes:
        validation: The task's metric on the validation split, for whoever chooses.
        test: The same on the test split, for whoever reports.
        seconds: Of training and validation.
        failure: Why there is no accuracy; empty if there is.
    """

    validation: float
    test: float
    seconds: float
    failure: str = ""

    def to_json(self) -> dict[str, Json]:
        """A document from which ``from_json`` makes an equal one."""
        numbers: dict[str, Json] = {
            "validation": self.validation,
            "test": self.test,
            "seconds": round(self.seconds, 2),
        }
        return {**numbers, **({"failure": self.failure} if self.failure else {})}

    @classmethod
    def from_json(cls, facts: Mapping[str, Json]) -> Trained:
        """What ``to_json`` was given."""
        validation, test, seconds = (
            float(str(facts[name])) for name in ("validation", "test", "seconds")
        )
        failure = str(facts.get("failure", ""))
        return cls(validation=validation, test=test, seconds=seconds, failure=failure)


def fitted(job: Job, observer: TrainingObserver | None = None) -> Trained:
    """Train, on one thread of the CPU; a training that diverges is a result too.

    Args:
        job: What to train.
        observer: Is told of it; None for nobody.
    """
    import torch

    from training.task import Split, create
    from training.trainer import Trainer

    torch.set_num_threads(1)
    task, trainer = create(job.task), Trainer("cpu")
    if job.checkpoint is not None:
        job.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    try:
        module = job.network.build(_head(job.task), job.seed)
        result = trainer.fit(
            module,
            task,
            job.schedule,
            size=job.size,
            seed=job.seed,
            channels=1,
            checkpoint=job.checkpoint,
            observer=observer,
        )
        test = trainer.evaluate(module, task, size=job.size, split=Split.TEST)
    except TrainingError as error:
        return Trained(validation=0.0, test=0.0, seconds=0.0, failure=str(error))
    return Trained(validation=result.accuracy, test=test, seconds=result.seconds)


def train(
    jobs: Sequence[Job],
    log: Log,
    say: Callable[[str], None],
    *,
    processes: int = 2,
    fit: Callable[[Job], Trained] = fitted,
) -> list[Trained]:
    """Each job's result, in order; trained is only what is not in the log.

    Args:
        jobs: What to train.
        log: Where results are kept.
        say: Is told of each training.
        processes: Trainings at once, each in a process of its own; 0 for this one.
        fit: Trains.
    """
    missing = [job for job in jobs if log.find(job.key) is None or not job.is_kept]
    wanted = list({job.key: job for job in missing}.values())
    with _mapper(processes if wanted else 0) as mapped:
        for number, (job, trained) in enumerate(mapped(fit, wanted), 1):
            facts: dict[str, Json] = {"network": job.network.name, "seed": job.seed}
            recipe: dict[str, Json] = {
                "samples": job.schedule.samples,
                "learning_rate": job.schedule.learning_rate,
            }
            log.add(job.key, {**facts, **recipe, **trained.to_json()})
            told = trained.failure or f"{trained.validation:.2%} in {trained.seconds:.0f} s"
            say(f"{number} of {len(wanted)}: {job.network.name}, seed {job.seed}: {told}")
    return [_found(log, job) for job in jobs]


def require_trained(jobs: Sequence[Job], trained: Sequence[Trained]) -> None:
    """Do nothing if every training gave an accuracy.

    Raises:
        OperationError: If one did not.
    """
    for job, one in zip(jobs, trained, strict=True):
        if one.failure:
            msg = f"{job.network.name} was not trained with seed {job.seed}: {one.failure}"
            raise OperationError(msg)


def loaded(job: Job) -> nn.Module:
    """The network of a job with its trained weights.

    Raises:
        OperationError: If it left none.
    """
    from safetensors.torch import load_file

    if job.checkpoint is None or not job.checkpoint.is_file():
        msg = f"{job.network.name} has no trained weights at {job.checkpoint}"
        raise OperationError(msg)
    module = job.network.build(_head(job.task), job.seed)
    module.load_state_dict(load_file(job.checkpoint))
    return module.eval()


def _found(log: Log, job: Job) -> Trained:
    facts = log.find(job.key)
    assert facts is not None
    return Trained.from_json(facts)


def _head(task: str) -> Head:
    from training.task import create

    return create(task).head


@contextmanager
def _mapper(
    processes: int,
) -> Iterator[Callable[[Callable[[Job], Trained], Sequence[Job]], Iterator[tuple[Job, Trained]]]]:
    """Something that trains jobs and gives each with its result, in order of completion."""
    if not processes:
        yield lambda fit, jobs: ((job, fit(job)) for job in jobs)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield lambda fit, jobs: pool.imap_unordered(_Paired(fit), jobs)


@dataclass(frozen=True, slots=True)
class _Paired:
    """Gives a job back with its result; crosses into other processes, as a closure cannot."""

    fit: Callable[[Job], Trained]

    def __call__(self, job: Job) -> tuple[Job, Trained]:
        return job, self.fit(job)


@cache
def _code() -> str:
    """Digest of all that decides what a training gives."""
    own = Path(__file__).with_name("networks.py").read_text()
    return key_of(digest_of("search_space", "training"), own, version("torch"))
