"""How near to the best does each algorithm come in few evaluations, on a problem that is known?

A problem is a CSV of ``choices,accuracy,cost`` with every point of a space (``--problem``; see
``controller.tabular``). To be found is the greatest accuracy, or the greatest soft or hard reward
for a target of the cost. ``regret`` is how far the best point found is below the best there is,
the mean over seeds, and ``of_tpe`` its share of Optuna's TPE's with a 90 % interval (bootstrap
over seeds). With ``--noise`` evaluations err by that share of the spread of the upper half of the
rewards, and what counts is the true value of the point that a search would choose: the best that
was seen, and for ``surrogate_aware`` the one that its model holds for the best.

With ``--objectives 2`` the problem is the analytic stand-in for accuracy against MACs on the
``mnasnet`` space (42 decisions), and ``hypervolume`` that of the front found, as a share of the
box from the worst of 2,000 random points to accuracy 1 and no MACs at all.

Beside ours: ``optuna_tpe`` and ``optuna_nsga2``, Optuna's samplers as they come, ``pymoo_nsga2``
where pymoo is installed, and ``regularized_evolution`` with a population of 50 and tournaments of
10 (Real et al. 2019).

Needs the extra ``train``. Run: ``python benchmarks/search_quality.py --problem FILE [--objective
soft --target X]``, or with ``--quick`` two seeds of the problem that ships; one JSON object comes
last on stdout. Nothing is trained or timed here: a file is what was.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from controller.algorithm import (
    Evaluated,
    Goal,
    Objective,
    Outcome,
    Proposal,
    SearchAlgorithm,
    create,
    settings_named,
)
from controller.pareto import FrontPoint, hypervolume
from controller.reward import Reward, RewardMode
from controller.surrogate import Surrogate
from controller.tabular import TabularProblem
from search_space.decisions import DecisionSpace, Point

SHIPPED = Path(__file__).resolve().parent / "data" / "fashion_mbconv.csv.gz"
ALGORITHMS = ("random", "evolution", "ppo", "nsga2", "tpe", "surrogate")
BESIDE = ("optuna_tpe", "regularized_evolution")
AWARE = "surrogate_aware"
"""Ours, told how large the noise is."""

REAL_2019 = {"population": "50", "tournament": "10"}
WORST_OF = 2000


class Problem(Protocol):
    """What is searched."""

    @property
    def points(self) -> DecisionSpace:
        """Where."""
        ...

    @property
    def reward(self) -> Reward | None:
        """Of accuracy and cost; None where accuracy is all."""
        ...

    def figures(self, point: Point) -> tuple[float, float | None]:
        """Accuracy and cost, without noise."""
        ...


@dataclass(frozen=True, kw_only=True)
class Table:
    """A file; a ``Problem``.

    Attributes:
        table: What is in it.
        reward: Of accuracy and cost; None where accuracy is all.
    """

    table: TabularProblem
    reward: Reward | None

    @property
    def points(self) -> DecisionSpace:
        """See ``Problem``."""
        return self.table.points

    def figures(self, point: Point) -> tuple[float, float | None]:
        """See ``Problem``."""
        place = self.table.number(point)
        cost = self.table.column("cost")[place] if "cost" in self.table.metrics else None
        return self.table.column("accuracy")[place], cost

    def value(self, point: Point) -> float:
        """What is to be large."""
        return rewarded(self.reward, *self.figures(point))

    @cached_property
    def values(self) -> tuple[float, ...]:
        """Of all points."""
        accuracies = self.table.column("accuracy")
        if self.reward is None:
            return accuracies
        return tuple(map(self.reward.value, accuracies, self.table.column("cost")))

    @property
    def spread(self) -> float:
        """Of the upper half of all points."""
        return max(self.values) - statistics.median(self.values)


class Analytic:
    """The analytic stand-in for accuracy against MACs on ``mnasnet``; a ``Problem``."""

    reward: Reward | None = None

    def __init__(self) -> None:
        from search_space.space import create as space_named

        self._space = space_named("mnasnet", {})
        self._known: dict[Point, tuple[float, float]] = {}

    @property
    def points(self) -> DecisionSpace:
        """See ``Problem``."""
        assert isinstance(self._space.points, DecisionSpace)
        return self._space.points

    def figures(self, point: Point) -> tuple[float, float]:
        """See ``Problem``; costs are millions of multiply-adds."""
        from search_space.chain import ChainArchitecture
        from search_space.layers import layers
        from training.analytic import analytic_accuracy

        if point not in self._known:
            network = self._space.decode(point)
            assert isinstance(network, ChainArchitecture)
            macs = sum(layer.macs for layer in layers(network))
            self._known[point] = analytic_accuracy(network), macs / 1e6
        return self._known[point]

    @cached_property
    def worst(self) -> tuple[float, float]:
        """Least accuracy and greatest cost of random points."""
        rng = random.Random(0)
        drawn = [self.figures(self.points.sample(rng)) for _ in range(WORST_OF)]
        return min(accuracy for accuracy, _ in drawn), max(cost for _, cost in drawn)


def rewarded(reward: Reward | None, accuracy: float, cost: float | None) -> float:
    """What is to be large."""
    if reward is None:
        return accuracy
    if cost is None:
        msg = "a reward needs the column 'cost'"
        raise ValueError(msg)
    return reward.value(accuracy, cost)


def evaluated(
    proposal: Proposal, reward: Reward | None, accuracy: float, cost: float | None
) -> Evaluated:
    """The outcome of a proposal."""
    objectives = [Objective(name="accuracy", value=accuracy, goal=Goal.MAXIMIZE)]
    if cost is not None:
        objectives.append(Objective(name="latency_ms", value=cost, goal=Goal.MINIMIZE))
    return Evaluated(
        proposal=proposal,
        objectives=tuple(objectives),
        reward=rewarded(reward, accuracy, cost),
    )


class OptunaSampler:
    """A sampler of Optuna as it comes; a ``SearchAlgorithm``.

    Args:
        space: Where.
        objectives: 1 for the reward; 2 for accuracy and cost.
        seed: Of the sampler.
    """

    def __init__(self, space: DecisionSpace, objectives: int, seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space, self._objectives = space, objectives
        if objectives == 1:
            self._study = optuna.create_study(
                direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed)
            )
        else:
            self._study = optuna.create_study(
                directions=["maximize", "minimize"],
                sampler=optuna.samplers.NSGAIISampler(seed=seed),
            )
        self._trials: dict[int, optuna.Trial] = {}
        self._asked = 0

    def ask(self, count: int) -> tuple[Proposal, ...]:
        """See ``SearchAlgorithm.ask``."""
        return tuple(self._propose() for _ in range(count))

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """See ``SearchAlgorithm.tell``."""
        for outcome in outcomes:
            assert isinstance(outcome, Evaluated)
            values = [outcome.reward]
            if self._objectives > 1:
                values = [objective.value for objective in outcome.objectives]
            self._study.tell(self._trials.pop(outcome.proposal.index), values)

    def _propose(self) -> Proposal:
        trial = self._study.ask()
        self._trials[self._asked] = trial
        point = tuple(
            trial.suggest_categorical(choice.name, list(range(len(choice.options))))
            for choice in self._space.choices
        )
        self._asked += 1
        return Proposal(index=self._asked - 1, point=point)


def made(name: str, problem: Problem, objectives: int, seed: int, noise: float) -> SearchAlgorithm:
    """The algorithm of that name."""
    points = problem.points
    if name in ("optuna_tpe", "optuna_nsga2"):
        return OptunaSampler(points, objectives, seed)
    if name == "regularized_evolution":
        return create(settings_named("evolution", REAL_2019), points, seed)
    options: Mapping[str, str] = {}
    if name == "nsga2":
        costs = objectives > 1 or problem.reward is not None
        options = {"objectives": "2" if costs else "1"}
    if name == AWARE:
        name, options = "surrogate", {"noise": repr(noise)}
    elif name == "surrogate":
        options = {"objectives": str(objectives)}
    return create(settings_named(name, options), points, seed, reward=problem.reward)


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """One search.

    Attributes:
        points: Evaluated, in order.
        chosen: The one that it would choose.
        ms_per_proposal: What asking and telling took.
    """

    points: tuple[Point, ...]
    chosen: Point
    ms_per_proposal: float


def searched(
    problem: Problem,
    name: str,
    seed: int,
    *,
    evaluations: int,
    in_flight: int,
    objectives: int,
    noise: float,
) -> Searched:
    """Ask, evaluate and tell; rewards err by ``noise``, accuracies where there is a reward."""
    algorithm = made(name, problem, objectives, seed, noise)
    errors = random.Random(f"noise/{seed}")
    flying: deque[Proposal] = deque()
    told: list[Evaluated] = []
    seconds = 0.0
    while len(told) < evaluations:
        start = time.perf_counter()
        missing = min(in_flight, evaluations - len(told)) - len(flying)
        if missing > 0:
            flying.extend(algorithm.ask(missing))
        seconds += time.perf_counter() - start
        proposal = flying.popleft()
        accuracy, cost = problem.figures(proposal.point)
        if noise:
            accuracy = min(max(accuracy + errors.gauss(0.0, noise), 0.0), 1.0)
        outcome = evaluated(proposal, problem.reward, accuracy, cost)
        told.append(outcome)
        start = time.perf_counter()
        algorithm.tell([outcome])
        seconds += time.perf_counter() - start
    chosen = max(told, key=lambda one: one.reward).proposal.point
    if name == AWARE:
        assert isinstance(algorithm, Surrogate)
        chosen = algorithm.best()
    return Searched(
        points=tuple(one.proposal.point for one in told),
        chosen=chosen,
        ms_per_proposal=1000 * seconds / evaluations,
    )


def pymoo_searched(problem: Problem, seed: int, evaluations: int) -> Searched:
    """NSGA-II of pymoo over integers, with a population of 50."""
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.problem import ElementwiseProblem
    from pymoo.operators.crossover.sbx import SBX
    from pymoo.operators.mutation.pm import PM
    from pymoo.operators.repair.rounding import RoundingRepair
    from pymoo.operators.sampling.rnd import IntegerRandomSampling
    from pymoo.optimize import minimize

    seen: list[Point] = []

    class Integers(ElementwiseProblem):  # type: ignore[misc] # pymoo has no types
        def __init__(self) -> None:
            upper = np.array(problem.points.option_counts) - 1
            super().__init__(n_var=len(upper), n_obj=2, xl=0, xu=upper, vtype=int)

        def _evaluate(self, x: Sequence[int], out: dict[str, object], *_: object) -> None:
            point = tuple(int(option) for option in x)
            seen.append(point)
            accuracy, cost = problem.figures(point)
            out["F"] = [-accuracy, cost]

    repair = RoundingRepair()
    sampler = NSGA2(
        pop_size=50,
        sampling=IntegerRandomSampling(),
        crossover=SBX(prob=1.0, eta=3.0, vtype=float, repair=repair),
        mutation=PM(prob=1.0, eta=3.0, vtype=float, repair=repair),
        eliminate_duplicates=True,
    )
    minimize(Integers(), sampler, ("n_eval", evaluations), seed=seed, verbose=False)
    points = tuple(seen[:evaluations])
    return Searched(points=points, chosen=points[0], ms_per_proposal=float("nan"))


def share_of_box(problem: Analytic, points: Sequence[Point]) -> float:
    """The hypervolume of ``points``, of the box from the worst to the best there is."""
    accuracy, cost = problem.worst
    figures = [problem.figures(point) for point in points]
    front = (FrontPoint(index=index, losses=(-a, c)) for index, (a, c) in enumerate(figures))
    return hypervolume(front, (-accuracy, cost)) / ((1 - accuracy) * cost)


def interval(values: Sequence[float], below: Sequence[float]) -> tuple[float, float]:
    """90 % interval of the ratio of the means, by paired bootstrap."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(values), (2000, len(values)))
    above, under = np.array(values)[drawn].mean(axis=1), np.array(below)[drawn].mean(axis=1)
    ratios = above / np.maximum(under, 1e-12)
    return float(np.quantile(ratios, 0.05)), float(np.quantile(ratios, 0.95))


