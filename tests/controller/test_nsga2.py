import random
from itertools import product

import pytest

from controller.algorithm import START, Failed, FailureKind, Proposal
from controller.nsga2 import Nsga2, crowding_of, ranks_of
from controller.pareto import FrontPoint, front_of
from controller.settings import Nsga2Settings
from controller.testing import SPACE, Make, SearchAlgorithmContract, evaluated


class TestNsga2(SearchAlgorithmContract):
    @pytest.fixture
    def make(self) -> Make:
        return lambda seed: Nsga2(SPACE, Nsga2Settings(population=6), seed=seed)


BEGUN = evaluated(Proposal(index=START, point=(2, 0, 3, 3, 3, 3)), accuracy=0.9, latency_ms=1.0)
"""What is known of a point that it goes on from."""


class TestThatGoesOnFromAPoint(SearchAlgorithmContract):
    @pytest.fixture
    def make(self) -> Make:
        return lambda seed: Nsga2(SPACE, Nsga2Settings(population=6), seed=seed, start=BEGUN)


def test_the_first_proposals_are_mutations_of_what_it_goes_on_from():
    algorithm = Nsga2(SPACE, Nsga2Settings(), seed=0, start=BEGUN)
    asked = algorithm.ask(4)
    assert len({child.point for child in asked}) == 4
    for child in asked:
        assert child.parents == (START,)
        assert sum(a != b for a, b in zip(child.point, BEGUN.proposal.point, strict=True)) == 1


class TestOfThreeObjectives(SearchAlgorithmContract):
    @pytest.fixture
    def make(self) -> Make:
        settings = Nsga2Settings(population=6, objectives=3)
        return lambda seed: Nsga2(SPACE, settings, seed=seed)


class TestInASpaceOfAnyKind(SearchAlgorithmContract):
    @pytest.fixture
    def make(self, nested) -> Make:
        self.space = nested
        return lambda seed: Nsga2(nested, Nsga2Settings(population=6), seed=seed)

    def validate(self, proposal) -> None:
        self.space.validate(proposal.point)


FIRST = ((2, 0, 3, 3, 3, 3), (0, 0, 0, 1, 2, 3))
"""Points that are proposed before all others."""


class TestAfterPointsThatWereKnown(SearchAlgorithmContract):
    @pytest.fixture
    def make(self) -> Make:
        return lambda seed: Nsga2(SPACE, Nsga2Settings(population=6), seed=seed, first=FIRST)


def test_points_that_come_first_are_proposed_once_and_may_become_parents():
    algorithm = Nsga2(SPACE, Nsga2Settings(population=2), seed=0, first=FIRST)
    asked = algorithm.ask(2)
    assert [proposal.point for proposal in asked] == [*FIRST]
    algorithm.tell([evaluated(one, accuracy=0.5, latency_ms=1.0) for one in asked])
    later = algorithm.ask(40)
    assert {parent for proposal in later for parent in proposal.parents} == {0, 1}
    assert not {proposal.point for proposal in later} & {*FIRST}


def sizes(proposal: Proposal) -> list[int]:
    return [option for option in proposal.point if isinstance(option, int)]


def test_it_finds_the_whole_trade_off_of_a_small_space():
    algorithm = Nsga2(SPACE, Nsga2Settings(), seed=0)
    points = []
    for _ in range(300):
        (one,) = algorithm.ask(1)
        kernel, _, *layers = sizes(one)
        accuracy, latency_ms = (kernel + layers[0]) / 10, sum(layers) + 1.0
        points.append(FrontPoint(index=one.index, losses=(-accuracy, latency_ms)))
        algorithm.tell([evaluated(one, accuracy=accuracy, latency_ms=latency_ms)])
    found = [(-point.losses[0], point.losses[1]) for point in front_of(points)]
    assert found == [(0.2, 1), (0.3, 2), (0.4, 3), (0.5, 4)]


def test_it_refuses_outcomes_with_too_few_objectives_and_stays_as_it_was():
    algorithm = Nsga2(SPACE, Nsga2Settings(objectives=3), seed=0)
    (one,) = algorithm.ask(1)
    with pytest.raises(ValueError, match="3 objectives"):
        algorithm.tell([evaluated(one, accuracy=0.5, latency_ms=1.0)])
    algorithm.tell([Failed(proposal=one, kind=FailureKind.TIMEOUT, text="took too long")])
    assert algorithm.ask(1)[0].index == 1


def test_with_one_objective_it_finds_the_best_of_a_small_space():
    algorithm = Nsga2(SPACE, Nsga2Settings(objectives=1), seed=0)
    best = 0.0
    for _ in range(200):
        (one,) = algorithm.ask(1)
        accuracy = sum(sizes(one)) / 14
        best = max(best, accuracy)
        algorithm.tell([evaluated(one, accuracy=accuracy, latency_ms=1.0)])
    assert best == 1.0


def test_children_name_their_parents_and_are_near_them():
    algorithm = Nsga2(SPACE, Nsga2Settings(population=6), seed=0)
    asked = list(algorithm.ask(6))
    assert not any(proposal.parents for proposal in asked)
    algorithm.tell([evaluated(p, accuracy=p.index / 10, latency_ms=p.index + 1.0) for p in asked])
    for child in algorithm.ask(20):
        assert 1 <= len(child.parents) <= 2
        parents = [asked[index].point for index in child.parents]
        new = [
            place
            for place, option in enumerate(child.point)
            if option not in {parent[place] for parent in parents}
        ]
        assert len(new) <= 1


def test_a_point_is_proposed_again_only_if_no_other_child_is_found():
    algorithm = Nsga2(SPACE, Nsga2Settings(), seed=0)
    points = []
    for _ in range(200):
        (one,) = algorithm.ask(1)
        points.append(one.point)
        algorithm.tell([evaluated(one, accuracy=sum(sizes(one)) / 14, latency_ms=1.0)])
    assert len(set(points)) > 170


def test_ranks_are_the_fronts_that_are_left_when_those_before_are_taken_away():
    rng = random.Random(0)
    losses = [tuple(float(rng.randrange(6)) for _ in range(3)) for _ in range(60)]
    ranks = ranks_of(losses)
    for place, other in product(range(60), repeat=2):
        beats = losses[place] != losses[other] and all(
            a <= b for a, b in zip(losses[place], losses[other], strict=True)
        )
        assert not beats or ranks[place] < ranks[other]
    for number in range(1, max(ranks) + 1):
        for place in (i for i, rank in enumerate(ranks) if rank == number):
            assert any(
                ranks[other] == number - 1
                and all(a <= b for a, b in zip(losses[other], losses[place], strict=True))
                for other in range(60)
            )


def test_the_ends_of_a_front_have_all_the_room_and_the_crowded_the_least():
    losses = [(0.0, 1.0), (0.1, 0.9), (0.2, 0.8), (0.9, 0.1), (1.0, 0.0), (2.0, 2.0)]
    crowding = crowding_of(losses, ranks_of(losses))
    assert crowding[0] == crowding[4] == crowding[5] == float("inf")
    assert crowding[1] < crowding[2] < float("inf")


def test_equal_candidates_take_up_no_more_room_than_there_is():
    losses = [(0.5, 0.5)] * 4
    assert ranks_of(losses) == [0, 0, 0, 0]
    assert sorted(crowding_of(losses, [0] * 4)) == [0.0, 0.0, float("inf"), float("inf")]
