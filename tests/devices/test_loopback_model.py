"""The phone's model: heat, clocks, battery and events, in seconds that it is told."""

import math

import pytest

from devices.loopback.phone_model import POWER_SAVER_FACTOR, PhoneModel
from devices.loopback.scenario import EventKind
from devices.loopback.scenario_parser import parse

HEATS = """
[thermal]
ambient_c = 25
heating_c_per_s = 1.0
cooling_tau_s = 40
[[thermal.steps]]
above_c = 40
below_c = 35
thermal_status = 1
clock_factor = 0.8
[[thermal.steps]]
above_c = 45
below_c = 41
thermal_status = 3
clock_factor = 0.5
"""


def model(text=""):
    return PhoneModel(parse("test", f"version = 1\n{text}"))


def test_it_heats_and_cools_as_newton_says():
    phone = model("[thermal]\nheating_c_per_s = 0.5\ncooling_tau_s = 40\nambient_c = 20")
    phone.advance(30, busy=1)
    hot = 20 * (1 - math.exp(-30 / 40))
    assert phone.chip_c == pytest.approx(20 + hot)
    phone.advance(60)
    assert phone.chip_c == pytest.approx(20 + hot * math.exp(-60 / 40))


def test_the_second_mass_keeps_its_heat_when_the_first_has_shed_it():
    text = "[thermal]\nheating_c_per_s = 1\ncooling_tau_s = 20\nslow_tau_s = 500\nslow_share = {}"
    one, two = model(text.format(0)), model(text.format(0.3))
    for phone in (one, two):
        phone.advance(60, busy=1)
        phone.advance(120)
    assert one.chip_c == pytest.approx(25, abs=0.1)
    slow = 0.3 * 500 * (1 - math.exp(-60 / 500)) * math.exp(-120 / 500)
    assert two.chip_c - 25 == pytest.approx(slow, rel=0.05)


def test_however_time_is_cut_it_is_the_same_phone():
    whole, cut = model(HEATS), model(HEATS)
    whole.advance(12, busy=1)
    for _ in range(120):
        cut.advance(0.1, busy=1)
    assert cut.chip_c == pytest.approx(whole.chip_c, abs=1e-6)
    assert cut.battery_percent == pytest.approx(whole.battery_percent)
    assert cut.time_in_state(1)[-1][1] == pytest.approx(whole.time_in_state(1)[-1][1], abs=1)


def test_battery_and_skin_follow_the_chip_late_and_in_part():
    phone = model("[thermal]\nheating_c_per_s = 1\nbattery_share = 0.5\nskin_share = 0.7")
    phone.advance(20, busy=1)
    assert phone.chip_c > phone.skin_c > phone.battery_c > 25
    phone.advance(3000, busy=1)
    assert phone.battery_c - 25 == pytest.approx(0.5 * (phone.chip_c - 25), rel=0.01)


def test_it_throttles_above_one_temperature_and_recovers_below_another():
    phone = model(HEATS)
    phone.advance(18, busy=1)
    assert phone.chip_c < 40
    assert (phone.thermal_status, phone.clock_factor, phone.speed()) == (0, 1.0, 1.0)
    phone.advance(2, busy=1)
    assert phone.chip_c > 40
    assert (phone.thermal_status, phone.clock_factor) == (1, 0.8)
    assert 0.7 < phone.speed() <= 0.8
    while phone.chip_c > 36:
        phone.advance(0.5)
        assert phone.thermal_status == 1
    while phone.chip_c > 35:
        phone.advance(0.5)
    assert (phone.thermal_status, phone.clock_factor, phone.speed()) == (0, 1.0, 1.0)


def test_the_harder_step_gives_way_to_the_milder_one_first():
    phone = model(HEATS.replace("= 1.0", "= 3.0"))
    phone.advance(12, busy=1)
    assert phone.thermal_status == 3
    seen = []
    while phone.chip_c > 30:
        phone.advance(0.2)
        seen.append(phone.thermal_status)
    assert [s for i, s in enumerate(seen) if i == 0 or seen[i - 1] != s] == [3, 1, 0]


def test_a_throttled_core_does_less_work_and_so_heats_less():
    free, throttled = model(HEATS.replace("0.8", "1.0").replace("0.5", "1.0")), model(HEATS)
    for phone in (free, throttled):
        phone.advance(60, busy=1)
    assert throttled.chip_c < free.chip_c - 5


def test_an_idle_phone_is_at_its_lowest_clock_and_a_busy_cluster_at_its_highest():
    phone = model()
    phone.advance(10)
    assert phone.core_khz == (*4 * (300_000,), *4 * (500_000,))
    phone.advance(10, busy=1, cores=(0,))
    assert phone.core_khz == (*4 * (1_800_000,), *4 * (500_000,))
    assert dict(phone.time_in_state(0)) == {
        khz: {300_000: 1000, 1_800_000: 1000}.get(khz, 0) for khz, _ in phone.time_in_state(0)
    }


