import numpy as np
import pytest

from controller import kernel_fit
from controller.gaussian_process import Encoding, Kernel, Posterior
from controller.kernel_fit import fitted

COUNTS = (3, 1, 4, 2)
ENCODING = Encoding.of(COUNTS)


def points(count: int, seed: int = 0) -> np.ndarray:
    """Different ones."""
    every = np.array([[a, 0, b, c] for a in range(3) for b in range(4) for c in range(2)])
    return np.random.default_rng(seed).permutation(every)[:count]


def kernel(order: float = 0.5) -> Kernel:
    distances = np.array([0.5, 0.7, 1.1, 0.2])
    return Kernel(distances=distances, order=order, near=0.6, additive=0.4, own=0.05)


def test_the_slope_of_the_density_is_that_of_its_differences():
    codes = points(12)
    values = np.random.default_rng(2).normal(size=12)
    rows, variances = ENCODING.rows(codes), np.full(12, 0.01)
    numbers = kernel_fit._numbers(kernel())

    def density(at: np.ndarray) -> float:
        return kernel_fit._density(ENCODING, rows, values, variances, at)[0]

    _, slope = kernel_fit._density(ENCODING, rows, values, variances, numbers)
    for place in range(len(numbers)):
        step = np.zeros(len(numbers))
        step[place] = 1e-5
        change = (density(numbers + step) - density(numbers - step)) / 2e-5
        assert slope[place] == pytest.approx(change, rel=1e-4, abs=1e-6)


def test_the_slope_of_what_is_likely_beforehand_is_that_of_its_differences():
    usual = kernel_fit._numbers(Kernel.usual(4))
    numbers = kernel_fit._numbers(kernel())
    _, slope = kernel_fit._prior(numbers, usual)
    for place in range(len(numbers)):
        step = np.zeros(len(numbers))
        step[place] = 1e-5
        above, below = (kernel_fit._prior(numbers + sign * step, usual)[0] for sign in (1, -1))
        assert slope[place] == pytest.approx((above - below) / 2e-5, rel=1e-4, abs=1e-8)


def test_fitting_finds_which_decision_matters():
    codes = points(20)
    values = (codes[:, 2] - 1.5) / 1.1
    found, _ = fitted(ENCODING, codes, values, np.zeros(20), Kernel.usual(4), 40)
    assert found.distances[2] > 3 * found.distances[[0, 3]].max()
    assert found.order > 0.7


def test_what_no_decision_explains_stays_unsure():
    codes = points(24)
    values = np.random.default_rng(3).normal(size=24)
    found, _ = fitted(ENCODING, codes, values, np.zeros(24), Kernel.usual(4), 60)
    _, deviation = Posterior.of(ENCODING, found, codes[:20], values[:20], np.zeros(20)).at(
        codes[20:]
    )
    assert deviation.min() > 0.5


def test_what_follows_a_trend_is_not_put_down_to_decisions():
    codes = points(24)
    trends = np.random.default_rng(3).normal(size=(24, 1))
    values = trends[:, 0] + 0.01 * np.random.default_rng(4).normal(size=24)
    start, none = Kernel.usual(4), np.zeros(24)
    _, without = fitted(ENCODING, codes, values, none, start, 60)
    found, with_ = fitted(ENCODING, codes, values, none, start, 60, trends=trends)
    assert with_ > without + 10.0
    assert found.near + found.additive + found.own < 0.1
