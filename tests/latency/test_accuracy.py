import math

import numpy as np
import pytest

from latency.accuracy import Accuracy, kendall, spearman
from workspace.errors import InputError


def test_errors_are_relative_to_what_was_measured():
    found = Accuracy.of([102.0, 110.0, 100.0, 80.0], [100.0, 100.0, 100.0, 100.0])
    assert found.networks == 4
    assert found.within_5 == 0.5
    assert found.within_10 == 0.75
    assert found.mape == pytest.approx(0.08)
    assert found.median_error == pytest.approx(0.06)
    assert found.p95_error == pytest.approx(0.1 + 0.85 * 0.1)
    assert found.interval_coverage is None


def test_an_error_of_exactly_the_limit_is_within_it():
    assert Accuracy.of([95.0, 105.0], [100.0, 100.0]).within_5 == 1.0


def test_coverage_is_the_share_of_intervals_that_hold_the_truth():
    found = Accuracy.of(
        [1.0, 2.0, 3.0, 4.0],
        [1.0, 2.5, 3.0, 9.0],
        low_ms=[1.0, 1.5, 3.1, 3.0],
        high_ms=[1.0, 2.5, 3.2, 5.0],
    )
    assert found.interval_coverage == 0.5


def test_spearman_of_a_textbook_example_with_ties():
    """Mean ranks (0, 1.5, 1.5, 3, 4) and (1, 0, 2, 3, 4): worked out by hand."""
    expected = 8 / math.sqrt(9.5 * 10)
    assert spearman([1, 2, 2, 3, 4], [2, 1, 3, 4, 5]) == pytest.approx(expected)


def test_kendall_counts_pairs_one_by_one():
    rng = np.random.default_rng(0)
    one = rng.integers(0, 6, 40).astype(float)
    other = one + rng.integers(0, 5, 40).astype(float)
    same = different = ties_one = ties_other = 0
    for i in range(40):
        for j in range(i):
            product = (one[i] - one[j]) * (other[i] - other[j])
            same += product > 0
            different += product < 0
            ties_one += one[i] == one[j] and other[i] != other[j]
            ties_other += one[i] != one[j] and other[i] == other[j]
    both = same + different
    expected = (same - different) / math.sqrt((both + ties_one) * (both + ties_other))
    assert kendall(one, other) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("of", [spearman, kendall])
def test_rank_correlations_see_order_and_nothing_else(of):
    rng = np.random.default_rng(1)
    values = rng.normal(size=500)
    assert of(values, np.exp(values)) == pytest.approx(1.0, abs=1e-12)
    assert of(values, -(values**3)) == pytest.approx(-1.0, abs=1e-12)
    assert abs(of(values, rng.normal(size=500))) < 0.2  # fails once in 100,000
    assert of(values, np.ones(500)) == 0.0


def test_five_thousand_networks_are_compared_with_the_numbers_that_scipy_gives():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(2)
    measured = np.round(rng.gamma(30.0, 1.0, 5000) + 1)
    predicted = measured + rng.normal(0, 3, 5000).clip(-1)
    found = Accuracy.of(predicted, measured)
    assert found.spearman == pytest.approx(stats.spearmanr(predicted, measured).statistic)
    assert found.kendall == pytest.approx(stats.kendalltau(predicted, measured).statistic)


@pytest.mark.parametrize(
    ("predicted", "measured", "words"),
    [
        ([1.0, math.nan], [1.0, 2.0], "predicted latencies must be finite.*number 1 is nan ms"),
        ([1.0, 2.0], [1.0, -2.0], "measured latencies must be .*not negative, number 1 is -2.0"),
        ([1.0, 2.0], [math.inf, 2.0], "measured latencies must be finite"),
        ([1.0, 2.0], [1.0, 0.0], "above 0 ms, number 1 is 0"),
        ([1.0], [1.0], "predicted latencies must be at least 2 in a row"),
        ([1.0, 2.0], [1.0, 2.0, 3.0], "measured latencies must be 2 in a row"),
        ([[1.0, 2.0]], [1.0, 2.0], "at least 2 in a row"),
    ],
)
def test_what_is_no_latency_is_refused(predicted, measured, words):
    with pytest.raises(InputError, match=words):
        Accuracy.of(predicted, measured)


def test_intervals_are_checked_as_well():
    with pytest.raises(InputError, match="lowest latencies must be finite"):
        Accuracy.of([1.0, 2.0], [1.0, 2.0], low_ms=[math.nan, 1.0], high_ms=[2.0, 2.0])
