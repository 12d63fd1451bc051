"""Shell commands and files over adb, with exit codes and deadlines.

What holds the phone decides the way to it: an adb server that runs and lists it, else TCP or USB
directly. No server is ever started, ended or upgraded here.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from devices.adb_services import Output
from devices.clock import Deadline
from devices.device import DeviceError, DevicePermanentError, DeviceTransientError
from devices.phone_wire import PhoneWire
from devices.usb_phones import usb_phones as usb_phones
from devices.ways import problem_of as problem_of
from devices.ways import server_phones as server_phones
from devices.ways import way_to

CONNECT_S = 10.0
"""Deadline of reaching a phone and being authorised by it."""

READ_BYTES = 64 << 20
"""Of a file that ``pull`` brings, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellResult:
    """What a command on the phone ended with.

    Attributes:
        exit_code: 128 + N where signal N ended it.
        stdout: As text; what is not UTF-8 is replaced.
        stderr: Likewise.
        cut: Whether one of them was longer than 4 MB; a note in it says where it was cut.
        stdout_bytes: stdout as it was written.
    """

    exit_code: int
    stdout: str
    stderr: str
    cut: bool = False
    stdout_bytes: bytes = field(default=b"", compare=False, repr=False)


class Wire(Protocol):
    """Commands and files on one phone, raw."""

    def run(self, script: str, timeout_s: float) -> Output:
        """Run ``script`` under the phone's ``sh``; at its deadline end it there.

        Raises:
            DeviceError: If it did not end in time, or the phone is gone.
        """
        ...

    def push(self, source: Path, target: str, mode: int, timeout_s: float) -> None:
        """Copy a file to the phone; whether it arrived whole is the caller's to check.

        Raises:
            DeviceError: If it did not end in time, was refused, or the phone is gone.
        """
        ...

    def pull(self, path: str, limit: int, timeout_s: float) -> bytes:
        """The bytes of a file of at most ``limit``.

        Raises:
            DeviceError: If it did not end in time, was refused, or the phone is gone.
        """
        ...

    def close(self) -> None:
        """Let go of the phone."""
        ...


