from contextlib import contextmanager
from dataclasses import replace

import pytest

from devices.clock import SimulatedClock
from devices.device import (
    DeviceBusyError,
    DevicePermanentError,
    DeviceState,
    DeviceTransientError,
    ModelFile,
    RunSettings,
)
from exporters.artifact import Precision
from latency.measurement import Statistic, Verdict
from latency.presets import FINAL, QUICK, SEARCH
from latency.protocol import (
    Bench,
    Candidate,
    Measured,
    NotMeasured,
    Patience,
    measure,
    measure_batch,
)
from latency.testing import FakeDevice, broken_model

UNPLUGGED = DeviceTransientError("adb:FAKE1", "device offline")


class RecordingClock(SimulatedClock):
    """Keeps how long it was asked to wait."""

    def __init__(self):
        super().__init__()
        self.slept: list[float] = []

    def sleep(self, seconds):
        self.slept.append(seconds)
        super().sleep(seconds)


def model(tmp_path, name="a"):
    return ModelFile(path=tmp_path / name, sha256=name * 64)


def timed(tmp_path, device, protocol=SEARCH, precision=Precision.FP32, **bench):
    return measure(Bench(device=device, **bench), model(tmp_path), precision, protocol)


@pytest.fixture
def patience():
    """Waits for nothing, and tells how long it would have."""
    clock = RecordingClock()
    return Patience(attempts=3, pause_s=0.5, clock=clock), clock.slept


def batch(tmp_path, names="abcd", protocol=SEARCH):
    return [
        Candidate(model=model(tmp_path, name), precision=Precision.FP32, protocol=protocol)
        for name in names
    ]


def test_a_calm_device_needs_the_least_sessions(tmp_path):
    device = FakeDevice(spread=0.001)
    measurement = timed(tmp_path, device)
    assert measurement.verdict is Verdict.STABLE
    assert measurement.reason == ""
    assert len(measurement.sessions) == SEARCH.sessions_min == len(device.ran)
    assert measurement.interval.low_ms <= measurement.median_ms <= measurement.interval.high_ms
    assert measurement.median_ms == pytest.approx(5.0, rel=0.01)


def test_a_noisy_one_gets_more_until_the_interval_is_narrow(tmp_path):
    measurement = measure(
        Bench(device=FakeDevice(spread=0.01, seed=4)), model(tmp_path), Precision.FP32, FINAL
    )
    assert measurement.verdict is Verdict.STABLE
    assert FINAL.sessions_min < len(measurement.sessions) < FINAL.sessions_max
    width = measurement.interval.high_ms - measurement.interval.low_ms
    assert width / 2 <= FINAL.half_width * measurement.median_ms


def test_noise_beyond_the_budget_is_called_unstable_with_its_width(tmp_path):
    measurement = measure(
        Bench(device=FakeDevice(spread=0.2)), model(tmp_path), Precision.FP32, SEARCH
    )
    assert measurement.verdict is Verdict.UNSTABLE
    assert len(measurement.sessions) == SEARCH.sessions_max
    assert "after 12 sessions" in measurement.reason
    assert "asks for +-2%" in measurement.reason


def test_sessions_run_under_the_protocol_where_the_placement_says(tmp_path):
    device = FakeDevice()
    placement = RunSettings(threads=2, cores=(4, 5), timeout_s=500)
    measurement = measure(
        Bench(device=device, placement=placement), model(tmp_path), Precision.INT8, FINAL
    )
    (settings,) = set(device.settings)
    assert (settings.threads, settings.cores, settings.timeout_s) == (2, (4, 5), 500)
    assert (settings.warmup_runs, settings.warmup_min_s) == (FINAL.warmup_runs, FINAL.warmup_min_s)
    assert (settings.timed_runs, settings.timed_min_s) == (FINAL.timed_runs, FINAL.timed_min_s)
    assert measurement.conditions.setup == device.setup(settings)
    assert measurement.conditions.precision is Precision.INT8
    assert measurement.artifact_sha256 == "a" * 64
    assert measurement.protocol == FINAL


def test_the_mean_stands_for_a_session_only_where_there_is_no_median(tmp_path):
    with_runs = timed(tmp_path, FakeDevice())
    without = measure(
        Bench(device=FakeDevice(single_runs=False)), model(tmp_path), Precision.FP32, SEARCH
    )
    assert with_runs.conditions.statistic is Statistic.MEDIAN
    assert without.conditions.statistic is Statistic.MEAN


def test_median_and_mean_are_never_mixed(tmp_path, monkeypatch):
    device, other = FakeDevice(), FakeDevice(single_runs=False)
    run = device.run
    monkeypatch.setattr(device, "run", lambda *a: (run if len(device.ran) < 2 else other.run)(*a))
    with pytest.raises(DevicePermanentError, match="do not have one statistic"):
        timed(tmp_path, device)


def test_an_error_in_passing_costs_a_retry_after_longer_and_longer_pauses(tmp_path, patience):
    waiting, slept = patience
    device = FakeDevice(faults=[UNPLUGGED, UNPLUGGED, None, UNPLUGGED])
    measurement = measure(
        Bench(device=device, patience=waiting), model(tmp_path), Precision.FP32, SEARCH
    )
    assert len(measurement.sessions) == SEARCH.sessions_min
    assert slept == [0.5, 1.0, 0.5]


@pytest.mark.parametrize("error", [UNPLUGGED, DeviceBusyError("adb:FAKE1", "taken")])
def test_attempts_come_to_an_end(tmp_path, patience, error):
    waiting, slept = patience
    device = FakeDevice(faults=[error] * 99)
    with pytest.raises(type(error)):
        timed(tmp_path, device, patience=waiting)
    assert len(device.ran) == 3
    assert slept == [0.5, 1.0]


