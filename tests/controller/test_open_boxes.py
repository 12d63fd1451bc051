import random
from itertools import product

import numpy as np
import pytest

from controller.open_boxes import OpenBoxes
from controller.pareto import FrontPoint, hypervolume


def members(count, objectives, seed):
    """With many ties, and some that others dominate."""
    rng = random.Random(seed)
    return np.array(
        [[float(rng.randrange(1, 6)) for _ in range(objectives)] for _ in range(count)]
    ).reshape(count, objectives)


def covered(boxes, cell):
    """How many boxes hold the middle of a cell."""
    inside = [
        (edges[boxes.lows[:, place]] < middle) & (middle < edges[boxes.highs[:, place]])
        for place, (edges, middle) in enumerate(zip(boxes.edges, cell, strict=True))
    ]
    return int(np.logical_and.reduce(inside).sum())


@pytest.mark.parametrize(("objectives", "count"), [(2, 9), (3, 9), (3, 1), (3, 0), (4, 7)])
def test_what_no_member_dominates_is_in_one_box_and_the_rest_in_none(objectives, count):
    for seed in range(10):
        front = members(count, objectives, seed)
        boxes = OpenBoxes.of(front, (0.0,) * objectives)
        for corner in product(range(6), repeat=objectives):
            cell = [low + 0.5 for low in corner]
            dominated = any(all(a > b for a, b in zip(one, cell, strict=True)) for one in front)
            assert covered(boxes, cell) == (not dominated)


def test_members_below_the_reference_cover_nothing():
    boxes = OpenBoxes.of(np.array([[-1.0, 3.0, 3.0], [0.0, 1.0, 1.0]]), (0.0, 0.0, 0.0))
    assert len(boxes.lows) == 1
    assert covered(boxes, (0.5, 0.5, 0.5)) == 1


def test_of_many_objectives_the_farthest_members_stand_for_all():
    rng = np.random.default_rng(0)
    front = np.abs(rng.normal(size=(120, 4)))
    front /= np.linalg.norm(front, axis=1, keepdims=True)
    boxes = OpenBoxes.of(front, (0.0,) * 4)
    kept = {len(edges) - 2 for edges in boxes.edges}
    assert kept == {40}
    best = front.max(axis=0)
    assert [edges[-2] for edges in boxes.edges] == best.tolist()
    tops = [np.minimum(edges, 1.0) for edges in boxes.edges]
    sides = [
        top[boxes.highs[:, place]] - top[boxes.lows[:, place]] for place, top in enumerate(tops)
    ]
    whole = hypervolume(
        [FrontPoint(index=i, losses=tuple((-one).tolist())) for i, one in enumerate(front)],
        (0.0,) * 4,
    )
    covered_by_some = 1.0 - np.prod(sides, axis=0).sum()
    assert 0.7 * whole < covered_by_some < whole
