import itertools

import numpy as np
import pytest

from latency.gaussian import (
    LEAST_NOISE,
    MOST_NOISE,
    SLOWER,
    SLOWER_DEVIATION,
    Noise,
    Observations,
    Weights,
    conditioned,
    fits,
    fitted,
    intervals,
    mixed,
    noise_shares,
    weights_of,
)

WIDTH = 6
PRIOR = Weights(
    mean=np.array([0.3, 0.1, 0.2, 0.15, 0.05, 0.4]),
    covariance=np.diag([0.02, 0.01, 0.03, 0.01, 0.005, 0.04]) + 0.004,
)
NO_OUTLIERS = Noise(share=0.02, outliers=1e-12, weight=1.0)
SOME_OUTLIERS = Noise(share=0.02, outliers=0.05, weight=1.0)


def rows(count, seed=0):
    """Counts of parts, and one constant a network."""
    counts = np.random.default_rng(seed).integers(0, 4, (count, WIDTH)).astype(float)
    counts[:, -1] = 1.0
    return counts


def drawn(prior, rng):
    return rng.multivariate_normal(prior.mean, prior.covariance)


def observed(counts, weights, rng, share=0.02, outliers=0.0):
    """Measurements of sums, with noise; some of them slower by 40 % give or take 40."""
    true = counts @ weights
    slow = rng.random(len(true)) < outliers
    noise = np.where(
        slow,
        rng.normal(SLOWER, SLOWER_DEVIATION, len(true)),
        rng.normal(0.0, share, len(true)),
    )
    sizes = np.maximum(counts @ PRIOR.mean, 1e-9)
    return Observations(
        rows=counts,
        values=true + noise * sizes,
        variances=np.zeros(len(true)),
        sizes=sizes,
    )


def closed_form(prior, observations, variances):
    """Bayesian linear regression, by precisions (Bishop 2006, equations 3.50 and 3.51)."""
    inverse = np.linalg.inv(prior.covariance)
    weighed = observations.rows.T / variances
    covariance = np.linalg.inv(inverse + weighed @ observations.rows)
    mean = covariance @ (inverse @ prior.mean + weighed @ observations.values)
    return mean, covariance


def log_density(values, mean, covariance):
    apart = values - mean
    _, volume = np.linalg.slogdet(covariance)
    fit = apart @ np.linalg.solve(covariance, apart)
    return -0.5 * (fit + volume + len(values) * np.log(2 * np.pi))


@pytest.mark.parametrize("count", [1, 3, WIDTH, 40])
def test_weights_given_sums_are_those_of_bayesian_linear_regression(count):
    rng = np.random.default_rng(count)
    data = observed(rows(count), drawn(PRIOR, rng), rng)
    variances = rng.uniform(0.001, 0.1, count)
    found = conditioned(PRIOR, data.rows, data.values, 1 / variances)
    mean, covariance = closed_form(PRIOR, data, variances)
    np.testing.assert_allclose(found.mean, mean, atol=1e-8)
    np.testing.assert_allclose(found.covariance, covariance, atol=1e-9)


def test_sums_given_one_after_another_tell_what_they_tell_together():
    rng = np.random.default_rng(1)
    data = observed(rows(9), drawn(PRIOR, rng), rng)
    precisions = rng.uniform(10.0, 1000.0, 9)
    together = conditioned(PRIOR, data.rows, data.values, precisions)
    apart = PRIOR
    for part in (slice(0, 2), slice(2, 9)):
        apart = conditioned(apart, data.rows[part], data.values[part], precisions[part])
    np.testing.assert_allclose(apart.mean, together.mean, atol=1e-8)
    np.testing.assert_allclose(apart.covariance, together.covariance, atol=1e-9)


def test_no_sums_tell_nothing():
    found = conditioned(PRIOR, np.zeros((0, WIDTH)), np.zeros(0), np.zeros(0))
    np.testing.assert_array_equal(found.mean, PRIOR.mean)
    np.testing.assert_array_equal(found.covariance, PRIOR.covariance)


@pytest.mark.parametrize("count", [3, 30])
def test_a_prior_that_is_sure_of_most_directions_is_conditioned_too(count):
    """Of rank 1, as of one other device: only the scale is open, and found."""
    prior = Weights(mean=PRIOR.mean, covariance=np.outer(PRIOR.mean, PRIOR.mean))
    counts = rows(count)
    values = 1.7 * counts @ PRIOR.mean
    found = conditioned(prior, counts, values, np.full(count, 1e6))
    np.testing.assert_allclose(found.mean, 1.7 * PRIOR.mean, rtol=1e-3)