def test_an_error_for_good_is_not_retried(tmp_path, patience):
    waiting, slept = patience
    device = FakeDevice(faults=[broken_model()])
    with pytest.raises(DevicePermanentError, match="unsupported operator"):
        timed(tmp_path, device, patience=waiting)
    assert (len(device.ran), slept) == (1, [])


def test_a_session_in_which_the_device_grew_hot_does_not_count(tmp_path, patience, monkeypatch):
    waiting, slept = patience
    device = FakeDevice()
    run = device.run

    def heated(*arguments):
        record = run(*arguments)
        return replace(record, after=DeviceState(thermal_status=2)) if not slept else record

    monkeypatch.setattr(device, "run", heated)
    measurement = measure(
        Bench(device=device, patience=waiting), model(tmp_path), Precision.FP32, SEARCH
    )
    assert len(measurement.sessions) == SEARCH.sessions_min
    assert len(device.ran) == SEARCH.sessions_min + 1
    assert all(session.after.thermal_status == 0 for session in measurement.sessions)


def test_sessions_of_a_batch_are_interleaved_in_random_order(tmp_path):
    device = FakeDevice()
    list(measure_batch(Bench(device=device), batch(tmp_path, "abcdef"), seed=3))
    rounds = [[m.sha256[0] for m in device.ran[i : i + 6]] for i in range(0, 30, 6)]
    assert all(sorted(names) == list("abcdef") for names in rounds)
    assert len({tuple(names) for names in rounds}) == 5


def test_the_order_is_decided_by_the_seed(tmp_path):
    def order(seed):
        device = FakeDevice()
        list(measure_batch(Bench(device=device), batch(tmp_path), seed=seed))
        return [each.sha256 for each in device.ran]

    assert order(1) == order(1) != order(2)


def test_each_candidate_of_a_batch_is_answered_once_under_its_own_protocol(tmp_path):
    candidates = [*batch(tmp_path, "ab", QUICK), *batch(tmp_path, "cd", FINAL)]
    results = list(measure_batch(Bench(device=FakeDevice()), candidates))
    assert sorted(result.index for result in results) == [0, 1, 2, 3]
    assert [result.index in (0, 1) for result in results] == [True, True, False, False]
    measured = [result for result in results if isinstance(result, Measured)]
    protocols = {result.index: result.measurement.protocol for result in measured}
    assert protocols == dict(enumerate([QUICK, QUICK, FINAL, FINAL]))


def test_a_model_that_cannot_run_leaves_the_rest_of_its_batch_alone(tmp_path):
    device = FakeDevice(faults=[broken_model()])
    results = list(measure_batch(Bench(device=device), batch(tmp_path)))
    kinds = [type(result) for result in results]
    assert (kinds.count(NotMeasured), kinds.count(Measured)) == (1, 3)


def test_a_device_that_is_gone_fails_what_is_left_at_once(tmp_path, patience):
    waiting, slept = patience
    device = FakeDevice()
    device.gone = UNPLUGGED
    results = list(measure_batch(Bench(device=device, patience=waiting), batch(tmp_path)))
    errors = {r.index: r.error for r in results if isinstance(r, NotMeasured)}
    assert errors == dict.fromkeys(range(4), UNPLUGGED)
    assert slept == [0.5, 1.0]


class Changing(FakeDevice):
    """A fake whose state is another one for each session."""

    def __init__(self, states):
        super().__init__()
        self.states, self.holds = states, 0

    def state(self):
        return self.states[min(len(self.ran), len(self.states) - 1)]

    @contextmanager
    def hold(self, settings):
        with super().hold(settings):
            self.holds += 1
            yield (f"hold {self.holds}",)


def test_a_phone_that_was_rebooted_is_held_anew_and_the_session_does_not_count(tmp_path, patience):
    # The state before the third session is that of a second start of the system.
    device = Changing([DeviceState(boot_id="a")] * 3 + [DeviceState(boot_id="b")])
    found = timed(tmp_path, device, protocol=QUICK, patience=patience[0])
    assert device.holds == 2
    assert device.held == 0
    assert {session.before.boot_id for session in found.sessions} <= {"a", "b"}
    assert len(device.ran) == len(found.sessions) + 1
    assert found.labels[:2] == ("hold 1", "hold 2")


def test_sessions_on_the_charger_and_off_it_are_not_compared(tmp_path, patience):
    on, off = DeviceState(charging=True), DeviceState(charging=False)
    device = Changing([on, on, on, off, off, off, off, off, off, off])
    found = timed(tmp_path, device, protocol=QUICK, patience=patience[0])
    assert {session.after.charging for session in found.sessions} == {False}


def test_a_phone_with_much_else_to_do_is_labelled(tmp_path):
    device = Changing([DeviceState(battery_percent=80, load=11.5)])
    found = timed(tmp_path, device, protocol=QUICK)
    assert "load: up to 11.5 before its sessions" in found.labels


def test_each_session_and_each_wait_is_told(tmp_path, patience):
    hot, cool = DeviceState(thermal_status=1), DeviceState(thermal_status=0)
    told: list[str] = []

    class Cools(FakeDevice):
        looks = 0

        def state(self):
            self.looks += 1
            return hot if self.looks == 2 else cool

    timed(tmp_path, Cools(), protocol=QUICK, patience=patience[0], tell=told.append)
    assert told[0] == "waiting: its thermal status is 1, 0 is needed"
    assert [text.partition(":")[0] for text in told[1:]] == [
        f"session {n} of 4 at most" for n in (1, 2, 3)
    ]
