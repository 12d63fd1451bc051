"""Is a scale-permuted backbone better than a scale-decreasing one, and a searched one better yet?

SpineNet's question (arXiv 1912.05027, Table 3) in small, under measured latency. The data are
``generated-fashion-scenes`` at their own 128 pixels, with anchors from one and a half cells on;
networks are RetinaNets for one grey image in fp32. Backbones have the same stem, blocks and heads:

* ``decreasing``: blocks by falling scale and a feature pyramid (``comparison/
  scale_decreasing.py``).
* ``random``: members of the space, another one with each seed, so that the interval is about the
  space and not about one draw.
* ``searched``: the one that a search found, which has the latency of ``decreasing`` for a target:
  AP of a short training against measured latency, in the paper's order, permutation and
  connections first, then adjustments of the blocks.

In this order, each stage from where a run that was stopped left it (``--log``):

1. ``target``: the latency of ``decreasing`` on this computer.
2. ``search``: by ``surrogate`` in two phases (``controller/phased.py``); a run's folder.
3. ``fit``: filters of the best candidates and of the random networks are scaled until each takes
   as long as ``decreasing``, measured beside it (``comparison/fitting.py``).
4. ``time``: each of them as our TFLite file anew, its sessions interleaved with as many of
   ``decreasing``; and the CPU time of a training step of each, in turn with one of ``decreasing``.
   So a run that goes on another day, or on another computer, still compares latencies and times
   of one.
5. ``rate``: the learning rate of each arm, by the validation AP of one of its networks; one that
   is an end of those tried is followed further (``comparison/rates.py``).
6. ``choose``: of the best candidates the one with the best validation AP of a whole training, with
   a seed of its own.
7. ``train``: all arms with the same seeds, in equal training time: images in inverse proportion to
   the CPU time of a training step. AP is of the test split, which is seen once.

``differences`` are in points of AP, paired by seed (Student's t, 95 %): ``above`` or ``below``
where they exclude 0, else ``not separated``. They are about these scenes, and one search. What
compares latencies is ``latency_ratio``: those in ms are each of its own time of the day.

Needs the extra ``train``. Run: ``python benchmarks/scale_permuted.py [--quick] [--plan]
[--log FOLDER]`` on a computer with nothing else to do; one JSON object comes last on stdout. It
takes three to four hours on two cores. Times are of this x86 computer: they test the method,
no phone's speed.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.comparison.durations import seconds_a_scene, step_ratio, timing_s
from benchmarks.comparison.fitting import (
    RelativeLatency,
    fitted_to,
    host_latency_ms,
    median_ratio,
)
from benchmarks.comparison.log import Log
from benchmarks.comparison.networks import Own
from benchmarks.comparison.rates import own_rates
from benchmarks.comparison.reported import Logs, Reported, rows_of
from benchmarks.comparison.resampling import paired_difference
from benchmarks.comparison.scale_decreasing import scale_decreasing
from benchmarks.comparison.scene_task import WIDE_ANCHORS, WideAnchors
from benchmarks.comparison.script import Say, parser_of, run, seeds_of
from benchmarks.comparison.searches import searched
from benchmarks.comparison.step_time import stepped
from benchmarks.comparison.timing import cost_of
from benchmarks.comparison.trainings import Job, Trained, require_trained, train
from pocketnas.config import SearchConfig
from search_space.architecture import Detector
from search_space.space import create
from search_space.spinenet import ScalePermutedArchitecture
from search_space.spinenet_space import SpineNetSpace
from training.fashion_scenes import SIZE
from training.schedule import Schedule
from workspace.errors import OperationError

if TYPE_CHECKING:
    from torch import nn

HEAD = Detector(classes=10)
LANES = 2
RATE_SEED = 100
"""Of the trainings that choose the learning rate and the candidate; those reported have others."""

EVALUATED = 2_500
"""Validation and test split, 3,000 scenes, in training images: forward takes a third of one, and
what becomes of a network's boxes about half of one."""

STARTUP = 6
"""Evaluated networks before a model proposes; the second phase begins with one, its start."""

FITTING = 4
"""Pairs of latencies, about, until a network takes as long as ``decreasing``."""

FRAME = {
    "size": str(SIZE),
    "channels": "1",
    "filter_scale": "0.1875",
    "alpha": "0.25",
    "stem_filters": "16",
    "endpoint_filters": "32",
    "head_convs": "2",
    "head_filters": "32",
}
"""Options of the space: about 60 million multiply-adds, 0.6 million parameters."""


