"""Is it better to scale depth, width and size together? One small network, to four times its cost.

EfficientNet's Tables 3 and 7 (arXiv 1905.11946) in small, and beyond them under measured latency.
Images are Fashion-MNIST's, whose detail is at 28 pixels, 12 for the baseline; networks are for one
grey image in fp32. In this order, each stage from where a run that was
stopped left it (``--log``):

1. ``search``: the constants of compound scaling for this baseline by ``controller/
   scaling_search.py``: a grid of networks of twice its multiply-adds, and one of networks of twice
   its latency on this computer; the best by mean validation accuracy.
2. ``scale``: by depth, width, size alone and by those constants to four times the multiply-adds,
   and to four times the latency, which is asked anew: this computer may be slower than it was
   in stage 1. Whole layers, channels and pixels are coarse steps, so the compound network has
   those that are nearest to the proportions of the constants, and of all sizes in proportion is
   the one that costs most nearly what the three others cost on average.
3. ``rate``: one learning rate for all, by the mean validation accuracy of the four networks of
   equal multiply-adds with a seed of its own.
4. ``train``: the baseline and all eight, with the same seeds; accuracies are of the test split.
5. ``time``: all of them as our TFLite files, in one batch of interleaved sessions.

``differences`` are of the compound network less each other of the same cost, in points, with 95 %
intervals of paired seeds (Student's t): ``above`` or ``below`` where they exclude 0, else ``not
separated``. They are about this baseline and these images, and one search of constants each.
Costs are alike as far as whole steps allow: what ``latency_ms`` and ``macs`` of two networks
differ by is in the difference of their accuracies too.

Needs the extra ``train``. Run: ``python benchmarks/scaling.py [--quick] [--log FOLDER]`` on a
computer with nothing else to do; one JSON object comes last on stdout. It takes some two hours on
two cores. Times are of this x86 computer: they test the method, no phone's speed.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import Path

from benchmarks.comparison.durations import EVALUATED, seconds_a_sample, timing_s
from benchmarks.comparison.log import Log
from benchmarks.comparison.networks import Own
from benchmarks.comparison.rates import best_rate
from benchmarks.comparison.reported import Logs, Reported, reported
from benchmarks.comparison.resampling import paired_difference
from benchmarks.comparison.script import Say, parser_of, run
from benchmarks.comparison.trainings import Job, require_trained, train
from controller.scaling_search import CostAxis, Grid, ScalingFound, ScalingPlan, points, search
from controller.scaling_target import to_target
from pocketnas.scaling import Asked, timing
from search_space.architecture import Architecture, Classifier
from search_space.chain import ChainArchitecture, Op, Stage, Stem
from search_space.layers import macs
from search_space.scaling import CompoundRule, Factors, RuleName, ScalingRule, rule, scaled
from training.local_executor import LocalExecutor
from training.schedule import Schedule
from workspace.errors import OperationError

DATASET = "fashion-mnist"
HEAD = Classifier(classes=10)
LANES = 2
RATE_SEED = 100
"""Of the trainings that choose the learning rate; those that are reported have others."""

ALONE = (RuleName.DEPTH, RuleName.WIDTH, RuleName.RESOLUTION)
BASE_NAME = "baseline"
TIMED = 165
"""Networks whose latency the grid and the way to the target ask for, about."""


def _stage(filters: int, repeats: int, stride: int, expansion: int) -> Stage:
    return Stage(
        op=Op.MBCONV,
        kernel=3,
        stride=stride,
        expansion=expansion,
        filters=filters,
        repeats=repeats,
    )


BASE = ChainArchitecture(
    size=12,
    channels=1,
    stem=Stem(filters=16, stride=1),
    stages=(_stage(16, 1, 1, 1), _stage(24, 2, 2, 3), _stage(40, 3, 2, 3)),
    head_filters=128,
)
"""What is scaled: 0.73 million multiply-adds."""


class Axis(StrEnum):
    """What the compared networks cost alike in."""

    MACS = "macs"
    LATENCY = "latency"

    @property
    def compound(self) -> str:
        """The name of the compound network in the figures."""
        return "compound" if self is Axis.MACS else "compound_latency"


Cost = Callable[[ChainArchitecture], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much of everything.

    Attributes:
        grid: Of the constants.
        search_samples: Training images of a network of the grid.
        search_seeds: Trainings of each.
        growth: By what the baseline's cost is multiplied in the end.
        samples: Training images of what is reported.
        seeds: Trainings of each.
        rates: Learning rates to choose from.
        preset: How hard a latency is tried on the way.
        final_preset: How hard what is reported is timed.
    """

    grid: Grid
    search_samples: int
    search_seeds: int
    growth: float
    samples: int
    seeds: int
    rates: tuple[float, ...]
    preset: str
    final_preset: str

    def schedule(self, rate: float, samples: int) -> Schedule:
        """The one recipe."""
        return Schedule(samples=samples, batch=64, learning_rate=rate)

    def search_plan(self, axis: Axis) -> ScalingPlan:
        """Of the constants."""
        return ScalingPlan(
            base=BASE,
            head=HEAD,
            task=DATASET,
            schedule=self.schedule(self.rates[0], self.search_samples),
            seeds=self.search_seeds,
            grid=self.grid,
            axis=CostAxis(axis),
        )

    def job(self, name: str, network: ChainArchitecture, rate: float, seed: int) -> Job:
        """A training of what is reported, or of what chooses the rate."""
        return Job(
            network=Own(name=name, architecture=network),
            seed=seed,
            schedule=self.schedule(rate, self.samples),
            size=network.size,
            task=DATASET,
        )