def test_sums_have_the_mean_and_deviation_of_draws():
    """20,000 draws: a mean off by five of its standard errors comes once in a million."""
    rng = np.random.default_rng(2)
    draws = rng.multivariate_normal(PRIOR.mean, PRIOR.covariance, 20_000)
    counts = rows(5)
    mean, deviation = PRIOR.sums(counts)
    sums = draws @ counts.T
    assert (abs(sums.mean(axis=0) - mean) < 5 * deviation / np.sqrt(len(draws))).all()
    np.testing.assert_allclose(sums.std(axis=0), deviation, rtol=0.03)


def test_a_sum_that_is_known_for_sure_has_no_deviation_whatever_rounding_does():
    sure = Weights(mean=PRIOR.mean, covariance=-1e-18 * np.eye(WIDTH))
    assert sure.sums(rows(3))[1].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("count", [3, 40])
def test_without_outliers_a_fit_is_bayesian_linear_regression_and_its_evidence_exact(count):
    rng = np.random.default_rng(3)
    data = observed(rows(count), drawn(PRIOR, rng), rng)
    variances = (NO_OUTLIERS.share * data.sizes) ** 2
    fit = fitted(PRIOR, data, NO_OUTLIERS)
    mean, covariance = closed_form(PRIOR, data, variances)
    np.testing.assert_allclose(fit.posterior().mean, mean, atol=1e-6)
    np.testing.assert_allclose(fit.posterior().covariance, covariance, atol=1e-7)
    around = data.rows @ PRIOR.covariance @ data.rows.T + np.diag(variances)
    exact = log_density(data.values, data.rows @ PRIOR.mean, around)
    assert fit.evidence == pytest.approx(exact, abs=1e-4)


def test_known_errors_of_values_come_on_top_of_the_noise():
    rng = np.random.default_rng(4)
    data = observed(rows(10), drawn(PRIOR, rng), rng)
    known = Observations(
        rows=data.rows,
        values=data.values,
        variances=rng.uniform(0.01, 0.02, 10),
        sizes=data.sizes,
    )
    found = fitted(PRIOR, known, NO_OUTLIERS).posterior()
    total = known.variances + (NO_OUTLIERS.share * known.sizes) ** 2
    np.testing.assert_allclose(found.mean, closed_form(PRIOR, known, total)[0], atol=1e-6)


LIKE_OTHERS = Weights(
    mean=PRIOR.mean,
    covariance=np.outer(PRIOR.mean, PRIOR.mean) + np.diag((0.1 * PRIOR.mean) ** 2),
)
"""Of a device whose parts cost what they do on others, its scale left open."""


def exact_evidence(data, noise):
    """The sum over which measurements are outliers, all of them."""
    around = data.rows @ LIKE_OTHERS.covariance @ data.rows.T
    apart = data.values - data.rows @ LIKE_OTHERS.mean
    total = -np.inf
    for each in itertools.product((False, True), repeat=len(apart)):
        slow = np.array(each)
        shares = np.where(slow, SLOWER_DEVIATION, noise.share)
        prior = np.where(slow, noise.outliers, 1 - noise.outliers)
        density = log_density(
            apart, SLOWER * data.sizes * slow, around + np.diag((shares * data.sizes) ** 2)
        )
        total = np.logaddexp(total, density + np.log(prior).sum())
    return total


@pytest.mark.parametrize("outliers", [0, 1, 2])
def test_evidence_is_below_the_sum_over_all_sets_of_outliers_and_near_it(outliers):
    """It is a bound from below whatever was found, and near where the outliers were found."""
    for seed in range(6):
        rng = np.random.default_rng(seed)
        weights = PRIOR.mean * (1 + 0.1 * rng.standard_normal(WIDTH))
        data = slowed(observed(rows(8, seed), weights, rng), range(outliers), by=0.5)
        exact = exact_evidence(data, SOME_OUTLIERS)
        evidence = fitted(LIKE_OTHERS, data, SOME_OUTLIERS).evidence
        assert exact - 0.5 < evidence < exact + 1e-6


def slowed(data, which, by):
    """Some of the measurements slower by a share."""
    values = data.values.copy()
    for place in which:
        values[place] += by * data.sizes[place]
    return Observations(rows=data.rows, values=values, variances=data.variances, sizes=data.sizes)


