"""An Android phone over adb, timed by ``benchmark_model``."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

from devices.android import fastest_cluster, read_info, read_state
from devices.device import (
    ClockTier,
    DeviceInfo,
    DevicePermanentError,
    DeviceState,
    DeviceTransientError,
    ModelFile,
    RunnerInfo,
    RunRecord,
    RunSettings,
    Setup,
)
from devices.runners import (
    Dialect,
    RequestIgnoredError,
    UnreadableOutputError,
    arguments,
    dialect_of,
    parse,
    stand_in_of,
)
from devices.transport import ShellResult, Transport, open_transport

FOLDER = "/data/local/tmp/pocketnas"
"""Of what is put on the phone."""

RUNNERS = (f"{FOLDER}/benchmark_model", "/data/local/tmp/benchmark_model")
"""Where the program is looked for."""

CALL_S = 20.0
"""Deadline of a small call."""

TAIL = 2000
"""Characters of what a failed run said that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Runner:
    path: str
    dialect: Dialect
    info: RunnerInfo


class AdbDevice:
    """A phone; a ``Device``.

    A model is pushed once, by content. Runs are pinned to the last cores of the fastest cluster
    with ``taskset``; a loopback phone's are not, since its cores are this computer's.

    Args:
        serial: As adb names it: a USB serial number, or ``HOST:PORT``.
        transport: How it is reached; None to find out.

    Raises:
        InputError: If there is no such phone.
        DeviceError: If it does not answer, or lacks ``benchmark_model``.
    """

    def __init__(self, serial: str, transport: Transport | None = None) -> None:
        self._id = f"adb:{serial}"
        self._serial = serial
        self._transport = transport or open_transport(self._id, serial)
        self._info: DeviceInfo | None = None
        self._runner: _Runner | None = None
        self._pushed: set[str] = set()

    @property
    def id(self) -> str:
        """See ``Device.id``."""
        return self._id

    def setup(self, settings: RunSettings) -> Setup:
        """See ``Device.setup``."""
        info, runner = self._known()
        return Setup(
            info=info,
            runner=runner.info,
            threads=settings.threads,
            cores=self._cores(info, settings),
            delegate=settings.delegate,
            clock_tier=ClockTier.FREE,
            gives_single_runs=False,
        )

    def state(self) -> DeviceState:
        """See ``Device.state``."""
        return read_state(self._transport)

    def run(self, model: ModelFile, settings: RunSettings) -> RunRecord:
        """See ``Device.run``."""
        if not model.path.is_file():
            raise DevicePermanentError(self._id, f"there is no model file {str(model.path)!r}")
        try:
            return self._run(model, settings)
        except DeviceTransientError:
            self._reconnect()
            raise

    def close(self) -> None:
        """See ``Device.close``."""
        self._transport.close()

    def _run(self, model: ModelFile, settings: RunSettings) -> RunRecord:
        setup = self.setup(settings)
        remote = self._on_phone(model, settings.timeout_s)
        _, runner = self._known()
        result_file = ""
        if runner.dialect is Dialect.LITERT:
            result_file = f"{FOLDER}/result-{secrets.token_hex(8)}.pb"
        flags = arguments(runner.dialect, remote, settings, result_file=result_file)
        pinned = ("taskset", _mask(setup.cores)) if setup.cores else ()
        command = (*pinned, runner.path, *flags)
        before, started_at = read_state(self._transport), datetime.now(UTC)
        result = self._transport.shell(command, settings.timeout_s)
        content = self._result(result_file) if result_file and result.exit_code == 0 else b""
        after = read_state(self._transport)
        if result.exit_code != 0:
            raise self._failed(command, result)
        try:
            parsed = parse(runner.dialect, flags, result.stdout, result.stderr, content)
        except RequestIgnoredError as error:
            raise self._unusable(DevicePermanentError, str(error), command, result) from error
        except UnreadableOutputError as error:
            raise self._unusable(DeviceTransientError, str(error), command, result) from error
        return RunRecord(
            samples=parsed.summary,
            first_ms=parsed.first_ms,
            init_ms=parsed.init_ms,
            peak_memory_mb=parsed.peak_memory_mb,
            before=before,
            after=after,
            started_at=started_at,
        )

    def _known(self) -> tuple[DeviceInfo, _Runner]:
        """What the phone and its program are; asked once a connection."""
        if self._info is None or self._runner is None:
            self._info = read_info(self._transport, self._id, self._serial)
            self._runner = self._find_runner()
        return self._info, self._runner

    def _find_runner(self) -> _Runner:
        for path in RUNNERS:
            sha256 = self._transport.sha256(path, CALL_S)
            if sha256:
                help_text = self._transport.shell([path, "--help"], CALL_S)
                text = help_text.stdout + help_text.stderr
                return self._runner_info(path, sha256, text, help_text)
        msg = (
            "it has no benchmark_model: adb push benchmark_model /data/local/tmp/ and "
            "adb shell chmod +x /data/local/tmp/benchmark_model (Google publishes it with each "
            "release of LiteRT)"
        )
        raise DevicePermanentError(self._id, msg)

    def _runner_info(self, path: str, sha256: str, text: str, answer: ShellResult) -> _Runner:
        try:
            dialect = dialect_of(text)
        except UnreadableOutputError as error:
            raise self._unusable(
                DevicePermanentError, f"{path}: {error}", (path, "--help"), answer
            ) from error
        info = RunnerInfo(
            name="benchmark_model",
            dialect=dialect.value,
            version="",  # the program does not tell; its digest does
            sha256=sha256,
            stand_in=stand_in_of(text),
        )
        return _Runner(path=path, dialect=dialect, info=info)

    def _on_phone(self, model: ModelFile, timeout_s: float) -> str:
        """Where the model lies on the phone, pushed if it was not there."""
        remote = f"{FOLDER}/{model.sha256[:32]}.tflite"
        if model.sha256 not in self._pushed:
            if self._transport.sha256(remote, timeout_s) != model.sha256:
                self._transport.push(model.path, remote, model.sha256, timeout_s)
            self._pushed.add(model.sha256)
        return remote

    def _result(self, path: str) -> bytes:
        content = self._transport.read(path, CALL_S)
        self._transport.shell(["rm", "-f", path], CALL_S)
        return content

    def _cores(self, info: DeviceInfo, settings: RunSettings) -> tuple[int, ...]:
        if settings.cores or info.on_this_computer:
            return settings.cores
        cluster = fastest_cluster(info.core_khz)
        if settings.threads > len(cluster):
            msg = f"{settings.threads} threads exceed the {len(cluster)} fastest cores {cluster}"
            raise DevicePermanentError(self._id, msg)
        return cluster[-settings.threads :]

    def _reconnect(self) -> None:
        """Start anew after a fault; what was known of the phone has to be asked again."""
        self._transport.close()
        self._info = self._runner = None
        self._pushed.clear()
        self._transport = open_transport(self._id, self._serial)

    def _failed(self, command: tuple[str, ...], result: ShellResult) -> DevicePermanentError:
        """The program ended with an error: of its own accord, so it will again."""
        words = (result.stderr or result.stdout).strip()
        lines = [line for line in words.splitlines() if line.startswith("ERROR")] or [words]
        text = f"benchmark_model ended with {result.exit_code}: {' '.join(lines)[:TAIL]}"
        return DevicePermanentError(
            self._id,
            text,
            command=command,
            exit_code=result.exit_code,
            stdout=result.stdout[-TAIL:],
            stderr=result.stderr[-TAIL:],
        )

    def _unusable(
        self,
        kind: type[DevicePermanentError | DeviceTransientError],
        text: str,
        command: tuple[str, ...],
        result: ShellResult,
    ) -> DevicePermanentError | DeviceTransientError:
        return kind(
            self._id,
            text,
            command=command,
            exit_code=result.exit_code,
            stdout=result.stdout[-TAIL:],
            stderr=result.stderr[-TAIL:],
        )


def _mask(cores: tuple[int, ...]) -> str:
    """As ``taskset`` takes it, in hexadecimal.

    >>> _mask((4, 7))
    '90'
    """
    return f"{sum(1 << core for core in cores):x}"
