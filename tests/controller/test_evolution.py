import random

import pytest

from controller.algorithm import START, Failed, FailureKind, Proposal, Skipped
from controller.evolution import RegularizedEvolution
from controller.settings import EvolutionSettings
from controller.testing import SPACE, Make, SearchAlgorithmContract, evaluated


def evolution(population: int, tournament: int, seed: int = 0) -> RegularizedEvolution:
    settings = EvolutionSettings(population=population, tournament=tournament)
    return RegularizedEvolution(SPACE, settings, seed=seed)


class TestRegularizedEvolution(SearchAlgorithmContract):
    @pytest.fixture
    def make(self) -> Make:
        return lambda seed: evolution(8, 3, seed)


FIRST = ((2, 0, 3, 3, 3, 3), (0, 0, 0, 1, 2, 3))
"""Points that are proposed before all others."""


class TestAfterPointsThatWereKnown(SearchAlgorithmContract):
    @pytest.fixture
    def make(self) -> Make:
        return lambda seed: RegularizedEvolution(
            SPACE, EvolutionSettings(population=8, tournament=3), seed=seed, first=FIRST
        )


BEGUN = evaluated(Proposal(index=START, point=FIRST[0]), accuracy=0.9, latency_ms=1.0)
"""What is known of a point that it goes on from."""


class TestThatGoesOnFromAPoint(SearchAlgorithmContract):
    @pytest.fixture
    def make(self) -> Make:
        return lambda seed: RegularizedEvolution(
            SPACE, EvolutionSettings(population=8, tournament=3), seed=seed, start=BEGUN
        )


def test_the_first_proposals_are_mutations_of_what_it_goes_on_from():
    algorithm = RegularizedEvolution(SPACE, EvolutionSettings(), seed=0, start=BEGUN)
    for child in algorithm.ask(4):
        assert child.parents == (START,)
        assert sum(a != b for a, b in zip(child.point, FIRST[0], strict=True)) == 1


def test_points_that_come_first_may_become_parents():
    settings = EvolutionSettings(population=8, tournament=8)
    algorithm = RegularizedEvolution(SPACE, settings, seed=0, first=FIRST)
    asked = algorithm.ask(8)
    assert [proposal.point for proposal in asked[:2]] == [*FIRST]
    algorithm.tell(
        [evaluated(one, accuracy=0.9 - one.index / 20, latency_ms=1.0) for one in asked]
    )
    assert algorithm.ask(1)[0].parents == (0,)


def test_proposals_are_random_until_the_population_is_full():
    algorithm = evolution(8, 3)
    first = algorithm.ask(12)
    algorithm.tell([evaluated(one, accuracy=0.5, latency_ms=1.0) for one in first[:7]])
    assert not any(proposal.parents for proposal in algorithm.ask(3))
    algorithm.tell([evaluated(first[7], accuracy=0.5, latency_ms=1.0)])
    assert all(proposal.parents for proposal in algorithm.ask(3))


def test_a_child_is_its_parent_with_one_decision_changed():
    algorithm = evolution(4, 4)
    asked = algorithm.ask(4)
    algorithm.tell([evaluated(one, accuracy=one.index / 10, latency_ms=1.0) for one in asked])
    (child,) = algorithm.ask(1)
    assert child.parents == (3,)
    assert sum(a != b for a, b in zip(child.point, asked[3].point, strict=True)) == 1


def test_the_oldest_die_however_good_they_were():
    algorithm = evolution(4, 4)
    best, *others = algorithm.ask(5)
    algorithm.tell([evaluated(best, accuracy=0.9, latency_ms=1.0)])
    algorithm.tell([evaluated(one, accuracy=0.1, latency_ms=1.0) for one in others])
    assert all(child.parents != (0,) for child in algorithm.ask(10))


def test_a_skipped_outcome_ranks_below_every_evaluated_one_whatever_its_bound():
    algorithm = evolution(2, 2)
    poor, skipped = algorithm.ask(2)
    algorithm.tell([evaluated(poor, accuracy=0.01, latency_ms=1.0)])
    algorithm.tell([Skipped(proposal=skipped, latency_ms=300.0, bound=0.9)])
    assert [child.parents for child in algorithm.ask(3)] == [(0,)] * 3


def test_of_two_skipped_outcomes_the_one_of_the_higher_bound_is_the_parent():
    algorithm = evolution(2, 2)
    slow, slower = algorithm.ask(2)
    algorithm.tell([Skipped(proposal=slower, latency_ms=400.0, bound=0.8)])
    algorithm.tell([Skipped(proposal=slow, latency_ms=300.0, bound=0.9)])
    assert [child.parents for child in algorithm.ask(3)] == [(0,)] * 3


def test_a_failure_is_no_parent():
    algorithm = evolution(2, 2)
    asked = algorithm.ask(3)
    failed = Failed(proposal=asked[0], kind=FailureKind.EXPORT, text="no such operator")
    algorithm.tell([failed, evaluated(asked[1], accuracy=0.1, latency_ms=1.0)])
    assert not any(proposal.parents for proposal in algorithm.ask(3))


def test_searches_spaces_without_a_fixed_length():
    class Growing:
        def sample(self, rng):
            return (rng.randrange(3),)

        def mutate(self, point, rng):
            return (*point, rng.randrange(3))

        def crossover(self, first, second, rng):
            return rng.choice((first, second))

        def validate(self, point):
            assert point

    algorithm = RegularizedEvolution(
        Growing(), EvolutionSettings(population=4, tournament=2), seed=0
    )
    for _ in range(200):
        (one,) = algorithm.ask(1)
        algorithm.tell([evaluated(one, accuracy=1 - 1 / len(one.point), latency_ms=1.0)])
    assert len(algorithm.ask(1)[0].point) > 20


def test_finds_the_best_point_of_a_small_space():
    algorithm = evolution(20, 5)
    best = 0.0
    for _ in range(150):
        (one,) = algorithm.ask(1)
        accuracy = sum(map(int, map(str, one.point))) / 14
        best = max(best, accuracy)
        algorithm.tell([evaluated(one, accuracy=accuracy, latency_ms=1.0)])
    assert best == 1.0
    rng = random.Random(0)
    drawn = max(sum(SPACE.sample(rng)) / 14 for _ in range(150))
    assert drawn < 1.0