def thirty(seed):
    rng = np.random.default_rng(seed)
    return observed(rows(30, seed), drawn(PRIOR, rng), rng)


@pytest.mark.parametrize("seed", range(5))
def test_an_outlier_is_found_and_costs_little(seed):
    """Next to the same measurements without it; plain regression is pulled over."""
    clean = fitted(PRIOR, thirty(seed), SOME_OUTLIERS).posterior()
    moved = slowed(thirty(seed), [4], by=0.5)
    fit = fitted(PRIOR, moved, SOME_OUTLIERS)
    assert fit.slow[4] > 0.99
    assert np.delete(fit.slow, 4).max() < 0.2
    probes = rows(50, seed + 100)
    sizes = probes @ PRIOR.mean
    lost = abs(probes @ (fit.posterior().mean - clean.mean)) / sizes
    pulled, _ = closed_form(PRIOR, moved, (0.02 * moved.sizes) ** 2)
    assert lost.max() < 0.02
    assert (abs(probes @ (pulled - clean.mean)) / sizes).max() > 3 * lost.max()


def test_a_measurement_that_is_barely_slower_is_no_outlier():
    assert fitted(PRIOR, slowed(thirty(0), [4], by=0.02), SOME_OUTLIERS).slow.max() < 0.2


def test_evidence_chooses_the_noise_that_there_was():
    rng = np.random.default_rng(5)
    for share in (0.005, 0.03, 0.1):
        data = observed(rows(120), drawn(PRIOR, rng), rng, share=share)
        found = fits([PRIOR], data, noise_shares(120))
        likely = zip(weights_of(found), found, strict=True)
        mean = sum(weight * fit.noise.share for weight, fit in likely)
        assert mean == pytest.approx(share, rel=0.25)


def test_evidence_chooses_the_prior_that_the_weights_are_from():
    """Weights three deviations from the mean of a narrow prior: the wide one has them."""
    wide = Weights(mean=PRIOR.mean, covariance=16 * PRIOR.covariance)
    rng = np.random.default_rng(6)
    far = PRIOR.mean + 3 * np.sqrt(np.diag(PRIOR.covariance))
    found = fits([PRIOR, wide], observed(rows(20), far, rng), [0.02])
    weights = weights_of(found)
    assert sum(w for w, fit in zip(weights, found, strict=True) if fit.prior is wide) > 0.9


def test_there_is_a_fit_for_each_prior_and_noise_and_their_probabilities_sum_to_1():
    rng = np.random.default_rng(7)
    found = fits([PRIOR, PRIOR], observed(rows(10), PRIOR.mean, rng), [0.01, 0.02])
    assert len(found) == 2 * 2 * 3
    assert sum(fit.noise.weight for fit in found) == pytest.approx(2.0)
    assert sum(weights_of(found)) == pytest.approx(1.0)


def test_fits_that_are_far_apart_do_not_overflow():
    rng = np.random.default_rng(8)
    data = observed(rows(200), 100 * PRIOR.mean, rng)
    weights = weights_of(fits([PRIOR], data, [LEAST_NOISE, MOST_NOISE]))
    assert np.isfinite(weights).all()
    assert sum(weights) == pytest.approx(1.0)


def test_a_mixture_has_the_moments_of_draws_from_all_its_parts():
    """Mean and covariance of a mixture of normals, by their definitions."""
    rng = np.random.default_rng(9)
    shares = (0.5, 0.3, 0.2)
    parts = [
        Weights(mean=drawn(PRIOR, rng), covariance=factor * PRIOR.covariance)
        for factor in (0.5, 1.0, 2.0)
    ]
    found = mixed(zip(shares, parts, strict=True))
    mean = sum(share * part.mean for share, part in zip(shares, parts, strict=True))
    within = sum(share * part.covariance for share, part in zip(shares, parts, strict=True))
    between = sum(
        share * np.outer(part.mean - mean, part.mean - mean)
        for share, part in zip(shares, parts, strict=True)
    )
    np.testing.assert_allclose(found.mean, mean)
    np.testing.assert_allclose(found.covariance, within + between)


def test_a_mixture_of_one_is_that_one():
    found = mixed([(1.0, PRIOR)])
    np.testing.assert_allclose(found.mean, PRIOR.mean)
    np.testing.assert_allclose(found.covariance, PRIOR.covariance, atol=1e-15)


NOISES = (
    Noise(share=0.01, outliers=0.01, weight=0.3),
    Noise(share=0.03, outliers=0.05, weight=0.5),
    Noise(share=0.08, outliers=0.15, weight=0.2),
)


