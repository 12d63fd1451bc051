from dataclasses import replace
from datetime import UTC, datetime

import pytest

from devices.clock import SimulatedClock
from devices.device import ClockTier, DeviceState, RawRuns, RunRecord, RunSettings
from latency.baseline import Baselines
from latency.gates import Gate, Limits, NotReadyError, spent_ticks
from latency.testing import FakeDevice


@pytest.fixture
def gate():
    return Gate(baselines=Baselines(path=None))


class Cooling(FakeDevice):
    """A fake whose state depends on the time."""

    def __init__(self, clock, state_at):
        super().__init__()
        self.clock, self.state_at = clock, state_at

    def state(self):
        return self.state_at(self.clock.now_s())


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (DeviceState(battery_percent=29), "29 %, 30 % are needed"),
        (DeviceState(power_saver=True), "power saver is on"),
        (DeviceState(thermal_status=1), "thermal status is 1"),
        (DeviceState(temperature_c=37.1), "battery has 37.1 C"),
    ],
)
def test_a_phone_that_is_not_fit_may_not_start(gate, state, reason):
    assert reason in gate.why_not("unit", state)


@pytest.mark.parametrize(
    "state",
    [
        DeviceState(),
        DeviceState(battery_percent=30, temperature_c=37.0, thermal_status=0, power_saver=False),
    ],
)
def test_a_fit_phone_and_one_that_tells_nothing_may_start(gate, state):
    assert gate.why_not("unit", state) == ""


def test_a_zone_above_its_rest_keeps_a_session_waiting_until_it_is_cool(gate):
    clock = SimulatedClock()
    gate.baselines.see("unit", [("soc", 30.0)])
    device = Cooling(clock, lambda now_s: DeviceState(zones_c=(("soc", 45.0 - now_s / 10),)))
    waited_s = gate.wait(device, "unit", clock)
    assert 120 <= waited_s <= 140


def test_a_zone_that_gets_no_cooler_is_at_rest_after_a_while(gate):
    clock = SimulatedClock()
    gate.baselines.see("unit", [("modem", 30.0)])
    device = Cooling(clock, lambda _: DeviceState(zones_c=(("modem", 41.0),)))
    assert 120 <= gate.wait(device, "unit", clock) <= 160
    assert gate.wait(device, "unit", clock) == 0


def test_a_phone_that_stays_hot_is_given_up_with_the_reason(gate):
    clock = SimulatedClock()
    device = Cooling(clock, lambda _: DeviceState(thermal_status=2))
    with pytest.raises(NotReadyError, match="thermal status is 2"):
        gate.wait(device, "unit", clock)
    assert clock.now_s() >= Limits().patience_s


def test_nobody_waits_for_a_battery_to_charge(gate):
    clock = SimulatedClock()
    with pytest.raises(NotReadyError, match="charge it"):
        gate.wait(Cooling(clock, lambda _: DeviceState(battery_percent=5)), "unit", clock)
    assert clock.now_s() == 0


def record(before, after):
    return RunRecord(
        samples=RawRuns(runs_ms=(1.0,)),
        first_ms=None,
        init_ms=None,
        peak_memory_mb=None,
        before=before,
        after=after,
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (DeviceState(boot_id="a"), DeviceState(boot_id="b"), "rebooted"),
        (DeviceState(thermal_status=0), DeviceState(thermal_status=1), "thermal status was 1"),
        (DeviceState(), DeviceState(temperature_c=40.5), "over the ceiling"),
        (DeviceState(charging=True), DeviceState(charging=False), "charger"),
    ],
)
def test_a_session_in_which_something_happened_does_not_count(gate, before, after, reason):
    setup = FakeDevice().setup(RunSettings())
    assert reason in gate.why_refused(setup, record(before, after))


def test_a_session_in_which_nothing_happened_counts(gate):
    setup = FakeDevice().setup(RunSettings())
    state = DeviceState(boot_id="a", thermal_status=0, temperature_c=30.0, charging=True)
    assert gate.why_refused(setup, record(state, state)) == ""


