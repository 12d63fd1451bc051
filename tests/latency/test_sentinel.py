from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from devices.clock import SimulatedClock
from devices.device import ModelFile, RawRuns
from exporters.artifact import Precision
from exporters.litert_runtime import LiteRtModel
from latency.measurement import Verdict
from latency.presets import SEARCH
from latency.protocol import Bench, Candidate, Measured, Patience, measure_batch
from latency.sentinel import Drift, sentinel_file
from latency.testing import FakeDevice

SENTINEL = ModelFile(path=Path("sentinel"), sha256="5" * 64)


class Moving(FakeDevice):
    """A fake that is slower by a factor which depends on how many sessions it has had."""

    def __init__(self, factor, **more):
        super().__init__(spread=0.001, **more)
        self.factor = factor

    def run(self, model, settings):
        record = super().run(model, settings)
        slower = tuple(run * self.factor(len(self.ran) - 1) for run in record.samples.runs_ms)
        return replace(record, samples=RawRuns(runs_ms=slower))


class Ticking(SimulatedClock):
    """Each look at it takes a second."""

    def now_s(self):
        self.sleep(1.0)
        return super().now_s()


def timed(device, names="ab", **more):
    candidates = [
        Candidate(
            model=ModelFile(path=Path(name), sha256=name * 64),
            precision=Precision.FP32,
            protocol=SEARCH,
        )
        for name in names
    ]
    bench = Bench(device=device, sentinel=SENTINEL, patience=Patience(clock=Ticking(), **more))
    return [r.measurement for r in measure_batch(bench, candidates) if isinstance(r, Measured)]


def sentinels(device):
    return [i for i, model in enumerate(device.ran) if model == SENTINEL]


def test_it_runs_first_every_so_many_sessions_and_last():
    device = Moving(lambda _: 1.0)
    measured = timed(device, "abcd")
    assert len(measured) == 4
    runs = sentinels(device)
    assert (runs[0], runs[-1]) == (0, len(device.ran) - 1)
    between = [later - earlier - 1 for earlier, later in pairwise(runs)]
    assert between == [8, 8, 4]


def test_sessions_between_a_calm_and_a_moved_sentinel_are_thrown_away_and_redone():
    device = Moving(lambda index: 1.2 if 5 <= index < 14 else 1.0)
    measured = timed(device)
    assert all(each.verdict is Verdict.STABLE for each in measured)
    assert all(each.median_ms == pytest.approx(5.0, rel=0.01) for each in measured)
    stored = [s.samples.runs_ms for each in measured for s in each.sessions]
    assert all(max(runs) < 1.1 * 10 for runs in stored)
    assert len(device.ran) > 2 * 5 + len(sentinels(device))


def test_a_device_that_stays_at_a_new_level_is_measured_there_from_the_start():
    device = Moving(lambda index: 1.2 if index >= 6 else 1.0)
    measured = timed(device)
    assert all(each.verdict is Verdict.STABLE for each in measured)
    assert all(each.median_ms == pytest.approx(6.0, rel=0.01) for each in measured)


def test_a_device_that_never_rests_is_called_unstable_with_the_reason():
    device = Moving(lambda index: 1.0 + 0.1 * (index % 7))
    measured = timed(device, redone=2)
    assert {each.verdict for each in measured} == {Verdict.UNSTABLE}
    reasons = " ".join(each.reason for each in measured)
    assert "the sentinel moved by" in reasons or "wide after" in reasons


def test_slow_drift_below_the_limit_is_taken_out_of_the_sessions():
    device = Moving(lambda index: 1.0 + 0.0015 * index)
    measured = timed(device, "abcd")
    corrected = [each for each in measured if each.drift]
    assert corrected
    for each in corrected:
        raw = [s.samples.median_ms for s in each.sessions]
        spread = [max(values) / min(values) for values in (raw, each.session_values_ms)]
        assert spread[1] < spread[0]


def test_without_movement_nothing_is_corrected():
    assert all(each.drift == () for each in timed(Moving(lambda _: 1.0)))


def test_a_drift_is_a_slope_through_the_readings_around_their_level():
    drift = Drift()
    for at_s, value_ms in ((0.0, 5.0), (10.0, 5.051), (20.0, 5.1), (30.0, 5.149)):
        drift.add(at_s, value_ms)
    assert drift.factor(15.0) == pytest.approx(1.0, abs=1e-3)
    assert drift.factor(30.0) / drift.factor(0.0) == pytest.approx(1.03, rel=0.001)
    assert drift.factor(99.0) == drift.factor(30.0)
    assert drift.moved(5.5) == pytest.approx(0.1)


def test_noise_of_the_readings_corrects_nothing():
    drift = Drift()
    for at_s, value_ms in ((0.0, 5.0), (10.0, 5.09), (20.0, 5.01), (30.0, 5.08)):
        drift.add(at_s, value_ms)
    assert {drift.factor(float(at_s)) for at_s in range(31)} == {1.0}


def test_the_file_is_the_same_every_time_and_runs(tmp_path, monkeypatch):
    np = pytest.importorskip("numpy")
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path))
    sentinel_file.cache_clear()
    first = sentinel_file()
    sentinel_file.cache_clear()
    assert sentinel_file() == first
    outputs = LiteRtModel(first.path).run({"image": np.ones((1, 224, 224, 3), np.float32)})
    scores = outputs["scores"]
    assert scores.shape == (1, 1, 1, 1000)
    assert np.isfinite(scores).all()
    assert scores.std() > 0
    sentinel_file.cache_clear()
