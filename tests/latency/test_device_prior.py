import random

import numpy as np
import pytest

from latency.device_prior import DevicePrior
from latency.evidence import Basis, Measurement, OtherDevice
from latency.gaussian import conditioned
from latency.signatures import distinct, parts_of
from latency.spread import ALONE, FEW, expected
from search_space.architecture import Classifier
from search_space.mnasnet import MnasNetSpace
from search_space.proxyless import ProxylessSpace
from workspace.errors import InputError

SPACE = ProxylessSpace(size=64)
HEAD = Classifier(classes=10)
RNG = random.Random(0)
NETWORKS = [parts_of(SPACE.decode(SPACE.points.sample(RNG)), HEAD) for _ in range(120)]
PARTS = distinct(NETWORKS)
FRESH = NETWORKS[60:]
"""Networks that no prior was made with."""


def device_ms(seed, constant_ms=0.2):
    """A stand-in for a device: its own speeds of arithmetic and memory, and of each part."""
    rng = np.random.default_rng(seed)
    ms_per_mac, ms_per_number, start_ms = np.exp(rng.normal(0, 0.5, 3)) / (2e7, 2e6, 200)
    found = {"": constant_ms}
    for part in PARTS:
        moved = part.input_elements + part.hidden_elements + part.output_elements + part.params
        own = float(np.exp(rng.normal(0, 0.05)))
        found[part.key] = (start_ms + part.macs * ms_per_mac + moved * ms_per_number) * own
    return found


def total_ms(ms, parts):
    return ms[""] + sum(ms[part.key] for part in parts)


def of_table(seed, parts=PARTS):
    ms = device_ms(seed)
    return OtherDevice.of_table(f"phone {seed}", parts, ms, ms[""])


def of_networks(ms, networks, noise=0.01, seed=0):
    rng = np.random.default_rng(seed)
    return tuple(
        Measurement(parts=parts, latency_ms=total_ms(ms, parts) * float(rng.lognormal(0, noise)))
        for parts in networks
    )


@pytest.fixture(scope="module")
def prior():
    """Of five devices' tables."""
    return DevicePrior.of([of_table(seed) for seed in range(5)], NETWORKS[:60])


def relative_errors(prior, weights, ms, networks):
    """Of latencies in the device's own unit: how a typical network's share is predicted."""
    unit_ms = float(prior.basis.typical @ in_basis_ms(prior, ms))
    told = prior.basis.rows(networks) @ weights
    true = np.array([total_ms(ms, parts) for parts in networks]) / unit_ms
    return told / true - 1


def in_basis_ms(prior, ms):
    return np.array([*(ms[part.key] for part in prior.basis.parts), ms[""]])


def after(prior, measurements, noise=0.02):
    """What measurements make of a prior; the first guess of the scale is the median's."""
    rows, latencies, _ = prior.basis.observed(measurements)
    sizes = rows @ prior.mean
    scale_ms = float(np.median(latencies / sizes))
    found = conditioned(prior.normal(), rows, latencies / scale_ms, 1 / (noise * sizes) ** 2)
    return scale_ms, found


def errors_after(prior, ms, count):
    scale_ms, found = after(prior, of_networks(ms, FRESH[:count]))
    told = scale_ms * found.sums(prior.basis.rows(FRESH[20:]))[0]
    return told / [total_ms(ms, parts) for parts in FRESH[20:]] - 1


def test_without_other_devices_a_new_one_is_told_by_costs_alone():
    prior = DevicePrior.of([], NETWORKS[:60])
    assert prior.names == ()
    assert prior.weights.shape == (0, len(prior.basis.parts) + 1)
    assert prior.spread == ALONE
    assert not prior.known
    assert not prior.unsure.any()
    np.testing.assert_array_equal(prior.mean, expected(prior.basis))


def test_without_a_network_there_is_no_prior():
    with pytest.raises(InputError, match="at least one network of the space is needed"):
        DevicePrior.of([of_table(0)], [])


def test_a_typical_network_takes_1_on_every_device(prior):
    np.testing.assert_allclose(prior.weights @ prior.basis.typical, 1.0)
    assert prior.basis.typical @ prior.mean == pytest.approx(1.0)
    assert prior.names == tuple(f"phone {seed}" for seed in range(5))


def test_a_tables_entries_are_found_again_as_weights(prior):
    for seed, weights in enumerate(prior.weights):
        true = in_basis_ms(prior, device_ms(seed))
        true /= prior.basis.typical @ true
        np.testing.assert_allclose(weights, true, rtol=0.02)


