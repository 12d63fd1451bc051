from dataclasses import replace
from datetime import UTC, datetime

import pytest

from devices.device import DeviceState, RunRecord, RunSummary
from latency.presets import QUICK
from latency.testing import FakeDevice

TIMES_US = [5000, 5100, 5300]


def session(mean_ms=5.13333, **more):
    summary = RunSummary(count=3, mean_ms=mean_ms, min_ms=5.0, max_ms=5.3, std_ms=0.124)
    return RunRecord(
        samples=replace(summary, **more),
        first_ms=None,
        init_ms=None,
        peak_memory_mb=None,
        before=DeviceState(),
        after=DeviceState(),
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def measurement(*sessions, sha256="a" * 64):
    from devices.device import RunSettings
    from exporters.artifact import Precision
    from latency.interval import interval_of_median
    from latency.measurement import Conditions, LatencyMeasurement, Statistic, Verdict

    setup = FakeDevice(single_runs=False).setup(RunSettings())
    return LatencyMeasurement(
        artifact_sha256=sha256,
        conditions=Conditions(setup=setup, precision=Precision.FP32, statistic=Statistic.MEAN),
        protocol=QUICK,
        sessions=sessions,
        interval=interval_of_median([5.0, 5.1, 5.2], 0.95),
        verdict=Verdict.STABLE,
    )


def ledger(*shas, threads=1):
    flags = [f"--num_threads={threads}", "--num_runs=10", "--min_secs=0.1", "--graph=x"]
    entries = [{"sha256": sha, "timed_us": TIMES_US, "arguments": flags} for sha in shas]
    return {"unit-FAKE1": entries}


def test_sessions_that_equal_an_entry_each_are_right(script):
    found = [measurement(session(), session())]
    assert script.check(found, ledger("a" * 64, "a" * 64)) == (0, 0)


def test_an_entry_that_is_used_twice_is_doubled(script):
    found = [measurement(session(), session())]
    assert script.check(found, ledger("a" * 64)) == (0, 1)


@pytest.mark.parametrize(
    "wrong",
    [{"mean_ms": 5.1334}, {"min_ms": 4.9}, {"max_ms": 5.301}, {"count": 4}],
)
def test_a_number_that_is_no_entrys_is_wrong(script, wrong):
    found = [measurement(session(**wrong))]
    assert script.check(found, ledger("a" * 64)) == (1, 0)


def test_an_entry_of_another_file_is_none_of_its(script):
    assert script.check([measurement(session())], ledger("b" * 64)) == (1, 0)


def test_an_entry_that_ran_with_other_flags_is_none_of_its(script):
    found = [measurement(session())]
    assert script.check(found, ledger("a" * 64, threads=4)) == (1, 0)


def test_connection_faults_are_seeded(script):
    assert script.connection_plan(3, 600, 20) == script.connection_plan(3, 600, 20)
    assert script.connection_plan(3, 600, 20) != script.connection_plan(4, 600, 20)
    assert len(script.connection_plan(3, 600, 20).faults) > 10
