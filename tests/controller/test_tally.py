import pytest

from controller.algorithm import AGAIN, Failed, FailureKind, Proposal
from controller.tally import Tally
from controller.testing import evaluated


def proposal(index, point, again=0):
    return Proposal(index=index, point=point, note={AGAIN: again} if again else {})


def test_trainings_are_counted_and_copies_are_not():
    tally = Tally()
    made = [proposal(0, (1,)), proposal(1, (1,)), proposal(2, (1,), again=1), proposal(3, (2,))]
    assert [tally.count(one) for one in made] == [0, 1, 1, 0]
    assert (tally.trainings((1,)), tally.trainings((2,)), tally.trainings((3,))) == (2, 1, 0)


def test_rewards_are_means_over_trainings():
    tally = Tally()
    told = [(0, (1,), 0, 0.8), (1, (1,), 0, 0.8), (2, (1,), 1, 0.4), (3, (2,), 0, 0.7)]
    for index, point, again, accuracy in told:
        one = proposal(index, point, again)
        tally.learn(evaluated(one, accuracy=accuracy, latency_ms=0.0))
    assert tally.rewards == {(1,): pytest.approx(0.6), (2,): 0.7}
    assert tally.best() == (2,)
    assert [one.proposal.index for one in tally.evaluated((1,))] == [0, 2]


def test_of_equals_the_first_is_the_best():
    tally = Tally()
    for index in range(3):
        tally.learn(evaluated(proposal(index, (index,)), accuracy=0.5, latency_ms=1.0))
    assert tally.best() == (0,)


def test_nothing_is_the_best_of_what_failed():
    tally = Tally()
    tally.learn(Failed(proposal=proposal(0, (1,)), kind=FailureKind.EXPORT, text="refused"))
    assert not tally
    with pytest.raises(ValueError, match="nothing was evaluated"):
        tally.best()
