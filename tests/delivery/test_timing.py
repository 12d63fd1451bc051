from dataclasses import replace
from types import SimpleNamespace

import pytest

from controller.found_latency import FoundLatency
from delivery.gates import NotRun
from delivery.timing import Place, Timed, Timers, check_int8_speed, check_latency
from devices.device import ClockTier, Delegate, DeviceInfo, RunnerInfo, Setup
from exporters.artifact import Artifact, ModelFormat, Precision
from latency.measurement import Conditions, Statistic, Verdict
from latency.source import LatencyEstimate, LatencyFailure, Origin, SourceSettings
from workspace.errors import InputError, OperationError


@pytest.fixture
def artifact(tiny_model):
    return Artifact(
        path=tiny_model, format=ModelFormat.TFLITE, sha256="a" * 64, inputs=(), outputs=(), tool=""
    )


@pytest.fixture
def measured():
    """An answer with its conditions, of a session that nothing ran."""

    def make(precision, threads):
        setup = Setup(
            info=DeviceInfo(
                model="a phone", unit="u", soc="", abi="arm64-v8a", build="", kernel="",
                core_khz=(0,), ram_mb=1,
            ),
            runner=RunnerInfo(name="benchmark_model", dialect="tflite", version="1"),
            threads=threads, cores=(), delegate=Delegate.CPU, clock_tier=ClockTier.FREE,
            gives_single_runs=True,
        )  # fmt: skip
        conditions = Conditions(setup=setup, precision=precision, statistic=Statistic.MEDIAN)
        return LatencyEstimate(
            request_id="a", latency_ms=1.0, low_ms=0.9, high_ms=1.1, origin=Origin.MEASURED,
            source="adb:A", coverage=1.0, verdict=Verdict.STABLE,
            measurement=SimpleNamespace(conditions=conditions),  # type: ignore[arg-type] # of it, what is compared
        )  # fmt: skip

    return make


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
    with Timers((Place(name="own_timer:SOURCE"),), "quick") as timers:
        found = list(timers.time([artifact, artifact]))
    assert [[artifact.path.name]] == own_timer.ASKED
    assert own_timer.SOURCE.closed == 1
    told = found[0].to_json()
    assert (told["ci_low_ms"], told["median_ms"], told["ci_high_ms"]) == (1.98, 2.0, 2.02)


def test_a_table_and_an_unknown_source_are_refused_before_any_work():
    for name, said in (
        ("table:pixel1", "times no files"),
        ("phone", "unknown source"),
        ("adb:any", "give --on adb:SERIAL"),
    ):
        with pytest.raises(InputError, match=said), Timers((Place(name=name),), "quick"):
            pass


def test_a_stored_measurement_is_no_answer(own_timer, monkeypatch):
    asked = []

    def source(settings):
        asked.append(settings)
        return own_timer.SOURCE

    monkeypatch.setattr(own_timer, "MAKE", source, raising=False)
    place = Place(name="own_timer:MAKE", settings=SourceSettings(threads=4))
    with Timers((place,), "quick"):
        pass
    assert [(each.threads, each.reuse) for each in asked] == [(4, False)]


def test_a_source_that_nobody_named_and_is_not_there_is_told_and_fails_nothing(artifact):
    place = Place(name="adb:NOSUCHPHONE", is_named=False)
    with Timers((place,), "quick") as timers:
        (found,) = timers.time([artifact])
    assert isinstance(found.answer, LatencyFailure)
    assert "NOSUCHPHONE" in str(found.to_json()["failure"])
    checked = check_latency(artifact, found, searched(1.0))
    assert isinstance(checked, NotRun)
    assert "nobody named" in checked.why


def test_a_source_that_gives_up_keeps_the_answers_it_gave(artifact, own_timer, monkeypatch):
    whole = own_timer.SOURCE.estimate

    def estimate(requests):
        yield next(iter(whole(requests)))
        text = "the cable is out"
        raise OperationError(text)

    monkeypatch.setattr(own_timer.SOURCE, "estimate", estimate)
    other = replace(artifact, sha256="b" * 64)
    with Timers((Place(name="own_timer:SOURCE"),), "quick") as timers:
        first, second = timers.time([artifact, other])
    assert first.answer.latency_ms == 2.0
    assert second.answer.text == "the cable is out"


def test_int8_is_compared_under_equal_conditions_alone(artifact, measured):
    small = replace(artifact, precision=Precision.INT8)
    whole = replace(timed(artifact, 1.0), answer=measured(Precision.FP32, threads=1))
    same = replace(timed(small, 0.5), answer=measured(Precision.INT8, threads=1))
    assert check_int8_speed(small, same, whole).passed
    other = replace(timed(small, 0.5), answer=measured(Precision.INT8, threads=4))
    found = check_int8_speed(small, other, whole)
    assert isinstance(found, NotRun)
    assert "threads: 1 and 4" in found.why
    assert "precision" not in found.why


def test_int8_without_an_fp32_file_of_its_exporter_says_so(artifact):
    small = replace(artifact, precision=Precision.INT8)
    assert "same exporter" in check_int8_speed(small, timed(small, 1.0), None).why
