import numpy as np
import pytest

from latency.space_parts import SpaceParts
from latency.table import Entry, Known
from latency.table_gaps import predicted
from search_space.architecture import Classifier
from search_space.mnasnet import MnasNetSpace
from workspace.errors import InputError

PARTS = SpaceParts.of(MnasNetSpace(size=64), Classifier(classes=10)).signatures()


def ms_of(part):
    """A stand-in for a device: arithmetic at 20 GMAC/s, memory at 2 G numbers/s, and a start."""
    moved = part.params + part.input_elements + part.hidden_elements + part.output_elements
    return 1e-3 + part.macs / 2e7 + moved / 2e6


def entries(parts, noise=0.0):
    rng = np.random.default_rng(0)
    return {
        part.key: Entry(ms=ms_of(part) * float(rng.lognormal(0, noise)), variance_ms2=0, count=1)
        for part in parts
    }


def split(count):
    order = np.random.default_rng(1).permutation(len(PARTS))
    return [PARTS[i] for i in order[:count]], [PARTS[i] for i in order[count:]]


def test_layers_that_nobody_timed_are_near_what_they_take():
    known, missing = split(150)
    found = predicted(entries(known, noise=0.02), known, missing)
    errors = np.array([found[part.key].ms / ms_of(part) - 1 for part in missing])
    assert len(errors) == len(PARTS) - 150
    assert np.median(abs(errors)) < 0.05
    assert np.quantile(abs(errors), 0.95) < 0.25


def test_more_layers_timed_are_smaller_errors():
    worst = []
    for count in (20, 80, 320):
        known, _ = split(count)
        _, missing = split(320)
        found = predicted(entries(known), known, missing)
        worst.append(np.median([abs(found[p.key].ms / ms_of(p) - 1) for p in missing]))
    assert worst[0] > worst[1] > worst[2]


def test_their_variance_covers_the_error():
    known, missing = split(100)
    found = predicted(entries(known, noise=0.02), known, missing)
    scores = [
        abs(found[part.key].ms - ms_of(part)) / np.sqrt(found[part.key].variance_ms2)
        for part in missing
    ]
    assert np.mean(np.array(scores) < 1.96) > 0.85


def test_none_is_nothing_and_each_says_that_it_is_predicted():
    known, missing = split(40)
    found = predicted(entries(known), known, missing)
    assert all(entry.ms > 0 and entry.variance_ms2 > 0 for entry in found.values())
    assert {(entry.known, entry.count) for entry in found.values()} == {(Known.PREDICTED, 0)}


def test_from_too_few_nothing_is_predicted():
    known, missing = split(7)
    with pytest.raises(InputError, match="at least 8 layers must be measured, got 7"):
        predicted(entries(known), known, missing)
