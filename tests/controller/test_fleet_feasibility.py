from dataclasses import replace

import pytest

from controller.fleet_feasibility import require_feasible_fleet
from controller.reward import Reward, RewardMode
from latency.fleet import FleetDevice, FleetSource
from latency.load import FleetRule, LoadRule
from latency.table_file import load
from latency.table_source import TableSource
from search_space.architecture import Classifier
from search_space.mnasnet import MnasNetSpace
from search_space.proxyless import ProxylessSpace
from workspace.errors import InputError

HEAD, SPACE = Classifier(classes=1000), ProxylessSpace()
REWARD = Reward(mode=RewardMode.HARD, target_ms=1.0)
PIXEL = TableSource(load("pixel1"))


def other():
    """A device on which a kernel of 3 takes as long as one of 7 on Pixel 1, and the reverse."""
    entries = {}
    for key, entry in PIXEL.table.entries.items():
        turned = key.replace("kernel:3", "kernel:#").replace("kernel:7", "kernel:3")
        twin = PIXEL.table.entries.get(turned.replace("kernel:#", "kernel:7"), entry)
        entries[key] = replace(entry, ms=twin.ms)
    return TableSource(replace(PIXEL.table, name="table:other", entries=entries))


OTHER = other()


def fastest_ms(source):
    over = source.over(SPACE, HEAD)
    return over.latency_ms(over.fastest)


def fleet(first_ms, second_ms, kind=FleetRule.WORST, *, first=PIXEL, second=OTHER):
    devices = [
        FleetDevice(name="pixel", source=first, target_ms=first_ms),
        FleetDevice(name="other", source=second, target_ms=second_ms),
    ]
    rule = LoadRule(kind=kind, weights=(1.0, 1.0), exponents=REWARD.exponents)
    return FleetSource(devices, rule)


def check(source, space=SPACE):
    require_feasible_fleet(space, HEAD, source, REWARD)


@pytest.mark.parametrize("kind", list(FleetRule))
def test_targets_that_a_network_meets_pass(kind):
    check(fleet(75.0, 75.0, kind))


@pytest.mark.parametrize("kind", [FleetRule.WORST, FleetRule.EACH])
def test_a_target_that_no_network_meets_names_the_device(kind):
    target_ms = 0.5 * fastest_ms(OTHER)
    with pytest.raises(InputError) as caught:
        check(fleet(75.0, target_ms, kind))
    assert f"no network of the space 'proxyless' meets {target_ms:g} ms" in str(caught.value)
    assert "raise the target of other, or choose a smaller space" in str(caught.value)


def test_targets_that_are_met_by_no_one_network_are_refused_where_one_is_for_all():
    close = (1.05 * fastest_ms(PIXEL), 1.05 * fastest_ms(OTHER))
    check(fleet(*close, FleetRule.EACH))
    with pytest.raises(InputError) as caught:
        check(fleet(*close))
    assert "was found that meets the fleet's targets at once" in str(caught.value)
    assert f"of {close[1]:g} ms on other; raise a target" in str(caught.value)


def test_by_weights_one_device_may_be_beyond_its_target():
    target_ms = 0.9 * fastest_ms(OTHER)
    check(fleet(500.0, target_ms, FleetRule.WEIGHTED))
    with pytest.raises(InputError, match="on weighted average"):
        check(fleet(0.5 * fastest_ms(PIXEL), target_ms, FleetRule.WEIGHTED))


@pytest.mark.parametrize("kind", list(FleetRule))
def test_a_table_that_lacks_a_layer_is_refused(kind):
    with pytest.raises(InputError, match="table:pixel1 lacks"):
        check(fleet(75.0, 75.0, kind), MnasNetSpace.from_options({}))


def test_devices_that_answer_one_by_one_are_asked_for_small_networks(lab):
    slow = lab.Source(say=lambda _, told: replace(told, latency_ms=90.0, low_ms=89.0))
    source = fleet(100.0, 100.0, first=lab.Source(), second=slow)
    require_feasible_fleet(lab.space, HEAD, source, REWARD)
    assert len({request.subject.architecture.key for request in slow.asked}) > 1
    source = fleet(100.0, 50.0, first=lab.Source(), second=slow)
    with pytest.raises(InputError, match="raise the target of other"):
        require_feasible_fleet(lab.space, HEAD, source, REWARD)
