"""The whole way with real parts: network, export, child process, store; no times are judged."""

import pytest

from devices.device import RawRuns
from latency.measurement import Statistic, Verdict
from latency.source import (
    FileSubject,
    LatencyEstimate,
    LatencyFailure,
    LatencyRequest,
    NetworkSubject,
    Origin,
    SourceSettings,
    create,
)
from latency.store import MeasurementStore
from search_space.architecture import Classifier
from search_space.proxyless import ProxylessSpace

pytest.importorskip("torch", reason="a network becomes a file only where torch is installed")

NETWORK = NetworkSubject(
    architecture=ProxylessSpace(size=32).decode((0,) + (0, 6, 6, 6) * 5 + (0,)),
    head=Classifier(classes=10),
)


@pytest.fixture
def host(tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path))
    source = create("host", SourceSettings())
    yield source
    source.close()


def test_a_network_is_exported_timed_on_this_computer_kept_and_found_again(host):
    (answer,) = host.estimate([LatencyRequest(id="a", subject=NETWORK, preset="quick")])
    assert isinstance(answer, LatencyEstimate), answer
    assert (answer.origin, answer.source) == (Origin.MEASURED, "host")
    assert answer.measurement is not None
    conditions = answer.measurement.conditions
    assert host.on_this_computer
    assert conditions.setup.info.on_this_computer
    assert conditions.setup.threads == 1
    assert conditions.statistic is Statistic.MEDIAN
    assert answer.verdict in (Verdict.STABLE, Verdict.UNSTABLE)
    assert 3 <= len(answer.measurement.sessions) <= 4
    for session in answer.measurement.sessions:
        assert isinstance(session.samples, RawRuns)
        assert len(session.samples.runs_ms) >= 10
    kept = MeasurementStore.shared().find(answer.artifact_sha256, conditions, "quick")
    assert kept == answer.measurement
    (again,) = host.estimate([LatencyRequest(id="b", subject=NETWORK, preset="quick")])
    assert (again.origin, again.measurement) == (Origin.STORED, answer.measurement)


def test_a_file_that_is_no_model_is_a_failure_for_good(host):
    (first,) = host.estimate([LatencyRequest(id="a", subject=NETWORK, preset="quick")])
    from latency.model_files import ModelFiles  # the file that was just timed

    artifact = ModelFiles("tflite", SourceSettings().precision).of(NETWORK)
    assert artifact.sha256 == first.artifact_sha256
    artifact.path.write_bytes(b"no model" * 100)
    broken = FileSubject(artifact=artifact)
    fresh = create("host", SourceSettings(reuse=False))
    (failure,) = fresh.estimate([LatencyRequest(id="b", subject=broken, preset="quick")])
    fresh.close()
    assert isinstance(failure, LatencyFailure)
    assert not failure.retryable
    assert failure.text.startswith("host: ")
