from dataclasses import replace

import pytest

from controller.algorithm import Evaluated
from controller.finish import best, best_of, front, measure_front, member_of
from controller.found_latency import FoundLatency
from controller.objectives import parse
from controller.reward import Reward, RewardMode, macs_reward
from latency.measurement import Verdict
from latency.source import Decides, Origin
from workspace.errors import InputError


@pytest.fixture
def study(lab):
    return lab.run(lab.study(), trials=40)


@pytest.fixture
def phone(lab):
    def say(_, estimate):
        slower_ms = 1.5 * estimate.latency_ms
        return replace(
            estimate,
            latency_ms=slower_ms,
            high_ms=2 * slower_ms,
            origin=Origin.MEASURED,
            source="adb:FAKE",
        )

    return lab.Source(say=say)


def found_in(study):
    return [c for c in study.candidates() if isinstance(c.outcome, Evaluated)]


def test_the_front_has_all_that_nothing_beats(lab, study):
    members = front(study, lab.reward)
    assert len(members) > 2
    assert [m.predicted.latency_ms for m in members] == sorted(
        m.predicted.latency_ms for m in members
    )
    accuracies = [m.accuracy for m in members]
    assert accuracies == sorted(set(accuracies))
    for other in found_in(study):
        assert any(
            member.accuracy >= other.training.accuracy
            and member.predicted.latency_ms <= other.latency.latency_ms
            for member in members
        )


def test_the_best_of_all_is_on_it(lab, study):
    chosen = best(study, lab.reward)
    assert chosen is not None
    assert chosen.reward == max(candidate.reward for candidate in found_in(study))


def test_it_is_measured_again_in_one_batch_and_shown_beside(lab, study, phone):
    evaluation = lab.evaluation(study, source=phone, timed_size=32)
    before = front(study, lab.reward)
    assert all(member.measured is None for member in before)
    found = list(measure_front(study, evaluation, "final"))
    assert len(found) == len(before)
    assert {request.preset for request in phone.asked} == {"final"}
    assert {request.decides for request in phone.asked} == {Decides.FRONT}
    assert {request.subject.architecture.size for request in phone.asked} == {32}
    after = front(study, lab.reward)
    for old, new in zip(before, after, strict=True):
        assert new.predicted == old.predicted
        assert new.measured is not None
        assert new.measured.source == "adb:FAKE"
        assert new.latency == new.measured
        assert new.reward == lab.reward.value(new.accuracy, new.measured.latency_ms)
        assert new.reward < old.reward


def test_it_is_measured_once(lab, study, phone):
    list(measure_front(study, lab.evaluation(study, source=phone), "final"))
    asked = len(phone.asked)
    assert list(measure_front(study, lab.evaluation(study, source=phone), "final")) == []
    assert len(phone.asked) == asked


def test_a_table_measures_nothing(lab, study):
    assert list(measure_front(study, lab.evaluation(study), "final")) == []
    assert all(member.measured is None for member in front(study, lab.reward))


def test_what_cannot_be_measured_is_told_and_keeps_its_prediction(lab, study):
    source = lab.Source(
        say=lambda request, _: lab.LatencyFailure(
            request_id=request.id, text="the phone is gone", retryable=True
        )
    )
    answers = list(measure_front(study, lab.evaluation(study, source=source), "final"))
    members = front(study, lab.reward)
    assert [getattr(one, "text", "") for one in answers] == ["the phone is gone"] * len(members)
    assert len(source.asked) == 3 * len(members)
    assert all(member.latency == member.predicted for member in members)


def test_a_rejected_measurement_is_shown_and_not_used(lab, study, phone):
    bad = lab.Source(say=lambda r, e: replace(phone.say(r, e), verdict=Verdict.REJECTED))
    list(measure_front(study, lab.evaluation(study, source=bad), "final"))
    for member in front(study, lab.reward):
        assert member.measured is not None
        assert member.latency == member.predicted


def test_within_a_hard_target_comes_before_a_little_beyond(study):
    hard = Reward(mode=RewardMode.HARD, target_ms=5.0)
    fast, slow = (
        with_latency(study, hard, ms, accuracy) for ms, accuracy in ((5, 0.6), (5.1, 0.9))
    )
    assert slow.reward > fast.reward
    assert best_of([slow, fast], hard) == fast
    assert best_of([slow], hard) == slow
    soft = Reward(mode=RewardMode.SOFT, target_ms=5.0)
    assert best_of([slow, fast], soft) == slow
    assert best_of([], soft) is None


def with_latency(study, reward, latency_ms, accuracy):
    candidate = found_in(study)[0]
    latency: FoundLatency = replace(candidate.latency, latency_ms=latency_ms)
    training = replace(candidate.training, accuracy=accuracy)
    return member_of(replace(candidate, latency=latency, training=training), reward)


def test_who_was_not_evaluated_is_no_member(lab, study):
    failed = next(c for c in study.candidates() if not c.key)
    with pytest.raises(ValueError, match=f"trial {failed.index} was not evaluated"):
        member_of(failed, lab.reward)


def test_a_size_that_the_front_cannot_run_at_is_refused(lab, study, phone):
    with pytest.raises(InputError, match="at least 4"):
        list(measure_front(study, lab.evaluation(study, source=phone, timed_size=1), "final"))


def test_by_multiply_adds_the_best_is_on_a_front_with_them_and_its_latency_changes_nothing(
    lab, phone
):
    reward, names = macs_reward(2e4), parse(["accuracy", "latency_ms"])
    study = lab.study()
    evaluation = lab.evaluation(study, source=phone, reward=reward, objectives=names)
    lab.run(study, evaluation, trials=30)
    assert evaluation.deciding == parse(["accuracy", "macs"])
    before = best(study, reward, names)
    assert before is not None
    assert before.reward == max(candidate.reward for candidate in found_in(study))
    figures = {one.name: one.value for one in before.objectives}
    assert before.reward == reward.rated(before.accuracy, figures)
    list(measure_front(study, evaluation, "final"))
    after = best(study, reward, names)
    assert after is not None
    assert after.measured is not None
    assert (after.candidate.index, after.reward) == (before.candidate.index, before.reward)
