from dataclasses import replace

import pytest

from devices.clock import SimulatedClock
from devices.device import DeviceState, DeviceTransientError, ModelFile
from devices.loopback.scenario import load
from devices.simulated import SimulatedPhone
from devices.testing import file_of
from exporters.artifact import Precision
from latency.measurement import Statistic
from latency.protocol import Bench, Patience
from latency.sustained import NO_GATE, SESSION_S, Point, sustained
from latency.testing import FakeDevice, broken_model

UNPLUGGED = DeviceTransientError("adb:FAKE1", "device offline")


class TakesItsTime(FakeDevice):
    """Each run passes as long as it was asked to, on a simulated clock."""

    def __init__(self, **how):
        super().__init__(**how)
        self.clock = SimulatedClock()
        self.boots = iter(["first"] * 9999)

    def run(self, model, settings):
        self.clock.sleep(settings.timed_min_s)
        record = super().run(model, settings)
        return replace(record, after=replace(record.after, boot_id=next(self.boots)))


def bench(device):
    return Bench(device=device, patience=Patience(clock=device.clock, attempts=3))


def curve_of(device, tmp_path, *, minutes=1.0, **how):
    model = ModelFile(path=tmp_path / "a", sha256="a" * 64)
    points: list[Point] = []
    curve = sustained(bench(device), model, minutes=minutes, on_point=points.append, **how)
    assert tuple(points) == curve.points
    return curve


def test_sessions_follow_one_another_for_the_time_that_was_asked(tmp_path):
    curve = curve_of(TakesItsTime(), tmp_path, minutes=2)
    assert [point.at_s for point in curve.points] == [SESSION_S * n for n in range(1, 25)]
    assert curve.labels == (NO_GATE,)
    last = curve.points[-1]
    assert (last.temperature_c, last.thermal_status, last.core_khz) == (31.0, 0, (1000, 1800))


def test_a_phone_that_throttles_is_slower_at_the_end_and_its_points_say_why(tiny_model):
    clock = SimulatedClock()
    phone = SimulatedPhone(load("heats"), lambda _: 50.0, clock)
    curve = sustained(
        Bench(device=phone, patience=Patience(clock=clock)),
        file_of(tiny_model),
        minutes=10,
        on_point=lambda _: None,
    )
    assert curve.last_minute_ms > 1.2 * curve.first_minute_ms
    first, last = curve.points[0], curve.points[-1]
    assert (last.thermal_status or 0) > (first.thermal_status or 0)
    assert (last.temperature_c or 0.0) > (first.temperature_c or 99.0)
    assert max(last.core_khz or (9**9,)) < max(first.core_khz or ())
    assert last.at_s >= 600


def test_first_and_last_minute_are_medians_of_their_points(tmp_path):
    device = TakesItsTime(spread=0.0)
    device._median_ms = lambda _: 5.0 + device.clock.now_s()
    curve = curve_of(device, tmp_path, minutes=3)
    assert curve.first_minute_ms == pytest.approx(5 + 32.5)
    assert curve.last_minute_ms == pytest.approx(5 + 152.5)


def test_one_point_is_first_and_last_minute(tmp_path):
    curve = curve_of(TakesItsTime(), tmp_path, minutes=0.01)
    (point,) = curve.points
    assert curve.first_minute_ms == curve.last_minute_ms == point.value_ms


def test_a_session_that_fails_in_passing_is_a_labelled_pause(tmp_path):
    device = TakesItsTime(faults=[None, UNPLUGGED, UNPLUGGED, None, UNPLUGGED])
    curve = curve_of(device, tmp_path)
    assert any("3 of its sessions failed" in label for label in curve.labels)
    assert any("device offline" in label for label in curve.labels)
    assert curve.points[-1].at_s >= 60


def test_a_phone_that_stays_away_cuts_the_curve_and_loses_none_of_its_points(tmp_path):
    device = TakesItsTime(faults=[None, None, *[UNPLUGGED] * 99])
    curve = curve_of(device, tmp_path)
    assert len(curve.points) == 2
    assert len(device.ran) == 5
    assert curve.labels[-2].startswith("sustained: cut off after 10 s: device offline")


def test_one_that_never_answers_and_a_file_that_cannot_run_are_errors(tmp_path):
    with pytest.raises(DeviceTransientError, match="offline"):
        curve_of(TakesItsTime(faults=[UNPLUGGED] * 99), tmp_path)
    device = TakesItsTime(faults=[broken_model()])
    with pytest.raises(type(broken_model()), match="unsupported operator"):
        curve_of(device, tmp_path)
    assert len(device.ran) == 1


def test_a_lost_lease_runs_nothing_more(tmp_path):
    device = TakesItsTime()
    lost = iter([None, None])

    def guard():
        if next(lost, UNPLUGGED):
            raise UNPLUGGED

    watched = replace(bench(device), guard=guard)
    model = ModelFile(path=tmp_path / "a", sha256="a" * 64)
    curve = sustained(watched, model, minutes=1, on_point=lambda _: None)
    assert len(curve.points) == len(device.ran) == 2
    assert "cut off" in curve.labels[-2]


def test_a_reboot_in_between_is_told(tmp_path):
    device = TakesItsTime()
    device.boots = iter(["first"] * 3 + ["second"] * 99)
    curve = curve_of(device, tmp_path)
    assert any("rebooted" in label for label in curve.labels)


def test_median_and_mean_are_never_mixed_in_one_curve(tmp_path, monkeypatch):
    device, other = TakesItsTime(), TakesItsTime(single_runs=False)
    run = device.run
    monkeypatch.setattr(device, "run", lambda *a: (run if len(device.ran) < 2 else other.run)(*a))
    curve = curve_of(device, tmp_path)
    assert len(curve.points) == 2
    assert "do not have one statistic" in curve.labels[-2]
    assert curve.conditions.statistic is Statistic.MEDIAN


def test_its_conditions_have_the_precision_of_the_file(tmp_path):
    curve = curve_of(TakesItsTime(), tmp_path, precision=Precision.INT8)
    assert curve.conditions.precision is Precision.INT8


def test_the_device_is_held_meanwhile_and_let_go(tmp_path):
    device = TakesItsTime()
    held = []
    model = ModelFile(path=tmp_path / "a", sha256="a" * 64)
    sustained(bench(device), model, minutes=1, on_point=lambda _: held.append(device.held))
    assert set(held) == {1}
    assert device.held == 0


@pytest.mark.parametrize("minutes", [0, -1, float("nan"), float("inf")])
def test_a_time_that_is_none_is_refused(tmp_path, minutes):
    with pytest.raises(ValueError, match="positive number of minutes"):
        curve_of(TakesItsTime(), tmp_path, minutes=minutes)


def test_what_is_not_told_is_none(tmp_path, monkeypatch):
    device = TakesItsTime()
    run = device.run
    monkeypatch.setattr(device, "run", lambda *a: replace(run(*a), after=DeviceState()))
    (point, *_) = curve_of(device, tmp_path).points
    assert (point.temperature_c, point.thermal_status, point.core_khz) == (None, None, None)
