"""Does a short training put networks in the order of the full one? And how far does luck move it?

A handful of networks is trained by the full task and by cheaper ones (fewer samples, smaller
images, narrower networks), each with several seeds, and their ranks are compared. Trainings are
kept in a file, one line each, so that a check that was cut off goes on.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Self

from controller.kept_trainings import KeptTrainings, Trained
from controller.ranking import noise_of
from latency.accuracy import spearman
from latency.signatures import parts_of
from search_space.architecture import Architecture, Classifier, Head, VideoClassifier
from search_space.scaling import Factors, scaled
from search_space.widths import parse_multiplier
from training.executor import Executor, TrainingJob
from training.schedule import Schedule
from workspace.errors import InputError

LEAST_NETWORKS = 4
"""Of which there are ranks to speak of."""

_DRAWS = 1000
_LOW, _HIGH = 0.05, 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyTask:
    """A training that is cheaper than the full one.

    Attributes:
        samples: Training images or clips seen.
        size: Input size in pixels; None for that of the full task.
        width: By which the networks' channels are multiplied.
    """

    samples: int
    size: int | None = None
    width: float = 1.0

    @classmethod
    def parse(cls, text: str) -> Self:
        """As the command line has it.

        >>> ProxyTask.parse("samples=1000,size=16")
        ProxyTask(samples=1000, size=16, width=1.0)

        Raises:
            InputError: If it is no such list, or has no samples.
        """
        given = dict(part.partition("=")[::2] for part in text.split(","))
        unknown = given.keys() - {"samples", "size", "width"}
        counts = {name: given[name] for name in ("samples", "size") if name in given}
        whole = all(value.isdecimal() and int(value) > 0 for value in counts.values())
        if unknown or "samples" not in given or not whole:
            msg = (
                "a proxy is samples=NUMBER with size=PIXELS and width=NUMBER if it has others "
                f"than the full task, e.g. samples=1000,width=0.5; got {text!r}"
            )
            raise InputError(msg)
        return cls(
            samples=int(counts["samples"]),
            size=int(counts["size"]) if "size" in counts else None,
            width=parse_multiplier(given["width"]) if "width" in given else 1.0,
        )

    def __str__(self) -> str:
        size = "" if self.size is None else f",size={self.size}"
        width = "" if self.width == 1.0 else f",width={self.width:g}"
        return f"samples={self.samples}{size}{width}"

    def network(self, architecture: Architecture) -> Architecture:
        """What is trained in place of a network.

        Raises:
            InputError: If it cannot be made narrower, or cannot run at the size.
        """
        if self.width != 1.0:
            architecture = scaled(architecture, Factors(width=self.width))
        return architecture if self.size is None else architecture.at(self.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """A task against the full one.

    Attributes:
        task: Which.
        cost: Multiply-adds times samples, as a share of the full task's.
        seconds: That a training took, the mean.
        noise: Standard deviation of an accuracy among seeds; None from one seed.
        spearman: Rank correlation of mean accuracies with the full task's; for the full task of
            its seeds with each other, None from one seed.
        low: Lower end of its 90 % interval (bootstrap over networks).
        high: Upper end.
    """

    task: ProxyTask
    cost: float
    seconds: float
    noise: float | None
    spearman: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyCheck:
    """What a check found.

    Attributes:
        networks: How many.
        seeds: Trainings of each with each task.
        full: The full task, its seeds against each other: no proxy can be expected to do better.
        proxies: The others, the cheapest first.
        least: Rank correlation that is asked for.
    """

    networks: int
    seeds: int
    full: Agreement
    proxies: tuple[Agreement, ...]
    least: float

    @property
    def cheapest(self) -> Agreement | None:
        """The cheapest proxy with the rank correlation that is asked for; None if none has it."""
        kept = (one for one in self.proxies if (one.spearman or 0.0) >= self.least)
        return next(kept, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyPlan:
    """What is trained.

    Attributes:
        networks: ``LEAST_NETWORKS`` or more, all different.
        head: What they end in.
        task: Name of the task that they are trained on.
        schedule: Of the full training.
        size: Of the full training; None for the networks' own.
        proxies: The cheaper ones, one or more.
        seeds: Trainings of each network with each task.
        deadline_s: After which a training is killed.
        program: The command that trains; empty for our own training.
    """

    networks: tuple[Architecture, ...]
    head: Classifier | VideoClassifier
    task: str
    schedule: Schedule
    size: int | None
    proxies: tuple[ProxyTask, ...]
    seeds: int
    deadline_s: float
    program: str = ""

    def __post_init__(self) -> None:
        if len(self.networks) < LEAST_NETWORKS or self.seeds < 1 or not self.proxies:
            msg = (
                f"a check needs at least {LEAST_NETWORKS} networks, 1 proxy and 1 seed, got "
                f"{len(self.networks)}, {len(self.proxies)} and {self.seeds}"
            )
            raise InputError(msg)
        for proxy in self.proxies:
            if self.cost(proxy) >= 1:
                msg = f"the proxy {proxy} costs no less than the full training, {self.full}"
                raise InputError(msg)

    @property
    def full(self) -> ProxyTask:
        """The full task, written as the others are."""
        return ProxyTask(samples=self.schedule.samples, size=self.size)

    def job(self, network: int, task: ProxyTask, seed: int) -> TrainingJob:
        """A training."""
        return TrainingJob(
            id=f"proxy-{network}-{task}-{seed}",
            architecture=task.network(self._whole(network)),
            task=self.task,
            schedule=replace(self.schedule, samples=task.samples),
            seed=seed,
            deadline_s=self.deadline_s,
        )

    def cost(self, task: ProxyTask) -> float:
        """Multiply-adds times samples, as a share of the full task's; nan where unknown."""
        shares = []
        for network in range(len(self.networks)):
            whole = self._whole(network)
            shares.append(_macs(task.network(whole), self.head) / _macs(whole, self.head))
        return fmean(shares) * task.samples / self.schedule.samples

    def _whole(self, network: int) -> Architecture:
        """A network as the full task trains it."""
        architecture = self.networks[network]
        return architecture if self.size is None else architecture.at(self.size)


