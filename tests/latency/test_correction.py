import random
from dataclasses import replace

import numpy as np
import pytest

from latency.correction import Whole, corrected_ms, fit, short
from latency.signatures import distinct, parts_of
from latency.table import Correction, Entry
from search_space.architecture import Classifier
from search_space.mnasnet import MnasNetSpace
from workspace.errors import InputError

SPACE = MnasNetSpace(size=64)
HEAD = Classifier(classes=10)
RNG = random.Random(0)
NETWORKS = [SPACE.decode(SPACE.points.sample(RNG)) for _ in range(120)]
PARTS = [parts_of(network, HEAD) for network in NETWORKS]
ENTRIES = {
    part.key: Entry(ms=1e-3 + part.macs / 2e7, variance_ms2=0.0, count=1)
    for part in distinct(PARTS)
}
TRUTH = Correction(
    scale=1.2, constant_ms=0.4, terms_ms={"mbconv-se": 0.02, "conv": 0.01}, networks=("x",)
)


def wholes(count, noise=0.0, truth=TRUTH, start=0):
    rng = np.random.default_rng(start)
    return [
        Whole(
            key=network.key,
            parts=parts,
            latency_ms=corrected_ms(truth, ENTRIES, parts) * float(rng.lognormal(0, noise)),
        )
        for network, parts in zip(NETWORKS[start:], PARTS[start:], strict=True)
    ][:count]


def worst_error(correction, networks):
    return max(
        abs(corrected_ms(correction, ENTRIES, each.parts) / each.latency_ms - 1)
        for each in networks
    )


def test_what_turned_sums_into_latencies_is_found_again():
    found = fit(ENTRIES, wholes(60))
    assert worst_error(found, wholes(40, start=80)) < 0.01
    assert found.scale == pytest.approx(1.2, abs=0.05)
    assert found.networks == tuple(short(each.key) for each in wholes(60))


def test_where_nothing_has_to_be_corrected_nothing_is():
    found = fit(ENTRIES, wholes(40, truth=Correction()))
    assert worst_error(found, wholes(40, truth=Correction(), start=80)) < 1e-3
    assert found.residual_share < 1e-3


def test_noise_does_not_become_terms():
    """Truth without terms, 2 % noise: terms that follow it would cost more than they gain."""
    truth = Correction(scale=1.1, constant_ms=0.2)
    found = fit(ENTRIES, wholes(30, noise=0.02, truth=truth))
    assert worst_error(found, wholes(40, truth=truth, start=80)) < 0.03


def test_the_spread_it_states_is_that_of_networks_it_has_not_seen():
    """Of 60 fitted and 60 others, noise of 3 %: within a third of each other."""
    found = fit(ENTRIES, wholes(60, noise=0.03))
    fresh = wholes(60, noise=0.03, start=60)
    errors = [corrected_ms(found, ENTRIES, n.parts) / n.latency_ms - 1 for n in fresh]
    assert found.residual_share == pytest.approx(np.sqrt(np.mean(np.square(errors))), rel=0.33)


def test_it_is_never_worse_than_the_plain_sum_by_more_than_noise():
    networks = wholes(40)
    plain = worst_error(Correction(), networks)
    assert worst_error(fit(ENTRIES, networks[:20]), networks[20:]) < plain / 5


def test_too_few_networks_are_refused_with_how_many_are_needed():
    with pytest.raises(InputError, match="at least 8 whole networks, got 7"):
        fit(ENTRIES, wholes(7))


def test_a_missing_entry_is_named():
    key = PARTS[0][3].key
    less = {name: entry for name, entry in ENTRIES.items() if name != key}
    with pytest.raises(InputError, match=f"the table lacks {key}"):
        fit(less, wholes(20))


@pytest.mark.parametrize("latency_ms", [0.0, -1.0, float("nan"), float("inf")])
def test_a_latency_that_is_none_is_refused(latency_ms):
    with pytest.raises(InputError, match="must be a positive number, got"):
        replace(wholes(1)[0], latency_ms=latency_ms)
