import math

import pytest

from controller.scaling_target import NEAR, STEPS, Limit, to_target
from search_space import catalog
from search_space.architecture import Classifier
from search_space.layers import macs
from search_space.memory import TooLargeError
from search_space.scaling import EFFICIENTNET, CompoundRule, RuleName, TableRule, rule, scaled
from workspace.errors import InputError

HEAD = Classifier(classes=1000)
BASE = catalog.create("mobilenet-v2")


def millions(network) -> float:
    return macs(network, HEAD) / 1e6


def found(target, *, name=RuleName.EFFICIENTNET, cost=millions, base=BASE):
    asked = []

    def counted(network):
        asked.append(network.key)
        return cost(network)

    place = to_target(rule(name), lambda factors: scaled(base, factors), counted, target)
    assert len(asked) == len(set(asked)) == place.asked <= STEPS
    return place


def refusing(error, beyond):
    """Scales the baseline, and has no network of more than so many million multiply-adds."""

    def scale(factors):
        network = scaled(BASE, factors)
        if millions(network) > beyond:
            msg = "too large for this computer"
            raise error(msg)
        return network

    return scale


@pytest.mark.parametrize("target", [310, 600, 1200, 5000, 100, 40])
def test_the_network_keeps_the_target_and_the_next_one_does_not(target):
    place = found(target)
    assert place.cost == millions(place.network) <= target
    assert place.cost >= 0.8 * target
    if place.cost < NEAR * target:
        beyond = scaled(BASE, EFFICIENTNET.factors(place.phi + 0.03))
        assert millions(beyond) > target or beyond == place.network


def test_pixels_come_nearer_to_a_target_than_layers_do():
    place = found(1200, name=RuleName.RESOLUTION)
    assert place.cost >= NEAR * 1200


def test_a_cost_that_grows_otherwise_than_the_rule_says_is_met_too():
    def flat(network):
        return math.sqrt(millions(network))

    place = found(math.sqrt(5000), cost=flat)
    assert 0.9 * math.sqrt(5000) <= place.cost <= math.sqrt(5000)


def test_a_table_gives_its_last_row_that_keeps_the_target():
    place = found(3000, name=RuleName.RELEASED)
    costs = [millions(scaled(BASE, rule(RuleName.RELEASED).factors(phi))) for phi in range(9)]
    assert place.phi == sum(cost <= 3000 for cost in costs) - 1
    assert place.asked < len(costs)


def test_a_target_that_no_network_keeps_is_refused_with_the_least():
    with pytest.raises(InputError, match=r"costs 0.001 or less; the smallest that was tried"):
        found(0.001)
    with pytest.raises(InputError, match=r"costs 200 or less; the smallest .* costs 300"):
        found(200, name=RuleName.RELEASED)


SMALL = BASE.at(64)


@pytest.mark.parametrize("share", [1.0, 1.05, 1.2, 1.9])
@pytest.mark.parametrize("name", [RuleName.EFFICIENTNET, RuleName.RESOLUTION, RuleName.FAST])
def test_a_target_near_the_smallest_network_is_met_on_the_way_down(name, share):
    costs = {}
    for step in range(2000):
        try:
            network = scaled(SMALL, rule(name).factors(-step / 100))
        except InputError:
            break
        costs[network.key] = millions(network)
    target = share * min(costs.values())
    place = found(target, name=name, base=SMALL)
    assert place.cost <= target
    assert place.cost >= max(cost for cost in costs.values() if cost <= target) * 0.95


def test_below_the_smallest_network_that_is_refused_with_it():
    smallest = millions(scaled(SMALL, rule(RuleName.RESOLUTION).factors(-2)))
    with pytest.raises(InputError, match=f"the smallest that was tried costs {smallest:.4g}"):
        found(0.99 * smallest, name=RuleName.RESOLUTION, base=SMALL)


@pytest.mark.parametrize(
    ("error", "limit"), [(TooLargeError, Limit.MEMORY), (InputError, Limit.RULE)]
)
def test_where_no_larger_network_can_be_the_largest_that_can_is_found_and_why(error, limit):
    place = to_target(EFFICIENTNET, refusing(error, 2000), millions, 1e5)
    assert 1000 < place.cost <= 2000
    assert place.limit is limit
    assert to_target(EFFICIENTNET, refusing(error, 2000), millions, 600).limit is Limit.TARGET


@pytest.mark.parametrize(
    ("error", "limit"), [(TooLargeError, Limit.MEMORY), (InputError, Limit.RULE)]
)
def test_a_table_ends_where_no_larger_network_can_be(error, limit):
    released = rule(RuleName.RELEASED)
    place = to_target(released, refusing(error, 2000), millions, 1e5)
    costs = [millions(scaled(BASE, released.factors(phi))) for phi in range(9)]
    assert place.phi == sum(cost <= 2000 for cost in costs) - 1
    assert place.limit is limit
    assert to_target(released, refusing(error, 2000), millions, 600).limit is Limit.TARGET


def test_a_rule_without_larger_networks_is_what_limits():
    assert found(1e9, name=RuleName.RELEASED).limit is Limit.RULE
    slow = CompoundRule(alpha=1, beta=1, gamma=1.001)
    place = to_target(slow, lambda factors: scaled(BASE, factors), millions, 1e9)
    assert (place.phi, place.limit) == (64.0, Limit.RULE)


def test_a_source_that_cannot_tell_of_larger_networks_is_what_limits():
    def told(network):
        if millions(network) > 2000:
            msg = "the table has no such layer"
            raise InputError(msg)
        return millions(network)

    place = to_target(EFFICIENTNET, lambda factors: scaled(BASE, factors), told, 1e5)
    assert place.limit is Limit.SOURCE


def test_costs_that_hardly_change_are_left_behind_soon():
    place = found(20, cost=lambda network: max(10.0, millions(network) / 100))
    assert 0.9 * 20 <= place.cost <= 20


def test_a_table_whose_rows_are_all_too_dear_gives_the_baseline():
    table = TableRule(name="own", rows=((2, 2, 448), (3, 3, 672)))
    place = to_target(table, refusing(TooLargeError, 400), millions, 1e5)
    assert (place.phi, place.limit) == (0.0, Limit.MEMORY)