def _macs(network: Architecture, head: Head) -> float:
    """Multiply-adds of a network; nan of a family whose parts are not known."""
    try:
        return float(sum(part.macs for part in parts_of(network, head)))
    except InputError:
        return math.nan


def check(
    plan: ProxyPlan, executor: Executor, log: Path, least: float, say: Callable[[str], None]
) -> ProxyCheck:
    """Train what is not in ``log`` yet, and compare.

    Args:
        plan: What.
        executor: Where.
        log: A line for each training that was done; made if it is not there.
        least: Rank correlation that is asked for.
        say: Is told of each training.

    Raises:
        InputError: If the log is none or cannot be written, or a network cannot be trained by a
            proxy.
        OperationError: If a training fails.
    """
    tasks = [plan.full, *plan.proxies]
    jobs = {
        (network, task, seed): plan.job(network, task, seed)
        for seed in range(plan.seeds)
        for task in tasks
        for network in range(len(plan.networks))
    }
    kept = KeptTrainings(log, "a proxy check", plan.program)
    found = dict(zip(jobs, kept.train(list(jobs.values()), executor, say), strict=True))

    def of(task: ProxyTask) -> list[list[Trained]]:
        return [
            [found[network, task, seed] for seed in range(plan.seeds)]
            for network in range(len(plan.networks))
        ]

    full = of(plan.full)
    proxies = [_agreement(plan, task, of(task), full) for task in plan.proxies]
    return ProxyCheck(
        networks=len(plan.networks),
        seeds=plan.seeds,
        full=_agreement(plan, plan.full, full, None),
        proxies=tuple(sorted(proxies, key=lambda one: (one.cost, one.seconds))),
        least=least,
    )


def _agreement(
    plan: ProxyPlan,
    task: ProxyTask,
    trained: Sequence[Sequence[Trained]],
    full: Sequence[Sequence[Trained]] | None,
) -> Agreement:
    """Of a task with the full one; of the full one's first seed with its others without."""
    own = [fmean(one.accuracy for one in each) for each in trained]
    other: list[float] | None = None
    if full is not None:
        other = [fmean(one.accuracy for one in each) for each in full]
    elif plan.seeds > 1:
        own = [each[0].accuracy for each in trained]
        other = [fmean(one.accuracy for one in each[1:]) for each in trained]
    told = noise_of([[one.accuracy for one in each] for each in trained])
    low, high = (None, None) if other is None else _interval(own, other)
    return Agreement(
        task=task,
        cost=plan.cost(task),
        seconds=fmean(one.seconds for each in trained for one in each),
        noise=None if told is None else told[0],
        spearman=None if other is None else spearman(own, other),
        low=low,
        high=high,
    )


def _interval(first: Sequence[float], second: Sequence[float]) -> tuple[float, float]:
    """90 % of the rank correlations of networks drawn with repetition."""
    rng = random.Random(0)
    found = []
    for _ in range(_DRAWS):
        places = rng.choices(range(len(first)), k=len(first))
        found.append(spearman([first[i] for i in places], [second[i] for i in places]))
    found.sort()
    return found[int(_LOW * _DRAWS)], found[int(_HIGH * _DRAWS) - 1]