class Arm(StrEnum):
    """What is compared."""

    DECREASING = "decreasing"
    RANDOM = "random"
    SEARCHED = "searched"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much of everything.

    Attributes:
        frame: Options of the space.
        graph_trials: Of the search's first phase.
        trials: Of the search.
        confirm: Of those, trainings of the best again.
        short_samples: Training images that a candidate sees.
        search_preset: How hard a candidate is timed.
        fit_preset: How hard a network is timed on its way to the latency of ``decreasing``.
        candidates: Networks of the search from which one is chosen.
        samples: Training images that ``decreasing`` sees; the others as many as take as long.
        seeds: Of each arm.
        rates: Learning rates that are tried first; the first of all is the search's.
        final_preset: How hard what is reported is timed.
    """

    frame: Mapping[str, str]
    graph_trials: int
    trials: int
    confirm: int
    short_samples: int
    search_preset: str
    fit_preset: str
    candidates: int
    samples: int
    seeds: int
    rates: tuple[float, ...]
    final_preset: str

    @property
    def space(self) -> SpineNetSpace:
        """Of the backbones."""
        made = create("spinenet", self.frame)
        assert isinstance(made, SpineNetSpace)
        return made

    @property
    def randoms(self) -> list[ScalePermutedArchitecture]:
        """One a seed, whatever the number of seeds."""
        space = self.space
        return [
            space.decode(space.points.sample(random.Random(f"scale-permuted/{seed}")))
            for seed in range(self.seeds)
        ]

    def search_config(self, target_ms: float) -> SearchConfig:
        """Settings of the search."""
        return SearchConfig.load(
            None,
            {
                "space": "spinenet",
                "space_options": dict(self.frame),
                "algorithm": "surrogate",
                "algorithm_options": {"startup": str(STARTUP)},
                "phases": [f"graph={self.graph_trials}", "adjustments"],
                "dataset": WIDE_ANCHORS,
                "latency": "host",
                "target_ms": target_ms,
                "reward": "soft",
                "trials": self.trials,
                "confirm": self.confirm,
                "samples": self.short_samples,
                "learning_rate": self.rates[0],
                "preset": self.search_preset,
            },
        )


FULL = Plan(
    frame=FRAME,
    graph_trials=24,
    trials=40,
    confirm=4,
    short_samples=6_400,
    search_preset="search",
    fit_preset="search/6",
    candidates=3,
    samples=19_200,
    seeds=6,
    rates=(0.004, 0.008),
    final_preset="search/12",
)

QUICK = Plan(
    frame={**FRAME, "filter_scale": "0.0625", "alpha": "0.125", "head_convs": "1"},
    graph_trials=3,
    trials=6,
    confirm=1,
    short_samples=32,
    search_preset="quick",
    fit_preset="quick/3",
    candidates=1,
    samples=64,
    seeds=2,
    rates=(0.004,),
    final_preset="quick/3",
)


class StepRatios:
    """CPU time of a training step of each network as a part of one's, measured once and kept.

    Args:
        decreasing: What they are parts of.
        log: Where they are kept.
    """

    def __init__(self, decreasing: ScalePermutedArchitecture, log: Log) -> None:
        self._decreasing = decreasing
        self._log = log

    def __call__(self, network: ScalePermutedArchitecture) -> float:
        """The median of steps in turn."""
        if network == self._decreasing:
            return 1.0
        if self._log.find(network.key) is None:
            ratio = step_ratio(_built(network), _built(self._decreasing), WideAnchors(), SIZE)
            self._log.add(network.key, {"ratio": ratio})
        known = self._log.find(network.key)
        assert known is not None
        return float(str(known["ratio"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """Trainings of equal time.

    Attributes:
        plan: How much of everything.
        step: CPU time of a training step of a network, as a part of that of ``decreasing``.
    """

    plan: Plan
    step: Callable[[ScalePermutedArchitecture], float]

    def job(self, name: str, network: ScalePermutedArchitecture, rate: float, seed: int) -> Job:
        """A training of a network, as long as that of ``decreasing`` on its images."""
        batch = 16
        steps = max(1, round(self.plan.samples / self.step(network) / batch))
        schedule = Schedule(samples=steps * batch, batch=batch, learning_rate=rate, clip=10.0)
        return Job(
            network=_own(name, network), seed=seed, schedule=schedule, size=SIZE, task=WIDE_ANCHORS
        )


def candidates_of(
    plan: Plan, target_ms: float, folder: Path, say: Say
) -> list[ScalePermutedArchitecture]:
    """The best networks of the search, the best first.

    Raises:
        OperationError: If it found none.
    """
    say(f"search of {plan.trials} trials for {target_ms:.3f} ms")
    config = plan.search_config(target_ms)
    found = searched(folder / "search", config, plan.candidates, say)
    networks = [each.architecture for each in found]
    if not networks:
        msg = "the search evaluated no network"
        raise OperationError(msg)
    assert all(isinstance(each, ScalePermutedArchitecture) for each in networks)
    return [each for each in networks if isinstance(each, ScalePermutedArchitecture)]


def chosen_rates(
    contest: Contest, networks: Mapping[Arm, ScalePermutedArchitecture], log: Log, say: Say
) -> dict[Arm, float]:
    """The learning rate of each arm.

    Args:
        contest: Of all.
        networks: One of each arm.
        log: Of trainings.
        say: Is told of each.

    Raises:
        OperationError: If an arm diverged at every rate.
    """

    def job(name: str, rate: float) -> Job:
        return contest.job(name, networks[Arm(name)], rate, RATE_SEED)

    found = own_rates(
        list(networks), job, contest.plan.rates, lambda jobs: _trained(jobs, log, say), say, "AP"
    )
    return {Arm(name): rate for name, rate in found.items()}


def chosen_candidate(
    contest: Contest,
    candidates: Mapping[str, ScalePermutedArchitecture],
    rate: float,
    log: Log,
    say: Say,
) -> str:
    """The name of the candidate with the best validation AP of a whole training.

    Raises:
        OperationError: If a training diverged.
    """
    names = list(candidates)
    if len(names) == 1:
        return names[0]
    jobs = [contest.job(name, one, rate, RATE_SEED + 1) for name, one in candidates.items()]
    results = _trained(jobs, log, say)
    require_trained(jobs, results)
    best = max(range(len(jobs)), key=lambda place: results[place].validation)
    say(f"chosen: {names[best]}, AP {results[best].validation:.2%} of the validation split")
    return names[best]


def arms_of(
    plan: Plan,
    decreasing: ScalePermutedArchitecture,
    chosen: ScalePermutedArchitecture,
    randoms: Sequence[ScalePermutedArchitecture],
) -> list[tuple[Arm, str, ScalePermutedArchitecture, int]]:
    """Arm, name, network and seed of each training that is reported, seed by seed."""
    return [
        trained
        for seed in range(plan.seeds)
        for trained in (
            (Arm.DECREASING, Arm.DECREASING.value, decreasing, seed),
            (Arm.RANDOM, f"{Arm.RANDOM}-{seed}", randoms[seed], seed),
            (Arm.SEARCHED, Arm.SEARCHED.value, chosen, seed),
        )
    ]


def compared(rows: Sequence[Reported], ratios: Mapping[str, float]) -> dict[str, object]:
    """AP and latency of each arm, and differences of pairs of arms in points.

    Args:
        rows: Of all networks.
        ratios: Latencies as parts of that of ``decreasing``, beside which they were measured, by
            the name of the network.
    """
    by_arm: dict[Arm, list[Reported]] = {arm: [] for arm in Arm}
    for row in rows:
        by_arm[Arm(row.name.partition("-")[0])].append(row)
    test = {arm: [ap for row in own for ap in row.test] for arm, own in by_arm.items()}
    latency = {
        arm: statistics.fmean(statistics.median(row.sessions_ms) for row in own)
        for arm, own in by_arm.items()
    }
    ratio = {
        arm.value: statistics.fmean(ratios.get(row.name, 1.0) for row in own)
        for arm, own in by_arm.items()
    }
    differences: dict[str, object] = {}
    for first, second in (
        (Arm.SEARCHED, Arm.DECREASING),
        (Arm.SEARCHED, Arm.RANDOM),
        (Arm.RANDOM, Arm.DECREASING),
    ):
        ours, others = ([100 * ap for ap in test[arm]] for arm in (first, second))
        found = paired_difference(ours, others)
        differences[f"{first}-{second}"] = {**asdict(found), "verdict": found.above(0.0)}
    return {
        "ap": {arm.value: statistics.fmean(own) for arm, own in test.items()},
        "latency_ms": {arm.value: value for arm, value in latency.items()},
        "latency_ratio": ratio,
        "differences": differences,
        "networks": [{**row.to_json(), "ratio": ratios.get(row.name, 1.0)} for row in rows],
    }


def training_s(results: Sequence[Trained], arms: Sequence[Arm]) -> dict[str, float]:
    """Mean CPU time of the steps of each arm's trainings."""
    spent: dict[str, list[float]] = {}
    for trained, arm in zip(results, arms, strict=True):
        spent.setdefault(arm.value, []).append(trained.seconds)
    return {arm: statistics.fmean(own) for arm, own in spent.items()}


