import json
import math
from dataclasses import replace
from functools import cache
from itertools import pairwise

import pytest

from devices.clock import SimulatedClock
from devices.device import DeviceTransientError
from devices.loopback.scenario import load
from devices.loopback.scenario_parser import parse
from devices.simulated import SimulatedPhone
from latency import acceptance
from latency.acceptance import (
    AA_LEAST,
    AA_MOST,
    BY_CHANCE,
    CONFIDENCE,
    LADDER,
    PAIRS_LEAST,
    SHAPES,
    SHORT_SESSIONS,
    Flips,
    aa_failures,
    aa_false_failures,
    accept,
    at_most,
    ladder_failures,
    order_failures,
    settings_failures,
)
from latency.baseline import Baselines
from latency.chains import equal_blocks
from latency.gates import Gate
from latency.history import History
from latency.protocol import Bench, Patience
from latency.store import MeasurementStore
from latency.testing import FakeDevice
from workspace.errors import InputError

UNPLUGGED = DeviceTransientError("adb:FAKE1", "device offline")


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """Writes each network once for all tests: a tenth of a second each."""
    folder = tmp_path_factory.mktemp("networks")
    return cache(lambda **shape: equal_blocks(folder, **shape))


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch, networks):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(acceptance, "equal_blocks", lambda _, **shape: networks(**shape))


class TickingClock(SimulatedClock):
    """Goes on by a twentieth of a second whenever it is looked at: a fake device takes no time."""

    def now_s(self):
        self.sleep(0.05)
        return super().now_s()


def by_size(model):
    """As long as the file is large: networks 3 % larger are 3 % slower."""
    return model.path.stat().st_size / 2e4


def bench(device, clock=None):
    gate = Gate(baselines=Baselines(path=None))
    return Bench(device=device, patience=Patience(clock=clock or TickingClock()), gate=gate)


def fake(median_ms=by_size, spread=0.003, **how):
    return FakeDevice(median_ms=median_ms, spread=spread, **how)


def simulated(name, change=None):
    clock = SimulatedClock()
    scenario = load(name) if change is None else change(load(name))
    return bench(SimulatedPhone(scenario, by_size, clock), clock)


def test_a_calm_device_passes_and_its_figures_are_whole():
    result = accept(bench(fake()))
    assert result.failed == ()
    assert result.passed
    assert (result.aa_pairs, result.pairs) == (AA_MOST, len(SHAPES))
    assert result.aa_covered >= 0.85 * AA_MOST
    assert result.ladder_ms == tuple(sorted(result.ladder_ms))
    assert len(result.ladder_ms) == len(LADDER)
    assert result.flips_told_apart <= result.flips <= 0.2 * len(SHAPES)
    assert result.told_apart > len(SHAPES) / 2
    assert result.sessions == 5


def test_networks_of_its_pairs_are_three_per_cent_apart():
    device = fake(spread=0.0)
    accept(bench(device), minutes=1)
    sizes = sorted({by_size(model) for model in device.ran})
    ratios = [wide / narrow for narrow, wide in pairwise(sizes)]
    assert sum(1.025 < ratio < 1.035 for ratio in ratios) >= PAIRS_LEAST - 1


def test_a_device_on_which_a_coin_decides_the_order_fails():
    result = accept(bench(fake(spread=0.5, seed=1)))
    assert result.flips >= 15
    assert any("cannot be ranked" in reason for reason in result.failed)
    assert order_failures(Flips(pairs=40, flips=20, told_apart=0, flips_told_apart=0))
    assert not order_failures(Flips(pairs=40, flips=10, told_apart=0, flips_told_apart=0))


def test_one_where_wider_networks_are_not_slower_fails():
    def upside_down(model):
        return 1e4 / by_size(model)

    result = accept(bench(fake(median_ms=upside_down)))
    assert not result.passed
    assert result.failed[0].startswith("ladder: 16 channels take")


def test_the_same_seed_gives_the_same_figures():
    one, two, other = (
        accept(bench(fake(spread=0.02)), minutes=1, seed=seed) for seed in (1, 1, 2)
    )
    assert one.report() == two.report()
    assert one.ladder_ms != other.ladder_ms


def test_less_time_is_fewer_pairs_but_never_so_few_that_none_could_fail():
    result = simulated_result("plain", minutes=0.1)
    assert (result.aa_pairs, result.pairs) == (AA_LEAST, PAIRS_LEAST)
    assert result.sessions == SHORT_SESSIONS
    assert aa_failures(0, AA_LEAST)
    assert order_failures(
        Flips(pairs=PAIRS_LEAST, flips=PAIRS_LEAST, told_apart=0, flips_told_apart=0)
    )


def simulated_result(name, *, minutes, change=None):
    return accept(simulated(name, change), minutes=minutes)


def test_a_quarter_of_an_hour_takes_a_quarter_of_an_hour():
    result = simulated_result("plain", minutes=15)
    assert AA_LEAST < result.aa_pairs <= AA_MOST
    assert PAIRS_LEAST < result.pairs <= len(SHAPES)
    assert result.minutes <= 1.1 * 15