FULL = Plan(
    grid=Grid(step=0.1, tolerance=0.12),
    search_samples=40_000,
    search_seeds=3,
    growth=4.0,
    samples=100_000,
    seeds=8,
    rates=(0.01, 0.02),
    preset="search",
    final_preset="search/12",
)

QUICK = Plan(
    grid=Grid(step=0.4, most=1.8, tolerance=0.3),
    search_samples=320,
    search_seeds=1,
    growth=2.0,
    samples=640,
    seeds=2,
    rates=(0.01,),
    preset="quick",
    final_preset="quick/3",
)


def constants(plan: Plan, axis: Axis, folder: Path, cost_ms: Timed, say: Say) -> ScalingFound:
    """The search of stage 1.

    Raises:
        OperationError: If a training fails; the others are kept.
    """
    say(f"search for constants at {plan.grid.growth:g} times the {axis}")
    executor = LocalExecutor(lanes=LANES)
    try:
        found = search(
            plan.search_plan(axis), executor, folder / f"search-{axis}.jsonl", say, cost_ms.all_ms
        )
    finally:
        executor.close()
    if found.failures:
        msg = f"{found.failures} trainings of the search at equal {axis} failed: start it again"
        raise OperationError(msg)
    return found


class Timed:
    """Latencies of untrained networks, kept in a log.

    Args:
        plan: Says how hard one is tried.
        log: Where they are kept.
    """

    def __init__(self, plan: Plan, log: Log) -> None:
        self._asked = Asked(source="host", preset=plan.preset)
        self._log = log

    def one_ms(self, network: Architecture) -> float:
        """Of a network.

        Raises:
            OperationError: If it cannot be timed.
        """
        (found,) = self.all_ms([network])
        if found is None:
            msg = f"{network.key} could not be timed"
            raise OperationError(msg)
        return found

    def all_ms(self, networks: Sequence[Architecture]) -> list[float | None]:
        """Of networks, those that are new timed in turns; None for what could not be timed."""
        names = [f"{network.key} {self._asked.preset}" for network in networks]
        new = [one for one, name in zip(networks, names, strict=True) if not self._log.find(name)]
        if new:
            with timing(self._asked, HEAD) as source:
                for network, found in zip(new, source.all_ms(new), strict=True):
                    self._log.add(f"{network.key} {self._asked.preset}", {"ms": found})
        facts = [self._log.find(name) or {} for name in names]
        return [None if one.get("ms") is None else float(str(one["ms"])) for one in facts]


def networks_of(
    plan: Plan, axis: Axis, compound: ScalingRule, cost: Cost
) -> dict[str, ChainArchitecture]:
    """The baseline scaled in four ways to about the same cost.

    Args:
        plan: Says how much.
        axis: Names the compound one.
        compound: Its rule.
        cost: What is to be alike.
    """
    target = plan.growth * cost(BASE)
    made = {
        name.value: to_target(rule(name), partial(scaled, BASE), cost, target).network
        for name in ALONE
    }
    allowed = statistics.fmean(cost(network) for network in made.values())
    made[axis.compound] = nearest_in_cost(ladder(plan, compound), cost, allowed)
    return made


