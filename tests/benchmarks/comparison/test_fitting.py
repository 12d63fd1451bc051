from dataclasses import replace

import pytest

from benchmarks.comparison.fitting import LARGEST, SMALLEST, STEPS, HostLatency, fitted_to
from benchmarks.comparison.log import Log
from search_space.architecture import Detector
from search_space.spinenet_networks import create

NETWORK = create("spinenet-49")


def quadratic(network):
    """Stands for a measurement: a latency that grows with the square of the filters."""
    return 100 * network.filter_scale**2 + 1


@pytest.mark.parametrize("target_ms", [1.2, 2.0, 5.0, 26.0, 90.0])
def test_the_scale_nearest_to_the_target_is_found(target_ms):
    found = fitted_to(NETWORK, target_ms, quadratic)
    scales = [part / STEPS for part in range(SMALLEST, LARGEST + 1)]
    ratios = {s: 100 * s**2 + 1 for s in scales}
    best = min(scales, key=lambda s: max(ratios[s] / target_ms, target_ms / ratios[s]))
    assert found.filter_scale == best
    assert found.blocks == NETWORK.blocks


@pytest.mark.parametrize(("target_ms", "part"), [(0.5, SMALLEST), (1e6, LARGEST)])
def test_a_target_beyond_all_scales_has_the_nearest_one(target_ms, part):
    assert fitted_to(NETWORK, target_ms, quadratic).filter_scale == part / STEPS


def test_few_latencies_are_asked_for():
    asked = []

    def latency(network):
        asked.append(network.filter_scale)
        return quadratic(network)

    fitted_to(NETWORK, 5.0, latency)
    assert len(asked) <= 10


def test_a_latency_is_measured_once(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    measured = []

    def timed(files, preset, _log):
        measured.append(preset)
        return dict.fromkeys(files, (3.0, 1.0, 2.0))

    monkeypatch.setattr("benchmarks.comparison.fitting.timed", timed)
    small = replace(create("spinenet-mobile-49xs"), size=128, channels=1)
    path = tmp_path / "log.jsonl"
    assert HostLatency(Detector(classes=2), "quick", Log(path))(small) == 2.0
    assert HostLatency(Detector(classes=2), "quick", Log(path))(small) == 2.0
    assert measured == ["quick"]
