import random

from controller.algorithm import START, Failed, FailureKind, Proposal, Skipped
from controller.population import Population
from controller.testing import evaluated


def proposal(index):
    return Proposal(index=index, point=(index,))


def test_it_has_parents_when_as_many_have_joined_as_it_holds():
    population = Population(size=2, tournament=1)
    population.join(evaluated(proposal(0), accuracy=0.1, latency_ms=1.0))
    assert not population.has_parents
    population.join(Failed(proposal=proposal(1), kind=FailureKind.EXPORT, text="no operator"))
    assert not population.has_parents
    population.join(Skipped(proposal=proposal(2), latency_ms=9.0, bound=0.5))
    assert population.has_parents


def test_one_that_began_with_a_member_has_parents_at_once_and_lets_it_die_like_any_other():
    start = evaluated(proposal(START), accuracy=0.9, latency_ms=1.0)
    population = Population(size=2, tournament=2, start=start)
    assert population.has_parents
    assert population.parent(random.Random(0)).index == START
    for index in range(2):
        population.join(evaluated(proposal(index), accuracy=index / 10, latency_ms=1.0))
    assert population.parent(random.Random(0)).index == 1


def test_the_best_of_the_youngest_wins_a_tournament_of_all():
    population = Population(size=3, tournament=3)
    for index, accuracy in enumerate((0.9, 0.2, 0.6, 0.4)):
        population.join(evaluated(proposal(index), accuracy=accuracy, latency_ms=1.0))
    parent = population.parent(random.Random(0))
    assert (parent.index, parent.point) == (2, (2,))


def test_in_a_tournament_of_one_every_member_wins():
    population = Population(size=3, tournament=1)
    for index in range(3):
        population.join(evaluated(proposal(index), accuracy=index / 3, latency_ms=1.0))
    assert {population.parent(random.Random(seed)).index for seed in range(40)} == {0, 1, 2}