def test_little_cores_are_slower_by_their_clock():
    phone = model()
    assert phone.speed((6,)) == phone.speed() == 1
    assert phone.speed((1,)) == phone.nominal((1,)) == 1_800_000 / 2_400_000


def test_a_limit_by_root_is_a_clock_that_the_cluster_has():
    phone = model()
    phone.limit(1, 1_400_000, 1_400_000, "schedutil")
    (khz,) = {phone.cluster_khz(1, busy=busy) for busy in (True, False)}
    assert khz == 1_314_000
    assert phone.core_khz[:5] == (*4 * (300_000,), 1_314_000)
    phone.limit(1, 0, 99_000_000, "performance")
    assert phone.cluster_khz(1, busy=False) == 2_400_000
    phone.limit(1, 0, 99_000_000, "no-such-governor")
    assert phone.limits[1].governor == "performance"


def test_throttling_goes_below_a_fixed_clock():
    phone = model(HEATS)
    phone.limit(1, 2_400_000, 2_400_000, "schedutil")
    phone.advance(20, busy=1)
    assert phone.thermal_status == 1
    assert phone.cluster_khz(1) < 2_400_000


def test_the_fixed_performance_mode_holds_one_clock_busy_or_not():
    phone = model("fixed_performance_factor = 0.7")
    phone.fixed_performance = True
    assert phone.cluster_khz(1, busy=True) == phone.cluster_khz(1, busy=False) == 1_586_000


def test_the_battery_runs_down_and_saves_power_at_last():
    text = "[battery]\npercent = 21\ncharging = false\nidle_drain_percent_per_h = 60\n"
    phone = model(text + "busy_drain_percent_per_h = 60\npower_saver_at_percent = 20")
    phone.advance(30)
    assert phone.battery_percent == pytest.approx(20.5)
    assert not phone.power_saver
    phone.advance(15, busy=1)
    assert phone.battery_percent == pytest.approx(20.0)
    phone.advance(1)
    assert phone.power_saver
    assert phone.speed() <= POWER_SAVER_FACTOR
    phone.advance(100_000)
    assert phone.battery_percent == 0


def test_power_adds_up_to_energy():
    phone = model("[rails]\nidle_mw = 200\nbusy_mw = 1000")
    phone.advance(10)
    phone.advance(5, busy=2)
    assert phone.energy_mj == pytest.approx(15 * 200 + 10 * 1000)


def test_load_is_an_average_over_a_minute():
    phone = model()
    phone.advance(60, busy=2)
    assert phone.load == pytest.approx(2 * (1 - math.exp(-1)), rel=0.01)


def test_events_come_at_their_time_and_only_once():
    phone = model(
        "[[events]]\nat_s = 10\nkind = 'unplug'\n[[events]]\nat_s = 10\nkind = 'battery'\n"
        "percent = 5\n[[events]]\nat_s = 20\nkind = 'thermal_status'\nstatus = 4\n"
        "[[events]]\nat_s = 30\nkind = 'thermal_status'\nstatus = -1\n"
    )
    assert phone.advance(9.9) == []
    kinds = [event.kind for event in phone.advance(0.2)]
    assert kinds == [EventKind.UNPLUG, EventKind.BATTERY]
    assert not phone.charging
    assert phone.battery_percent == pytest.approx(5, abs=0.1)
    phone.advance(10)
    assert phone.thermal_status == 4
    phone.advance(10)
    assert phone.thermal_status == 0
    assert phone.advance(100) == []


def test_a_reboot_sets_back_what_a_start_sets_back():
    phone = model(f"{HEATS}[[events]]\nat_s = 60\nkind = 'reboot'\ndown_s = 5")
    phone.fixed_performance = True
    phone.screen_on = True
    phone.limit(0, 0, 300_000, "schedutil")
    phone.advance(59, busy=1)
    hot_c = phone.chip_c
    phone.advance(2)
    assert phone.away
    assert phone.boots == 2
    assert not phone.fixed_performance
    assert not phone.screen_on
    assert phone.limits[0].max_khz == 1_800_000
    assert sum(ticks for _, ticks in phone.time_in_state(0)) == 0
    assert 30 < phone.chip_c < hot_c  # heat is not a matter of software
    phone.advance(5)
    assert not phone.away


def test_background_work_heats_the_phone_for_a_while():
    phone = model(f"{HEATS}[[events]]\nat_s = 5\nkind = 'background'\nbusy = 2\nseconds = 6")
    phone.advance(5)
    assert phone.chip_c == 25
    phone.advance(6)
    assert phone.chip_c > 30
    assert phone.load > 0.1
    hot_c = phone.chip_c
    phone.advance(5)
    assert phone.chip_c < hot_c
