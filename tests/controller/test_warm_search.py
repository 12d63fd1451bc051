"""The surrogate with what an earlier search found, on problems whose every answer is known."""

import random
import statistics
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from controller.algorithm import Evaluated
from controller.constraints import ConstrainedPoints, Constraint
from controller.constraints import Figure as Limit
from controller.earlier import ACCURACY, LATENCY, OWN, REWARD, Figure, Known, promising
from controller.reward import Reward, RewardMode
from controller.settings import SurrogateSettings
from controller.surrogate import Surrogate
from controller.tabular import TabularProblem
from controller.testing import SPACE, Make, SearchAlgorithmContract, evaluated, outcome_of

RUGGED = Path(__file__).resolve().parents[2] / "benchmarks" / "data" / "rugged.csv.gz"
REWARD_OF = Reward(mode=RewardMode.HARD, target_ms=6.0)


def known(point, *, accuracy, latency_ms, fidelity) -> Known:
    figures = (
        Figure(name=ACCURACY, value=accuracy, fidelity=fidelity),
        Figure(name=LATENCY, value=latency_ms, fidelity=fidelity),
        Figure(name=REWARD, value=accuracy, fidelity=fidelity),
    )
    return Known(point=point, figures=figures)


def known_of(fidelity: str) -> list[Known]:
    """What the contract's outcomes are, roughly, at every fourth point of its space."""
    every = list(product(*map(range, SPACE.option_counts)))[::4]
    sizes = [1.0 + sum(point) for point in every]
    return [
        known(point, accuracy=size / (size + 4), latency_ms=size, fidelity=fidelity)
        for point, size in zip(every, sizes, strict=True)
    ]


class TestAfterAnotherDevicesRun(SearchAlgorithmContract):
    @pytest.fixture
    def make(self) -> Make:
        earlier = promising(known_of("A"))
        settings = SurrogateSettings(startup=8)
        return lambda seed: Surrogate(
            SPACE, settings, seed=seed, reward=REWARD_OF, earlier=earlier
        )


class TestAfterARunOfTheSameKind(SearchAlgorithmContract):
    @pytest.fixture
    def make(self) -> Make:
        earlier = promising(known_of(OWN))
        settings = SurrogateSettings(startup=8, noise=0.01)
        return lambda seed: Surrogate(
            SPACE, settings, seed=seed, reward=REWARD_OF, earlier=earlier
        )


class TestForTheRewardAlone(SearchAlgorithmContract):
    @pytest.fixture
    def make(self) -> Make:
        earlier = promising(known_of("A"))
        return lambda seed: Surrogate(
            SPACE, SurrogateSettings(startup=8), seed=seed, earlier=earlier
        )


class TestForTheFront(SearchAlgorithmContract):
    @pytest.fixture
    def make(self) -> Make:
        earlier = promising(known_of("A"))
        settings = SurrogateSettings(startup=8, objectives=2)
        return lambda seed: Surrogate(SPACE, settings, seed=seed, earlier=earlier)


class TestInASpaceOfAnyKind(SearchAlgorithmContract):
    @pytest.fixture
    def make(self, nested) -> Make:
        self.space = nested
        points = dict.fromkeys(nested.sample(random.Random(n)) for n in range(30))
        earlier = [
            known(point, accuracy=len(point[1]) / 10, latency_ms=1.0, fidelity="A")
            for point in points
        ]
        settings = SurrogateSettings(startup=8)
        return lambda seed: Surrogate(nested, settings, seed=seed, earlier=earlier)

    def validate(self, proposal) -> None:
        self.space.validate(proposal.point)


def test_what_was_found_before_is_neither_evaluated_nor_the_best():
    algorithm = Surrogate(SPACE, SurrogateSettings(), seed=0, earlier=known_of(OWN))
    with pytest.raises(ValueError, match="nothing was evaluated"):
        algorithm.best()
    asked = algorithm.ask(4)
    algorithm.tell([evaluated(one, accuracy=0.01, latency_ms=1.0) for one in asked])
    assert algorithm.best() in [proposal.point for proposal in asked]


def test_the_best_of_a_run_of_the_same_kind_is_evaluated_at_once():
    """It is the first of all, and what was known to be poor is not tried for its own sake."""
    earlier = promising(known_of(OWN))
    algorithm = Surrogate(SPACE, SurrogateSettings(), seed=0, reward=REWARD_OF, earlier=earlier)
    proposals = []
    for _ in range(12):
        (proposal,) = algorithm.ask(1)
        proposals.append(proposal)
        algorithm.tell([worked_out(proposal)])
    assert proposals[0].point == earlier[0].point
    size = [1 + total(proposal.point) for proposal in proposals[6:]]
    assert size.count(6) >= 4
    assert max(size) <= 7


