"""Does it pay that layers differ? The best network of a space against one layer type everywhere.

Table 6 of MnasNet's paper (arXiv 1807.11626) in small. Of the 729 networks of
``data/fashion_mbconv.csv.gz`` the one is taken that has the best soft reward (accuracy on the
validation split, mean of two seeds; multiply-adds, their median as the target). Beside it stands
the same network, its depth, widths and strides kept, with every block one type: MBConv of
expansion 3 or 6, kernel 3 or 5, identity skips and no squeeze-excitation. All five are trained
anew on 60,000 images of Fashion-MNIST with five seeds, the same for all, from weights that
``comparison/networks.py`` draws, and timed together on this computer. ``differences`` are of the
found network less the other: ``accuracy`` on the test split (points) and ``reward`` (as above, on
the test split) with 95 % intervals of paired seeds (Student's t), ``latency_ratio`` of the other
over the found with its interval.

Needs the extra ``train``. Run: ``python benchmarks/diversity.py [--quick] [--log FOLDER]`` on a
computer with nothing else to do; one JSON object comes last on stdout. A run that was stopped
goes on; where the problem is not there yet, ``--point`` names the network (its six digits). Times
are of this x86 computer: they test the method, no phone's speed.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path

from benchmarks.comparison.durations import EVALUATED, seconds_a_sample, timing_s
from benchmarks.comparison.networks import Own
from benchmarks.comparison.reported import Logs, Reported, reported
from benchmarks.comparison.resampling import Estimate, paired_difference
from benchmarks.comparison.script import Say, parser_of, run
from benchmarks.comparison.trainings import Job
from benchmarks.data.fashion_mbconv import HEAD, OUT, POINTS, SCHEDULE, SIZE, network
from controller.reward import Reward, RewardMode
from controller.tabular import TabularProblem
from latency.interval import interval_of_ratio
from search_space.chain import ChainArchitecture, Op, Skip
from search_space.decisions import Decisions
from search_space.layers import macs
from workspace.errors import InputError

FOUND = "found"
TYPES = {f"mbconv{e} k{k}": (e, k) for e in (3, 6) for k in (3, 5)}
"""Expansion and kernel of the uniform networks, as Table 6 has them."""

QUICK_POINT = "210221"
"""Of the quick form where the problem is not there: any would do."""

PROCESSES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much of everything.

    Attributes:
        samples: Training images that a network sees.
        seeds: Of each network.
        preset: How hard networks are timed.
    """

    samples: int
    seeds: int
    preset: str


FULL = Plan(samples=60_000, seeds=5, preset="search/12")
QUICK = Plan(samples=1_280, seeds=2, preset="quick/3")


def reward_of(problem: TabularProblem | None) -> Reward:
    """Soft, of millions of multiply-adds with their median in the space as the target."""
    if problem is not None:
        costs: Sequence[float] = problem.column("cost")
    else:
        every = product(*map(range, POINTS.option_counts))
        costs = [macs(network(point), HEAD) / 1e6 for point in every]
    return Reward(mode=RewardMode.SOFT, target_ms=statistics.median(costs))


def best_point(problem: TabularProblem, reward: Reward) -> Decisions:
    """The point of the best reward by validation.

    Raises:
        InputError: If the problem is not that of ``data/fashion_mbconv.py``.
    """
    if problem.points.option_counts != POINTS.option_counts:
        msg = (
            f"{problem.name} has choices of {problem.points.option_counts} options, the networks "
            f"of data/fashion_mbconv.py have {POINTS.option_counts}"
        )
        raise InputError(msg)

    def worth(point: Decisions) -> float:
        return reward.value(problem.value(point, "accuracy"), problem.value(point, "cost"))

    return max(product(*map(range, POINTS.option_counts)), key=worth)


def point_of(text: str) -> Decisions:
    """A point as its digits name it.

    Raises:
        InputError: If it is none of the space.
    """
    if not (text.isascii() and text.isdecimal()):
        msg = f"--point is {len(POINTS.option_counts)} digits, e.g. {QUICK_POINT}; got {text!r}"
        raise InputError(msg)
    return POINTS.checked(tuple(map(int, text)))


def uniform(architecture: ChainArchitecture, expansion: int, kernel: int) -> ChainArchitecture:
    """The same depth, widths and strides with one type of block everywhere."""
    stages = (
        replace(
            stage,
            op=Op.MBCONV,
            expansion=expansion,
            kernel=kernel,
            se_ratio=0.0,
            skip=Skip.IDENTITY,
        )
        for stage in architecture.stages
    )
    return replace(architecture, stages=tuple(stages))


def networks_of(point: Decisions) -> dict[str, ChainArchitecture]:
    """The found network and the uniform ones."""
    found = network(point)
    others = {name: uniform(found, *of) for name, of in TYPES.items()}
    return {FOUND: found, **others}


