from dataclasses import replace

import pytest

from controller.found_latency import FoundLatency
from controller.prediction_check import PredictionCheck
from latency.source import Origin


@pytest.fixture
def candidates(lab):
    found = lab.run(lab.study(), trials=30).candidates()
    return [one for one in found if one.latency and one.same_as is None]


def final(candidate, ratio, **more):
    """A last measurement that is ``ratio`` of what the search took it to take."""
    latency_ms = ratio * candidate.latency.latency_ms
    measured = replace(
        candidate.latency,
        latency_ms=latency_ms,
        low_ms=latency_ms,
        high_ms=latency_ms,
        origin=Origin.MEASURED.value,
        **more,
    )
    return replace(candidate, final=measured)


def mixed(candidate, ratio):
    """Measured during the search, by a mixed source that had predicted it before."""
    found = candidate.latency
    told = {"latency_ms": found.latency_ms, "low_ms": found.low_ms, "high_ms": found.high_ms}
    measured = FoundLatency(
        latency_ms=ratio * found.latency_ms,
        low_ms=found.low_ms,
        high_ms=found.high_ms,
        origin=Origin.MEASURED.value,
        source="hybrid",
        coverage=1.0,
        verdict="stable",
        artifact_sha256="",
        measurement={"predicted": {**told, "source": "table:mine"}},
    )
    return replace(candidate, latency=measured)


@pytest.mark.parametrize("way", [final, mixed])
def test_predictions_that_hold_raise_no_alarm(way, candidates):
    found = PredictionCheck.of(way(one, 1.02) for one in candidates[:6])
    assert (found.networks, found.inside) == (6, 6)
    assert found.median_ratio == pytest.approx(1.02)
    assert found.alarm == ""


@pytest.mark.parametrize("way", [final, mixed])
def test_a_device_that_is_slower_than_predicted_raises_it_with_by_how_much(way, candidates):
    found = PredictionCheck.of(way(one, 1.07) for one in candidates[:6])
    assert found.inside == 6
    assert "6 networks took +7.0% against what was predicted (median), 6 of them" in found.alarm


def test_intervals_that_hold_too_few_raise_it_though_the_median_is_right(candidates):
    ratios = (0.8, 1.2, 1.0, 0.85, 1.15, 1.0)
    found = PredictionCheck.of(final(*each) for each in zip(candidates, ratios, strict=False))
    assert found.inside == 2
    assert "2 of them inside" in found.alarm


def test_a_network_that_came_again_counts_once(candidates):
    once = final(candidates[0], 1.0)
    again = replace(final(candidates[0], 1.0), same_as=once.index)
    assert PredictionCheck.of([once, again, again]).networks == 1


def test_two_networks_are_no_proof(candidates):
    assert PredictionCheck.of(final(one, 2.0) for one in candidates[:2]).alarm == ""


def test_what_was_rejected_says_nothing(candidates):
    assert PredictionCheck.of(final(one, 2.0, verdict="rejected") for one in candidates) is None


def test_a_search_that_measured_nothing_has_none(candidates):
    assert PredictionCheck.of(candidates) is None