def test_a_device_that_is_slower_throughout_has_the_same_weights():
    slow = {key: 7 * ms for key, ms in device_ms(3).items()}
    table = OtherDevice.of_table("slow", PARTS, slow, slow[""])
    first, second = DevicePrior.of([of_table(3), table], NETWORKS[:60]).weights
    np.testing.assert_allclose(first, second, rtol=1e-6)


def test_a_device_that_was_measured_with_whole_networks_predicts_others():
    ms = device_ms(1)
    other = OtherDevice(name="lab", measurements=of_networks(ms, NETWORKS[:60]))
    prior = DevicePrior.of([other], NETWORKS[:60])
    errors = relative_errors(prior, prior.weights[0], ms, FRESH)
    assert np.median(abs(errors)) < 0.02
    assert abs(errors).max() < 0.1


def test_a_measurement_of_known_error_weighs_less():
    """One network of sixty told four times too slow, and that it may be."""
    ms = device_ms(1)
    good = of_networks(ms, NETWORKS[:60])
    wrong_ms = 4 * good[0].latency_ms
    told = [
        OtherDevice(
            name="lab",
            measurements=(
                Measurement(parts=good[0].parts, latency_ms=wrong_ms, variance_ms2=variance_ms2),
                *good[1:],
            ),
        )
        for variance_ms2 in (0.0, 100 * wrong_ms**2)
    ]
    blind, warned = DevicePrior.of(told, NETWORKS[:60]).weights
    basis = DevicePrior.of(told[:1], NETWORKS[:60])
    blind_errors = relative_errors(basis, blind, ms, FRESH)
    warned_errors = relative_errors(basis, warned, ms, FRESH)
    assert np.median(abs(warned_errors)) < 0.02
    assert np.median(abs(warned_errors)) < np.median(abs(blind_errors)) / 2


def test_the_spread_is_learned_from_three_devices_on():
    devices = [of_table(seed) for seed in range(3)]
    assert DevicePrior.of(devices[:2], NETWORKS[:60]).spread == FEW
    assert DevicePrior.of(devices, NETWORKS[:60]).spread != FEW


def test_a_new_device_that_is_a_mix_of_others_is_predicted_from_few_measurements(prior):
    """Five networks of 1 % noise, eight such devices; by costs alone errors are larger by half."""
    alone = DevicePrior.of([], NETWORKS)
    told, blind = [], []
    for seed in range(8):
        shares = np.random.default_rng(seed).dirichlet(np.ones(5))
        weights_ms = 60.0 * shares @ prior.weights
        ms = dict(zip((*(p.key for p in prior.basis.parts), ""), weights_ms, strict=True))
        told.append(abs(errors_after(prior, ms, count=5)))
        blind.append(abs(errors_after(alone, ms, count=5)))
    assert np.median(told) < 0.01
    assert np.max(told) < 0.05
    assert np.median(told) < 0.65 * np.median(blind)


def test_a_new_device_that_deviates_from_all_others_is_told_better_by_more_measurements(prior):
    found = []
    for count in (5, 20):
        errors = [errors_after(prior, device_ms(seed), count) for seed in range(50, 58)]
        found.append(np.median(np.abs(errors)))
    assert found[1] < found[0] < 0.03


def test_a_new_device_is_as_far_from_the_others_as_the_prior_says(prior):
    """Forty more devices of the same kind, their scale known; deviations may be wide, not narrow.

    At most 10 % outside of 90 % intervals by the prior; half as many again by chance.
    """
    typical = prior.basis.typical[None]
    scaled = conditioned(prior.normal(), typical, np.ones(1), np.full(1, 1e8))
    rows = prior.basis.rows(FRESH)
    centers, deviations = scaled.sums(rows)
    true = np.array([in_basis_ms(prior, device_ms(seed)) for seed in range(100, 140)])
    true /= (true @ prior.basis.typical)[:, None]
    scores = (true @ rows.T - centers) / deviations
    assert np.mean(abs(scores) < 1.645) > 0.85
    assert np.std(scores) > 0.4


def test_the_prior_is_a_normal_distribution_whose_free_deviations_may_be_wider(prior):
    narrow, wide = prior.normal(), prior.normal(4.0)
    for each in (narrow, wide):
        values = np.linalg.eigvalsh(each.covariance)
        assert values.min() > 0
        np.testing.assert_allclose(each.covariance, each.covariance.T)
        np.testing.assert_array_equal(each.mean, prior.mean)
    assert (np.diag(wide.covariance) > np.diag(narrow.covariance)).all()