def benchmark(plan: Plan, folder: Path, say: Say) -> dict[str, object]:
    """All stages.

    Raises:
        InputError: If the folder holds something else.
        OperationError: If a stage cannot be done; what was done is kept.
    """
    logs = Logs.within(folder)
    decreasing = scale_decreasing(plan.space)
    target_ms = host_latency_ms(decreasing, HEAD, plan.search_preset, logs.timings)
    found = candidates_of(plan, target_ms, folder, say)
    say("fitting networks to the latency of the scale-decreasing one")
    latency = RelativeLatency(HEAD, decreasing, plan.fit_preset, logs.timings)
    candidates = {
        f"candidate-{place}": fitted_to(one, 1.0, latency) for place, one in enumerate(found)
    }
    randoms = [fitted_to(one, 1.0, latency) for one in plan.randoms]
    networks = {
        **{f"{Arm.RANDOM}-{seed}": one for seed, one in enumerate(randoms)},
        **candidates,
    }
    say(f"timing {len(networks)} networks beside it")
    latency = RelativeLatency(HEAD, decreasing, plan.final_preset, logs.timings)
    timed = {name: latency.sessions(one) for name, one in networks.items()}
    step = StepRatios(decreasing, Log(folder / "steps.jsonl"))
    for network in networks.values():
        step(network)
    contest = Contest(plan=plan, step=step)
    examples = {
        Arm.DECREASING: decreasing,
        Arm.RANDOM: randoms[0],
        Arm.SEARCHED: candidates["candidate-0"],
    }
    rates = chosen_rates(contest, examples, logs.trainings, say)
    chosen = chosen_candidate(contest, candidates, rates[Arm.SEARCHED], logs.trainings, say)
    arms = arms_of(plan, decreasing, candidates[chosen], randoms)
    jobs = [contest.job(name, network, rates[arm], seed) for arm, name, network, seed in arms]
    results = _trained(jobs, logs.trainings, say)
    require_trained(jobs, results)
    costs = {job.network.name: cost_of(job.network.build(HEAD, 0), SIZE) for job in jobs}
    timed[Arm.SEARCHED] = timed.pop(chosen)
    sessions = {name: own for name, (own, _) in timed.items()}
    sessions[Arm.DECREASING] = tuple(value for _, other in timed.values() for value in other)
    ratios = {name: median_ratio(own, other) for name, (own, other) in timed.items()}
    return {
        **compared(rows_of(jobs, results, sessions, costs), ratios),
        "training_s": training_s(results, [arm for arm, *_ in arms]),
        "target_ms": target_ms,
        "trials": plan.trials,
        "graph_trials": plan.graph_trials,
        "dataset": WideAnchors.name,
        "anchor": WideAnchors.anchor,
        "size": SIZE,
        "learning_rates": {arm.value: rate for arm, rate in rates.items()},
        "samples": plan.samples,
        "seeds": plan.seeds,
        "chosen": chosen,
    }


