import random

import numpy as np
import pytest

from latency.evidence import Basis
from latency.signatures import Signature, parts_of
from latency.spread import (
    ALONE,
    CONSTANT_DEVIATION,
    CONSTANT_SHARE,
    FEW,
    Spread,
    cost_shares,
    covariance,
    expected,
    free_covariance,
    learned,
    likeness,
)
from search_space.architecture import Classifier
from search_space.mnasnet import MnasNetSpace
from search_space.proxyless import ProxylessSpace


def networks_of(space, count=60):
    rng = random.Random(0)
    drawn = (space.decode(space.points.sample(rng)) for _ in range(count))
    return [parts_of(network, Classifier(classes=10)) for network in drawn]


NETWORKS = networks_of(ProxylessSpace(size=32))
BASIS = Basis.of(NETWORKS)
KINDS = Basis.of(networks_of(MnasNetSpace(size=32), 8))
"""Of convolutions, inverted bottlenecks, with squeeze-excitation and without."""


def drawn(spread, count, seed, basis=BASIS):
    """Devices that deviate from one by costs alone as ``spread`` says."""
    rng = np.random.default_rng(seed)
    mean = expected(basis)
    return rng.multivariate_normal(mean, free_covariance(basis, spread, mean), count)


def is_covariance(matrix):
    values = np.linalg.eigvalsh(matrix)
    return np.allclose(matrix, matrix.T) and bool(values.min() > -1e-9 * values.max())


@pytest.mark.parametrize("basis", [BASIS, KINDS])
def test_a_typical_network_has_all_of_its_costs_and_takes_1(basis):
    np.testing.assert_allclose(basis.typical @ cost_shares(basis), np.ones(4))
    weights = expected(basis)
    assert basis.typical @ weights == pytest.approx(1.0)
    assert weights[-1] == CONSTANT_SHARE
    assert (weights > 0).all()


def test_a_part_with_more_of_every_cost_is_expected_to_take_longer():
    costs = np.array([part.costs for part in BASIS.parts])
    weights = expected(BASIS)[:-1]
    pairs = [
        (one, other)
        for one in range(len(costs))
        for other in range(len(costs))
        if (costs[one] >= costs[other]).all() and (costs[one] > costs[other]).any()
    ]
    assert len(pairs) > 100
    assert all(weights[one] > weights[other] for one, other in pairs)


def test_costs_that_no_part_has_are_no_failure():
    nothing = Signature(
        key="pause",
        kind="conv",
        macs=0,
        params=0,
        input_elements=0,
        hidden_elements=0,
        output_elements=0,
    )
    basis = Basis.of([(nothing,)])
    assert basis.typical @ expected(basis) == pytest.approx(1.0)
    assert np.isfinite(covariance(basis, ALONE, expected(basis)[None])).all()


@pytest.mark.parametrize("basis", [BASIS, KINDS])
@pytest.mark.parametrize("spread", [ALONE, FEW])
def test_likeness_is_a_correlation_and_none_with_the_constant(basis, spread):
    found = likeness(basis, spread)
    assert is_covariance(found)
    np.testing.assert_array_equal(np.diag(found), 1.0)
    assert found.max() == 1.0
    assert found.min() >= 0.0
    assert not found[-1, :-1].any()


def test_the_further_apart_the_costs_of_parts_are_the_less_they_are_alike():
    """Parts of 1, 2, 4, … times all costs: by the logarithm's distance over the length."""
    parts = tuple(
        Signature(
            key=str(factor),
            kind="conv",
            macs=10**6 * factor,
            params=10**4 * factor,
            input_elements=10**4 * factor,
            hidden_elements=0,
            output_elements=10**4 * factor,
        )
        for factor in (1, 2, 4, 8, 1)
    )
    row = likeness(Basis.from_parts(parts, np.ones(6)), ALONE)[0, :-1]
    step = np.log(2) * np.sqrt(5) / ALONE.length
    np.testing.assert_allclose(row, np.exp([0, -step, -2 * step, -3 * step, 0]), rtol=1e-3)


def test_parts_of_other_kinds_are_less_alike_by_the_share_that_is_lost():
    same = likeness(KINDS, Spread(**{**SPREAD, "kinds": 0.0}))[:-1, :-1]
    lost = likeness(KINDS, Spread(**{**SPREAD, "kinds": 0.4}))[:-1, :-1]
    kinds = np.array([part.kind for part in KINDS.parts])
    other = kinds[:, None] != kinds
    assert other.any()
    np.testing.assert_allclose(lost[other], 0.6 * same[other])
    np.testing.assert_allclose(lost[~other], same[~other])


SPREAD = {"spanned": 1.0, "alike": 0.3, "own": 0.1, "costs": 0.2, "length": 4.0, "kinds": 0.1}


def test_free_deviations_are_shares_of_weights_and_of_costs():
    """The variance of a part: what it shares, what is its own, what its costs have."""
    spread, weights = Spread(**SPREAD), expected(BASIS)
    found = free_covariance(BASIS, spread, weights)
    sizes, shares = weights[:-1], cost_shares(BASIS)[:-1]
    own = (0.3**2 + 0.1**2) * sizes**2 + 0.2**2 * (shares**2).sum(axis=1)
    np.testing.assert_allclose(np.diag(found)[:-1], own)
    assert found[-1, -1] == pytest.approx(CONSTANT_DEVIATION**2)
    assert not found[-1, :-1].any()
    assert is_covariance(found)