def all_searched(
    problem: Problem, names: Sequence[str], arguments: argparse.Namespace, noise: float
) -> dict[str, list[Searched]]:
    """Every algorithm with every seed, in turn, so that what each takes is of the same hour."""
    found: dict[str, list[Searched]] = {name: [] for name in names}
    for seed in range(arguments.seeds):
        for name in names:
            if name == "pymoo_nsga2":
                found[name].append(pymoo_searched(problem, seed, arguments.evaluations))
                continue
            one = searched(
                problem,
                name,
                seed,
                evaluations=arguments.evaluations,
                in_flight=arguments.in_flight,
                objectives=arguments.objectives,
                noise=noise,
            )
            found[name].append(one)
        sys.stderr.write(f"seed {seed}\n")
    return found


def tabular(arguments: argparse.Namespace) -> dict[str, object]:
    """The keys of the result for a file."""
    table = TabularProblem.read(arguments.problem)
    reward = None
    if arguments.objective != "accuracy":
        target = arguments.target or statistics.median(table.column("cost"))
        reward = Reward(mode=RewardMode(arguments.objective), target_ms=target)
    problem = Table(table=table, reward=reward)
    names = [*(arguments.algorithms or (*ALGORITHMS, *BESIDE))]
    noise = arguments.noise * problem.spread
    if noise and AWARE not in names:
        names.append(AWARE)
    found = all_searched(problem, names, arguments, noise)
    best = max(problem.values)
    regrets = {
        name: [
            best - (problem.value(one.chosen) if noise else max(map(problem.value, one.points)))
            for one in each
        ]
        for name, each in found.items()
    }
    result: dict[str, object] = {
        "problem": table.name,
        "objective": arguments.objective,
        "target": reward.target_ms if reward else None,
        "points": table.points.count,
        "best": best,
        "noise": noise,
        "regret": {name: statistics.fmean(each) for name, each in regrets.items()},
    }
    for other, key in (("optuna_tpe", "of_tpe"), ("random", "of_random"), ("surrogate", "aware")):
        mine = {AWARE} if key == "aware" else set(names) - {other}
        if other in regrets:
            result[key] = {
                name: {
                    "ratio": statistics.fmean(regrets[name])
                    / max(statistics.fmean(regrets[other]), 1e-12),
                    "interval": interval(regrets[name], regrets[other]),
                }
                for name in names
                if name in mine
            }
    return {**result, **_times(found)}


