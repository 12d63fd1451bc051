"""Does each algorithm beat random search, seed by seed, on a problem whose truth is known?

The space ``proxyless``, a Pixel 1's published latencies (``table:pixel1``), the soft reward at
75 ms, and the analytic stand-in for accuracy, so nothing is trained: it compares algorithms, and
says nothing of networks. Four proposals are in flight, as in the search loop. Compared is the best
reward found, at equal evaluations and equal seeds.

Run: ``python benchmarks/search_analytic.py [--quick]``; one JSON object comes last on stdout.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from statistics import fmean

from controller.algorithm import (
    Evaluated,
    Goal,
    Objective,
    Proposal,
    SearchAlgorithm,
    create,
    settings_named,
)
from controller.reward import Reward, RewardMode
from controller.settings import AlgorithmName
from latency.table_file import load
from latency.table_points import PointLatencies
from latency.table_source import TableSource
from search_space.architecture import Classifier
from search_space.decisions import Decisions
from search_space.proxyless import ProxylessSpace
from training.analytic import STAND_IN, analytic_accuracy

TARGET_MS = 75.0
IN_FLIGHT = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is searched; each point is worked out once, whoever finds it."""

    space: ProxylessSpace
    latencies: PointLatencies
    reward: Reward
    known: dict[Decisions, tuple[float, float]] = field(default_factory=dict)

    def evaluated(self, proposal: Proposal) -> Evaluated:
        """The outcome of ``proposal``."""
        point = self.space.points.checked(proposal.point)
        if point not in self.known:
            accuracy = analytic_accuracy(self.space.decode(point))
            self.known[point] = (accuracy, self.latencies.latency_ms(point))
        accuracy, latency_ms = self.known[point]
        objectives = (
            Objective(name="accuracy", value=accuracy, goal=Goal.MAXIMIZE),
            Objective(name="latency_ms", value=latency_ms, goal=Goal.MINIMIZE),
        )
        value = self.reward.value(accuracy, latency_ms)
        return Evaluated(proposal=proposal, objectives=objectives, reward=value)


ALGORITHMS = tuple(name for name in AlgorithmName if name is not AlgorithmName.GUIDED)
"""All but the one that needs connection weights, which a table has not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """One search: the best reward that it found, and what its algorithm took a proposal."""

    best: float
    ms_per_proposal: float


def pixel1() -> Problem:
    """The problem of this benchmark."""
    space = ProxylessSpace()
    return Problem(
        space=space,
        latencies=TableSource(load("pixel1")).over(space, Classifier(classes=1000)),
        reward=Reward(mode=RewardMode.SOFT, target_ms=TARGET_MS),
    )


def searched(problem: Problem, algorithm: SearchAlgorithm, evaluations: int) -> Search:
    """Ask and tell until every one of ``evaluations`` proposals is told."""
    flying: deque[Proposal] = deque()
    best, seconds = 0.0, 0.0
    for told in range(evaluations):
        start = time.perf_counter()
        missing = min(IN_FLIGHT, evaluations - told) - len(flying)
        if missing:
            flying.extend(algorithm.ask(missing))
        seconds += time.perf_counter() - start
        outcome = problem.evaluated(flying.popleft())
        best = max(best, outcome.reward)
        start = time.perf_counter()
        algorithm.tell([outcome])
        seconds += time.perf_counter() - start
    return Search(best=best, ms_per_proposal=1000 * seconds / evaluations)


def compared(seeds: int, evaluations: int) -> dict[str, object]:
    """The keys of the result."""
    problem = pixel1()
    searches: dict[str, list[Search]] = {}
    for name in ALGORITHMS:
        make = partial(create, settings_named(name, {}), problem.space.points)
        searches[name] = [searched(problem, make(seed), evaluations) for seed in range(seeds)]
    margins = {
        name: [
            one.best - other.best
            for one, other in zip(found, searches[AlgorithmName.RANDOM], strict=True)
        ]
        for name, found in searches.items()
        if name != AlgorithmName.RANDOM
    }
    return {
        "problem": f"proxyless, table:pixel1, soft reward at {TARGET_MS:g} ms",
        "stand_in": STAND_IN,
        "evaluations": evaluations,
        "seeds": seeds,
        "wins": {name: sum(one > 0 for one in found) for name, found in margins.items()},
        "smallest_margin": {name: min(found) for name, found in margins.items()},
        "mean_best_reward": {
            name: fmean(one.best for one in found) for name, found in searches.items()
        },
        "ms_per_proposal": {
            name: fmean(one.ms_per_proposal for one in found) for name, found in searches.items()
        },
    }


def main() -> None:
    """Run it as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, help="paired seeds (20)")
    parser.add_argument("--evaluations", type=int, default=500, help="of each search (500)")
    parser.add_argument("--quick", action="store_true", help="3 seeds unless --seeds is given")
    arguments = parser.parse_args()
    seeds = arguments.seeds or (3 if arguments.quick else 20)
    print(json.dumps(compared(seeds, arguments.evaluations)))


if __name__ == "__main__":
    main()
