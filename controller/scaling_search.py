"""The search for the constants of compound scaling: a grid, each point of it trained.

EfficientNet (Tan and Le 2019, arXiv 1905.11946), section 3.3, step 1: with the compound
coefficient at 1, alpha, beta and gamma such that the network costs about twice its baseline.
Neither the step nor the range nor the training of the paper's grid was published; here they are
settings. What the cost is, is one too: the product alpha * beta^2 * gamma^2 (the paper's), the
multiply-adds that a network really has once layers and channels are whole numbers, or its latency
on a device.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from statistics import fmean

from controller.kept_trainings import FailedTraining, KeptTrainings, Trained
from controller.network_figures import macs_of
from controller.ranking import noise_of
from search_space.architecture import Architecture, Head
from search_space.memory import require_memory
from search_space.scaling import FACTOR_LIMIT, CompoundRule, Rounding, scaled
from training.executor import Executor, TrainingJob
from training.schedule import Schedule
from workspace.errors import InputError, OperationError

SLACK = 1.6
"""By how much the product may differ from the growth that is asked for, where the cost is another:
by so much do whole numbers of layers, and devices, depart from it."""

LIMIT = 20_000
"""Points of the largest grid."""

DEADLINE_S = 3600.0
"""After which a training is killed, unless another time is given."""

LatenciesMs = Callable[[Sequence[Architecture]], Sequence[float | None]]
"""What networks take; None for one that could not be timed."""


class NothingTrainedError(OperationError):
    """Every training of the grid's points failed; the same search tries them again."""


