import numpy as np
import pytest

from controller import gaussian_process
from controller.gaussian_process import Encoding, Kernel, Posterior, fitted

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


def test_the_slope_of_the_density_is_that_of_its_differences():
    codes = points(12)
    values = np.random.default_rng(2).normal(size=12)
    rows, variances = ENCODING.rows(codes), np.full(12, 0.01)
    numbers = gaussian_process._numbers(kernel())

    def density(at: np.ndarray) -> float:
        return gaussian_process._density(ENCODING, rows, values, variances, at)[0]

    _, slope = gaussian_process._density(ENCODING, rows, values, variances, numbers)
    for place in range(len(numbers)):
        step = np.zeros(len(numbers))
        step[place] = 1e-5
        change = (density(numbers + step) - density(numbers - step)) / 2e-5
        assert slope[place] == pytest.approx(change, rel=1e-4, abs=1e-6)


def test_the_slope_of_what_is_likely_beforehand_is_that_of_its_differences():
    usual = gaussian_process._numbers(Kernel.usual(4))
    numbers = gaussian_process._numbers(kernel())
    _, slope = gaussian_process._prior(numbers, usual)
    for place in range(len(numbers)):
        step = np.zeros(len(numbers))
        step[place] = 1e-5
        above, below = (
            gaussian_process._prior(numbers + sign * step, usual)[0] for sign in (1, -1)
        )
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
