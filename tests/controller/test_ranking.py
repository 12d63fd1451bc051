from dataclasses import replace

import pytest

from controller.algorithm import AGAIN
from controller.finish import member_of
from controller.ranking import LEAST_FREEDOM, Ranking, noise_of, trained


@pytest.fixture
def found(lab):
    """Evaluated candidates of different networks, latencies known exactly."""
    study = lab.run(lab.study(), trials=40)
    return [
        replace(
            one,
            latency=replace(one.latency, latency_ms=2.0, low_ms=2.0, high_ms=2.0),
            training=replace(one.training, accuracy=0.5 + one.index / 1000),
        )
        for one in study.candidates()
        if one.training and one.same_as is None
    ]


def again(candidate, *accuracies):
    """A candidate and more trainings of its network."""
    proposal = replace(candidate.proposal, note={AGAIN: 1})
    more = [
        replace(
            candidate,
            proposal=replace(proposal, index=1000 + number),
            training=replace(candidate.training, accuracy=accuracy),
        )
        for number, accuracy in enumerate(accuracies)
    ]
    return [candidate, *more]


def with_accuracy(candidate, accuracy):
    return replace(candidate, training=replace(candidate.training, accuracy=accuracy))


def test_the_noise_is_how_far_trainings_of_one_network_differ():
    told = noise_of([[0.5], [0.6, 0.62], [0.7, 0.74, 0.72], [0.8]])
    assert told is not None
    noise, freedom = told
    assert freedom == LEAST_FREEDOM
    squares = 2 * 0.01**2 + 2 * 0.02**2
    assert noise == pytest.approx((squares / 3) ** 0.5)


def test_too_few_trainings_tell_no_noise(lab, found):
    assert noise_of([[0.5, 0.6], [0.7, 0.71], [0.8]]) is None
    members = [member_of(one, lab.reward) for one in found[:3]]
    assert Ranking.of(members, found, lab.reward) is None


def test_copies_of_figures_are_no_trainings(found):
    copied = replace(found[0], same_as=found[0].index)
    assert trained([found[0], copied, copied]) == {found[0].key: [found[0].training.accuracy]}


def test_of_two_far_apart_the_better_is_sure(lab, found):
    low, high = with_accuracy(found[0], 0.6), with_accuracy(found[1], 0.8)
    candidates = [*again(low, 0.61, 0.59), *again(high, 0.81, 0.79), *found[2:]]
    ranking = Ranking.of(
        [member_of(one, lab.reward) for one in (low, high)], candidates, lab.reward
    )
    assert ranking is not None
    first, second = ranking.members
    assert (first.index, first.trainings) == (high.index, 3)
    assert first.best > 0.99
    assert not second.tied
    assert first.accuracy_low < 0.8 < first.accuracy_high
    assert "not separated" not in ranking.sentence


def test_two_inside_each_others_noise_are_not_ranked(lab, found):
    low, high = with_accuracy(found[0], 0.70), with_accuracy(found[1], 0.71)
    candidates = [*again(low, 0.74, 0.66), *again(high, 0.67, 0.75), *found[2:]]
    ranking = Ranking.of(
        [member_of(one, lab.reward) for one in (low, high)], candidates, lab.reward
    )
    assert ranking is not None
    first, second = ranking.members
    assert 0.4 < first.best < SURE_ENOUGH
    assert second.tied
    assert f"not separated from trial {second.index}" in ranking.sentence


SURE_ENOUGH = 0.9


def test_who_was_trained_once_is_less_sure_and_drawn_to_the_others(lab, found):
    once, often = with_accuracy(found[0], 0.80), with_accuracy(found[1], 0.80)
    candidates = [once, *again(often, 0.84, 0.76, 0.82, 0.78), *found[2:]]
    members = [member_of(one, lab.reward) for one in (once, often)]
    ranking = Ranking.of(members, candidates, lab.reward)
    assert ranking is not None
    by_index = {one.index: one for one in ranking.members}
    lucky, sure = by_index[once.index], by_index[often.index]
    assert lucky.accuracy_high - lucky.accuracy_low > sure.accuracy_high - sure.accuracy_low
    assert lucky.accuracy_low + lucky.accuracy_high < sure.accuracy_low + sure.accuracy_high
    assert sure.best > lucky.best


def test_latencies_that_overlap_leave_the_order_open_too(lab, found):
    unsure = replace(found[0].latency, latency_ms=2.0, low_ms=1.0, high_ms=3.0)
    slow = replace(found[1].latency, latency_ms=2.2, low_ms=1.2, high_ms=3.2)
    one = replace(with_accuracy(found[0], 0.7), latency=unsure)
    two = replace(with_accuracy(found[1], 0.7), latency=slow)
    candidates = [*again(one, 0.7, 0.7), *again(two, 0.7, 0.7), *found[2:]]
    ranking = Ranking.of(
        [member_of(one, lab.reward), member_of(two, lab.reward)], candidates, lab.reward
    )
    assert ranking is not None
    assert ranking.noise == 0.0
    assert ranking.members[1].tied