class Transport:
    """Commands and files on one phone.

    Args:
        device: Its id, for errors.
        wire: How it is reached.
    """

    def __init__(self, device: str, wire: Wire) -> None:
        self._device = device
        self._wire = wire

    def shell(self, command: Sequence[str], timeout_s: float) -> ShellResult:
        """Run a command; the words reach it as they are, its stdin is empty.

        At its deadline it is ended on the phone, with all that it started.

        Raises:
            DeviceTransientError: If it was ended at its deadline, or the answer was cut off.
        """
        return self.script(shlex.join(command), timeout_s)

    def script(self, text: str, timeout_s: float) -> ShellResult:
        """Run a script of the phone's ``sh``; see ``shell``."""
        output = self._wire.run(text, timeout_s)
        return ShellResult(
            exit_code=output.exit_code,
            stdout=_text(output.stdout),
            stderr=_text(output.stderr),
            cut=output.cut,
            stdout_bytes=output.stdout,
        )

    def read(self, path: str, timeout_s: float) -> bytes:
        """The bytes of a file that the phone's shell may read, nodes of the kernel among them.

        Raises:
            DeviceTransientError: If there is none, or it has more than 4 MB; ``pull`` brings such.
        """
        result = self.shell(["cat", path], timeout_s)
        if result.exit_code != 0 or result.cut:
            reason = "it has more than 4 MB" if result.cut else result.stderr.strip()[:200]
            msg = f"{path} cannot be read: {reason}"
            raise DeviceTransientError(self._device, msg, exit_code=result.exit_code)
        return result.stdout_bytes

    def pull(self, path: str, timeout_s: float, limit_bytes: int = READ_BYTES) -> bytes:
        """The bytes of a file, by adb's file service: large ones, of the folders that it may read.

        Raises:
            DevicePermanentError: If the phone refuses, with its words.
            DeviceTransientError: If the phone is gone, or it did not end in time.
        """
        return self._wire.pull(path, limit_bytes, timeout_s)

    def push(
        self, source: Path, target: str, sha256: str, timeout_s: float, *, mode: int = 0o755
    ) -> None:
        """Put a file where it appears whole, checked by its digest, or not at all.

        Raises:
            DevicePermanentError: If the phone refuses it (no room, read-only), with its words.
            DeviceTransientError: If the phone is gone, or what arrived is something else.
        """
        deadline = Deadline.within(timeout_s)
        self._make_room(target, source.stat().st_size, timeout_s)
        part = f"{target}.{secrets.token_hex(4)}.part"
        try:
            self._wire.push(source, part, mode, deadline.left_s)
            self._check_arrived(source, part, sha256, deadline.left_s)
            self._checked(["mv", part, target], deadline.left_s)
        except DeviceError:
            with suppress(DeviceError):
                self.shell(["rm", "-f", part], _CLEAN_S)
            raise

    def sha256(self, path: str, timeout_s: float) -> str:
        """Hex digest of a file on the phone; empty if it is not there."""
        result = self.shell(["sha256sum", path], timeout_s)
        return result.stdout.split(" ")[0].strip() if result.exit_code == 0 else ""

    def close(self) -> None:
        """Let go of the phone."""
        self._wire.close()

    def _make_room(self, target: str, size: int, timeout_s: float) -> None:
        """Make the folder, remove what earlier pushes left there, see whether there is room."""
        folder = shlex.quote(target.rpartition("/")[0] or "/")
        result = self.script(
            f"mkdir -p {folder} && rm -f {shlex.quote(target)}.*.part && "
            f"df -k {folder} | tail -n 1",
            timeout_s,
        )
        if result.exit_code != 0:
            msg = f"{folder} is not writable: {(result.stderr or result.stdout).strip()}"
            raise DevicePermanentError(self._device, msg, exit_code=result.exit_code)
        numbers = [word for word in result.stdout.split() if word.isdigit()]
        if len(numbers) >= 3 and int(numbers[2]) * 1024 < size + (1 << 20):
            msg = f"{folder} has {int(numbers[2]) // 1024} MB left, {size >> 20} MB are needed"
            raise DevicePermanentError(self._device, msg)

    def _check_arrived(self, source: Path, part: str, sha256: str, timeout_s: float) -> None:
        result = self.shell(["sha256sum", part], timeout_s)
        if result.exit_code == _NO_SUCH_COMMAND:
            msg = "it has no sha256sum, without which no file on it can be trusted"
            raise DevicePermanentError(self._device, msg, exit_code=result.exit_code)
        arrived = result.stdout.split(" ")[0].strip()
        if result.exit_code != 0 or arrived != sha256:
            size = self.script(f"wc -c <{shlex.quote(part)}", timeout_s).stdout.strip() or "no"
            what = f"{size} of {source.stat().st_size} bytes"
            msg = f"{source.name} arrived with digest {arrived[:16]}, not {sha256[:16]} ({what})"
            raise DeviceTransientError(self._device, msg, stderr=result.stderr)

    def _checked(self, command: Sequence[str], timeout_s: float) -> None:
        result = self.shell(command, timeout_s)
        if result.exit_code != 0:
            raise DeviceTransientError(
                self._device,
                f"{shlex.join(command)} failed: {result.stderr.strip()}",
                command=tuple(command),
                exit_code=result.exit_code,
                stderr=result.stderr,
            )


_NO_SUCH_COMMAND = 127
_CLEAN_S = 1.0
"""For removing a piece of a file at once; where the connection is lost, the next one does it."""


def _text(content: bytes) -> str:
    return content.decode(errors="replace")


def open_transport(device: str, serial: str, *, connect_s: float = CONNECT_S) -> Transport:
    """Reach the phone called ``serial``.

    Args:
        device: Its id, for errors.
        serial: As adb names it: ``HOST:PORT``, a USB serial number, ``emulator-5554``, or one
            of these ``@HOST:PORT`` of an adb server elsewhere.
        connect_s: Within which it must answer, and its owner tap where it has to be authorised.

    Raises:
        InputError: If there is none.
        DeviceError: If it is there and does not answer, or has not authorised this computer.
    """
    return Transport(device, PhoneWire(device, way_to(device, serial), connect_s))
