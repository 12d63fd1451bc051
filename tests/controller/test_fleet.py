"""Searches for two devices: their latencies found, kept, resumed, finished and told apart."""

from dataclasses import replace

import pytest

from controller.algorithm import Evaluated
from controller.finish import front, measure_front
from controller.fleet import device_results
from controller.prediction_check import PredictionCheck
from controller.replay import replay
from controller.reward import Reward, RewardMode
from controller.summary import summarize
from latency.fleet import FleetDevice, FleetSource
from latency.load import FleetRule, LoadRule
from latency.measurement import Verdict
from latency.source import Origin

HARD = Reward(mode=RewardMode.HARD, target_ms=1.0)


@pytest.fixture
def fleet(lab):
    """Makes a fleet of two fakes, the second of which dislikes large kernels."""
    opened = []

    def second(request, estimate):
        kernel = request.subject.architecture.stages[0].kernel
        factor = {3: 0.6, 5: 1.0, 7: 1.6}[kernel]
        return replace(
            estimate,
            latency_ms=factor * estimate.latency_ms,
            low_ms=factor * estimate.low_ms,
            high_ms=factor * estimate.high_ms,
        )

    def make(kind=FleetRule.WORST, *, first=None, say=second, targets_ms=(9.0, 4.6)):
        devices = [
            FleetDevice(name="a", source=lab.Source(say=first), target_ms=targets_ms[0]),
            FleetDevice(name="b", source=lab.Source(say=say), target_ms=targets_ms[1]),
        ]
        rule = LoadRule(kind=kind, weights=(1.0, 1.0), exponents=HARD.exponents)
        opened.append(FleetSource(devices, rule))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def searched(lab, source, *, trials=40, name="study", reward=HARD, **settings):
    study = lab.study(name)
    evaluation = lab.evaluation(study, source=source, reward=reward, **settings)
    return lab.run(study, evaluation, trials=trials)


def evaluated_in(study):
    return [c for c in study.candidates() if isinstance(c.outcome, Evaluated)]


def test_every_devices_own_latency_is_kept_with_the_candidate(lab, fleet):
    study = searched(lab, fleet())
    for one in evaluated_in(study):
        a, b = one.latency.devices
        assert (a.name, a.target_ms, b.name, b.target_ms) == ("a", 9.0, "b", 4.6)
        assert one.latency.latency_ms == max(a.found.latency_ms / 9.0, b.found.latency_ms / 4.6)
        assert a.found.low_ms == pytest.approx(0.9 * a.found.latency_ms)
        assert (a.found.verdict, a.found.source) == ("stable", "fake")
        assert one.latency.in_words == f"load {one.latency.latency_ms:.4g}"
        assert a.found.in_words == f"{a.found.latency_ms:.4g} ms"
        assert one.latency.peak_memory_mb is None  # fakes tell none
        assert one.reward == HARD.value(one.training.accuracy, one.latency.latency_ms)


def test_each_device_has_its_own_best_of_all_that_was_evaluated(lab, fleet):
    study = searched(lab, fleet())
    results = device_results(tuple(study.candidates()), HARD)
    assert [one.name for one in results] == ["a", "b"]
    for place, result in enumerate(results):
        own = replace(HARD, target_ms=result.target_ms)
        rewards = {}
        for one in evaluated_in(study):
            latency_ms = one.latency.devices[place].found.latency_ms
            rewards[one.index] = own.value(one.training.accuracy, latency_ms)
        assert result.best.reward == max(rewards.values())
        assert result.best.candidate.index in [m.candidate.index for m in result.front]
        latencies = [member.latency.latency_ms for member in result.front]
        assert latencies == sorted(latencies)
    assert results[0].best.candidate.key != results[1].best.candidate.key


def test_one_network_for_all_is_within_every_target_where_the_limit_is_hard(lab, fleet):
    best = summarize(searched(lab, fleet()), HARD).best
    assert all(one.found.latency_ms <= one.target_ms for one in best.latency.devices)


def test_for_each_the_reward_that_is_told_is_the_mean_of_the_devices_rewards(lab, fleet):
    for one in evaluated_in(searched(lab, fleet(FleetRule.EACH))):
        own = [
            replace(HARD, target_ms=device.target_ms).value(
                one.training.accuracy, device.found.latency_ms
            )
            for device in one.latency.devices
        ]
        assert one.reward == pytest.approx(sum(own) / 2)


