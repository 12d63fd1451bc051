import math
from dataclasses import replace

import pytest

from benchmarks.comparison import timing
from benchmarks.comparison.fitting import (
    LARGEST,
    MOST,
    NEAR,
    SMALLEST,
    STEPS,
    RelativeLatency,
    fitted_to,
    host_latency_ms,
)
from benchmarks.comparison.log import Log
from search_space.architecture import Detector
from search_space.spinenet_networks import create

NETWORK = create("spinenet-49")


def quadratic(network):
    """Stands for a measurement: a latency that grows with the square of the filters."""
    return 100 * network.filter_scale**2 + 1


@pytest.mark.parametrize("scale", [0.1875, 1.0])
@pytest.mark.parametrize("target_ms", [1.2, 2.0, 5.0, 26.0, 90.0])
def test_a_scale_as_near_as_a_measurement_tells_is_found(target_ms, scale):
    def error(network):
        return abs(math.log(quadratic(network) / target_ms))

    found = fitted_to(replace(NETWORK, filter_scale=scale), target_ms, quadratic)
    all_scales = [replace(NETWORK, filter_scale=part / STEPS) for part in range(SMALLEST, LARGEST)]
    assert error(found) <= max(NEAR, min(map(error, all_scales)))
    assert (found.filter_scale * STEPS).is_integer()
    assert found.blocks == NETWORK.blocks


def test_of_scales_whose_latencies_are_all_further_the_nearest_is_taken():
    def coarse(network):
        return float(round(network.filter_scale * STEPS) // 8)

    found = fitted_to(NETWORK, 4.4, coarse)
    assert coarse(found) == 4


def test_a_latency_that_is_right_at_once_is_the_only_one():
    asked = []

    def latency(network):
        asked.append(network.filter_scale)
        return 1.004

    assert fitted_to(NETWORK, 1.0, latency) == NETWORK
    assert asked == [NETWORK.filter_scale]


@pytest.mark.parametrize(("target_ms", "part"), [(0.5, SMALLEST), (1e6, LARGEST)])
def test_a_target_beyond_all_scales_has_the_nearest_one(target_ms, part):
    assert fitted_to(NETWORK, target_ms, quadratic).filter_scale == part / STEPS


def test_few_latencies_are_asked_for():
    asked = []

    def latency(network):
        asked.append(network.filter_scale)
        return quadratic(network)

    fitted_to(NETWORK, 5.0, latency)
    assert len(asked) == len(set(asked)) <= MOST


@pytest.fixture
def small():
    pytest.importorskip("torch")
    return replace(create("spinenet-mobile-49xs"), size=128, channels=1)


@pytest.fixture
def measured(monkeypatch):
    """What was asked of a measurement that is none: every network takes its part of the batch."""
    asked = []

    def sessions(files, preset):
        asked.append((tuple(files), preset))
        return {name: (3.0 * n, 1.0 * n, 2.2 * n) for n, name in enumerate(files, 1)}

    monkeypatch.setattr(timing, "_measured", sessions)
    return asked


def test_a_latency_is_measured_once(tmp_path, small, measured):
    path = tmp_path / "log.jsonl"
    for _ in range(2):
        assert host_latency_ms(small, Detector(classes=2), "quick", Log(path)) == 2.2
    assert measured == [(("it",), "quick")]


def test_a_relative_latency_is_that_of_sessions_beside_each_other_measured_once(
    tmp_path, small, measured
):
    path = tmp_path / "log.jsonl"
    for _ in range(2):
        latency = RelativeLatency(Detector(classes=2), small, "quick/3", Log(path))
        assert latency(replace(small, filter_scale=0.5)) == pytest.approx(0.5)
        assert latency(small) == pytest.approx(0.5)  # what it is measured beside comes second
    assert measured == [(("it", "other"), "quick/3")] * 2