def clocked(*ticks):
    """Ticks at 1 and 2 GHz of core 0 since the system started."""
    return DeviceState(time_in_state=((0, 1_000_000, ticks[0]), (0, 2_000_000, ticks[1])))


@pytest.mark.parametrize(
    ("slow", "fast", "refused"), [(5, 95, False), (15, 85, True), (100, 0, True)]
)
def test_a_session_below_its_clock_for_too_long_does_not_count(gate, slow, fast, refused):
    setup = FakeDevice().setup(RunSettings(cores=(0,)))
    told = gate.why_refused(setup, record(clocked(500, 500), clocked(500 + slow, 500 + fast)))
    assert ("below 2 GHz" in told) is refused


def test_a_fixed_clock_allows_less(gate):
    setup = replace(
        FakeDevice().setup(RunSettings(cores=(0,))),
        clock_tier=ClockTier.FIXED,
        clock_khz=2_000_000,
    )
    assert "not at 2 GHz" in gate.why_refused(setup, record(clocked(0, 9), clocked(3, 106)))
    assert gate.why_refused(setup, record(clocked(0, 9), clocked(1, 106))) == ""


def test_a_clock_above_the_fixed_one_is_not_it_either(gate):
    setup = replace(
        FakeDevice().setup(RunSettings(cores=(0,))),
        clock_tier=ClockTier.FIXED,
        clock_khz=1_000_000,
    )
    said = gate.why_refused(setup, record(clocked(0, 9), clocked(90, 20)))
    assert "not at 1 GHz" in said


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        ({"thermal_status": 1}, {}, "thermal status was 1 before"),
        ({}, {"thermal_status": 2}, "thermal status was 2 after"),
        ({"power_saver": False}, {"power_saver": True}, "power saver came on"),
    ],
)
def test_what_happened_to_the_phone_beside_a_session_refuses_it(gate, before, after, reason):
    setup = FakeDevice().setup(RunSettings())
    assert reason in gate.why_refused(setup, record(DeviceState(**before), DeviceState(**after)))


def test_a_phone_that_slows_down_in_fixed_performance_mode_is_noticed(gate):
    setup = replace(FakeDevice().setup(RunSettings(cores=(0,))), clock_tier=ClockTier.SUSTAINED)
    assert gate.why_refused(setup, record(clocked(0, 0), clocked(0, 100))) == ""
    assert "below 2 GHz" in gate.why_refused(setup, record(clocked(0, 100), clocked(100, 100)))


def test_ticks_that_go_backwards_tell_nothing():
    assert spent_ticks(0, clocked(5, 5), clocked(4, 9)) == {}
    assert spent_ticks(0, DeviceState(), clocked(4, 9)) == {}
    assert spent_ticks(0, clocked(5, 5), clocked(6, 9)) == {1_000_000: 1, 2_000_000: 4}


def test_baselines_are_kept_for_a_day_and_shared(tmp_path):
    now = [1000.0]
    path = tmp_path / "baselines.json"
    first = Baselines(path=lambda: path, now_s=lambda: now[0])
    first.see("unit", [("soc", 31.0)])
    first.see("unit", [("soc", 28.0)])
    first.see("unit", [("soc", 35.0)])
    second = Baselines(path=lambda: path, now_s=lambda: now[0])
    assert second.rest_c("unit", "soc") == 28.0
    now[0] += 25 * 3600
    assert second.rest_c("unit", "soc") is None


@pytest.mark.parametrize("content", ["", "[]", "{", '{"version": 9, "zones": [["a","b",1,2]]}'])
def test_a_damaged_file_of_baselines_counts_as_none(tmp_path, content):
    path = tmp_path / "baselines.json"
    path.write_text(content)
    assert Baselines(path=lambda: path).rest_c("a", "b") is None
