import random
from itertools import product

import pytest

from controller.pareto import (
    FrontPoint,
    dominates,
    front_limit,
    front_of,
    hypervolume,
    with_point,
)


def points(count, seed, objectives=2):
    """With many ties."""
    rng = random.Random(seed)
    return [
        FrontPoint(index=index, losses=tuple(float(rng.randrange(8)) for _ in range(objectives)))
        for index in range(count)
    ]


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
def test_the_front_is_what_nothing_dominates(objectives):
    for seed in range(50):
        some = points(40, seed, objectives)
        alone = [p for p in some if not any(dominates(q, p) for q in some if q is not p)]
        assert set(front_of(some)) == set(alone)


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_it_does_not_depend_on_the_order(objectives):
    some = points(40, 0, objectives)
    shuffled = random.Random(1).sample(some, len(some))
    assert front_of(shuffled) == front_of(some)


def test_it_is_in_the_order_of_the_second_objective():
    second = [point.losses[1] for point in front_of(points(40, 0, 3))]
    assert second == sorted(second)


def test_of_equal_candidates_the_earliest_stays():
    first, second = (FrontPoint(index=i, losses=(-0.5, 2.0)) for i in range(2))
    assert with_point([second], first) == (first,)
    assert with_point([first], second) == (first,)


def test_nothing_dominates_itself():
    point = FrontPoint(index=0, losses=(-0.5, 2.0, 3.0))
    assert not dominates(point, point)


def test_below_the_limit_of_an_objective_a_candidate_joins_the_front():
    front = front_of(points(40, 3, 3))
    for losses in product((0.5, 2.5, 5.5), repeat=3):
        for place in range(3):
            limit = front_limit(front, losses, place)
            for mine in (min(limit, 100.0) - 0.25, min(limit, 100.0) + 0.25):
                there = list(losses)
                there[place] = mine
                candidate = FrontPoint(index=99, losses=tuple(there))
                assert (candidate in with_point(front, candidate)) == (mine < limit)


def test_the_hypervolume_is_the_area_that_the_front_dominates():
    points = [
        FrontPoint(index=i, losses=(-accuracy, latency_ms))
        for i, (accuracy, latency_ms) in enumerate([(0.7, 2.0), (0.5, 1.0), (0.6, 3.0)])
    ]
    area = hypervolume(points, (-0.4, 4.0))
    assert area == pytest.approx(0.1 * 3 + 0.2 * 2)
    assert hypervolume(points, (-0.6, 1.5)) == 0.0
    assert hypervolume([], (0.0, 1.0)) == 0.0


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
def test_the_hypervolume_is_the_number_of_cells_that_some_point_dominates(objectives):
    for seed in range(20):
        some = points(12, seed, objectives)
        reference = [6.0] * objectives  # some points lie beyond it
        cells = sum(
            any(all(a <= b for a, b in zip(p.losses, cell, strict=True)) for p in some)
            for cell in product(range(6), repeat=objectives)
        )
        assert hypervolume(some, reference) == cells


def test_the_hypervolume_of_many_is_that_of_the_library():
    moocore = pytest.importorskip("moocore")
    for objectives, count in ((2, 80), (3, 60), (4, 40), (5, 20)):
        rng = random.Random(objectives)
        losses = [tuple(rng.random() for _ in range(objectives)) for _ in range(count)]
        found = hypervolume(
            [FrontPoint(index=i, losses=one) for i, one in enumerate(losses)], (0.9,) * objectives
        )
        assert found == pytest.approx(moocore.hypervolume(losses, ref=[0.9] * objectives))