def total(point) -> int:
    return sum(point)


def worked_out(proposal) -> Evaluated:
    size = 1.0 + total(proposal.point)
    made = evaluated(proposal, accuracy=size / (size + 4), latency_ms=size)
    reward = REWARD_OF.value(size / (size + 4), size)
    return Evaluated(proposal=proposal, objectives=made.objectives, reward=reward)


def test_points_that_break_a_constraint_teach_but_are_not_proposed():
    costs = {Limit.PARAMS: 0.0, Limit.MACS: 0.0}
    limited = ConstrainedPoints(
        SPACE,
        [Constraint(figure=Limit.PARAMS, limit=9.0)],
        lambda point: {**costs, Limit.PARAMS: float(total(point))},
    )
    earlier = promising(known_of("A"))
    assert total(earlier[0].point) > 9
    algorithm = Surrogate(limited, SurrogateSettings(), seed=0, earlier=earlier)
    for _ in range(15):
        (proposal,) = algorithm.ask(1)
        assert total(proposal.point) <= 9
        algorithm.tell([outcome_of(proposal)])


@pytest.fixture(scope="module")
def rugged() -> TabularProblem:
    return TabularProblem.read(RUGGED)


def earlier_run(problem: TabularProblem, accuracies, seed: int) -> tuple[Known, ...]:
    """100 random evaluations by other accuracies."""
    rng = random.Random(f"earlier/{seed}")
    points = dict.fromkeys(problem.points.sample(rng) for _ in range(100))
    return promising(
        known(
            point,
            accuracy=float(accuracies[problem.number(point)]),
            latency_ms=1.0,
            fidelity="A",
        )
        for point in points
    )


def regret(problem: TabularProblem, seed: int, evaluations: int, earlier=()) -> list[float]:
    """How far the best so far is below the best there is, after each evaluation."""
    algorithm = Surrogate(problem.points, SurrogateSettings(), seed=seed, earlier=earlier)
    best, regrets = 0.0, []
    for _ in range(evaluations):
        (proposal,) = algorithm.ask(1)
        accuracy = problem.value(proposal.point, "accuracy")
        algorithm.tell([evaluated(proposal, accuracy=accuracy, latency_ms=0.0)])
        best = max(best, accuracy)
        regrets.append(max(problem.column("accuracy")) - best)
    return regrets


def of_rank_correlation(problem: TabularProblem, share: float, seed: int):
    """Other accuracies, of a smaller spread, of which ``share`` squared is that of the true."""
    true = np.array(problem.column("accuracy"))
    errors = np.random.default_rng(seed).normal(size=len(true))
    return 0.4 + 0.01 * (
        share * (true - true.mean()) / true.std() + (1 - share**2) ** 0.5 * errors
    )


SEEDS = 12
"""Of each test below. Its false-failure rate is that of other seeds, by bootstrap over 24."""


def over_all(regrets) -> float:
    """The mean regret while a search goes on."""
    return statistics.fmean(map(statistics.fmean, regrets))


def at_the_end(regrets) -> float:
    return statistics.fmean(each[-1] for each in regrets)


@pytest.mark.slow
def test_a_related_run_halves_the_evaluations(rugged):
    """Of a rank correlation of 0.8; fails falsely in 4 % of cases."""
    cold = [regret(rugged, seed, 40) for seed in range(SEEDS)]
    warm = []
    for seed in range(SEEDS):
        other = of_rank_correlation(rugged, 0.82, seed)
        true = np.array(rugged.column("accuracy"))
        order = np.corrcoef(other.argsort().argsort(), true.argsort().argsort())[0, 1]
        assert order == pytest.approx(0.8, abs=0.02)
        warm.append(regret(rugged, seed, 20, earlier_run(rugged, other, seed)))
    assert over_all(warm) < over_all(cold)
    assert at_the_end(warm) < 1.5 * at_the_end(cold)


@pytest.mark.slow
def test_a_misleading_run_costs_few_evaluations(rugged):
    """Its accuracies have nothing to do with the true ones: some ten evaluations are lost.

    Fails falsely in 6 % of cases.
    """
    cold = [regret(rugged, seed, 30) for seed in range(SEEDS)]
    warm = []
    for seed in range(SEEDS):
        other = np.random.default_rng(seed).permutation(rugged.column("accuracy"))
        warm.append(regret(rugged, seed, 30, earlier_run(rugged, other, seed)))
    assert over_all(warm) < 2.0 * over_all(cold)
    assert at_the_end(warm) < 1.5 * at_the_end([each[:20] for each in cold])