def two_objectives(arguments: argparse.Namespace) -> dict[str, object]:
    """The keys of the result for the analytic problem."""
    problem = Analytic()
    names = arguments.algorithms or ("random", "nsga2", "surrogate", "optuna_nsga2", "pymoo_nsga2")
    found = all_searched(problem, names, arguments, 0.0)
    areas = {
        name: [share_of_box(problem, one.points) for one in each] for name, each in found.items()
    }
    return {
        "problem": "analytic stand-in for accuracy against MACs, mnasnet: nothing was trained",
        "hypervolume": {
            name: {
                "mean": statistics.fmean(each),
                "least": min(each),
                "of_ours": interval(each, areas["surrogate"]) if "surrogate" in areas else None,
            }
            for name, each in areas.items()
        },
        **_times(found),
    }


def _times(found: Mapping[str, Sequence[Searched]]) -> dict[str, object]:
    return {
        "ms_per_proposal": {
            name: statistics.fmean(one.ms_per_proposal for one in each)
            for name, each in found.items()
            if name != "pymoo_nsga2"
        }
    }


def main() -> None:
    """Run it as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--problem", type=Path, default=SHIPPED, help="CSV, may be packed by gzip")
    parser.add_argument("--objective", choices=("accuracy", "soft", "hard"), default="accuracy")
    parser.add_argument("--target", type=float, help="of the cost (the median)")
    parser.add_argument("--objectives", type=int, choices=(1, 2), default=1)
    parser.add_argument("--evaluations", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--in-flight", type=int, default=1, help="proposals that are not told yet")
    parser.add_argument(
        "--noise", type=float, default=0.0, help="share of the upper half's spread"
    )
    parser.add_argument("--algorithms", type=lambda text: text.split(","), help="only these")
    parser.add_argument("--quick", action="store_true", help="two seeds")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds = 2
    found = two_objectives(arguments) if arguments.objectives > 1 else tabular(arguments)
    numbers = {"evaluations": arguments.evaluations, "seeds": arguments.seeds}
    print(json.dumps({**numbers, **found}))


if __name__ == "__main__":
    main()
