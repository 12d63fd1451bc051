import math
from statistics import NormalDist

import numpy as np
import pytest

from controller.expected_improvement import (
    expected_excess,
    growth_in,
    hypervolume_improvement,
    log_improvement,
)
from controller.open_boxes import OpenBoxes
from controller.pareto import FrontPoint, hypervolume


@pytest.mark.parametrize("score", [-6.0, -3.0, -1.0, -0.1, 0.0, 0.1, 1.0, 4.0, 30.0])
def test_the_improvement_of_a_normal_number_is_that_of_the_formula(score: float):
    normal = NormalDist()
    exact = normal.pdf(score) + score * normal.cdf(score)
    (found,) = log_improvement(np.array([2 + 0.5 * score]), np.array([0.5]), 2.0)
    assert math.exp(found) == pytest.approx(0.5 * exact, rel=1e-4)


def test_improvements_too_small_for_a_number_are_still_in_order():
    found = log_improvement(np.array([-60.0, -50.0, -40.0]), np.ones(3), 0.0)
    assert np.isfinite(found).all()
    assert found[0] < found[1] < found[2]
    assert found[2] == pytest.approx(-800 - 0.5 * math.log(2 * math.pi) - math.log(1601), abs=0.01)


def test_the_excess_above_a_limit_is_what_draws_give():
    draws = 1.0 + 0.7 * np.random.default_rng(0).normal(size=200_000)
    found = expected_excess(np.array([1.0]), np.array([0.7]), 1.5)
    assert found[0] == pytest.approx(np.maximum(draws - 1.5, 0).mean(), rel=0.02)


def test_the_growth_of_a_front_is_what_draws_give():
    front = np.array([[0.2, 0.9], [0.5, 0.6], [0.8, 0.1]])
    reference = (0.0, 0.0)
    means, deviations = np.array([[0.55, 0.7], [0.3, 0.3]]), np.array([[0.2, 0.1], [0.05, 0.3]])
    rng = np.random.default_rng(0)
    for place, found in enumerate(hypervolume_improvement(means, deviations, front, reference)):
        draws = means[place] + deviations[place] * rng.normal(size=(20_000, 2))
        grown = np.array([area(np.vstack([front, draw])) for draw in draws]) - area(front)
        assert abs(found - grown.mean()) < 4 * grown.std() / len(draws) ** 0.5  # 1 in 16,000


def test_members_below_the_reference_do_not_count():
    one, sure = np.array([[0.5, 0.5]]), np.full((1, 2), 1e-9)
    front = np.array([[-1.0, 3.0]])
    found = hypervolume_improvement(one, sure, front, (0.0, 0.0))
    assert found[0] == pytest.approx(0.25, rel=1e-4)


def test_in_boxes_the_growth_of_an_area_is_the_same():
    rng = np.random.default_rng(0)
    front = rng.random((9, 2))
    means, deviations = rng.random((20, 2)), 0.3 * rng.random((20, 2))
    boxes = OpenBoxes.of(front, (-0.1, -0.1))
    nondominated = front[[not (front > one).all(axis=1).any() for one in front]]
    strips = hypervolume_improvement(means, deviations, nondominated, (-0.1, -0.1))
    assert growth_in(boxes, means, deviations) == pytest.approx(strips, rel=1e-9)


@pytest.mark.parametrize("objectives", [3, 4])
def test_the_growth_of_a_volume_is_what_draws_give(objectives: int):
    rng = np.random.default_rng(1)
    front = rng.random((6, objectives))
    boxes = OpenBoxes.of(front, (0.0,) * objectives)
    means = rng.random((3, objectives))
    deviations = 0.05 + 0.3 * rng.random((3, objectives))
    for place, found in enumerate(growth_in(boxes, means, deviations)):
        draws = means[place] + deviations[place] * rng.normal(size=(4_000, objectives))
        grown = np.array([volume([*front, draw]) for draw in draws]) - volume(front)
        assert abs(found - grown.mean()) < 4 * grown.std() / len(draws) ** 0.5  # 1 in 16,000


def volume(front) -> float:
    """Above the reference of nothing."""
    members = [FrontPoint(index=i, losses=tuple(-one)) for i, one in enumerate(front)]
    return hypervolume(members, (0.0,) * len(members[0].losses))


def area(front: np.ndarray) -> float:
    """Above the reference of nothing."""
    total, best = 0.0, 0.0
    for first, second in sorted(front.tolist(), reverse=True):
        if second > best and first > 0:
            total += first * (second - best)
            best = second
    return total
