"""An Android phone over adb, timed by ``benchmark_model``."""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from devices.android import Traits, fastest_cores, read_phone, read_state
from devices.android_hold import Hold, fixed_khz
from devices.clock import Deadline
from devices.device import (
    ClockTier,
    DeviceError,
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
from devices.endings import FROM_OUTSIDE, signal_of
from devices.energy import Rails, read_rails, spent
from devices.held_changes import Journal
from devices.op_profile import OperatorProfile, read_operator_profile
from devices.phone_cache import FOLDER, PhoneCache
from devices.phone_wire import DUTIES
from devices.provision import provisioned_version
from devices.recovery import RECONNECT, Recovery, await_boot, recover
from devices.runners import (
    Dialect,
    RequestIgnoredError,
    UnreadableOutputError,
    arguments,
    dialect_of,
    parse,
    profile_arguments,
    stand_in_of,
)
from devices.transport import ShellResult, Transport, open_transport
from workspace.errors import InputError

RUNNERS = (f"{FOLDER}/benchmark_model", "/data/local/tmp/benchmark_model")
"""Where the program is looked for."""

CALL_S = 20.0
"""Deadline of a small call."""

CLEAN_S = 2.0
"""For removing a result; where the connection is lost, the next one does it."""

TAIL = 2000
"""Characters of what a failed run said that are kept."""

MASK = "POCKETNAS-MASK"
"""Begins the line that tells to which cores a run was really pinned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Runner:
    """The program; ``writes_results`` if it has LiteRT's flag for a result file."""

    path: str
    dialect: Dialect
    info: RunnerInfo
    writes_results: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Phone:
    """What is asked once a connection."""

    info: DeviceInfo
    traits: Traits
    runner: _Runner


class _Link:
    """A connection, and what is known as long as it lasts."""

    def __init__(self, device: str, transport: Transport) -> None:
        self.transport = transport
        self.cache = PhoneCache(transport, device)
        self.phone: _Phone | None = None
        self._has_rails = True

    def rails(self) -> Rails:
        """The counters of the power rails; a phone that shows none is asked once."""
        if not self._has_rails:
            return Rails()
        found = read_rails(self.transport, CALL_S)
        self._has_rails = bool(found.uws)
        return found


class AdbDevice:
    """A phone; a ``Device``.

    A model is pushed once, by content. Runs are pinned to the fastest cores with ``taskset``,
    and the mask is read back; a loopback phone's are not, since its cores are this computer's.

    Args:
        serial: As adb names it: a USB serial number, ``HOST:PORT``, or one of these with the adb
            server that has it, ``SERIAL@HOST:PORT``.
        transport: How it is reached at first; None to find out.
        recovery: How far to go when it does not answer any more.

    Raises:
        InputError: If there is no such phone.
        DeviceError: If it does not answer, or lacks ``benchmark_model``.
    """

    def __init__(
        self, serial: str, transport: Transport | None = None, *, recovery: Recovery = RECONNECT
    ) -> None:
        self._id = f"adb:{serial}"
        self._serial = serial
        self._recovery = recovery
        self._closed = False
        self._link: _Link | None = _Link(self._id, transport or open_transport(self._id, serial))

    @property
    def id(self) -> str:
        """See ``Device.id``."""
        return self._id

    @property
    def transport(self) -> Transport:
        """The connection, for what is no run; another one after a fault.

        Raises:
            DeviceTransientError: If there is none any more, and the phone does not come back.
        """
        return self._linked().transport

    def setup(self, settings: RunSettings) -> Setup:
        """See ``Device.setup``."""
        phone = self._known()
        cores = self._cores(phone, settings)
        fixed = settings.clock_tier is ClockTier.FIXED
        return Setup(
            info=phone.info,
            runner=phone.runner.info,
            threads=settings.threads,
            cores=cores,
            delegate=settings.delegate,
            clock_tier=settings.clock_tier,
            gives_single_runs=False,
            clock_khz=fixed_khz(self._id, phone.traits, cores) if fixed else 0,
        )

    @contextmanager
    def hold(self, settings: RunSettings) -> Iterator[tuple[str, ...]]:
        """See ``Device.hold``."""
        phone = self._known()
        hold = Hold(self._id, lambda: self.transport, phone.traits, self._cores(phone, settings))
        with self.letting_go(), hold.held(settings.clock_tier) as labels:
            pinned = () if phone.traits.pins else ("cores: not pinned, it has none of its own",)
            yield (*labels, *pinned)

    def state(self) -> DeviceState:
        """See ``Device.state``."""
        with self.letting_go():
            return read_state(self.transport)

    def run(self, model: ModelFile, settings: RunSettings) -> RunRecord:
        """See ``Device.run``; its deadline holds from when the phone answers."""
        if not model.path.is_file():
            raise DevicePermanentError(self._id, f"there is no model file {str(model.path)!r}")
        with self.letting_go():
            return self._run(model, settings)

    def profile(self, model: ModelFile, settings: RunSettings) -> OperatorProfile:
        """How long each operator takes, in a session that gives no latency of the whole.

        Raises:
            DeviceError: One of its three children; for good where the program writes no table.
        """
        with self.letting_go(), self._result_file("csv") as table:
            return self._profile(model, settings, table)

    def _profile(self, model: ModelFile, settings: RunSettings, table: str) -> OperatorProfile:
        phone, link = self._known(), self._linked()
        if phone.runner.dialect is not Dialect.TFLITE:
            msg = f"the {phone.runner.dialect} dialect of benchmark_model writes no table"
            raise DevicePermanentError(self._id, msg)
        deadline = Deadline.within(settings.timeout_s)
        remote = link.cache.ensure(model, deadline.left_s)
        flags = profile_arguments(phone.runner.dialect, remote, settings, output_file=table)
        command = (phone.runner.path, *flags)
        result = self._pinned(self._cores(phone, settings), command, deadline.left_s)
        if result.exit_code != 0:
            raise self._failed(command, result)
        try:
            return read_operator_profile(self._result(table).decode(errors="replace"))
        except ValueError as error:
            raise self._unusable(DevicePermanentError, str(error), command, result) from error

    def close(self) -> None:
        """See ``Device.close``."""
        self._closed = True
        self._let_go()

    def _run(self, model: ModelFile, settings: RunSettings) -> RunRecord:
        if not self._known().runner.writes_results:
            return self._session(model, settings, "")
        with self._result_file("pb") as result_file:
            return self._session(model, settings, result_file)

    def _session(self, model: ModelFile, settings: RunSettings, result_file: str) -> RunRecord:
        phone, setup = self._known(), self.setup(settings)
        link, deadline = self._linked(), Deadline.within(settings.timeout_s)
        remote = link.cache.ensure(model, deadline.left_s)
        dialect = phone.runner.dialect
        flags = arguments(dialect, remote, settings, result_file=result_file)
        command = (phone.runner.path, *flags)
        before, started_at = read_state(link.transport), datetime.now(UTC)
        rails = link.rails()
        result = self._pinned(setup.cores, command, deadline.left_s)
        energy = spent(rails, link.rails()) if rails.uws else None
        content = self._result(result_file) if result_file and result.exit_code == 0 else b""
        after = read_state(link.transport)
        if result.exit_code != 0:
            failed = self._failed(command, result)
            if link.cache.is_whole(model, deadline.left_s):
                raise failed
            msg = f"the model file was damaged on the phone: {failed.detail}"
            raise self._unusable(DeviceTransientError, msg, command, result)
        link.cache.require_unchanged(model)
        try:
            parsed = parse(dialect, flags, result.stdout, result.stderr, content)
        except RequestIgnoredError as error:
            raise self._unusable(DevicePermanentError, str(error), command, result) from error
        except UnreadableOutputError as error:
            raise self._unusable(DeviceTransientError, str(error), command, result) from error
        return RunRecord(
            samples=parsed.summary,
            first_ms=parsed.first_ms,
            init_ms=parsed.init_ms,
            peak_memory_mb=parsed.peak_memory_mb or parsed.footprint_mb,
            before=before,
            after=after,
            started_at=started_at,
            energy_mj=energy.total_mj if energy else None,
        )

    def _pinned(
        self, cores: tuple[int, ...], command: tuple[str, ...], timeout_s: float
    ) -> ShellResult:
        """Run ``command`` on ``cores``; the mask that it really had is read back.

        Raises:
            DeviceTransientError: If it had another one.
        """
        if not cores:
            return self.transport.shell(command, timeout_s)
        inner = f"echo {MASK} $(taskset -p $$); exec {shlex.join(command)}"
        result = self.transport.shell(("taskset", _mask(cores), "sh", "-c", inner), timeout_s)
        told = re.search(rf"^{MASK} .*: *(?:0x)?([0-9a-fA-F]+)\s*$", result.stdout, re.MULTILINE)
        if result.exit_code == 0 and (told is None or int(told[1], 16) != int(_mask(cores), 16)):
            got = told[1] if told else "none"
            msg = f"the run was to be on cores {cores} (mask {_mask(cores)}), its mask was {got}"
            raise self._unusable(DeviceTransientError, msg, command, result)
        return result

    def _known(self) -> _Phone:
        """What the phone and its program are; asked once a connection."""
        with self.letting_go():
            link = self._linked()
            if link.phone is None:
                journal = Journal(self._id)
                if journal.is_left():
                    journal.put_back(link.transport)
                info, traits = read_phone(link.transport, self._id, self._serial)
                link.phone = _Phone(info=info, traits=traits, runner=self._find_runner())
            return link.phone

    def _find_runner(self) -> _Runner:
        for path in RUNNERS:
            sha256 = self.transport.sha256(path, CALL_S)
            if sha256:
                help_text = self.transport.shell([path, "--help"], CALL_S)
                text = help_text.stdout + help_text.stderr
                return self._runner_info(path, sha256, text, help_text)
        msg = (
            f"it has no benchmark_model: 'pocketnas devices provision {self._id}' puts Google's "
            "on it, or yours with --runner PATH"
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
            version=provisioned_version(self.transport, sha256),  # the program does not tell
            sha256=sha256,
            stand_in=stand_in_of(text),
        )
        writes = dialect is Dialect.LITERT and "--result_file_path" in text
        return _Runner(path=path, dialect=dialect, info=info, writes_results=writes)

    @contextmanager
    def _result_file(self, ending: str) -> Iterator[str]:
        """A name on the phone for a result; what lies there is removed at the end, come what may.

        Where the phone is gone, the next connection removes it.
        """
        path = f"{FOLDER}/result-{secrets.token_hex(8)}.{ending}"
        link = self._linked()
        try:
            yield path
        finally:
            remove = ("rm", "-f", path)
            try:
                link.transport.shell(remove, CLEAN_S)
            except DeviceError:
                DUTIES.add(self._id, shlex.join(remove))

    def _result(self, path: str) -> bytes:
        """What the program wrote there; nothing if it wrote nothing."""
        if self.transport.shell(["test", "-s", path], CALL_S).exit_code != 0:
            return b""
        return self.transport.read(path, CALL_S)

    def _cores(self, phone: _Phone, settings: RunSettings) -> tuple[int, ...]:
        if not phone.traits.pins:
            return ()
        there = range(len(phone.info.core_khz))
        cores = settings.cores or fastest_cores(phone.info.core_khz, settings.threads)
        if not set(cores) <= set(there) or len(cores) < settings.threads:
            msg = f"{settings.threads} threads on cores {cores} do not fit its {len(there)} cores"
            raise DevicePermanentError(self._id, msg)
        return cores

    @contextmanager
    def letting_go(self) -> Iterator[None]:
        """After a fault the next call starts on a new connection."""
        try:
            yield
        except DeviceTransientError:
            self._let_go()
            raise

    def _let_go(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.transport.close()

    def _linked(self) -> _Link:
        """The connection; after a fault a new one, whatever it takes that is allowed."""
        if self._link is None:
            if self._closed:
                msg = "it was closed, and is asked something"
                raise DevicePermanentError(self._id, msg)
            self._link = _Link(self._id, self._reached())
        return self._link

    def _reached(self) -> Transport:
        """A connection to the phone that came back, once it has booted."""
        transport = self._answering()
        try:
            await_boot(self._id, transport, self._recovery)
        except DeviceError:
            transport.close()
            raise
        return transport

    def _answering(self) -> Transport:
        try:
            return open_transport(self._id, self._serial)
        except (DeviceTransientError, InputError):
            recover(
                self._id,
                self._serial,
                lambda: open_transport(self._id, self._serial),
                self._recovery,
            )
        try:
            return open_transport(self._id, self._serial)
        except InputError as error:
            raise DeviceTransientError(self._id, f"it is gone again: {error}") from error

    def _failed(
        self, command: tuple[str, ...], result: ShellResult
    ) -> DevicePermanentError | DeviceTransientError:
        """The program ended with an error: of its own accord it will again, killed it may not.

        A signal that it brings upon itself, such as that of an operator which crashes, is its own.
        """
        words = (result.stderr or result.stdout).strip()
        lines = [line for line in words.splitlines() if line.startswith("ERROR")] or [words]
        signal = signal_of(result.exit_code)
        how = f"{result.exit_code} ({signal})" if signal else f"{result.exit_code}"
        text = f"benchmark_model ended with {how}: {' '.join(lines)[:TAIL] or 'it said nothing'}"
        kind = DeviceTransientError if signal in FROM_OUTSIDE else DevicePermanentError
        return self._unusable(kind, text, command, result)

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
