"""The simulated phone: the contract of a device, and a phone's behaviour in virtual seconds."""

import pytest

from devices.clock import SimulatedClock
from devices.device import (
    ClockTier,
    Delegate,
    DevicePermanentError,
    DeviceTransientError,
    RunSettings,
)
from devices.loopback.scenario import load
from devices.loopback.scenario_parser import parse
from devices.simulated import SimulatedPhone
from devices.testing import DeviceContract, file_of

SETTINGS = RunSettings()


def phone_of(scenario, clock=None, seed=0, latency_ms=10.0):
    found = load(scenario) if "=" not in scenario else parse("own", f"version = 1\n{scenario}")
    return SimulatedPhone(found, lambda _: latency_ms, clock or SimulatedClock(), seed)


@pytest.fixture
def model(tiny_model):
    return file_of(tiny_model)


class TestContract(DeviceContract):
    @pytest.fixture
    def device(self):
        return phone_of("plain")

    @pytest.fixture
    def model(self, tiny_model):
        return tiny_model


def test_it_says_everywhere_that_it_is_simulated():
    setup = phone_of("heats").setup(SETTINGS)
    assert "simulated phone, scenario heats@" in setup.info.stand_in
    assert "simulated" in setup.runner.stand_in
    assert "simulated:heats@" in setup.info.build
    assert setup.info.model.endswith("(simulated)")


def test_a_session_takes_the_virtual_seconds_that_were_asked_for(model):
    clock = SimulatedClock()
    record = phone_of("plain", clock).run(model, SETTINGS)
    assert 1.5 < clock.now_s() < 1.7
    assert 95 < len(record.samples.runs_ms) < 105
    assert record.samples.median_ms == pytest.approx(10, rel=0.05)
    assert record.after.load > record.before.load


def test_the_same_seed_gives_the_same_session_and_another_one_another(model):
    first, again, other = (
        phone_of("plain", seed=seed).run(model, SETTINGS).samples for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_worked_without_a_pause_it_throttles_and_its_times_are_wrong(model):
    phone = phone_of("heats")
    records = [phone.run(model, SETTINGS) for _ in range(25)]
    statuses = [record.after.thermal_status for record in records]
    assert statuses[0] == 0
    assert statuses == sorted(statuses)
    assert statuses[-1] >= 1
    assert records[-1].samples.median_ms > 1.2 * records[0].samples.median_ms


def test_left_alone_it_cools_down_and_is_right_again(model):
    clock = SimulatedClock()
    phone = phone_of("heats", clock)
    for _ in range(25):
        phone.run(model, SETTINGS)
    clock.sleep(400)
    assert dict(phone.state().zones_c)["cpu-0-0"] == pytest.approx(25, abs=0.1)
    assert phone.run(model, SETTINGS).samples.median_ms == pytest.approx(10, rel=0.05)


def test_two_time_constants_keep_it_warm_for_long(model):
    rise = {}
    for name in ("heats", "cools-slowly"):
        clock = SimulatedClock()
        phone = phone_of(name, clock)
        for _ in range(25):
            phone.run(model, SETTINGS)
        hot = phone.model.chip_c - phone.model.scenario.thermal.ambient_c
        clock.sleep(150)
        rise[name] = (phone.model.chip_c - phone.model.scenario.thermal.ambient_c) / hot
    assert rise["heats"] < 0.03 < rise["cools-slowly"]


def test_odd_zones_say_what_they_always_say():
    zones = dict(phone_of("heats").state().zones_c)
    assert zones["charger-always-hot"] == 58
    assert zones["unwired"] == -273


def test_hidden_probes_tell_nothing():
    state = phone_of("vendor-hides").state()
    assert state.thermal_status is None
    assert state.zones_c is None
    assert state.core_khz is None
    assert state.time_in_state is None
    assert state.battery_percent == 85


def test_a_tier_that_it_cannot_hold_is_refused():
    with pytest.raises(DevicePermanentError, match="T1 takes root"):
        phone_of("plain").setup(RunSettings(clock_tier=ClockTier.FIXED))
    with pytest.raises(DevicePermanentError, match="T2 takes Android 11"):
        phone_of("vendor-hides").setup(RunSettings(clock_tier=ClockTier.SUSTAINED))
    with pytest.raises(DevicePermanentError, match="gpu is not simulated"):
        phone_of("plain").setup(RunSettings(delegate=Delegate.GPU))
    with pytest.raises(DevicePermanentError, match="cores 0 to 7"):
        phone_of("plain").setup(RunSettings(cores=(8,)))


def test_tier_one_fixes_the_clock_and_gives_it_back(model):
    clock = SimulatedClock()
    phone = phone_of("rooted", clock)
    settings = RunSettings(clock_tier=ClockTier.FIXED, cores=(7,))
    khz = phone.setup(settings).clock_khz
    assert khz == 1_826_000
    with phone.hold(settings):
        record = phone.run(model, settings)
        assert record.before.core_khz[7] == record.after.core_khz[7] == khz
        spent = {k: t for core, k, t in record.after.time_in_state if core == 7 and t}
        assert set(spent) == {khz}
    clock.sleep(1)
    assert phone.state().core_khz[7] == 500_000
    assert record.samples.median_ms == pytest.approx(10 * 2_850_000 / khz, rel=0.01)


def test_the_fixed_performance_mode_is_slower_and_steadier(model):
    free = [phone_of("plain", seed=s).run(model, SETTINGS).samples for s in range(8)]
    settings = RunSettings(clock_tier=ClockTier.SUSTAINED)
    held = [phone_of("plain", seed=s).run(model, settings).samples for s in range(8)]
    medians = [[each.median_ms for each in group] for group in (free, held)]
    spreads = [(max(group) - min(group)) / min(group) for group in medians]
    assert min(medians[1]) > 1.2 * max(medians[0])
    assert spreads[1] < spreads[0]


def test_a_run_on_a_little_core_takes_longer(model):
    record = phone_of("plain").run(model, RunSettings(cores=(0,)))
    assert record.samples.median_ms == pytest.approx(10 * 2.4 / 1.8, rel=0.05)


def test_a_reboot_in_mid_run_breaks_it_and_shows_in_the_boot_id(model):
    clock = SimulatedClock()
    phone = phone_of("reboots", clock)
    before = phone.state().boot_id
    clock.sleep(19)
    with pytest.raises(DeviceTransientError, match="broke in mid-run"):
        phone.run(model, SETTINGS)
    with pytest.raises(DeviceTransientError, match="rebooting"):
        phone.state()
    clock.sleep(5)
    assert phone.state().boot_id != before
    phone.run(model, SETTINGS)


def test_a_run_past_its_deadline_ends_there(model):
    clock = SimulatedClock()
    with pytest.raises(DeviceTransientError, match="within 2 s"):
        phone_of("plain", clock).run(model, RunSettings(timed_min_s=60, timeout_s=2))
    assert clock.now_s() == pytest.approx(2)


def test_the_battery_runs_down_while_nobody_looks():
    clock = SimulatedClock()
    phone = phone_of("battery-low", clock)
    assert phone.state().battery_percent == 32
    clock.sleep(600)
    state = phone.state()
    assert state.battery_percent == 22
    assert not state.charging
    clock.sleep(180)
    assert phone.state().power_saver


def test_energy_is_told_where_there_are_rails(model):
    assert phone_of("plain").run(model, SETTINGS).energy_mj is None
    clock = SimulatedClock()
    energy = phone_of("rooted", clock).run(model, SETTINGS).energy_mj
    assert energy == pytest.approx(clock.now_s() * (250 + 1800), rel=0.1)
