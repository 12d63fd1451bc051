from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from latency.device_prior import DevicePrior
from latency.evidence import Measurement
from latency.predictor import Predictor
from latency.signatures import unknown_part

PARTS = [
    [
        replace(unknown_part(f"place {place} option {option}"), macs=10**6 * (option + 1))
        for option in range(4)
    ]
    for place in range(4)
]
NETWORKS = list(product(*PARTS))
"""256 networks of four parts, each of four."""

SHUFFLED = np.random.default_rng(0).permutation(len(NETWORKS))
SEEN = [NETWORKS[place] for place in SHUFFLED[:180]]
UNSEEN = [NETWORKS[place] for place in SHUFFLED[180:]]


def latency_ms(parts, *, interacting):
    """A made-up device, on which two large parts in a row spoil each other's cache."""
    macs = [part.macs / 10**6 for part in parts]
    spoiled = 0.12 * (macs[0] - 2.5) * (macs[1] - 2.5) if interacting else 0.0
    return 1.0 + sum(macs) * (1 + spoiled)


def fitted(networks, *, interacting):
    rng = np.random.default_rng(1)
    measured = [
        Measurement(
            parts=parts,
            latency_ms=latency_ms(parts, interacting=interacting) * float(rng.lognormal(0, 0.003)),
        )
        for parts in networks
    ]
    return Predictor.of(DevicePrior.of([], networks), measured)


def errors(predictor, *, interacting):
    found = predictor.predict(UNSEEN).latency_ms
    truth = np.array([latency_ms(parts, interacting=interacting) for parts in UNSEEN])
    return float(np.median(np.abs(found / truth - 1)))


@pytest.fixture(scope="module")
def interacting():
    return fitted(SEEN, interacting=True)


def test_what_pairs_of_parts_take_is_learned_from_many_networks(interacting):
    assert interacting.interactions is not None
    sums = replace(interacting, interactions=None)
    assert errors(interacting, interacting=True) < 0.5 * errors(sums, interacting=True)


def test_intervals_are_narrower_where_interactions_are_known_and_hold_what_they_say(interacting):
    sums = replace(interacting, interactions=None).predict(UNSEEN)
    found = interacting.predict(UNSEEN)
    assert np.median(found.high_ms - found.low_ms) < np.median(sums.high_ms - sums.low_ms)
    truth = np.array([latency_ms(parts, interacting=True) for parts in UNSEEN])
    assert ((found.low_ms <= truth) & (truth <= found.high_ms)).mean() > 0.85


def test_a_device_that_only_adds_has_none():
    assert fitted(SEEN, interacting=False).interactions is None


def test_few_networks_have_none():
    assert fitted(SEEN[:30], interacting=True).interactions is None