def test_a_phone_that_heats_is_refused_for_its_heat():
    result = simulated_result("heats-fast", minutes=15)
    assert result.heat.startswith("refused: ")
    assert any(word in result.heat for word in ("zone", "battery", "thermal status"))


def test_one_that_stays_cool_could_not_be_heated_and_does_not_fail_for_it():
    result = accept(bench(fake()), minutes=1)
    assert result.heat.startswith("could not be heated")
    assert result.passed


def test_one_that_throttles_and_tells_nothing_of_it_fails():
    def blind(scenario):
        hidden = {"thermal_zones", "dumpsys battery", "dumpsys thermalservice", "time_in_state"}
        return replace(scenario, hidden=frozenset({*scenario.hidden, *hidden}))

    result = simulated_result("heats-fast", minutes=8, change=blind)
    assert result.heat.startswith("not seen")
    assert any(reason.startswith("heat: ") for reason in result.failed)


def test_settings_that_were_not_put_back_fail_it_by_name():
    told = iter([{"screen": "0", "scale": "1"}, {"screen": "7", "scale": "1"}])
    result = accept(bench(fake()), minutes=1, settings=lambda: next(told))
    assert result.failed == ("settings: screen was '0' before the test, is '7' after",)
    assert result.settings == 2
    assert settings_failures({"gone": "1"}, {}) == [
        "settings: gone was '1' before the test, is None after"
    ]


def test_a_device_that_is_gone_raises_and_is_neither_passed_nor_failed():
    with pytest.raises(DeviceTransientError, match="offline"):
        accept(bench(fake(faults=[None] * 20 + [UNPLUGGED] * 99)), minutes=1)


def test_what_the_gate_gave_up_on_fails_it(monkeypatch):
    refused = iter(range(10**6))
    monkeypatch.setattr(Gate, "why_refused", lambda *_: "it was hot" if next(refused) > 15 else "")
    with pytest.raises(DeviceTransientError, match="it was hot"):
        accept(bench(fake()), minutes=1)


def test_the_lease_is_asked_for_while_it_is_heated():
    asked = []
    accept(replace(bench(fake()), guard=lambda: asked.append(1)), minutes=0.1)
    assert asked


@pytest.mark.parametrize("minutes", [0, -1, math.nan, math.inf])
def test_a_time_that_is_none_is_refused(minutes):
    with pytest.raises(InputError, match="positive number of minutes"):
        accept(bench(fake()), minutes=minutes)


def test_what_fails_is_beyond_chance_on_a_phone_that_is_just_bearable():
    for pairs in range(1, AA_MOST + 1):
        failing = [covered for covered in range(pairs + 1) if aa_failures(covered, pairs)]
        assert at_most(max(failing, default=-1), pairs, 0.85) < BY_CHANCE
        assert aa_false_failures(pairs) == at_most(max(failing, default=-1), pairs, CONFIDENCE)
    assert 0 < aa_false_failures(AA_MOST) < 0.001


def test_intervals_that_cover_half_as_often_as_stated_are_found_out():
    assert aa_failures(round(0.45 * AA_MOST), AA_MOST)
    assert not aa_failures(round(0.9 * AA_MOST), AA_MOST)
    assert aa_failures(9, 20) == [
        "A/A: 9 of 20 intervals of one file against itself hold 1, 90% are stated"
    ]


def test_pairs_that_were_told_apart_and_change_their_order_fail():
    flips = Flips(pairs=40, flips=9, told_apart=9, flips_told_apart=9)
    assert order_failures(flips) == [
        "order: 9 of 9 pairs that were told apart changed their order"
    ]
    assert order_failures(replace(flips, told_apart=40, flips_told_apart=4)) == []


def test_equal_steps_of_a_ladder_are_no_ladder():
    assert ladder_failures([1.0, 2.0, 3.0, 4.0, 5.0]) == []
    assert len(ladder_failures([1.0, 2.0, 2.0, 4.0, 3.0])) == 2


def test_its_report_is_kept_as_json_with_conditions_and_stand_ins(tmp_path):
    result = accept(bench(fake()), minutes=1)
    history = History(MeasurementStore(f"sqlite:///{tmp_path / 'm.db'}"))
    history.add_acceptance("unit-FAKE1", result.report())
    kept = history.acceptance("unit-FAKE1")
    assert kept.passed
    assert kept.report["stand_ins"]
    assert result.conditions.flat()["device_model"] == "Fake 1"
    assert kept.report == json.loads(json.dumps(result.report()))
    assert kept.sentence().endswith("passed")


def test_a_scenario_of_ones_own_can_be_tested_too():
    clock = SimulatedClock()
    phone = SimulatedPhone(parse("own", "version = 1\n"), by_size, clock)
    said: list[str] = []
    accept(bench(phone, clock), minutes=0.1, say=said.append)
    assert said[0].startswith("one file under two names")
    assert len(said) == 5


def test_its_forty_pairs_are_forty_different_networks():
    assert len(set(SHAPES)) == len(SHAPES) == 40
