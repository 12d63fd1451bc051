from dataclasses import replace

import pytest

from controller.candidate import FoundLatency
from delivery.gates import NotRun
from delivery.timing import Timed, Timers, check_int8_speed, check_latency
from exporters.artifact import Artifact, ModelFormat, Precision
from latency.measurement import Verdict
from latency.source import LatencyEstimate, LatencyFailure, Origin, SourceSettings
from workspace.errors import InputError


@pytest.fixture
def artifact(tiny_model):
    return Artifact(
        path=tiny_model, format=ModelFormat.TFLITE, sha256="a" * 64, inputs=(), outputs=(), tool=""
    )


def timed(artifact, latency_ms, spread=0.005):
    answer = LatencyEstimate(
        request_id="a", latency_ms=latency_ms, low_ms=latency_ms * (1 - spread),
        high_ms=latency_ms * (1 + spread), origin=Origin.MEASURED, source="own", coverage=1.0,
        verdict=Verdict.STABLE,
    )  # fmt: skip
    return Timed(artifact=artifact, on="own", answer=answer)


def searched(latency_ms, **changes):
    found = FoundLatency(
        latency_ms=latency_ms, low_ms=0.99 * latency_ms, high_ms=1.01 * latency_ms,
        origin="measured", source="own", coverage=1.0, verdict="stable", artifact_sha256="",
        measurement=None,
    )  # fmt: skip
    return replace(found, **changes)


@pytest.mark.parametrize(
    ("latency_ms", "passed"), [(1.0, True), (1.029, True), (0.971, True), (1.031, False)]
)
def test_more_than_three_percent_from_the_search_fails(artifact, latency_ms, passed):
    gate = check_latency(artifact, timed(artifact, latency_ms), searched(1.0))
    assert gate.passed is passed
    assert gate.figures["ratio"] == pytest.approx(latency_ms)
    assert gate.limit == 0.03


def test_intervals_that_overlap_are_said_and_do_not_excuse(artifact):
    gate = check_latency(artifact, timed(artifact, 1.1, spread=0.2), searched(1.0))
    assert not gate.passed
    assert gate.figures["intervals_overlap"]
    assert "though the intervals overlap" in gate.text


@pytest.mark.parametrize(
    "kept", [{"source": "another"}, {"measurement": {"conditions": {"a": 1}}}]
)
def test_a_figure_under_other_conditions_is_not_compared(artifact, kept):
    found = check_latency(artifact, timed(artifact, 1.0), searched(1.0, **kept))
    if kept.get("measurement"):  # nothing is known of ours: the source is compared
        assert not isinstance(found, NotRun)
    else:
        assert "other conditions (another and own)" in found.why
        assert "1 ms on own" in found.why


def test_without_a_device_or_a_figure_it_is_not_run_and_says_why(artifact):
    assert "--on" in check_latency(artifact, None, searched(1.0)).why
    assert "no figure" in check_latency(artifact, timed(artifact, 1.0), None).why
    onnx = replace(artifact, format=ModelFormat.ONNX)
    assert "TFLite" in check_latency(onnx, None, None).why


def test_a_file_that_could_not_be_timed_fails(artifact):
    failure = LatencyFailure(request_id="a", text="the phone is gone", retryable=True)
    gate = check_latency(artifact, Timed(artifact=artifact, on="own", answer=failure), None)
    assert not gate.passed
    assert "the phone is gone" in gate.text


def test_int8_that_is_slower_fails(artifact):
    small = replace(artifact, precision=Precision.INT8)
    assert check_int8_speed(artifact, timed(artifact, 1.0), timed(artifact, 1.0)) is None
    assert check_int8_speed(small, timed(small, 0.5), timed(artifact, 1.0)).passed
    slower = check_int8_speed(small, timed(small, 1.2), timed(artifact, 1.0))
    assert not slower.passed
    assert slower.figures["ratio"] == pytest.approx(1.2)


def test_int8_without_a_device_is_not_compared(artifact):
    small = replace(artifact, precision=Precision.INT8)
    assert "--on" in check_int8_speed(small, None, None).why


def test_each_file_is_asked_about_once_and_sources_are_closed(artifact, own_timer):
    with Timers(("own_timer:SOURCE",), SourceSettings(), "quick") as timers:
        found = list(timers.time([artifact, artifact]))
    assert [[artifact.path.name]] == own_timer.ASKED
    assert own_timer.SOURCE.closed == 1
    told = found[0].to_json()
    assert (told["ci_low_ms"], told["median_ms"], told["ci_high_ms"]) == (1.98, 2.0, 2.02)


def test_a_table_and_an_unknown_source_are_refused_before_any_work():
    for name, said in (("table:pixel1", "times no files"), ("phone", "unknown source")):
        with pytest.raises(InputError, match=said), Timers((name,), SourceSettings(), "quick"):
            pass