def measured(centers, deviations, rng):
    """What a measurement may be: the sum, one of the noises, and now and then an outlier."""
    count = len(centers)
    which = rng.choice(len(NOISES), count, p=[each.weight for each in NOISES])
    shares = np.array([each.share for each in NOISES])[which]
    slow = rng.random(count) < np.array([each.outliers for each in NOISES])[which]
    noise = np.where(
        slow, rng.normal(SLOWER, SLOWER_DEVIATION, count), rng.normal(0.0, shares, count)
    )
    return centers * (1 + noise) + rng.normal(0.0, deviations)


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.98])
def test_intervals_hold_as_many_measurements_as_they_claim_and_lose_as_many_on_each_side(
    confidence,
):
    """40,000 measurements: five standard errors, so that one run in a million fails."""
    rng = np.random.default_rng(10)
    centers = rng.uniform(1.0, 50.0, 40_000)
    deviations = centers * rng.uniform(0.0, 0.1, len(centers))
    low, high = intervals(centers, deviations, NOISES, confidence)
    values = measured(centers, deviations, rng)
    side = (1 - confidence) / 2
    most = 5 * np.sqrt(side * (1 - side) / len(values))
    assert np.mean(values < low) == pytest.approx(side, abs=most)
    assert np.mean(values > high) == pytest.approx(side, abs=most)


def test_intervals_hold_their_centers_and_nothing_below_0():
    centers = np.array([1.0, 2.0, 5.0, 5.0])
    deviations = np.array([0.0, 0.1, 0.5, 8.0])
    low, high = intervals(centers, deviations, NOISES, 0.95)
    assert (low <= centers).all()
    assert (high >= centers).all()
    assert low[-1] == 0.0
    assert high[-1] - low[-1] > high[-2] - low[-2]


def test_intervals_of_no_sums_are_none():
    low, high = intervals(np.zeros(0), np.zeros(0), NOISES, 0.9)
    assert low.shape == high.shape == (0,)


@pytest.mark.parametrize(("outliers", "share"), [(0.0, 0.02), (0.1, 0.02), (0.05, 0.08)])
def test_what_was_learned_from_measurements_covers_further_ones_as_often_as_it_claims(
    outliers, share
):
    """30 devices from the prior, 12 measurements each, 40 further ones: 1,200 at 90 %.

    Those of one device share its weights, so their share is known to 2 points (one sigma).
    """
    rng = np.random.default_rng(11)
    inside = []
    for seed in range(30):
        weights = drawn(PRIOR, rng)
        found = fits(
            [PRIOR], observed(rows(12, seed), weights, rng, share, outliers), noise_shares(12)
        )
        likely = weights_of(found)
        after = mixed((w, fit.posterior()) for w, fit in zip(likely, found, strict=True))
        noises = [
            Noise(share=fit.noise.share, outliers=fit.noise.outliers, weight=w)
            for w, fit in zip(likely, found, strict=True)
        ]
        probes = rows(40, seed + 1000)
        centers, deviations = after.sums(probes)
        low, high = intervals(centers, deviations, noises, 0.9)
        values = observed(probes, weights, rng, share, outliers).values
        inside.append(np.mean((values >= low) & (values <= high)))
    assert 0.84 < np.mean(inside) < 0.96


def test_some_observations_are_spread_evenly_over_all():
    rng = np.random.default_rng(12)
    data = observed(rows(101), PRIOR.mean, rng)
    few = data.some(11)
    np.testing.assert_array_equal(few.values, data.values[::10])
    np.testing.assert_array_equal(few.rows, data.rows[::10])
    np.testing.assert_array_equal(few.sizes, data.sizes[::10])
    assert len(few.variances) == 11


def test_fewer_observations_than_are_wanted_are_all_of_them():
    rng = np.random.default_rng(13)
    data = observed(rows(5), PRIOR.mean, rng)
    np.testing.assert_array_equal(data.some(400).values, data.values)


@pytest.mark.parametrize("count", [5, 400])
def test_noises_are_averaged_over_from_the_least_to_the_most(count):
    shares = noise_shares(count)
    assert shares[0] == pytest.approx(LEAST_NOISE)
    assert shares[-1] == pytest.approx(MOST_NOISE)
    steps = np.diff(np.log(shares))
    np.testing.assert_allclose(steps, steps[0])
    assert len(noise_shares(400)) > len(noise_shares(5))
