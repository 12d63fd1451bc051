import random

import numpy as np
import pytest

from latency.factored_points import FactoredLatencies
from latency.signatures import parts_of, signature_of
from latency.space_parts import SpaceParts
from search_space.architecture import Classifier
from search_space.efficientnet_space import EfficientNetSpace
from search_space.efficientnet_v2_space import EfficientNetV2Space
from search_space.layers import layers
from search_space.mnasnet import Definition, MnasNetSpace
from search_space.proxyless import ProxylessSpace
from workspace.errors import InputError

HEAD = Classifier(classes=10)
SPACES = [
    MnasNetSpace(size=64),
    MnasNetSpace(definition=Definition.PUBLIC, size=32),
    MnasNetSpace(blocks=5),
    ProxylessSpace(size=96),
    EfficientNetV2Space(size=64),
]


def ms_of(layer):
    """Times that differ from layer to layer, and have no pattern."""
    return random.Random(signature_of(layer).key).uniform(0.01, 1.0)


@pytest.fixture(params=SPACES, ids=lambda space: f"{space.name}-{space.size}")
def space(request):
    return request.param


@pytest.fixture
def parts(space):
    return SpaceParts.of(space, HEAD)


def points(space, count, seed=0):
    rng = random.Random(seed)
    return [space.points.sample(rng) for _ in range(count)]


def test_a_points_layers_are_those_of_its_network(space, parts):
    for point in points(space, 200):
        assert parts.layers_of(point) == layers(space.decode(point), HEAD)


def test_at_another_size_they_are_those_of_the_network_at_that_size(space):
    parts = SpaceParts.of(space, HEAD, size=128)
    for point in points(space, 50):
        assert parts.layers_of(point) == layers(space.decode(point).at(128), HEAD)


def test_no_random_network_has_a_layer_that_is_not_listed(space, parts):
    known = {part.key for part in parts.signatures()}
    for point in points(space, 500, seed=1):
        assert {part.key for part in parts_of(space.decode(point), HEAD)} <= known


def test_frequencies_are_the_expected_counts_of_random_networks(space, parts):
    """4,000 draws; none of the ten commonest is off by five standard errors (1 in 100,000)."""
    expected = parts.frequencies()
    drawn = [layers(space.decode(point), HEAD) for point in points(space, 4000, seed=2)]
    commonest = sorted(expected, key=expected.__getitem__, reverse=True)[:10]
    for layer in commonest:
        counts = np.array([network.count(layer) for network in drawn])
        error = counts.std() / np.sqrt(len(counts))
        assert counts.mean() == pytest.approx(expected[layer], abs=5 * error + 1e-9)
    assert sum(expected.values()) == pytest.approx(np.mean([len(n) for n in drawn]), rel=0.02)


def test_the_mnasnet_space_at_224_has_some_thousands_of_layers_for_its_1e18_networks():
    assert len(SpaceParts.of(MnasNetSpace(), HEAD).signatures()) == 2600
    assert len(SpaceParts.of(ProxylessSpace(), HEAD).signatures()) == 72


def test_efficientnets_spaces_have_some_thousands_of_layers_too():
    assert len(SpaceParts.of(EfficientNetSpace(), HEAD).signatures()) == 2535
    assert len(SpaceParts.of(EfficientNetV2Space(), HEAD).signatures()) == 4229


@pytest.fixture
def latencies(parts):
    return FactoredLatencies.of(parts, ms_of, 0.5, "a toy")


def test_an_array_has_the_sums_of_each_networks_layers(space, latencies):
    some = points(space, 300, seed=3)
    together = latencies.latencies_ms(np.array(some))
    alone = [0.5 + sum(map(ms_of, layers(space.decode(point), HEAD))) for point in some]
    np.testing.assert_allclose(together, alone, rtol=1e-12)
    np.testing.assert_allclose([latencies.latency_ms(p) for p in some], alone, rtol=1e-12)


def test_chunks_leave_no_seam(space, latencies):
    some = np.array(points(space, 50, seed=4), np.uint8)
    whole = latencies.latencies_ms(np.tile(some, (400, 1)))
    np.testing.assert_array_equal(whole, np.tile(latencies.latencies_ms(some), 400))
    assert latencies.latencies_ms(some[:0]).shape == (0,)


def test_no_point_is_faster_than_the_fastest_nor_slower_than_the_slowest(space, latencies):
    drawn = latencies.latencies_ms(np.array(points(space, 3000, seed=5)))
    fastest, slowest = latencies.fastest, latencies.slowest
    space.points.validate(fastest)
    assert latencies.latency_ms(fastest) < drawn.min()
    assert latencies.latency_ms(slowest) > drawn.max()


def test_no_single_change_makes_the_fastest_faster(space, latencies):
    best = latencies.fastest
    for position, count in enumerate(space.points.option_counts):
        for option in range(count):
            other = (*best[:position], option, *best[position + 1 :])
            assert latencies.latency_ms(other) >= latencies.latency_ms(best) - 1e-12


def test_what_is_no_array_of_points_is_refused(space, latencies):
    width = len(space.points.choices)
    for wrong in (
        np.zeros((2, width + 1), int),
        np.zeros(width, int),
        np.zeros((2, width)),
        np.full((1, width), -1),
        np.full((1, width), 99),
    ):
        with pytest.raises(InputError, match="points of a toy must"):
            latencies.latencies_ms(wrong)
