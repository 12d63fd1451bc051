import random

import pytest

from controller.algorithm import AGAIN, Failed, FailureKind
from controller.confirm import Confirming
from controller.evolution import RegularizedEvolution
from controller.random_search import RandomSearch
from controller.settings import EvolutionSettings
from controller.testing import SPACE, Make, SearchAlgorithmContract, evaluated
from search_space.decisions import Choice, DecisionSpace


class TestConfirmingEvolution(SearchAlgorithmContract):
    @pytest.fixture
    def make(self) -> Make:
        settings = EvolutionSettings(population=8, tournament=3)
        return lambda seed: Confirming(
            RegularizedEvolution(SPACE, settings, seed=seed), after=30, again=9
        )


class TestBeforeAnythingIsConfirmed(SearchAlgorithmContract):
    @pytest.fixture
    def make(self) -> Make:
        return lambda seed: Confirming(RandomSearch(SPACE, seed=seed), after=500, again=9)


def test_the_leading_points_are_evaluated_in_turn():
    algorithm = Confirming(RandomSearch(SPACE, seed=0), after=20, again=9)
    first = algorithm.ask(20)
    algorithm.tell([evaluated(p, accuracy=p.index / 40, latency_ms=1.0) for p in first])
    again = algorithm.ask(9)
    leading = {first[place].point for place in (17, 18, 19)}
    assert {proposal.point for proposal in again} == leading
    assert [proposal.note[AGAIN] for proposal in again] == [1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert again[0].point == first[19].point


def test_one_that_was_only_lucky_leads_no_more():
    algorithm = Confirming(RandomSearch(SPACE, seed=0), after=20, again=12)
    rng = random.Random(0)
    first = algorithm.ask(20)
    algorithm.tell(
        [evaluated(p, accuracy=rng.uniform(0.5, 0.6), latency_ms=1.0) for p in first[1:]]
    )
    algorithm.tell([evaluated(first[0], accuracy=0.9, latency_ms=1.0)])
    later = []
    for _ in range(12):
        (proposal,) = algorithm.ask(1)
        lucky = proposal.point == first[0].point
        later.append(lucky)
        accuracy = 0.1 if lucky else 0.6
        algorithm.tell([evaluated(proposal, accuracy=accuracy, latency_ms=1.0)])
    assert later.count(True) == 1


def test_what_was_only_copied_counts_once():
    """Random search comes upon points again, and the search gives them what was found before."""
    space = DecisionSpace(choices=(Choice(name="k", options=("3", "5", "7", "9")),))
    algorithm = Confirming(RandomSearch(space, seed=0), after=12, again=3)
    first = algorithm.ask(12)
    points = [proposal.point for proposal in first]
    lucky = max(points, key=points.count)
    assert points.count(lucky) > 2
    others = [point for point in dict.fromkeys(points) if point != lucky]
    worth = {lucky: 0.9, others[0]: 0.6, others[1]: 0.55}
    algorithm.tell([evaluated(p, accuracy=worth.get(p.point, 0.1), latency_ms=1.0) for p in first])
    again = []
    for _ in range(8):
        (one,) = algorithm.ask(1)
        again.append(one.point)
        accuracy = 0.0 if one.point == lucky else worth[one.point]
        algorithm.tell([evaluated(one, accuracy=accuracy, latency_ms=1.0)])
    assert again.count(lucky) == 1  # its mean is 0.45 then, not 0.9 of many and one 0


def test_if_nothing_succeeded_there_is_nothing_to_confirm():
    algorithm = Confirming(RandomSearch(SPACE, seed=0), after=4, again=2)
    for _ in range(10):
        (proposal,) = algorithm.ask(1)
        assert not proposal.again
        algorithm.tell([Failed(proposal=proposal, kind=FailureKind.EXPORT, text="refused")])


@pytest.mark.parametrize(("after", "again"), [(1, 5), (0, 5), (-3, 5), (10, 0)])
def test_without_trials_before_or_again_there_is_no_such_search(after: int, again: int):
    with pytest.raises(ValueError, match=f"got {after} and {again}"):
        Confirming(RandomSearch(SPACE, seed=0), after=after, again=again)
