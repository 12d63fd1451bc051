"""Getting a phone back that does not answer: reconnect, reboot it, switch its USB port off and on.

Only reconnecting is on by default. A reboot is asked of the phone itself and has come about when
its ``boot_id`` is another one; power is switched by ``uhubctl``, on hubs that can.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from devices.clock import Clock, WallClock
from devices.device import DeviceError, DeviceTransientError
from workspace.errors import InputError

CALL_S = 10.0
"""Deadline of one question to the phone."""

LONG_STARTS = 3
"""So many times as long as a start may take, a phone runs that has booted for sure."""

_PLACE = re.compile(r"[0-9.-]+:[0-9]+")
_READY = "getprop sys.boot_completed; cat /proc/sys/kernel/random/boot_id"
_UPTIME = "cat /proc/uptime"


class Answer(Protocol):
    """What a command ended with; ``devices.transport.ShellResult`` is one."""

    @property
    def exit_code(self) -> int: ...  # noqa: D102
    @property
    def stdout(self) -> str: ...  # noqa: D102


class Connection(Protocol):
    """To one phone; ``devices.transport.Transport`` is one."""

    def script(self, text: str, timeout_s: float) -> Answer:
        """Run a script of the phone's ``sh``.

        Raises:
            DeviceError: If it did not end in time, or the phone is gone.
        """
        ...

    def close(self) -> None:
        """Let go of the phone."""
        ...


class Step(StrEnum):
    """What can be done, gentlest first."""

    RECONNECT = "reconnect"
    REBOOT = "reboot"
    POWER_CYCLE = "power-cycle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """How far to go for a phone that does not answer.

    Attributes:
        reboot: Whether it may be rebooted.
        power_cycle: Whether its USB port may be switched off and on.
        reconnect_s: How long to try to reach it.
        boot_s: How long a start of it may take, after which it is reached and has booted.
        power_off_s: How long its port stays off.
        usb_port: ``HUB:PORT`` as ``uhubctl`` names them, e.g. ``1-1.4:2``, for a phone that has
            gone from USB altogether; empty to look for its serial number.
        pause_s: After the first attempt to reach it; twice as long after each, at most 5 s.
    """

    reboot: bool = False
    power_cycle: bool = False
    reconnect_s: float = 30.0
    boot_s: float = 180.0
    power_off_s: float = 5.0
    usb_port: str = ""
    pause_s: float = 0.2

    def __post_init__(self) -> None:
        if self.usb_port and not _PLACE.fullmatch(self.usb_port):
            msg = f"usb_port must be HUB:PORT of uhubctl, e.g. 1-1.4:2, got {self.usb_port!r}"
            raise InputError(msg)
        times = (self.reconnect_s, self.boot_s, self.power_off_s, self.pause_s)
        if not all(0 < each < float("inf") for each in times):
            msg = f"times must be positive and finite, got {self}"
            raise ValueError(msg)


RECONNECT = Recovery(reconnect_s=25.0)
"""What is done for a phone that does not answer, unless more is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """A phone that answers again.

    Attributes:
        by: The step that helped.
        failed: The steps before it, each with what came of it.
        rebooted: Whether it is known to have started anew; what was changed on it is void then.
    """

    by: Step
    failed: tuple[tuple[Step, str], ...]
    rebooted: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ready:
    boot_id: str


def recover(
    device: str,
    serial: str,
    open_connection: Callable[[], Connection],
    settings: Recovery | None = None,
    *,
    clock: Clock | None = None,
    switch_power: Callable[[str, float, str], None] | None = None,
    boot_id: str = "",
) -> Recovered:
    """Try one step after the other until the phone answers and has booted.

    Args:
        device: Its id, for errors.
        serial: By which ``uhubctl`` lists it.
        open_connection: Reaches it, or raises a ``DeviceError`` or, where it is not attached, an
            ``InputError``; what it gives is closed here.
        settings: How far to go.
        clock: For waiting.
        switch_power: Instead of ``power_cycle``.
        boot_id: Of its start before it failed, if known.

    Raises:
        DeviceTransientError: If nothing helped; the text has what came of each step.
    """
    settings = settings or Recovery()
    ladder = _Ladder(device, open_connection, settings, clock or WallClock())
    steps: list[tuple[Step, Callable[[], _Ready]]] = [
        (Step.RECONNECT, lambda: ladder.wait(settings.reconnect_s))
    ]
    if settings.reboot:
        steps.append((Step.REBOOT, ladder.reboot))
    if settings.power_cycle:
        switch = switch_power or power_cycle
        steps.append((Step.POWER_CYCLE, lambda: ladder.power_cycle(serial, switch)))
    failed: list[tuple[Step, str]] = []
    for step, attempt in steps:
        try:
            ready = attempt()
        except (DeviceError, InputError) as error:
            failed.append((step, str(error)))
            continue
        known = boot_id or ladder.boot_id
        anew = bool(known) and ready.boot_id != known
        return Recovered(by=step, failed=tuple(failed), rebooted=anew)
    told = "; ".join(f"{step}: {why}" for step, why in failed)
    msg = f"it does not come back ({told})"
    raise DeviceTransientError(device, msg)