class CostAxis(StrEnum):
    """What the grid's points have in common."""

    PRODUCT = "product"
    """alpha * beta^2 * gamma^2, as in the paper."""
    MACS = "macs"
    """Multiply-adds of the network itself."""
    LATENCY = "latency"
    """What it takes on a device, or by a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Which constants are tried.

    Attributes:
        step: Between two values of a constant.
        most: Largest value of a constant; depth may be this alone.
        growth: By what the cost is to be multiplied.
        tolerance: Share by which it may miss that.
    """

    step: float = 0.1
    most: float = 2.0
    growth: float = 2.0
    tolerance: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.step <= self.most - 1 < FACTOR_LIMIT:
            msg = (
                "a grid needs a step above 0 and constants that go at least a step above 1, and "
                f"to {FACTOR_LIMIT:.2g} at most, got a step of {self.step:g} and constants up to "
                f"{self.most:g}"
            )
            raise InputError(msg)
        if not (1 < self.growth < math.inf and 0 < self.tolerance < 1):
            msg = (
                "a grid needs a growth above 1 and a tolerance between 0 and 1, got "
                f"{self.growth:g} and {self.tolerance:g}"
            )
            raise InputError(msg)
        if self.count > LIMIT ** (1 / 3):
            msg = (
                f"a step of {self.step:g} up to {self.most:g} makes {self.count:g}^3 points, more "
                f"than {LIMIT}: take a larger step"
            )
            raise InputError(msg)

    @property
    def count(self) -> float:
        """Values of a constant; beyond ``LIMIT`` about so many."""
        steps = round((self.most - 1) / self.step, 9)
        return steps + 1 if steps > LIMIT else math.floor(steps) + 1

    @property
    def values(self) -> tuple[float, ...]:
        """That a constant can have, 1 the first."""
        return tuple(round(1 + place * self.step, 9) for place in range(int(self.count)))

    def holds(self, growth: float, slack: float = 1.0) -> bool:
        """Whether a cost was multiplied by about what was asked for."""
        low, high = (1 - self.tolerance) / slack, (1 + self.tolerance) * slack
        return low <= growth / self.growth <= high

    def rules(self, slack: float) -> list[CompoundRule]:
        """The constants whose product is about the growth, those nearest to it first."""
        found = (
            CompoundRule(alpha=alpha, beta=beta, gamma=gamma)
            for alpha, beta, gamma in itertools.product(self.values, repeat=3)
            if self.holds(alpha * beta**2 * gamma**2, slack)
        )
        return sorted(found, key=lambda rule: round(abs(math.log(rule.product / self.growth)), 9))


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingPlan:
    """What is tried.

    Attributes:
        base: The network at compound coefficient 0, at the size that is trained and timed.
        head: What networks end in.
        task: That they are trained on.
        schedule: Of each training.
        seeds: Trainings of each network.
        deadline_s: After which a training is killed.
        grid: Of constants.
        axis: What all points cost alike in.
        rounding: Of layers, channels and pixels.
        fixed_ends: See ``search_space.scaling.scaled``.
        program: The command that trains; empty for our own training.
    """

    base: Architecture
    head: Head
    task: str
    schedule: Schedule
    seeds: int = 1
    deadline_s: float = DEADLINE_S
    grid: Grid = field(default_factory=Grid)
    axis: CostAxis = CostAxis.MACS
    rounding: Rounding = Rounding.EFFICIENTNET
    fixed_ends: bool = False
    program: str = field(default="", repr=False)  # folders know plans without one by their repr

    def __post_init__(self) -> None:
        if self.seeds < 1:
            msg = f"a search for constants needs at least 1 seed, got {self.seeds}"
            raise InputError(msg)
        if not 0 < self.deadline_s < math.inf:
            msg = f"the deadline of a training is a number above 0 s, got {self.deadline_s:g}"
            raise InputError(msg)

    def job(self, network: Architecture, name: str, seed: int) -> TrainingJob:
        """A training of a network."""
        return TrainingJob(
            id=f"{name}-seed{seed}",
            architecture=network,
            task=self.task,
            schedule=self.schedule,
            seed=seed,
            deadline_s=self.deadline_s,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GridPoint:
    """Constants, and the network that they make of the baseline.

    Attributes:
        rule: The constants, of all that make this network those nearest to the growth.
        network: The baseline scaled by them.
        growth: By what they multiply the cost on the axis of the search.
        macs: Multiply-adds of the network.
        latency_ms: What it takes; None where that is not the axis.
    """

    rule: CompoundRule
    network: Architecture
    growth: float
    macs: int
    latency_ms: float | None = None

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.rule.alpha:g}/{self.rule.beta:g}/{self.rule.gamma:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedPoint:
    """A point and what its trainings gave.

    Attributes:
        point: Of the grid.
        accuracies: One of each seed whose training did not fail.
        seconds: That a training took, the mean.
        failures: Why the others failed.
    """

    point: GridPoint
    accuracies: tuple[float, ...]
    seconds: float
    failures: tuple[str, ...] = ()

    @property
    def accuracy(self) -> float:
        """The mean."""
        return fmean(self.accuracies)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedPoint:
    """A point whose trainings all failed.

    Attributes:
        point: Of the grid.
        failures: Why, of each seed.
    """

    point: GridPoint
    failures: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingFound:
    """What a search for constants found.

    Attributes:
        base: The baseline with its own trainings, at growth 1.
        points: The best first.
        failed: Points that nothing can be said of.
        noise: Standard deviation among trainings of one network; None where too few tell it.
    """

    base: TrainedPoint | FailedPoint
    points: tuple[TrainedPoint, ...]
    failed: tuple[FailedPoint, ...] = ()
    noise: float | None

    @property
    def rows(self) -> tuple[TrainedPoint | FailedPoint, ...]:
        """The baseline, the points from the best on, and those that failed."""
        return (self.base, *self.points, *self.failed)

    @property
    def failures(self) -> int:
        """Trainings that failed."""
        return sum(len(one.failures) for one in self.rows)

    @property
    def best(self) -> TrainedPoint:
        """The most accurate."""
        return self.points[0]

    @property
    def tied(self) -> tuple[TrainedPoint, ...]:
        """Others whose accuracy is within twice the standard error of a difference to the best.

        All of them where nothing tells the noise.
        """
        others = self.points[1:]
        if self.noise is None:
            return others
        best, noise = self.best, self.noise

        def error(one: TrainedPoint) -> float:
            return noise * math.sqrt(1 / len(best.accuracies) + 1 / len(one.accuracies))

        return tuple(one for one in others if best.accuracy - one.accuracy <= 2 * error(one))


def points(
    plan: ScalingPlan, latencies_ms: LatenciesMs | None = None
) -> tuple[GridPoint, list[GridPoint]]:
    """The baseline, and the points of the grid that cost what is asked for; each network once.

    Args:
        plan: Of the search.
        latencies_ms: Times networks; needed where latency is the axis.

    Raises:
        InputError: If no point costs that, or one needs more memory than this computer has, or
            the baseline could not be timed.
    """
    is_paper = plan.axis is CostAxis.PRODUCT
    networks: dict[str, tuple[CompoundRule, Architecture]] = {}
    for rule in plan.grid.rules(1.0 if is_paper else SLACK):
        factors = rule.factors(1.0)
        network = scaled(plan.base, factors, plan.rounding, fixed_ends=plan.fixed_ends)
        require_memory(network, plan.head, factors, "growth")
        networks.setdefault(network.key, (rule, network))
    base = GridPoint(
        rule=CompoundRule(alpha=1, beta=1, gamma=1),
        network=plan.base,
        growth=1.0,
        macs=macs_of(plan.base, plan.head),
    )
    made = [
        GridPoint(
            rule=rule, network=network, growth=rule.product, macs=macs_of(network, plan.head)
        )
        for rule, network in networks.values()
        if network.key != plan.base.key
    ]
    match plan.axis:
        case CostAxis.PRODUCT:
            found = made
        case CostAxis.MACS:
            found = [_grown(point, point.macs / base.macs) for point in made]
        case CostAxis.LATENCY:
            base, found = _timed(base, made, latencies_ms)
    kept = [point for point in found if plan.grid.holds(point.growth)]
    if not kept:
        raise _none(plan, found)
    return base, kept


def search(
    plan: ScalingPlan,
    executor: Executor,
    log: Path,
    say: Callable[[str], None],
    latencies_ms: LatenciesMs | None = None,
) -> ScalingFound:
    """Train the baseline and every point that costs what is asked for, and compare.

    A training that fails is kept as such; what was trained is compared without it.

    Args:
        plan: Of the search.
        executor: Where.
        log: Keeps every training; a search that was cut off goes on there.
        say: Is told of each training.
        latencies_ms: Times networks; needed where latency is the axis.

    Raises:
        InputError: If no point costs that, or the log is none.
        NothingTrainedError: If the trainings of all points fail.
    """
    kept = KeptTrainings(log, "a search for scaling constants", plan.program)
    base, found = points(plan, latencies_ms)
    say(f"{len(found)} networks cost {plan.grid.growth:g} times the baseline's {plan.axis}")
    jobs = [
        plan.job(point.network, f"scale-{point.name}", seed)
        for point in (base, *found)
        for seed in range(plan.seeds)
    ]
    results = kept.try_each(jobs, executor, say)
    first, *others = (
        _ended(point, results[place * plan.seeds : (place + 1) * plan.seeds])
        for place, point in enumerate((base, *found))
    )
    trained = [one for one in others if isinstance(one, TrainedPoint)]
    failed = tuple(one for one in others if isinstance(one, FailedPoint))
    if not trained:
        msg = (
            f"all trainings of the {len(found)} points of the grid failed, as {log} tells; the "
            f"first: {failed[0].failures[0]}"
        )
        raise NothingTrainedError(msg)
    known = [first, *trained] if isinstance(first, TrainedPoint) else trained
    told = noise_of(point.accuracies for point in known)
    ordered = sorted(trained, key=lambda one: (-one.accuracy, one.point.name))
    return ScalingFound(
        base=first,
        points=tuple(ordered),
        failed=failed,
        noise=None if told is None else told[0],
    )


def _grown(point: GridPoint, growth: float, latency_ms: float | None = None) -> GridPoint:
    return GridPoint(
        rule=point.rule,
        network=point.network,
        growth=growth,
        macs=point.macs,
        latency_ms=latency_ms,
    )


def _timed(
    base: GridPoint, made: Sequence[GridPoint], latencies_ms: LatenciesMs | None
) -> tuple[GridPoint, list[GridPoint]]:
    """Points with their latencies; those that could not be timed are left out."""
    if latencies_ms is None:
        msg = "a search under latency needs something that tells latencies"
        raise InputError(msg)
    first, *others = latencies_ms([base.network, *(point.network for point in made)])
    if first is None:
        msg = f"the baseline could not be timed: {base.network.key}"
        raise InputError(msg)
    found = [
        _grown(point, time_ms / first, time_ms)
        for point, time_ms in zip(made, others, strict=True)
        if time_ms is not None
    ]
    return _grown(base, 1.0, first), found


def _none(plan: ScalingPlan, found: Sequence[GridPoint]) -> InputError:
    grid = plan.grid
    wanted = f"{grid.growth:g} times the baseline's {plan.axis}, give or take {grid.tolerance:.0%}"
    if not found:
        return InputError(f"no point of the grid costs {wanted}: take a smaller step")
    nearest = min(found, key=lambda point: abs(math.log(point.growth / grid.growth)))
    return InputError(
        f"no point of the grid costs {wanted}; the nearest is {nearest.growth:.2f} times "
        f"({nearest.name}): take a smaller step, or a larger tolerance"
    )


def _ended(
    point: GridPoint, results: Sequence[Trained | FailedTraining]
) -> TrainedPoint | FailedPoint:
    trained = [one for one in results if isinstance(one, Trained)]
    failures = tuple(one.text for one in results if isinstance(one, FailedTraining))
    if not trained:
        return FailedPoint(point=point, failures=failures)
    return TrainedPoint(
        point=point,
        accuracies=tuple(one.accuracy for one in trained),
        seconds=fmean(one.seconds for one in trained),
        failures=failures,
    )