def less_than_all():
    """Devices of which one part in three was never timed; its keys."""
    untimed = PARTS[1::3]
    timed = [part for part in PARTS if part not in untimed]
    return [of_table(seed, timed) for seed in range(3)], [part.key for part in untimed]


def test_parts_that_no_device_was_measured_with_have_a_weight_and_a_variance():
    devices, untimed = less_than_all()
    prior = DevicePrior.of(devices, NETWORKS[:60])
    places = [prior.basis.index[key] for key in untimed if key in prior.basis.index]
    assert len(places) > 10
    assert not prior.known & set(untimed)
    assert (prior.weights[:, places] >= 0.1 * expected(prior.basis)[places] * 0.5).all()
    own = prior.unsure + (prior.shared**2).sum(axis=0)
    timed = [prior.basis.index[key] for key in prior.known if key in prior.basis.index]
    assert own[timed].max() < own[places].min()


def test_the_variance_of_parts_that_were_never_timed_holds_what_they_take():
    devices, untimed = less_than_all()
    prior = DevicePrior.of(devices, NETWORKS[:60])
    places = [prior.basis.index[key] for key in untimed if key in prior.basis.index]
    scores = []
    for seed, weights in enumerate(prior.weights):
        true = in_basis_ms(prior, device_ms(seed))
        known = np.delete(np.arange(len(true)), places)
        true *= weights[known].sum() / true[known].sum()
        own = prior.unsure + (prior.shared**2).sum(axis=0)
        scores.append((weights - true)[places] / np.sqrt(own[places]))
    assert np.mean(np.abs(scores) < 2) > 0.85


def test_a_part_that_one_device_was_measured_with_is_known_and_less_unsure():
    devices, untimed = less_than_all()
    prior = DevicePrior.of([*devices, of_table(9)], NETWORKS[:60])
    place = prior.basis.index[untimed[0]]
    assert set(untimed) <= prior.known
    before = DevicePrior.of(devices, NETWORKS[:60])
    own, more = (
        float(each.unsure[place] + (each.shared[:, place] ** 2).sum()) for each in (prior, before)
    )
    assert 0 < own < more


def foreign():
    """Parts of another space, which no table of this one has."""
    space = MnasNetSpace(size=64)
    rng = random.Random(1)
    networks = [parts_of(space.decode(space.points.sample(rng)), HEAD) for _ in range(20)]
    return Basis.of(NETWORKS).lacking(networks)


def test_parts_that_are_taken_in_later_have_a_weight_and_a_variance(prior):
    more = foreign()
    longer = prior.extended(more)
    new = slice(len(prior.basis.parts), -1)
    assert longer.basis.parts == (*prior.basis.parts, *more)
    assert (longer.weights[:, new] >= 0.1 * expected(longer.basis)[new]).all()
    assert (longer.unsure[new] > 0).all()
    assert (np.diag(longer.normal().covariance) > 0).all()
    assert longer.known == prior.known


def test_taking_parts_in_changes_nothing_of_those_that_were_there(prior):
    longer = prior.extended(foreign())
    old = [*range(len(prior.basis.parts)), len(longer.basis.parts)]
    np.testing.assert_array_equal(longer.weights[:, old], prior.weights)
    np.testing.assert_array_equal(longer.unsure[old], prior.unsure)
    np.testing.assert_allclose(
        longer.normal().covariance[np.ix_(old, old)], prior.normal().covariance, rtol=1e-9
    )
    assert longer.basis.typical @ longer.mean == pytest.approx(1.0)


def test_parts_that_are_taken_in_later_cost_what_like_parts_do():
    """Every tenth part left out beforehand: nearer to the truth than by costs alone."""
    left_out = set(PARTS[3::10])
    kept = tuple(part for part in PARTS if part not in left_out)
    prior = DevicePrior.of([of_table(seed, kept) for seed in range(3)], [kept])
    longer = prior.extended(tuple(left_out))
    new = slice(len(kept), -1)
    told, alone = [], []
    for seed, weights in enumerate(longer.weights):
        true = in_basis_ms(longer, device_ms(seed))
        true /= longer.basis.typical @ true
        told.append(np.log(weights[new] / true[new]))
        alone.append(np.log(expected(longer.basis)[new] / true[new]))
    assert np.median(np.abs(told)) < 0.15
    assert np.median(np.abs(told)) < np.median(np.abs(alone)) / 2


def test_without_other_devices_parts_are_taken_in_by_costs_and_deviate_freely():
    prior = DevicePrior.of([], NETWORKS[:60])
    longer = prior.extended(foreign())
    np.testing.assert_allclose(longer.mean, expected(longer.basis))
    assert (np.diag(longer.normal().covariance) > longer.mean**2).all()
