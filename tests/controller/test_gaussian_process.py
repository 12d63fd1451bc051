import numpy as np
import pytest

from controller import gaussian_process
from controller.gaussian_process import Encoding, Kernel, Posterior

COUNTS = (3, 1, 4, 2)
ENCODING = Encoding.of(COUNTS)


def points(count: int, seed: int = 0) -> np.ndarray:
    """Different ones."""
    every = np.array([[a, 0, b, c] for a in range(3) for b in range(4) for c in range(2)])
    return np.random.default_rng(seed).permutation(every)[:count]


def kernel(order: float = 0.5) -> Kernel:
    distances = np.array([0.5, 0.7, 1.1, 0.2])
    return Kernel(distances=distances, order=order, near=0.6, additive=0.4, own=0.05)


def covariance(first: np.ndarray, second: np.ndarray, known: Kernel) -> float:
    """As the module says it, one pair at a time."""
    distance = 0.0
    for place, count in enumerate(COUNTS):
        steps = abs(int(first[place]) - int(second[place]))
        share = known.order * steps / max(count - 1, 1) + (1 - known.order) * (steps > 0)
        distance += float(known.distances[place]) * share
    near = known.near * np.exp(-distance)
    additive = known.additive * (1 - distance / float(known.distances.sum()))
    return float(near + additive) + known.own * bool((first == second).all())


@pytest.mark.parametrize("order", [0.0, 0.3, 1.0])
def test_a_posterior_is_that_of_the_covariance_that_the_module_states(order: float):
    known = kernel(order)
    seen, other = points(14)[:9], points(14)[9:]
    values = np.random.default_rng(1).normal(size=9)
    variances = np.full(9, 0.02)
    around = np.array([[covariance(a, b, known) for b in seen] for a in seen])
    inverse = np.linalg.inv(around + np.diag(variances))
    across = np.array([[covariance(a, b, known) for b in seen] for a in other])
    mean, deviation = Posterior.of(ENCODING, known, seen, values, variances).at(other)
    assert mean == pytest.approx(across @ inverse @ values, rel=1e-6, abs=1e-9)
    left = known.variance - np.einsum("mn,nk,mk->m", across, inverse, across)
    assert deviation**2 == pytest.approx(left, rel=1e-6)


def test_one_observation_more_is_as_if_all_had_been_there():
    seen, other = points(15)[:10], points(15)[10:]
    values = np.random.default_rng(1).normal(size=10)
    variances = np.linspace(0.0, 0.1, 10)
    whole = Posterior.of(ENCODING, kernel(), seen, values, variances)
    grown = Posterior.of(ENCODING, kernel(), seen[:6], values[:6], variances[:6])
    for code, value, variance in zip(seen[6:], values[6:], variances[6:], strict=True):
        grown = grown.with_observation(code, float(value), float(variance))
    for one, two in zip(whole.at(other), grown.at(other), strict=True):
        assert one == pytest.approx(two, rel=1e-6)


def test_trends_are_followed_in_a_proportion_that_is_learnt():
    """As if each value had a further part that is linear in its trends, of variance STEEPNESS."""
    known = kernel()
    seen, other = points(14)[:9], points(14)[9:]
    rng = np.random.default_rng(1)
    values, trends, beyond = rng.normal(size=9), rng.normal(size=(9, 2)), rng.normal(size=(5, 2))
    steep = gaussian_process.STEEPNESS
    around = np.array([[covariance(a, b, known) for b in seen] for a in seen])
    around += steep * trends @ trends.T
    inverse = np.linalg.inv(around + 1e-9 * np.eye(9))
    across = np.array([[covariance(a, b, known) for b in seen] for a in other])
    across += steep * beyond @ trends.T
    left = known.variance + steep * (beyond**2).sum(axis=1)
    left -= np.einsum("mn,nk,mk->m", across, inverse, across)
    whole = Posterior.of(ENCODING, known, seen, values, np.zeros(9), trends)
    grown = Posterior.of(ENCODING, known, seen[:6], values[:6], np.zeros(6), trends[:6])
    for place in range(6, 9):
        grown = grown.with_observation(seen[place], float(values[place]), 0.0, trends[place])
    for posterior in (whole, grown):
        mean, deviation = posterior.at(other, beyond)
        assert mean == pytest.approx(across @ inverse @ values, rel=1e-5, abs=1e-8)
        assert deviation**2 == pytest.approx(left, rel=1e-5)
        assert posterior.means_at(other, beyond) == pytest.approx(mean)


def test_an_observed_point_is_expected_to_give_what_was_observed():
    seen = points(9)
    values = np.random.default_rng(1).normal(size=9)
    mean, deviation = Posterior.of(ENCODING, kernel(), seen, values, np.zeros(9)).at(seen)
    assert mean == pytest.approx(values, abs=1e-5)
    assert deviation.max() < 1e-3


def test_rounding_does_not_break_what_is_told_of_many_exact_values():
    """Values that are exactly additive: one more row and column after the other would explode."""
    every = np.array(np.unravel_index(np.arange(4**5), (4,) * 5)).T
    every = np.random.default_rng(0).permutation(every)
    distances = np.array([0.3, 0.9, 1e-3, 1e-3, 1e-3])
    exact = Kernel(distances=distances, order=0.96, near=0.5, additive=200.0, own=1e-6)
    values = (every.sum(axis=1) - 7.5) / 3
    encoding = Encoding.of((4,) * 5)
    posterior = Posterior.of(encoding, exact, every[:160], values[:160], np.zeros(160))
    for code, value in zip(every[160:200], values[160:200], strict=True):
        posterior = posterior.with_observation(code, float(value), 0.0)
    mean, _ = posterior.at(every[200:])
    assert mean == pytest.approx(values[200:], abs=0.1)
