import random

import pytest

from controller.algorithm import create, settings_named
from controller.constraints import ConstrainedPoints, Constraint, constrained
from controller.network_figures import Figure
from controller.settings import SurrogateSettings
from controller.surrogate import Surrogate
from controller.testing import evaluated
from search_space.architecture import Classifier
from search_space.layers import macs, params
from search_space.proxyless import ProxylessSpace
from search_space.testing import PointSpaceContract
from workspace.errors import InputError

HEAD = Classifier(classes=1000)
SPACE = ProxylessSpace()


def costs_of(point):
    network = SPACE.decode(point)
    return {Figure.PARAMS: params(network, HEAD), Figure.MACS: macs(network, HEAD)}


class TestConstrainedPoints(PointSpaceContract):
    @pytest.fixture
    def points(self):
        return constrained(SPACE, ["params<=4.5e6", "macs<=3.2e8"], HEAD, None)


class TestWhereFewPointsKeepThem(PointSpaceContract):
    """Of random points one in thousands."""

    @pytest.fixture
    def points(self):
        return constrained(SPACE, ["macs<=1.2e8"], HEAD, None)


@pytest.mark.parametrize("limit", [3.2e8, 1.2e8])
def test_what_is_drawn_changed_and_crossed_keeps_them(limit):
    points = constrained(SPACE, [f"macs<={limit:g}"], HEAD, None)
    rng = random.Random(0)
    point = points.sample(rng)
    for _ in range(20):
        other = points.sample(rng)
        for each in (other, points.mutate(point, rng), points.crossover(point, other, rng)):
            assert costs_of(each)[Figure.MACS] <= limit
        point = other


def test_multiply_adds_count_at_the_size_that_is_timed():
    limit = 2e8
    at_its_own = constrained(SPACE, [f"macs<={limit:g}"], HEAD, None)
    small = constrained(SPACE, [f"macs<={limit:g}"], HEAD, 96)
    rng = random.Random(0)
    large = max((SPACE.points.sample(rng) for _ in range(50)), key=lambda p: costs_of(p)["macs"])
    assert isinstance(at_its_own, ConstrainedPoints)
    assert isinstance(small, ConstrainedPoints)
    assert not at_its_own.keeps(large)
    assert small.keeps(large)


def test_a_point_that_does_not_keep_them_is_refused():
    points = constrained(SPACE, ["macs<=1.2e8"], HEAD, None)
    with pytest.raises(InputError, match=r"does not keep macs<=1.2e\+08"):
        points.validate(SPACE.points.sample(random.Random(0)))


def test_a_limit_that_nothing_keeps_is_told_with_the_nearest():
    with pytest.raises(InputError, match=r"keeps params<=1000: the nearest has params of \d"):
        constrained(SPACE, ["params<=1000"], HEAD, None)


@pytest.mark.parametrize(
    "text", ["params", "params<3", "size<=3", "params<=", "params<=x", "macs<=nan", "macs<=-1", ""]
)
def test_what_is_no_constraint_is_quoted(text):
    with pytest.raises(InputError, match=r"FIGURE<=NUMBER") as caught:
        Constraint.parse(text)
    assert repr(text) in str(caught.value)


def test_without_constraints_the_space_is_as_it_is():
    assert constrained(SPACE, [], HEAD, None) is SPACE.points


@pytest.mark.parametrize("name", ["random", "evolution", "nsga2", "surrogate"])
def test_every_algorithm_that_can_proposes_only_what_keeps_them(name):
    points = constrained(SPACE, ["macs<=2.5e8"], HEAD, None)
    algorithm = create(settings_named(name, {}), points, 0)
    for _ in range(40):
        (proposal,) = algorithm.ask(1)
        figures = costs_of(proposal.point)
        assert figures[Figure.MACS] <= 2.5e8
        accuracy = min(figures[Figure.PARAMS] / 1e7, 1.0)
        algorithm.tell([evaluated(proposal, accuracy=accuracy, latency_ms=1.0)])


@pytest.mark.parametrize("name", ["ppo", "tpe"])
def test_an_algorithm_that_cannot_says_which_can(name):
    points = constrained(SPACE, ["macs<=2.5e8"], HEAD, None)
    with pytest.raises(InputError, match=r"has constraints; random, evolution, nsga2 and surr"):
        create(settings_named(name, {}), points, 0)


def test_a_small_space_is_searched_whole_within_them(lab):
    points = constrained(lab.space, ["params<=4000"], Classifier(classes=10), None)
    algorithm = Surrogate(points, SurrogateSettings(startup=3), seed=0)
    seen = set()
    for _ in range(12):
        (proposal,) = algorithm.ask(1)
        seen.add(proposal.point)
        points.validate(proposal.point)
        algorithm.tell([evaluated(proposal, accuracy=0.5, latency_ms=1.0)])
    assert len(seen) > 8