def _own(name: str, network: ScalePermutedArchitecture) -> Own:
    return Own(name=name, architecture=network)


def _built(network: ScalePermutedArchitecture) -> nn.Module:
    return _own(network.key, network).build(HEAD, 0)


def _trained(jobs: Sequence[Job], log: Log, say: Say) -> list[Trained]:
    return train(jobs, log, say, processes=LANES, fit=stepped)


def planned(plan: Plan, say: Say) -> float:
    """Say what each stage takes, from a few training steps; hours in all."""
    say("training steps are timed for the plan")

    def seconds(network: ScalePermutedArchitecture) -> float:
        return seconds_a_scene(_built(network), WideAnchors(), network.size)

    whole = seconds(scale_decreasing(plan.space))
    short = statistics.fmean([whole, *(seconds(one) for one in plan.randoms[:2])])
    training = plan.samples * whole + EVALUATED * whole
    rates = len(Arm) * (len(plan.rates) + 1) if len(plan.rates) > 1 else 0
    choices = plan.candidates if plan.candidates > 1 else 0
    candidate = (plan.short_samples + EVALUATED / 3) * short
    timed = plan.candidates + plan.seeds
    hours = {
        "search": plan.trials * (candidate / LANES + timing_s(plan.search_preset)) / 3600,
        "fit": 2 * FITTING * timed * timing_s(plan.fit_preset) / 3600,
        "time": 2 * timed * timing_s(plan.final_preset) / 3600,
        "rate": rates * training / LANES / 3600,
        "choose": choices * training / LANES / 3600,
        "train": 3 * plan.seeds * training / LANES / 3600,
    }
    for stage, value in hours.items():
        say(f"plan: {stage} {value:.2f} hours")
    total = sum(hours.values())
    say(f"plan: {total:.2f} hours in all if nothing is in the log yet")
    return total


def main() -> None:
    """Run it as the command line says."""
    parser = parser_of(__doc__)
    parser.add_argument("--seeds", type=int, help="trainings of each arm")
    arguments = parser.parse_args()
    plan = QUICK if arguments.quick else FULL
    plan = replace(plan, seeds=seeds_of(parser, arguments.seeds, plan.seeds))
    run(
        parser,
        arguments,
        name="scale_permuted",
        planned=partial(planned, plan),
        benchmark=partial(benchmark, plan),
    )


if __name__ == "__main__":
    main()
