import random
from dataclasses import replace

import pytest

from controller.algorithm import create
from controller.constraints import Constraint
from controller.guided_constraints import ConstrainedGuidedPoints
from controller.network_figures import Figure
from controller.settings import GuidedSettings
from controller.testing import GUIDED_SPACE, evaluated, weights_of
from search_space.guidance import Threshold
from search_space.testing import GuidedPointSpaceContract
from workspace.errors import InputError


def edges(point):
    """Of what is built."""
    _, nodes = GUIDED_SPACE.graph_of(point).built
    return sum(len(node.inputs) for node in nodes)


def at_most(limit):
    """Networks of so many connections; a figure that is known exactly stands for it."""
    return ConstrainedGuidedPoints(
        GUIDED_SPACE,
        [Constraint(figure=Figure.PARAMS, limit=limit)],
        lambda point: {Figure.PARAMS: edges(point)},
    )


class TestConstrainedGuidedPoints(GuidedPointSpaceContract):
    @pytest.fixture
    def points(self):
        return at_most(20)


def test_a_guided_search_proposes_only_what_keeps_the_limits():
    points = at_most(12)
    algorithm = create(GuidedSettings(population=6, tournament=3), points, seed=0)
    parents = 0
    for _ in range(40):
        (one,) = algorithm.ask(1)
        assert edges(one.point) <= 12
        parents += bool(one.parents)
        outcome = evaluated(one, accuracy=edges(one.point) / 12, latency_ms=1.0)
        algorithm.tell([replace(outcome, feedback=weights_of(one.point))])
    assert parents == 34


def test_a_point_that_cannot_be_reconnected_within_the_limits_stays():
    points = at_most(4)  # one connection for each of one node a level
    point = points.sample(random.Random(0))
    assert edges(point) <= 4
    child = points.reconnect(point, weights_of(point), Threshold(value=0.0), random.Random(1))
    assert child == point


def test_no_other_nodes_within_the_limits_are_an_error_that_names_them():
    figure: dict[str, float] = {Figure.PARAMS: 1.0}
    limits = [Constraint(figure=Figure.PARAMS, limit=1)]
    points = ConstrainedGuidedPoints(GUIDED_SPACE, limits, lambda _: figure)
    point = points.sample(random.Random(0))
    figure[Figure.PARAMS] = 2.0  # of every other network
    with pytest.raises(InputError, match=r"no other nodes.*params<=1"):
        points.restructure(point, random.Random(1))