def test_a_search_that_is_cut_off_goes_on_as_it_would_have(lab, fleet):
    whole = searched(lab, fleet(), name="whole", trials=30)
    study = lab.study("cut")
    evaluation = lab.evaluation(study, source=fleet(), reward=HARD)
    observer = lab.Notebook(interrupt_after=11)
    with pytest.raises(KeyboardInterrupt):
        lab.search(study, evaluation, trials=30, observer=observer).run()
    assert study.counts()[1] < 30
    searched(lab, fleet(), name="cut", trials=30)
    assert [(c.key, c.latency, c.reward) for c in study.candidates()] == [
        (c.key, c.latency, c.reward) for c in whole.candidates()
    ]
    assert replay(study, lab.algorithm()).outcomes == 30


def test_a_device_that_rejects_fails_the_trial_and_is_named(lab, fleet):
    def rejecting(_, estimate):
        return replace(estimate, verdict=Verdict.REJECTED)

    with pytest.raises(Exception, match="its latency was rejected: b: "):
        searched(lab, fleet(say=rejecting), trials=3)


def test_a_device_that_fails_fails_the_trial_and_is_named(lab, fleet):
    def failing(request, estimate):
        if request.id == "trial-2":
            return lab.LatencyFailure(request_id=request.id, text="it is off", retryable=False)
        return estimate

    study = searched(lab, fleet(say=failing), trials=6)
    assert study.candidate(2).text == "b: it is off"
    assert study.candidate(2).latency is None


def test_what_is_too_slow_on_the_whole_is_not_trained(lab, fleet):
    study = searched(lab, fleet(), skip_above=1.2)
    for one in study.candidates():
        if one.latency is not None:
            assert (one.training is None) == (one.latency.latency_ms > 1.2)


def measured(factor):
    def say(_, estimate):
        return replace(
            estimate,
            latency_ms=factor * estimate.latency_ms,
            low_ms=factor * estimate.low_ms,
            high_ms=factor * estimate.high_ms,
            origin=Origin.MEASURED,
            source="adb:FAKE",
        )

    return say


def test_at_the_end_front_and_every_devices_best_are_measured_on_all(lab, fleet):
    study = searched(lab, fleet())
    before = front(study, HARD)
    also = [r.best.candidate.index for r in device_results(tuple(study.candidates()), HARD)]
    phones = fleet(first=measured(1.5), say=measured(2.0))
    evaluation = lab.evaluation(study, source=phones, reward=HARD)
    found = list(measure_front(study, evaluation, "final", also=also))
    indices = {member.candidate.index for member in before} | set(also)
    finals = {c.index: c.final for c in study.candidates() if c.final is not None}
    assert finals.keys() == indices
    assert len(found) == len(indices)
    for final in finals.values():
        assert [one.found.source for one in final.devices] == ["adb:FAKE"] * 2
    for result in device_results(tuple(study.candidates()), HARD):
        told = [m for m in result.front if m.measured is not None]
        assert told
        assert all(member.measured.source == "adb:FAKE" for member in told)


def test_what_is_measured_on_one_device_alone_is_kept_and_said_of_that_one(lab, fleet):
    study = searched(lab, fleet())
    evaluation = lab.evaluation(study, source=fleet(say=measured(1.5)), reward=HARD)
    list(measure_front(study, evaluation, "final"))
    (member, *_) = front(study, HARD)
    assert (member.measured.is_measured, member.measured.measured_on) == (False, 1)
    a, b = device_results(tuple(study.candidates()), HARD)
    assert all(each.measured is None for each in a.front)
    assert any(each.measured is not None for each in b.front)


def test_nothing_is_kept_of_a_last_look_at_tables(lab, fleet):
    study = searched(lab, fleet())
    assert list(measure_front(study, lab.evaluation(study, source=fleet()), "final")) == []
    assert all(one.final is None for one in study.candidates())


def test_predictions_are_checked_device_by_device(lab, fleet):
    study = searched(lab, fleet())
    evaluation = lab.evaluation(
        study, source=fleet(first=measured(1.0), say=measured(1.0)), reward=HARD
    )
    list(measure_front(study, evaluation, "final"))
    check = PredictionCheck.of(study.candidates())
    assert check.networks == 2 * len(front(study, HARD))


def test_without_trials_and_without_a_fleet_there_are_no_devices(lab):
    assert device_results((), HARD) == ()
    study = lab.run(lab.study())
    assert summarize(study, lab.reward).devices == ()