def test_a_weight_that_is_nearly_nothing_may_deviate_still():
    weights = expected(BASIS)
    weights[3] = 0.0
    assert free_covariance(BASIS, Spread(**{**SPREAD, "costs": 1e-3}), weights)[3, 3] > 0


def test_a_new_device_may_be_as_others_are_apart_and_of_any_scale():
    spread = Spread(**{**SPREAD, "spanned": 0.5})
    devices = drawn(FEW, 3, seed=0)
    mean = devices.mean(axis=0)
    found = covariance(BASIS, spread, devices)
    along = 0.25 * np.cov(devices, rowvar=False)
    free = free_covariance(BASIS, spread, mean)
    np.testing.assert_allclose(found, along + free + np.outer(mean, mean), atol=1e-12)
    assert is_covariance(found)


def test_wider_free_deviations_are_wider_and_nothing_else():
    spread, devices = Spread(**SPREAD), drawn(FEW, 3, seed=0)
    free = free_covariance(BASIS, spread, devices.mean(axis=0))
    more = covariance(BASIS, spread, devices, 3.0) - covariance(BASIS, spread, devices)
    np.testing.assert_allclose(more, 8 * free, atol=1e-12)


def test_one_other_device_leaves_free_deviations_and_the_scale():
    (device,) = drawn(FEW, 1, seed=1)
    found = covariance(BASIS, Spread(**SPREAD), device[None])
    free = free_covariance(BASIS, Spread(**SPREAD), device)
    np.testing.assert_allclose(found, free + np.outer(device, device))


def test_what_a_measured_sum_of_a_device_like_others_tells_is_its_scale():
    """A device three times as slow as the mean of others: one network tells nearly all of it."""
    devices = drawn(Spread(**{**SPREAD, "alike": 0.02, "own": 0.01, "costs": 0.01}), 4, seed=2)
    mean = devices.mean(axis=0)
    narrow = Spread(spanned=1.0, alike=0.02, own=0.01, costs=0.01, length=4.0, kinds=0.1)
    around = covariance(BASIS, narrow, devices)
    rows = BASIS.rows(NETWORKS)
    seen, others = rows[:1], rows[1:]
    gain = around @ seen.T / (seen @ around @ seen.T)
    found = mean + (gain * (3 * seen @ mean - seen @ mean)).ravel()
    np.testing.assert_allclose(others @ found, 3 * others @ mean, rtol=0.2)


NO_ERRORS = [np.zeros((len(BASIS.typical),) * 2)] * 5


@pytest.fixture(scope="module")
def found():
    """Learned from devices that are alike, from such that are not, and from few of the latter."""
    alike = Spread(spanned=1.0, alike=0.05, own=0.01, costs=0.02, length=4.0, kinds=0.1)
    apart = Spread(spanned=1.0, alike=0.4, own=0.15, costs=0.3, length=4.0, kinds=0.1)
    rows = BASIS.rows(NETWORKS)
    return {
        name: learned(BASIS, drawn(spread, 5, seed=3), NO_ERRORS, rows)
        for name, spread in (("alike", alike), ("apart", apart))
    }


def deviation(spread):
    """Of a network's latency on a new device, as a share: the mean over networks."""
    rows, mean = BASIS.rows(NETWORKS), expected(BASIS)
    around = rows @ free_covariance(BASIS, spread, mean) @ rows.T
    return float(np.mean(np.sqrt(np.diag(around)) / (rows @ mean)))


def test_devices_that_are_apart_teach_a_wider_spread(found):
    assert deviation(found["apart"]) > 2 * deviation(found["alike"])


def test_what_is_learned_is_within_its_limits(found):
    for spread in found.values():
        assert 0.01 <= spread.kinds <= 0.95
        assert 0.5 <= spread.length <= 20.0
        assert 0.005 <= spread.own <= 1.0
        assert min(spread.spanned, spread.alike, spread.costs) >= 1e-3


def test_the_same_devices_teach_the_same_spread():
    devices = drawn(FEW, 3, seed=4)
    rows = BASIS.rows(NETWORKS[:10])
    first, second = (learned(BASIS, devices, NO_ERRORS[:3], rows) for _ in range(2))
    assert first == second
    assert first != learned(BASIS, drawn(FEW, 3, seed=5), NO_ERRORS[:3], rows)


def test_errors_of_known_weights_are_no_deviations_of_devices():
    """The same devices, their weights known badly: less of what is apart is theirs."""
    devices = drawn(FEW, 4, seed=6)
    rows = BASIS.rows(NETWORKS[:30])
    errors = [free_covariance(BASIS, FEW, expected(BASIS))] * 4
    sure = learned(BASIS, devices, NO_ERRORS[:4], rows)
    unsure = learned(BASIS, devices, errors, rows)
    assert deviation(unsure) < deviation(sure)


def test_a_learned_spread_holds_the_devices_that_come_next(found):
    """Of 40 more devices like the five, 60 networks each: most within 90 % intervals."""
    apart = Spread(spanned=1.0, alike=0.4, own=0.15, costs=0.3, length=4.0, kinds=0.1)
    devices, further = drawn(apart, 5, seed=3), drawn(apart, 40, seed=7)
    rows = BASIS.rows(NETWORKS)
    around = covariance(BASIS, found["apart"], devices)
    deviations = np.sqrt(np.diag(rows @ around @ rows.T))
    scores = (rows @ (further - devices.mean(axis=0)).T) / deviations[:, None]
    assert np.mean(abs(scores) < 1.645) > 0.85
