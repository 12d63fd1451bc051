import random
from statistics import mean

import pytest

from search_space.guidance import Threshold, checked_weights, redrawn
from workspace.errors import InputError

EDGES = {(0, 2), (1, 2), (0, 3), (1, 3), (2, 3)}
POSSIBLE = EDGES | {(4, 2), (4, 3), (5, 2), (5, 3), (6, 2), (6, 3)}
WEIGHTS = {(0, 2): 0.2, (1, 2): 0.9, (0, 3): 0.5, (1, 3): 0.51, (2, 3): 0.05}


def draw(seed=0, threshold=0.5, edges=EDGES, possible=POSSIBLE, weights=WEIGHTS):
    rng = random.Random(seed)
    return redrawn(edges, possible, weights, Threshold(value=threshold), rng)


def test_exactly_the_edges_above_a_constant_threshold_stay():
    assert draw().kept == {(1, 2), (1, 3)}


def test_a_weight_that_equals_the_threshold_does_not_pass():
    assert (0, 3) not in draw(threshold=0.5).kept


def test_an_edge_without_a_weight_stays_whatever_the_threshold():
    few = {edge: 0.0 for edge in WEIGHTS if edge != (0, 2)}
    assert draw(threshold=0.99, weights=few).kept == {(0, 2)}
    assert all((0, 2) in draw(seed, None, weights=few).kept for seed in range(200))


def test_an_edge_stays_with_a_chance_of_its_weight_where_thresholds_are_drawn():
    # 4000 draws: within 6 standard deviations, which a right chance leaves once in 5e8 edges
    found = [draw(seed, threshold=None).kept for seed in range(4000)]
    for edge, weight in WEIGHTS.items():
        bound = 6 * (weight * (1 - weight) / 4000) ** 0.5
        assert abs(mean(edge in kept for kept in found) - weight) <= bound


def test_only_edges_that_were_not_there_are_drawn():
    assert all(draw(seed).drawn <= POSSIBLE - EDGES for seed in range(100))


def test_as_many_edges_are_expected_as_before():
    found = draw()
    assert found.chance == 3 / 6
    counts = [len(draw(seed).kept | draw(seed).drawn) for seed in range(4000)]
    assert mean(counts) == pytest.approx(len(EDGES), rel=0.01)


def test_fewer_edges_come_out_where_too_few_are_left_to_draw():
    found = draw(threshold=1.0, possible=EDGES | {(4, 2)})
    assert found.chance == 1.0
    assert found.drawn == {(4, 2)}


def test_nothing_is_drawn_where_all_edges_are_there():
    assert draw(possible=EDGES).drawn == frozenset()


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_a_threshold_outside_0_to_1_is_refused(value):
    with pytest.raises(InputError, match="threshold of connection weights"):
        Threshold(value=value)


def test_weights_are_found_among_what_else_is_told():
    told = {"node4": [0.25, 0.75], "seconds": [31.0]}
    assert checked_weights(told, {"node4": 2}) == {"node4": (0.25, 0.75)}


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ({}, "told 0 connection weights of node4, not 2"),
        ({"node4": [0.5]}, "told 1 connection weights of node4, not 2"),
        ({"node4": [0.5, 1.5]}, "connection weights of node4 are in \\[0, 1\\], got 1.5"),
        ({"node4": [0.5, float("nan")]}, "got nan"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(told, text):
    with pytest.raises(InputError, match=text):
        checked_weights(told, {"node4": 2})