def ladder(plan: Plan, compound: ScalingRule) -> list[ChainArchitecture]:
    """The networks in about a rule's proportions, from small to large, each once.

    Those that promise from half to one and a half times the cost of what is compared.
    """
    networks = dict[str, ChainArchitecture]()
    for step in range(500):
        factors = compound.factors(0.02 * step)
        if 0.5 * plan.growth <= factors.cost <= 1.5 * plan.growth:
            network = in_proportion(factors)
            networks.setdefault(network.key, network)
    return list(networks.values())


def in_proportion(factors: Factors) -> ChainArchitecture:
    """The baseline with the layers, channels and pixels that are nearest to what factors ask.

    The rounding that is published never goes down by more than a tenth, and layers only up: of
    networks as small as these that makes others than the factors ask for.
    """

    def made(depth: float, width: float) -> ChainArchitecture:
        return scaled(BASE, Factors(depth=depth, width=width))

    def off(asked: float, of: Callable[[Stage], int], network: ChainArchitecture) -> float:
        ratio = sum(map(of, network.stages)) / sum(map(of, BASE.stages))
        return abs(math.log(ratio / asked))

    # What is nearer to 1 comes first: of equals it is taken.
    around = sorted((0.7 + 0.02 * place for place in range(31)), key=lambda one: abs(one - 1))
    depth = min(
        (factors.depth * each for each in around),
        key=lambda each: off(factors.depth, lambda stage: stage.repeats, made(each, 1.0)),
    )
    width = min(
        (factors.width * each for each in around),
        key=lambda each: off(factors.width, lambda stage: stage.filters, made(1.0, each)),
    )
    return made(depth, width).at(round(BASE.size * factors.resolution))


def nearest_in_cost(
    networks: Sequence[ChainArchitecture], cost: Cost, target: float
) -> ChainArchitecture:
    """The one whose cost is nearest to a target, by the ratio.

    All are asked: of whole channels one network more may cost less than the one before.
    """
    return min(networks, key=lambda one: abs(math.log(cost(one) / target)))


def labelled(axis: Axis, name: str) -> str:
    """A network's name among those of both costs."""
    return name if name == axis.compound else f"{name}@{axis}"


def names_of(axis: Axis) -> list[str]:
    """Of the four networks that cost the same."""
    return [labelled(axis, name) for name in (*ALONE, axis.compound)]


def chosen_rate(
    plan: Plan, networks: Mapping[str, ChainArchitecture], log: Log, say: Say
) -> float:
    """The learning rate with the best mean validation accuracy.

    Raises:
        OperationError: If trainings diverged at every rate.
    """
    jobs = {
        rate: [plan.job(name, one, rate, RATE_SEED) for name, one in networks.items()]
        for rate in plan.rates
    }
    return best_rate(jobs, lambda every: train(every, log, say, processes=LANES), say)


def jobs_of(
    plan: Plan, networks: Mapping[str, ChainArchitecture], rate: float, weights: Path
) -> list[Job]:
    """Each network's trainings, seed by seed; of one with several names under its first.

    Args:
        plan: Says how many.
        networks: By name.
        rate: Of all.
        weights: The folder for those of the first seed.
    """
    first = dict[str, str]()
    for name, network in networks.items():
        first.setdefault(network.key, name)
    jobs = []
    for seed in range(plan.seeds):
        for key, name in first.items():
            job = plan.job(name, networks[name], rate, seed)
            if seed == 0:
                job = replace(job, checkpoint=weights / f"{key}.safetensors")
            jobs.append(job)
    return jobs


def differences(rows: Mapping[str, Reported], axis: Axis) -> dict[str, object]:
    """Of the compound network less each other of the same cost, in points, with verdicts."""
    ours = [100 * one for one in rows[axis.compound].test]
    found: dict[str, object] = {}
    for name in ALONE:
        other = paired_difference(ours, [100 * one for one in rows[labelled(axis, name)].test])
        found[name] = {**asdict(other), "verdict": other.above(0.0)}
    return found


def compared(rows: Sequence[Reported]) -> dict[str, object]:
    """All that is printed of the networks."""
    by_name = {row.name: row for row in rows}

    def accuracies(axis: Axis) -> dict[str, float]:
        names = [*(name.value for name in ALONE), axis.compound]
        return {name: statistics.fmean(by_name[labelled(axis, name)].test) for name in names}

    under_macs, under_latency = accuracies(Axis.MACS), accuracies(Axis.LATENCY)
    compound_latency = under_latency[Axis.LATENCY.compound]
    return {
        "accuracy": {**under_macs, Axis.LATENCY.compound: compound_latency},
        "accuracy_at_latency": under_latency,
        "differences": {axis.value: differences(by_name, axis) for axis in Axis},
        "networks": [row.to_json() for row in rows],
    }


