"""Contract tests for devices, and a fake phone that says that it is one.

Subclass ``DeviceContract``, give it the fixtures, and inherit every law.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from devices.adb_services import Output
from devices.device import (
    Device,
    DeviceError,
    DevicePermanentError,
    ModelFile,
    RawRuns,
    RunSettings,
)
from devices.transport import ShellResult

QUICK = RunSettings(warmup_runs=1, warmup_min_s=0, timed_runs=3, timed_min_s=0, timeout_s=30)
"""As little as a session can be."""


class DeviceContract:
    """The laws of ``Device``; needs fixtures ``device`` and ``model``."""

    @pytest.fixture
    def device(self) -> Device:
        """The device under test; closed by whoever made it."""
        raise NotImplementedError

    @pytest.fixture
    def model(self) -> Path:
        """A small model file that the device can run."""
        raise NotImplementedError

    def test_a_run_gives_the_runs_that_were_asked_for(self, device: Device, model: Path) -> None:
        """Positive times, a timezone, and as many runs as the settings say."""
        record = device.run(file_of(model), QUICK)
        samples = record.samples
        count = len(samples.runs_ms) if isinstance(samples, RawRuns) else samples.count
        assert count >= QUICK.timed_runs
        assert record.started_at.tzinfo is not None
        assert isinstance(samples, RawRuns) == device.setup(QUICK).gives_single_runs

    def test_the_setup_says_what_was_asked(self, device: Device) -> None:
        """Threads and delegate as given, and the same every time."""
        setup = device.setup(QUICK)
        assert (setup.threads, setup.delegate) == (QUICK.threads, QUICK.delegate)
        assert setup == device.setup(QUICK)
        assert setup.info.unit
        assert setup.runner.name

    def test_a_file_that_is_no_model_is_refused_for_good(
        self, device: Device, tmp_path: Path
    ) -> None:
        """Not a number, and not something to try again."""
        path = tmp_path / "broken.tflite"
        path.write_bytes(b"\x1c\0\0\0TFL3" + b"\xff" * 64)
        with pytest.raises(DevicePermanentError):
            device.run(file_of(path), QUICK)

    def test_a_missing_file_is_refused_for_good(self, device: Device, tmp_path: Path) -> None:
        """Before anything is run."""
        with pytest.raises(DevicePermanentError):
            device.run(ModelFile(path=tmp_path / "nowhere.tflite", sha256="0" * 64), QUICK)

    def test_a_run_ends_by_its_deadline(self, device: Device, model: Path) -> None:
        """With an error, not a number."""
        endless = RunSettings(
            warmup_runs=0, warmup_min_s=0, timed_runs=1, timed_min_s=100.0, timeout_s=3.0
        )
        started = time.monotonic()
        with pytest.raises(DeviceError):
            device.run(file_of(model), endless)
        assert time.monotonic() - started < 20

    def test_it_works_again_after_a_run_that_failed(
        self, device: Device, model: Path, tmp_path: Path
    ) -> None:
        """A failure leaves nothing behind that spoils the next run."""
        with pytest.raises(DeviceError):
            device.run(ModelFile(path=tmp_path / "nowhere.tflite", sha256="0" * 64), QUICK)
        assert device.run(file_of(model), QUICK).started_at.tzinfo is not None


def file_of(path: Path) -> ModelFile:
    """A file with its digest."""
    return ModelFile(path=path, sha256=hashlib.sha256(path.read_bytes()).hexdigest())


class FakeWire:
    """A fake phone's wire: answers scripts from a function, keeps pushed files in memory.

    Args:
        answer: Gives the result of a script.
    """

    def __init__(self, answer: Callable[[str], ShellResult]) -> None:
        self._answer = answer
        self.pushed: dict[str, bytes] = {}
        self.scripts: list[str] = []
        self.closed = False

    def run(self, script: str, timeout_s: float) -> Output:  # noqa: ARG002 - the protocol's
        """What the function says; its bytes where it gives some, else its text."""
        self.scripts.append(script)
        result = self._answer(script)
        return Output(
            exit_code=result.exit_code,
            stdout=result.stdout_bytes or result.stdout.encode(),
            stderr=result.stderr.encode(),
            cut=result.cut,
        )

    def push(self, source: Path, target: str, mode: int, timeout_s: float) -> None:  # noqa: ARG002
        """Keep the file."""
        self.pushed[target] = source.read_bytes()

    def pull(self, path: str, limit: int, timeout_s: float) -> bytes:  # noqa: ARG002
        """A file that was pushed."""
        if path not in self.pushed:
            device, msg = "adb:fake", f"the fake phone has no {path}"
            raise DevicePermanentError(device, msg)
        return self.pushed[path]

    def close(self) -> None:
        """Note that it was let go."""
        self.closed = True
