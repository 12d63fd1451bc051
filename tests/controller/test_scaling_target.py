import math

import pytest

from controller.scaling_target import NEAR, STEPS, to_target
from search_space import catalog
from search_space.architecture import Classifier
from search_space.layers import macs
from search_space.scaling import EFFICIENTNET, RuleName, rule, scaled
from workspace.errors import InputError

HEAD = Classifier(classes=1000)
BASE = catalog.create("mobilenet-v2")


def millions(network) -> float:
    return macs(network, HEAD) / 1e6


def found(target, *, name=RuleName.EFFICIENTNET, cost=millions):
    asked = []

    def counted(network):
        asked.append(network.key)
        return cost(network)

    place = to_target(rule(name), lambda factors: scaled(BASE, factors), counted, target)
    assert len(asked) == len(set(asked)) == place.asked <= STEPS
    return place


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


def test_where_no_larger_network_can_be_the_largest_that_can_is_found():
    def upto(factors):
        network = scaled(BASE, factors)
        if millions(network) > 2000:
            msg = "too large for this computer"
            raise InputError(msg)
        return network

    place = to_target(EFFICIENTNET, upto, millions, 1e5)
    assert 1000 < place.cost <= 2000