def found_to_json(found: ScalingFound) -> dict[str, object]:
    """The constants, and how sure they are."""
    best = found.best
    return {
        "alpha": best.point.rule.alpha,
        "beta": best.point.rule.beta,
        "gamma": best.point.rule.gamma,
        "points": len(found.points),
        "accuracy": best.accuracy,
        "noise": found.noise,
        "tied": [one.point.name for one in found.tied],
    }


def benchmark(plan: Plan, folder: Path, say: Say) -> dict[str, object]:
    """All stages.

    Raises:
        InputError: If the folder holds something else.
        OperationError: If a stage cannot be done; what was done is kept.
    """
    logs = Logs.within(folder)
    cost_ms = Timed(plan, Log(folder / "latencies.jsonl"))
    costs: dict[Axis, Cost] = {
        Axis.MACS: lambda network: float(macs(network, HEAD)),
        Axis.LATENCY: Timed(plan, Log(folder / "target-latencies.jsonl")).one_ms,
    }
    found = {axis: constants(plan, axis, folder, cost_ms, say) for axis in Axis}
    made: dict[str, ChainArchitecture] = {BASE_NAME: BASE}
    for axis, searched in found.items():
        say(f"constants under {axis}: {searched.best.point.name}")
        scaled_up = networks_of(plan, axis, searched.best.point.rule, costs[axis])
        made |= {labelled(axis, name): network for name, network in scaled_up.items()}
    alike = {name: one for name, one in made.items() if not name.endswith(Axis.LATENCY)}
    rate = chosen_rate(
        plan, {n: o for n, o in alike.items() if n != BASE_NAME}, logs.trainings, say
    )
    jobs = jobs_of(plan, made, rate, folder / "weights")
    require_trained(jobs, train(jobs, logs.trainings, say, processes=LANES))
    found_of = {
        row.key: row for row in reported(jobs, plan.final_preset, logs, say, processes=LANES)
    }
    rows = [replace(found_of[network.key], name=name) for name, network in made.items()]
    return {
        **compared(rows),
        "constants": {axis.value: found_to_json(one) for axis, one in found.items()},
        "dataset": DATASET,
        "growth": plan.growth,
        "learning_rate": rate,
        "samples": plan.samples,
        "seeds": plan.seeds,
    }


def planned(plan: Plan, say: Say) -> float:
    """Say what each stage takes, from a few training steps; hours in all."""
    say("training steps are timed for the plan")

    def seconds(network: Architecture) -> float:
        return seconds_a_sample(network.build(HEAD), network.inputs[0].shape[-1])

    _, grid = points(plan.search_plan(Axis.MACS))
    each = statistics.fmean(seconds(point.network) for point in grid[:3])
    macs_of: Cost = lambda network: float(macs(network, HEAD))  # noqa: E731
    guess = CompoundRule(alpha=1.2, beta=1.1, gamma=1.15)
    large = networks_of(plan, Axis.MACS, guess, macs_of)
    all_four = sum(seconds(network) for network in large.values())
    short, whole = plan.search_samples + EVALUATED / 2, plan.samples + EVALUATED
    rates = len(plan.rates) if len(plan.rates) > 1 else 0
    hours = {
        "search": 2 * len(grid) * plan.search_seeds * each * short / LANES / 3600,
        "rate": rates * all_four * whole / LANES / 3600,
        "train": plan.seeds * 2.2 * all_four * whole / LANES / 3600,
        "time": (TIMED * timing_s(plan.preset) + 9 * timing_s(plan.final_preset)) / 3600,
    }
    for stage, value in hours.items():
        say(f"plan: {stage} {value:.2f} hours")
    total = sum(hours.values())
    say(f"plan: {total:.2f} hours in all if nothing is in the log yet")
    return total


def main() -> None:
    """Run it as the command line says."""
    parser = parser_of(__doc__)
    arguments = parser.parse_args()
    plan = QUICK if arguments.quick else FULL
    run(
        parser,
        arguments,
        name="scaling",
        planned=partial(planned, plan),
        benchmark=partial(benchmark, plan),
    )


if __name__ == "__main__":
    main()