def await_boot(
    device: str,
    connection: Connection,
    settings: Recovery | None = None,
    *,
    clock: Clock | None = None,
) -> None:
    """Return once the phone behind a connection has booted: its adb is up before its Android.

    Args:
        device: Its id, for errors.
        connection: To it; it stays open.
        settings: How long its start may take.
        clock: For waiting.

    Raises:
        DeviceTransientError: If it has not booted in that time.
        DeviceError: If it is gone again.
    """
    settings = settings or Recovery()
    _patiently(
        device,
        lambda timeout_s: _booted(device, connection, timeout_s, settings),
        settings.boot_s,
        settings,
        clock or WallClock(),
        (_BootingError,),
    )


class _BootingError(DeviceTransientError):
    """It answers, and its Android is not up yet."""


def _patiently(
    device: str,
    ask: Callable[[float], _Ready],
    limit_s: float,
    settings: Recovery,
    clock: Clock,
    passing: tuple[type[Exception], ...],
) -> _Ready:
    """What ``ask`` gives, once it raises nothing of what may pass.

    Args:
        device: Its id, for errors.
        ask: Takes the deadline of its question.
        limit_s: How long to go on asking.
        settings: How long to wait in between.
        clock: For waiting.
        passing: What may pass.

    Raises:
        DeviceTransientError: If it did not pass in that time.
    """
    deadline_s = clock.now_s() + limit_s
    pause_s = settings.pause_s
    while True:
        try:
            left_s = max(settings.pause_s, deadline_s - clock.now_s())
            return ask(min(CALL_S, left_s))
        except passing as error:
            if clock.now_s() + pause_s >= deadline_s:
                detail = error.detail if isinstance(error, DeviceError) else str(error)
                msg = f"not within {limit_s:g} s: {detail}"
                raise DeviceTransientError(device, msg) from error
        clock.sleep(pause_s)
        pause_s = min(2 * pause_s, 5.0)


def _booted(device: str, connection: Connection, timeout_s: float, settings: Recovery) -> _Ready:
    """Which start of a phone this is, if it is over.

    Raises:
        DeviceTransientError: If it is not, or the phone answers with nothing.
    """
    completed, boot_id = _asked(device, connection, timeout_s)
    if completed in ("1", None) or (not completed and _runs_long(connection, timeout_s, settings)):
        return _Ready(boot_id=boot_id)
    msg = f"it is still booting (sys.boot_completed is {completed!r})"
    raise _BootingError(device, msg)


def _asked(device: str, connection: Connection, timeout_s: float) -> tuple[str | None, str]:
    """What it says of ``sys.boot_completed`` (None if it is no Android), and its boot id."""
    lines = connection.script(_READY, timeout_s).stdout.splitlines()
    if not lines or not lines[-1].strip():
        msg = "it answers, but with nothing"
        raise DeviceTransientError(device, msg)
    completed = lines[0].strip() if len(lines) > 1 else None
    return completed, lines[-1].strip()


def _runs_long(connection: Connection, timeout_s: float, settings: Recovery) -> bool:
    """Whether it has run for far longer than a start takes: what it does not tell it hides."""
    told = connection.script(_UPTIME, timeout_s).stdout.split()
    try:
        return bool(told) and float(told[0]) > LONG_STARTS * settings.boot_s
    except ValueError:
        return False


