import math
import random
import statistics

import pytest

from benchmarks.comparison.resampling import (
    Estimate,
    Network,
    estimates,
    paired_difference,
    pooled_noise,
    student_t,
)


def drawn(rng, accuracy, latency_ms, *, seeds=3, noise=0.002):
    """A network as it is found: trainings and sessions scatter around what is true."""
    return Network(
        accuracies=tuple(rng.gauss(accuracy, noise) for _ in range(seeds)),
        sessions_ms=tuple(latency_ms * math.exp(rng.gauss(0, 0.01)) for _ in range(12)),
    )


def test_noise_is_pooled_over_networks_and_not_moved_by_what_they_are_worth():
    noise = pooled_noise([(0.70, 0.72), (0.90, 0.92), (0.5,)])
    assert noise.freedom == 2
    assert noise.deviation == pytest.approx(statistics.stdev((0.70, 0.72)))


def test_noise_needs_a_network_that_was_trained_twice():
    with pytest.raises(ValueError, match="trained twice, got none"):
        pooled_noise([(0.7,), (0.9,)])


def test_figures_are_those_of_the_means_and_medians_and_inside_their_intervals():
    rng = random.Random(0)
    networks = {"a": drawn(rng, 0.8, 1.0), "b": drawn(rng, 0.9, 2.0)}
    found = estimates(
        networks,
        lambda places: {
            "ratio": places["b"].latency_ms / places["a"].latency_ms,
            "gain": places["b"].accuracy - places["a"].accuracy,
        },
        draws=500,
    )
    sessions = [statistics.median(networks[name].sessions_ms) for name in ("a", "b")]
    means = [statistics.fmean(networks[name].accuracies) for name in ("a", "b")]
    assert found["ratio"].value == pytest.approx(sessions[1] / sessions[0])
    assert found["gain"].value == pytest.approx(means[1] - means[0])
    for one in found.values():
        assert one.low < one.value < one.high


def test_equal_seeds_draw_equal_intervals_and_others_do_not():
    rng = random.Random(0)
    networks = {"a": drawn(rng, 0.8, 1.0), "b": drawn(rng, 0.9, 2.0)}

    def again(seed):
        return estimates(networks, lambda p: {"a": p["a"].accuracy}, draws=100, seed=seed)

    assert again(1) == again(1)
    assert again(1) != again(2)


def test_the_interval_of_a_difference_holds_the_truth_about_as_often_as_it_says():
    # 95 % are asked for: of 200, fewer than 180 or more than 199 come by chance once in 1,000.
    rng = random.Random(0)
    held = 0
    for number in range(200):
        networks = {str(i): drawn(rng, 0.9, 1.0, seeds=2) for i in range(12)}
        networks["ours"] = drawn(rng, 0.905, 1.0, seeds=2)
        (one,) = estimates(
            networks,
            lambda places: {"gain": places["ours"].accuracy - places["0"].accuracy},
            draws=200,
            seed=number,
        ).values()
        held += one.low <= 0.005 <= one.high
    assert 180 <= held <= 199


def test_a_latency_that_does_not_scatter_has_no_interval_of_its_own():
    rng = random.Random(0)
    networks = {"a": drawn(rng, 0.8, 1.0), "b": Network(accuracies=(0.9,), sessions_ms=(2.0,) * 5)}
    (one,) = estimates(networks, lambda p: {"b": p["b"].latency_ms}, draws=50).values()
    assert (one.low, one.value, one.high) == (2.0, 2.0, 2.0)


def test_a_paired_difference_forgets_what_a_seed_does_to_both():
    by_seed = (0.70, 0.75, 0.80)
    found = paired_difference([one + 0.02 for one in by_seed], by_seed)
    assert found.value == pytest.approx(0.02)
    assert found.high - found.low < 1e-9
    assert found.above(0.0) == "above"


def test_a_paired_difference_is_students():
    # Differences 1, 2, 3: mean 2, standard error 1 / sqrt(3), t with 2 degrees of freedom.
    found = paired_difference((1.0, 2.0, 3.0), (0.0, 0.0, 0.0))
    reach = 4.303 / math.sqrt(3)
    assert found.low == pytest.approx(2 - reach)
    assert found.high == pytest.approx(2 + reach)
    assert found.above(0.0) == "not separated"


@pytest.mark.parametrize(("one", "other"), [((1.0,), (1.0,)), ((1.0, 2.0), (1.0,))])
def test_a_paired_difference_needs_two_seeds_of_both(one, other):
    with pytest.raises(ValueError, match=r"two seeds|shorter"):
        paired_difference(one, other)


@pytest.mark.parametrize(
    ("freedom", "factor"), [(1, 12.706), (3, 3.182), (4, 2.776), (9, 2.262), (30, 2.042)]
)
def test_the_factor_is_that_of_printed_tables(freedom, factor):
    assert student_t(freedom) == pytest.approx(factor, rel=0.004)


def test_below_is_an_interval_that_excludes_the_value_from_above():
    assert Estimate(value=0.9, low=0.85, high=0.95).above(1.0) == "below"
