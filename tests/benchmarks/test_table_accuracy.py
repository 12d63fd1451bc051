import statistics

import pytest

pytest.importorskip("sklearn")
pytest.importorskip("torch")

from latency.made_up import MadeUpDevice
from latency.signatures import distinct, parts_of
from latency.source import LatencyRequest, SourceSettings, create
from latency.table import Entry
from latency.table_plan import random_networks

DEVICE = MadeUpDevice(3)


@pytest.fixture(scope="module")
def networks(script):
    subjects = random_networks(script.SPACE, script.HEAD, 60, seed=1)
    return [parts_of(each.architecture, script.HEAD) for each in subjects]


@pytest.fixture(scope="module")
def entries(networks):
    return {
        part.key: Entry(ms=DEVICE.part_ms(part), variance_ms2=0.0, count=1)
        for part in distinct(networks)
    }


def wholes(script, networks):
    return [
        script.Whole(key=str(number), parts=parts, latency_ms=DEVICE.latency_ms(parts))
        for number, parts in enumerate(networks)
    ]


def truth(script, networks, half=0.0):
    return script.Truth(
        wholes=tuple(wholes(script, networks)), halves=(half,) * len(networks), sessions=10
    )


def test_a_truth_whose_halves_differ_by_more_than_half_a_limit_is_not_known(script, networks):
    assert truth(script, networks, 0.012).is_known
    assert not truth(script, networks, 0.013).is_known
    few = script.Truth(wholes=(), halves=(0.0,) * 90 + (0.031,) * 10, sessions=10)
    assert not few.is_known


def test_sums_of_true_layers_are_right_and_a_line_through_macs_is_not(script, networks, entries):
    fitted, unseen = wholes(script, networks[:20]), truth(script, networks[20:])
    table = script.by_table(entries, fitted, unseen)
    line = script.by_macs(fitted, unseen)
    assert table["within_10"] == 1.0
    assert table["p95_error"] < 0.005
    assert line["median_error"] > 3 * table["median_error"]


def test_a_forest_is_better_on_layers_that_it_has_seen(script, networks, entries):
    parts = distinct(networks)
    errors = {
        seen: statistics.fmean(
            abs(found[part.key].ms / entries[part.key].ms - 1)
            for found in [script.forests(entries, parts, seen=seen)]
            for part in parts
        )
        for seen in (True, False)
    }
    assert 0 < errors[True] < errors[False]


def test_the_noise_of_each_measured_file_is_kept(script, tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path))
    (subject,) = random_networks(script.SPACE, script.HEAD, 1, seed=1)
    source = script.Noted(create("host", SourceSettings()))
    try:
        asked = [LatencyRequest(id="a", subject=subject, preset="quick/3")]
        (answer,) = source.estimate(asked)
    finally:
        source.close()
    (file,) = source.noise()
    assert file["median_ms"] == pytest.approx(answer.latency_ms, rel=1e-4)
    assert len(file["sessions"]) == 3
    assert statistics.median(file["sessions"]) == 0