class _Ladder:
    """The steps; ``boot_id`` is what the phone last said, empty if it said nothing."""

    def __init__(
        self, device: str, reach: Callable[[], Connection], settings: Recovery, clock: Clock
    ) -> None:
        self._device = device
        self._reach = reach
        self._settings = settings
        self._clock = clock
        self.boot_id = ""

    def wait(self, limit_s: float, other_than: str = "") -> _Ready:
        """Reach it, once it has booted, and anew if ``other_than`` is a boot id."""
        return _patiently(
            self._device,
            lambda timeout_s: self._ask(timeout_s, other_than),
            limit_s,
            self._settings,
            self._clock,
            (DeviceError, InputError),
        )

    def reboot(self) -> _Ready:
        """Ask the phone to reboot itself and wait until it has."""
        connection = self._reach()
        try:
            before = self._boot_id_of(connection)
            with suppress(DeviceError):  # the connection breaks off, or not in time
                connection.script("reboot", CALL_S)
        finally:
            connection.close()
        return self.wait(self._settings.boot_s, other_than=before)

    def power_cycle(self, serial: str, switch: Callable[[str, float, str], None]) -> _Ready:
        """Switch its port off and on and wait until it answers."""
        switch(serial, self._settings.power_off_s, self._settings.usb_port)
        return self.wait(self._settings.boot_s)

    def _ask(self, timeout_s: float, other_than: str) -> _Ready:
        connection = self._reach()
        try:
            ready = _booted(self._device, connection, timeout_s, self._settings)
        finally:
            connection.close()
        if other_than and ready.boot_id == other_than:
            msg = "it has not rebooted yet"
            raise DeviceTransientError(self._device, msg)
        return ready

    def _boot_id_of(self, connection: Connection) -> str:
        try:
            _, self.boot_id = _asked(self._device, connection, CALL_S)
        except DeviceError:
            self.boot_id = ""
        return self.boot_id


def power_cycle(serial: str, off_s: float, usb_port: str = "") -> None:
    """Switch a phone's USB port off and, ``off_s`` seconds later, on.

    Args:
        serial: Of the phone, as ``uhubctl`` lists it.
        off_s: How long it stays off.
        usb_port: ``HUB:PORT``, instead of looking for the serial number.

    Raises:
        InputError: If there is no ``uhubctl``, or it lists no such phone.
        DeviceTransientError: If it fails.
    """
    program = shutil.which("uhubctl")
    if program is None:
        msg = "there is no 'uhubctl' to switch USB ports: apt-get install uhubctl"
        raise InputError(msg)
    place = usb_port or port_of(serial, _ran(serial, [program], CALL_S))
    if not place:
        msg = f"uhubctl lists no phone {serial!r} on a hub whose ports can be switched"
        raise InputError(msg)
    hub, _, port = place.partition(":")
    command = [program, "-l", hub, "-p", port, "-a", "cycle", "-d", f"{off_s:g}"]
    _ran(serial, command, off_s + 3 * CALL_S)


_HUB = re.compile(r"^Current status for hub (\S+)")
_PORT = re.compile(r"^\s+Port (\d+): .*\[([^\]]*)\]\s*$")


def port_of(serial: str, listing: str) -> str:
    """``HUB:PORT`` of a phone in what ``uhubctl`` lists; empty if it is not there.

    >>> port_of("18101FDF6", '''Current status for hub 1-1.4 [0bda:5411 USB2.1 Hub, 4 ports, ppps]
    ...   Port 1: 0100 power
    ...   Port 2: 0503 power highspeed enable connect [18d1:4ee7 Google Pixel 6 18101FDF6]''')
    '1-1.4:2'
    """
    hub = ""
    for line in listing.splitlines():
        if found := _HUB.match(line):
            hub = found[1]
        elif (found := _PORT.match(line)) and hub and found[2].endswith(f" {serial}"):
            return f"{hub}:{found[1]}"
    return ""


def _ran(serial: str, command: list[str], timeout_s: float) -> str:
    device = f"adb:{serial}"
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeviceTransientError(device, str(error), command=tuple(command)) from error
    if done.returncode != 0:
        msg = f"uhubctl failed: {(done.stderr or done.stdout).strip()[:300]}"
        raise DeviceTransientError(
            device, msg, command=tuple(command), exit_code=done.returncode, stderr=done.stderr
        )
    return done.stdout
