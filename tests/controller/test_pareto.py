import random

import pytest

from controller.pareto import FrontPoint, dominates, front_of, hypervolume, with_point


def points(count, seed):
    rng = random.Random(seed)
    return [
        FrontPoint(index=index, accuracy=rng.randrange(8) / 8, latency_ms=rng.randrange(1, 9))
        for index in range(count)
    ]


def test_the_front_is_what_nothing_dominates():
    for seed in range(50):
        some = points(40, seed)
        alone = [p for p in some if not any(dominates(q, p) for q in some if q is not p)]
        assert set(front_of(some)) == set(alone)


def test_it_does_not_depend_on_the_order():
    some = points(40, 0)
    shuffled = random.Random(1).sample(some, len(some))
    assert front_of(shuffled) == front_of(some)


def test_of_equal_candidates_the_earliest_stays():
    first, second = (FrontPoint(index=i, accuracy=0.5, latency_ms=2.0) for i in range(2))
    assert with_point([second], first) == (first,)
    assert with_point([first], second) == (first,)


def test_nothing_dominates_itself():
    point = FrontPoint(index=0, accuracy=0.5, latency_ms=2.0)
    assert not dominates(point, point)


def test_the_hypervolume_is_the_area_that_the_front_dominates():
    points = [
        FrontPoint(index=i, accuracy=accuracy, latency_ms=latency_ms)
        for i, (accuracy, latency_ms) in enumerate([(0.7, 2.0), (0.5, 1.0), (0.6, 3.0)])
    ]
    area = hypervolume(points, accuracy=0.4, latency_ms=4.0)
    assert area == pytest.approx(0.1 * 3 + 0.2 * 2)
    assert hypervolume(points, accuracy=0.6, latency_ms=1.5) == 0.0
    assert hypervolume([], accuracy=0.0, latency_ms=1.0) == 0.0