def jobs_of(architectures: dict[str, ChainArchitecture], plan: Plan, folder: Path) -> list[Job]:
    """Every network with every seed; the first leaves its weights."""
    jobs = []
    schedule = replace(SCHEDULE, samples=plan.samples)
    for seed in range(plan.seeds):
        for name, architecture in architectures.items():
            own = Own(name=name, architecture=architecture)
            job = Job(network=own, seed=seed, schedule=schedule, size=SIZE)
            if seed == 0:
                job = replace(job, checkpoint=folder / "weights" / f"{job.key}.safetensors")
            jobs.append(job)
    return jobs


def rewards(row: Reported, reward: Reward) -> list[float]:
    """By seed, of the test split."""
    return [reward.value(accuracy, row.cost.macs / 1e6) for accuracy in row.test]


def difference(found: Reported, other: Reported, reward: Reward) -> dict[str, object]:
    """Of the found network less another, with intervals."""
    accuracy = paired_difference(
        [100 * one for one in found.test], [100 * one for one in other.test]
    )
    worth = paired_difference(rewards(found, reward), rewards(other, reward))
    ratio = interval_of_ratio(other.sessions_ms, found.sessions_ms, 0.95)
    times = Estimate(value=ratio.ratio, low=ratio.low, high=ratio.high)
    return {
        "accuracy": {**asdict(accuracy), "verdict": accuracy.above(0.0)},
        "reward": {**asdict(worth), "verdict": worth.above(0.0)},
        "latency_ratio": {**asdict(times), "verdict": times.above(1.0)},
    }


def compared(rows: Sequence[Reported], reward: Reward) -> dict[str, object]:
    """All that is printed of the networks."""
    found = next(row for row in rows if row.name == FOUND)
    networks = {
        row.name: {**row.to_json(), "reward": statistics.fmean(rewards(row, reward))}
        for row in rows
    }
    others = [row for row in rows if row is not found]
    return {
        "networks": networks,
        "differences": {row.name: difference(found, row, reward) for row in others},
        "target_million_macs": reward.target_ms,
    }


def planned_hours(plan: Plan, networks: Mapping[str, ChainArchitecture], say: Say) -> float:
    """What it takes if nothing is in the log, from a few training steps of each network."""
    taken = sum(seconds_a_sample(one.build(HEAD), SIZE) for one in networks.values())
    training_s = taken * plan.seeds * (plan.samples + EVALUATED) / PROCESSES
    hours = (training_s + len(networks) * timing_s(plan.preset)) / 3600
    say(f"plan: {hours:.2f} hours if nothing is in the log yet")
    return hours


def chosen_point(text: str | None, problem: TabularProblem | None, reward: Reward) -> Decisions:
    """What was named, else the best of the problem.

    Raises:
        InputError: If nothing was named and the problem is not there.
    """
    if text is not None:
        return point_of(text)
    if problem is None:
        msg = (
            "the problem is not there yet: make it with benchmarks/data/fashion_mbconv.py, or "
            f"name a network, e.g. --point {QUICK_POINT}"
        )
        raise InputError(msg)
    return best_point(problem, reward)


def diversity(
    plan: Plan, networks: dict[str, ChainArchitecture], reward: Reward, folder: Path, say: Say
) -> dict[str, object]:
    """Trained, timed and compared.

    Raises:
        InputError: If the folder holds something else.
        OperationError: If a network cannot be trained or timed.
    """
    jobs = jobs_of(networks, plan, folder)
    rows = reported(jobs, plan.preset, Logs.within(folder), say, processes=PROCESSES)
    return {**compared(rows, reward), "samples": plan.samples, "seeds": plan.seeds}


def main() -> None:
    """Run it as the command line says."""
    parser = parser_of(__doc__)
    parser.add_argument("--problem", type=Path, default=OUT, help="the tabular problem")
    parser.add_argument("--point", help="digits of a network, instead of the problem's best")
    arguments = parser.parse_args()
    plan = QUICK if arguments.quick else FULL
    try:
        problem = TabularProblem.read(arguments.problem) if arguments.problem.exists() else None
        reward = reward_of(problem)
        unnamed = QUICK_POINT if arguments.quick and problem is None else None
        point = chosen_point(arguments.point or unnamed, problem, reward)
    except InputError as error:
        parser.error(str(error))
    networks = networks_of(point)
    which = {
        "point": "".join(map(str, point)),
        "chosen": "named" if arguments.point or unnamed else "best of the problem",
    }
    run(
        parser,
        arguments,
        name="diversity",
        planned=partial(planned_hours, plan, networks),
        benchmark=lambda folder, say: {**diversity(plan, networks, reward, folder, say), **which},
    )


if __name__ == "__main__":
    main()
