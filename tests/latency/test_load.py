import math
import random

import pytest

from latency.load import FleetRule, Load, LoadRule
from workspace.errors import InputError

RULES = list(FleetRule)


def rule(kind, weights=(1.0, 1.0, 1.0), exponents=(-0.07, -0.07)):
    return LoadRule(kind=kind, weights=weights, exponents=exponents)


def exact(value):
    return Load(value=value, low=value, high=value)


def power(load, exponents):
    return load ** exponents[0 if load <= 1 else 1]


@pytest.mark.parametrize("kind", RULES)
def test_a_fleet_of_one_has_the_load_of_its_device_with_its_interval(kind):
    one = Load(value=0.8, low=0.7, high=1.0)
    found = rule(kind, (3.0,)).combined([one])
    assert (found.value, found.low, found.high) == pytest.approx((0.8, 0.7, 1.0))


@pytest.mark.parametrize("kind", RULES)
def test_what_is_equally_loaded_has_that_load(kind):
    assert rule(kind).value([1.3] * 3) == pytest.approx(1.3)
    assert rule(kind).value([0.4] * 3) == pytest.approx(0.4)


@pytest.mark.parametrize("kind", RULES)
@pytest.mark.parametrize("exponents", [(-0.07, -0.07), (0.0, -1.0), (-0.02, -0.5)])
def test_a_device_that_gets_slower_never_lowers_the_load(kind, exponents):
    rng = random.Random(0)
    of = rule(kind, (1.0, 2.0, 0.5), exponents)
    for _ in range(300):
        loads = [rng.lognormvariate(0, 0.5) for _ in range(3)]
        slower = [*loads]
        slower[rng.randrange(3)] *= 1.2
        assert of.value(slower) >= of.value(loads) * (1 - 1e-12)
        assert min(loads) * (1 - 1e-12) <= of.value(loads) <= max(loads) * (1 + 1e-12)


def test_the_weighted_mean_is_what_it_says():
    assert rule(FleetRule.WEIGHTED, (3.0, 1.0)).value([1.0, 2.0]) == pytest.approx(1.25)


@pytest.mark.parametrize("exponents", [(-0.07, -0.07), (0.0, -1.0), (-0.02, -0.5)])
def test_the_reward_of_the_load_for_each_is_the_mean_of_the_devices_rewards(exponents):
    rng, weights = random.Random(1), (1.0, 2.0, 0.5)
    of = rule(FleetRule.EACH, weights, exponents)
    for _ in range(300):
        loads = [rng.lognormvariate(0, 0.5) for _ in range(3)]
        mean = sum(w * power(each, exponents) for w, each in zip(weights, loads, strict=True))
        assert power(of.value(loads), exponents) == pytest.approx(mean / sum(weights))


def test_for_each_is_within_the_limit_exactly_if_every_device_is():
    of = rule(FleetRule.EACH, exponents=(0.0, -1.0))
    assert of.value([0.2, 0.5, 1.0]) == 1.0
    assert of.value([0.2, 0.5, 1.01]) > 1.0


def test_the_interval_of_the_worst_covers_even_where_all_devices_are_as_loaded():
    """Of 4,000 draws 95 % or more; a share of 0.94 has a chance of 2e-3 at exactly 0.95."""
    rng, of = random.Random(2), rule(FleetRule.WORST, (1.0,) * 4)
    for truths in ([1.0] * 4, [1.0, 0.99, 0.98, 0.5], [1.0, 0.3, 0.3, 0.3]):
        inside = 0
        for _ in range(4000):
            told = [rng.gauss(truth, 0.02) for truth in truths]
            found = of.combined(
                [Load(value=t, low=t - 1.96 * 0.02, high=t + 1.96 * 0.02) for t in told]
            )
            assert found.low <= found.value <= found.high
            inside += found.low <= max(truths) <= found.high
        assert inside / 4000 >= 0.94


@pytest.mark.parametrize("kind", [FleetRule.WEIGHTED, FleetRule.EACH])
def test_the_interval_of_a_mean_covers_as_it_says(kind):
    """Of 4,000 draws; a share off by 0.015 has a chance below 1e-4 at exactly 0.95."""
    rng, weights, truths = random.Random(3), (1.0, 2.0), [0.8, 1.3]
    of = rule(kind, weights)
    inside = 0
    for _ in range(4000):
        told = [rng.gauss(truth, 0.02) for truth in truths]
        found = of.combined(
            [Load(value=t, low=t - 1.96 * 0.02, high=t + 1.96 * 0.02) for t in told]
        )
        inside += found.low <= of.value(truths) <= found.high
    assert inside / 4000 == pytest.approx(0.95, abs=0.015)


def test_an_interval_that_begins_at_nothing_stays_finite():
    loads = [Load(value=0.1, low=0.0, high=0.5), exact(2.0)]
    for kind in RULES:
        found = rule(kind, (1.0, 1.0)).combined(loads)
        assert 0 <= found.low <= found.value <= found.high
        assert math.isfinite(found.high)


def test_weights_and_exponents_that_make_no_sense_are_refused():
    for weights in [(), (0.0,), (-1.0,), (math.nan,), (math.inf,)]:
        with pytest.raises(InputError, match=r"a fleet needs a device|positive and finite"):
            rule(FleetRule.WEIGHTED, weights)
    with pytest.raises(InputError, match="falls beyond the target, got the exponents"):
        rule(FleetRule.EACH, exponents=(0.0, 0.0))
