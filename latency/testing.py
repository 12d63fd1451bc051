"""Contract tests of latency sources, and a device that is none, for tests without one."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from devices.device import (
    ClockTier,
    DeviceError,
    DeviceInfo,
    DevicePermanentError,
    DeviceState,
    ModelFile,
    RawRuns,
    RunnerInfo,
    RunRecord,
    RunSettings,
    RunSummary,
    Setup,
)
from latency.source import (
    LatencyAnswer,
    LatencyEstimate,
    LatencyFailure,
    LatencyRequest,
    LatencySource,
    Origin,
    Subject,
)

STAND_IN = "no device: draws times from a seeded distribution"


class FakeDevice:
    """Answers like a device, at once, with drawn times; its info says that it is none.

    Args:
        serial: Which one it is.
        median_ms: Of a file's sessions; by default the same for every file.
        spread: Standard deviation of the logarithm of a session's median.
        seed: Of the draws.
        single_runs: Whether records hold single runs; else a summary without a median.
        faults: Raised one after another by the first runs; None for a run that goes well.
        model: What it says it is.
        run_s: How long a run takes.
    """

    def __init__(
        self,
        serial: str = "FAKE1",
        *,
        median_ms: Callable[[ModelFile], float] = lambda _: 5.0,
        spread: float = 0.001,
        seed: int = 0,
        single_runs: bool = True,
        faults: Sequence[DeviceError | None] = (),
        model: str = "Fake 1",
        run_s: float = 0.0,
    ) -> None:
        self.serial = serial
        self.ran: list[ModelFile] = []
        self.settings: list[RunSettings] = []
        self.gone: DeviceError | None = None
        self.closed = 0
        self.held = 0
        self._median_ms = median_ms
        self._spread = spread
        self._rng = random.Random(seed)
        self._single_runs = single_runs
        self._faults = list(faults)
        self._model = model
        self._run_s = run_s
        self._one_caller = threading.Lock()

    @property
    def id(self) -> str:
        """See ``Device.id``."""
        return f"adb:{self.serial}"

    def setup(self, settings: RunSettings) -> Setup:
        """See ``Device.setup``."""
        self._require_there()
        return Setup(
            info=DeviceInfo(
                model=self._model,
                unit=f"unit-{self.serial}",
                soc="",
                abi="none",
                build="none",
                kernel="none",
                core_khz=(1000, 2000),
                ram_mb=1,
                stand_in=STAND_IN,
            ),
            runner=RunnerInfo(name="fake", dialect="none", version="0", stand_in=STAND_IN),
            threads=settings.threads,
            cores=settings.cores,
            delegate=settings.delegate,
            clock_tier=ClockTier.FREE,
            gives_single_runs=self._single_runs,
        )

    @contextmanager
    def hold(self, settings: RunSettings) -> Iterator[tuple[str, ...]]:  # noqa: ARG002
        """See ``Device.hold``."""
        self._require_there()
        self.held += 1
        try:
            yield ()
        finally:
            self.held -= 1

    def state(self) -> DeviceState:
        """See ``Device.state``."""
        self._require_there()
        return DeviceState(temperature_c=30.0, thermal_status=0)

    def run(self, model: ModelFile, settings: RunSettings) -> RunRecord:
        """See ``Device.run``."""
        if not self._one_caller.acquire(blocking=False):
            msg = "two callers at once on one device: no lease was held"
            raise AssertionError(msg)
        try:
            self._require_there()
            self.ran.append(model)
            self.settings.append(settings)
            time.sleep(self._run_s)
            fault = self._faults.pop(0) if self._faults else None
            if fault is not None:
                raise fault
            return self._record(model, settings)
        finally:
            self._one_caller.release()

    def close(self) -> None:
        """See ``Device.close``."""
        self.closed += 1

    def _record(self, model: ModelFile, settings: RunSettings) -> RunRecord:
        center = self._median_ms(model) * self._rng.lognormvariate(0.0, self._spread)
        runs = tuple(center * factor for factor in (0.99, 1.0, 1.5))
        summary = RunSummary(
            count=settings.timed_runs, mean_ms=center, min_ms=runs[0], max_ms=runs[2]
        )
        return RunRecord(
            samples=RawRuns(runs_ms=runs) if self._single_runs else summary,
            first_ms=2 * center,
            init_ms=1.0,
            peak_memory_mb=None,
            before=self.state(),
            after=replace(self.state(), temperature_c=31.0, core_khz=(1000, 1800)),
            started_at=datetime.now(UTC),
        )

    def _require_there(self) -> None:
        if self.gone is not None:
            raise self.gone


def broken_model(device: str = "adb:FAKE1") -> DevicePermanentError:
    """What a device says of a file that it cannot run."""
    return DevicePermanentError(device, "unsupported operator")


class LatencySourceContract:
    """The laws of ``LatencySource``."""

    @pytest.fixture
    def source(self) -> LatencySource:
        """A source that is ready to answer."""
        raise NotImplementedError

    @pytest.fixture
    def subjects(self) -> Sequence[Subject]:
        """At least three that the source can answer for, all different."""
        raise NotImplementedError

    @pytest.fixture
    def impossible(self) -> Subject:
        """A subject of a kind that the source answers for, which it cannot answer."""
        raise NotImplementedError

    def test_each_request_is_answered_exactly_once(
        self, source: LatencySource, subjects: Sequence[Subject]
    ) -> None:
        """In whatever order."""
        requests = _requests(subjects)
        answers = list(source.estimate(requests))
        assert sorted(a.request_id for a in answers) == sorted(r.id for r in requests)

    def test_an_estimate_lies_in_its_interval_and_names_where_it_is_from(
        self, source: LatencySource, subjects: Sequence[Subject]
    ) -> None:
        """A number never comes alone."""
        for answer in source.estimate(_requests(subjects)):
            assert isinstance(answer, LatencyEstimate), answer
            assert 0 <= answer.low_ms <= answer.latency_ms <= answer.high_ms
            assert answer.latency_ms > 0
            assert 0 <= answer.coverage <= 1
            assert answer.source
            assert not answer.source.endswith(":any")
            for one in [each.estimate for each in answer.devices] or [answer]:
                if one.origin in (Origin.MEASURED, Origin.STORED):
                    assert one.measurement is not None
                    assert one.measurement.artifact_sha256 == one.artifact_sha256

    def test_one_failure_leaves_the_rest_of_the_batch_alone(
        self, source: LatencySource, subjects: Sequence[Subject], impossible: Subject
    ) -> None:
        """It is stated, and does not raise."""
        batch = [subjects[0], impossible, *subjects[1:]]
        answers = {a.request_id: a for a in source.estimate(_requests(batch))}
        assert isinstance(answers.pop("request1"), LatencyFailure)
        assert len(answers) == len(subjects)
        assert all(isinstance(a, LatencyEstimate) for a in answers.values())

    def test_an_empty_batch_has_no_answers(self, source: LatencySource) -> None:
        """And does not wait for anything."""
        assert list(source.estimate([])) == []

    def test_as_many_threads_as_lanes_may_ask_at_once(
        self, source: LatencySource, subjects: Sequence[Subject]
    ) -> None:
        """Each gets the answers to its own requests."""

        def ask(thread: int) -> list[LatencyAnswer]:
            return list(source.estimate(_requests(subjects, f"thread{thread}-")))

        with ThreadPoolExecutor(source.lanes) as pool:
            batches = list(pool.map(ask, range(source.lanes)))
        for thread, answers in enumerate(batches):
            ids = [request.id for request in _requests(subjects, f"thread{thread}-")]
            assert sorted(answer.request_id for answer in answers) == sorted(ids)
            assert all(isinstance(answer, LatencyEstimate) for answer in answers)

    def test_it_has_a_lane_and_a_name(self, source: LatencySource) -> None:
        """At least one."""
        assert source.lanes >= 1
        assert source.name

    def test_closing_twice_is_closing_once(self, source: LatencySource) -> None:
        """Idempotent."""
        source.close()
        source.close()


def _requests(subjects: Sequence[Subject], prefix: str = "") -> list[LatencyRequest]:
    return [
        LatencyRequest(id=f"{prefix}request{index}", subject=subject, preset="quick")
        for index, subject in enumerate(subjects)
    ]
