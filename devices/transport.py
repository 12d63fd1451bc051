"""Shell commands and files over adb, with exit codes and deadlines.

A phone is reached straight over TCP or USB (adb-shell, no adb server needed), or through an adb
server that runs already; none is ever started or ended here. adb-shell's own shortfalls are
mended on the way: it gives no exit codes, leaves TCP_NODELAY off (44 ms a call), sends only what
fits into the socket's buffer, and a push that the phone refuses would hang until its time-out.
"""

from __future__ import annotations

import secrets
import shlex
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from devices.device import DeviceError, DevicePermanentError, DeviceTransientError
from workspace.errors import InputError

if TYPE_CHECKING:
    from adb_shell.adb_device import AdbDevice as AdbShellDevice

SERVER_PORT = 5037
"""Where an adb server listens."""

CONNECT_S = 10.0
"""Deadline of reaching a phone and being authorised by it."""

PACKET = 1 << 16
"""Bytes of a packet at most: a push with larger ones was seen to stall, unanswered."""

GRACE_S = 5.0
"""How much longer the wire waits than the phone, which ends what runs too long itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellResult:
    """What a command on the phone ended with."""

    exit_code: int
    stdout: str
    stderr: str


class Wire(Protocol):
    """Raw bytes to and from one phone."""

    def execute(self, script: str, timeout_s: float) -> bytes:
        """What ``script`` prints under the phone's ``sh``, to the last byte.

        Raises:
            DeviceError: If it did not end in time, or the phone is gone.
        """
        ...

    def push(self, source: Path, target: str, timeout_s: float) -> None:
        """Copy a file to the phone; whether it arrived whole is the caller's to check.

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
        """Run a command; the words reach it as they are.

        At its deadline the phone itself ends it, with all that it started, where it has
        ``timeout``.

        Raises:
            DeviceTransientError: If it was ended at its deadline, or the answer was cut off.
        """
        return self.script(shlex.join(command), timeout_s)

    def script(self, text: str, timeout_s: float) -> ShellResult:
        """Run a script of the phone's ``sh``; see ``shell``."""
        mark = secrets.token_hex(8)
        answer = self._wire.execute(_wrapped(text, mark, timeout_s), timeout_s + GRACE_S)
        stdout, found, rest = answer.partition(f"\n{mark} ".encode())
        code, found_again, rest = rest.partition(b"\n")
        stderr, ended, _ = rest.rpartition(f"\n{mark}".encode())
        if not (found and found_again and ended and code.strip().isdigit()):
            msg = "the answer to a command was cut off"
            raise DeviceTransientError(self._device, msg, command=(text,), stdout=_text(answer))
        result = ShellResult(exit_code=int(code), stdout=_text(stdout), stderr=_text(stderr))
        if result.exit_code == _KILLED:
            msg = f"a command did not end within {timeout_s:g} s, and was ended"
            raise DeviceTransientError(
                self._device, msg, command=(text,), exit_code=_KILLED, stderr=result.stderr
            )
        return result

    def read(self, path: str, timeout_s: float) -> bytes:
        """The bytes of a file on the phone.

        Raises:
            DeviceTransientError: If there is none, or it was cut off.
        """
        mark = secrets.token_hex(8)
        quoted = shlex.quote(path)
        answer = self._wire.execute(f"cat {quoted} && printf '\\n%s' {mark}", timeout_s)
        content, found, _ = answer.rpartition(f"\n{mark}".encode())
        if not found:
            msg = f"{path} cannot be read: {_text(answer)[:200]}"
            raise DeviceTransientError(self._device, msg)
        return content

    def push(self, source: Path, target: str, sha256: str, timeout_s: float) -> None:
        """Put a file where it appears whole, checked by its digest, or not at all.

        Raises:
            DevicePermanentError: If the folder is not writable or has no room.
            DeviceTransientError: If the phone is gone, or what arrived is something else.
        """
        folder, _, _ = target.rpartition("/")
        self._check_room(folder, source.stat().st_size, timeout_s)
        part = f"{target}.{secrets.token_hex(4)}.part"
        try:
            self._wire.push(source, part, timeout_s)
            arrived = self.sha256(part, timeout_s)
            if arrived != sha256:
                msg = f"{source.name} arrived with digest {arrived[:16]}, not {sha256[:16]}"
                raise DeviceTransientError(self._device, msg)
            self._checked(["mv", part, target], timeout_s)
        except DeviceError:
            with suppress(DeviceError):
                self.shell(["rm", "-f", part], timeout_s)
            raise

    def sha256(self, path: str, timeout_s: float) -> str:
        """Hex digest of a file on the phone; empty if it is not there."""
        result = self.shell(["sha256sum", path], timeout_s)
        return result.stdout.split(" ")[0].strip() if result.exit_code == 0 else ""

    def close(self) -> None:
        """Let go of the phone."""
        self._wire.close()

    def _check_room(self, folder: str, size: int, timeout_s: float) -> None:
        """A push that the phone would refuse fails now, with a reason."""
        quoted = shlex.quote(folder)
        result = self.script(
            f"mkdir -p {quoted} && touch {quoted}/.probe && rm {quoted}/.probe && "
            f"df -k {quoted} | tail -n 1",
            timeout_s,
        )
        if result.exit_code != 0:
            msg = f"{folder} is not writable: {(result.stderr or result.stdout).strip()}"
            raise DevicePermanentError(self._device, msg, exit_code=result.exit_code)
        numbers = [word for word in result.stdout.split() if word.isdigit()]
        if len(numbers) >= 3 and int(numbers[2]) * 1024 < size + (1 << 20):
            msg = f"{folder} has {int(numbers[2]) // 1024} MB left, {size >> 20} MB are needed"
            raise DevicePermanentError(self._device, msg)

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


_KILLED = 137
"""Exit code of what ``timeout -s KILL`` ended."""


def _wrapped(text: str, mark: str, timeout_s: float) -> str:
    """A script that tells stdout, exit code and stderr apart, and ends ``text`` at its deadline.

    stderr goes through a file: adb's older shell service has one stream only.
    """
    errors = f"/data/local/tmp/.pocketnas-{mark}"
    seconds = max(1, round(timeout_s))
    inner = shlex.quote(text)
    return (
        f"e={errors}; t=; command -v timeout >/dev/null 2>&1 && t='timeout -s KILL {seconds}'; "
        f"$t sh -c {inner} 2>$e </dev/null; c=$?; printf '\\n{mark} %d\\n' $c; "
        f"cat $e; rm -f $e; printf '\\n{mark}'"
    )


def open_transport(device: str, serial: str) -> Transport:
    """Reach the phone called ``serial``: ``HOST:PORT``, or the serial number of a USB phone.

    Args:
        device: Its id, for errors.
        serial: As adb names it.

    Raises:
        InputError: If there is none.
        DeviceError: If it is there and does not answer, or has not authorised this computer.
    """
    if serial in server_phones():
        return Transport(device, _ServerWire(device, serial))
    host, colon, port = serial.rpartition(":")
    if colon and port.isdigit():
        return Transport(device, _DirectWire(device, _tcp(device, host, int(port))))
    if serial in usb_phones():
        return Transport(device, _DirectWire(device, _usb(device, serial)))
    there = ", ".join(sorted({*usb_phones(), *server_phones()})) or "none"
    msg = f"no phone {serial!r} is attached; there is {there}"
    raise InputError(msg)


def usb_phones(root: Path = Path("/sys/bus/usb/devices")) -> tuple[str, ...]:
    """Serial numbers of USB devices with adb's interface (class 255, 66, protocol 1).

    Read from Linux's list of devices, which opens none of them; elsewhere through an adb server.
    """
    found = []
    for interface in sorted(root.glob("*:*")):
        try:
            kind = [
                (interface / f"bInterface{part}").read_text().strip()
                for part in ("Class", "SubClass", "Protocol")
            ]
            if kind == ["ff", "42", "01"]:
                device = root / interface.name.partition(":")[0]
                found.append((device / "serial").read_text().strip())
        except OSError:
            continue
    return tuple(found)


def server_phones() -> dict[str, str]:
    """Serial and state (``device``, ``unauthorized``, …) of the phones that a server holds."""
    if not _server_runs():
        return {}
    from adbutils import AdbClient, AdbError

    try:
        listed = AdbClient(host="127.0.0.1", port=SERVER_PORT, socket_timeout=2.0).list()
        return {str(entry.serial): str(entry.state) for entry in listed}
    except (AdbError, OSError):
        return {}


def _server_runs() -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", SERVER_PORT)) == 0


class _DirectWire:
    """adb-shell's connection."""

    def __init__(self, device: str, phone: AdbShellDevice) -> None:
        self._device = device
        self._phone = phone

    def execute(self, script: str, timeout_s: float) -> bytes:
        with _told(self._device, script):
            answer: bytes = self._phone.exec_out(
                script,
                transport_timeout_s=timeout_s,
                read_timeout_s=timeout_s,
                timeout_s=timeout_s,
                decode=False,
            )
            return answer

    def push(self, source: Path, target: str, timeout_s: float) -> None:
        with _told(self._device, f"push {source.name}"):
            self._phone.push(
                str(source), target, transport_timeout_s=timeout_s, read_timeout_s=timeout_s
            )

    def close(self) -> None:
        with suppress(Exception):  # it is being let go; whatever it says changes nothing
            self._phone.close()


class _ServerWire:
    """A running adb server's connection."""

    def __init__(self, device: str, serial: str) -> None:
        from adbutils import AdbClient

        self._device = device
        self._phone = AdbClient(host="127.0.0.1", port=SERVER_PORT).device(serial)

    def execute(self, script: str, timeout_s: float) -> bytes:
        with _told(self._device, script), self._phone.open_transport() as connection:
            connection.conn.settimeout(timeout_s)
            connection.send_command(f"exec:{script}")
            connection.check_okay()
            chunks = []
            while chunk := connection.conn.recv(1 << 16):
                chunks.append(chunk)
            return b"".join(chunks)

    def push(self, source: Path, target: str, timeout_s: float) -> None:  # noqa: ARG002 - see below
        with _told(self._device, f"push {source.name}"):
            self._phone.sync.push(source, target)  # its socket has the server's own time-out

    def close(self) -> None:
        """The server keeps the phone."""


@contextmanager
def _told(device: str, command: str) -> Iterator[None]:
    """Turn what the libraries raise into errors that say what to do next."""
    try:
        yield
    except DeviceError:
        raise
    except Exception as error:
        name = type(error).__name__
        if name == "DeviceAuthError":
            msg = "it has not authorised this computer: tap 'Allow USB debugging' on its screen"
            raise DevicePermanentError(device, msg) from error
        if isinstance(error, OSError) or type(error).__module__.split(".")[0] in _LIBRARIES:
            msg = f"the connection failed ({name}: {error})"
            raise DeviceTransientError(device, msg, command=(command[:300],)) from error
        raise


_LIBRARIES = ("adb_shell", "adbutils", "usb1", "struct")


def _tcp(device: str, host: str, port: int) -> AdbShellDevice:
    from adb_shell.adb_device import AdbDevice
    from adb_shell.transport.tcp_transport import TcpTransport

    class NoDelay(TcpTransport):  # type: ignore[misc] # the library has no types
        def connect(self, transport_timeout_s: float | None) -> None:
            super().connect(transport_timeout_s)
            self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    return _connected(
        device, AdbDevice(NoDelay(host, port), default_transport_timeout_s=CONNECT_S)
    )


def _usb(device: str, serial: str) -> AdbShellDevice:
    from adb_shell.adb_device import AdbDeviceUsb

    with _told(device, "open"):
        phone = AdbDeviceUsb(serial, default_transport_timeout_s=CONNECT_S)
    return _connected(device, phone)


def _connected(device: str, phone: AdbShellDevice) -> AdbShellDevice:
    from devices.adb_keys import signers

    with _told(device, "connect"):
        phone.connect(
            rsa_keys=signers(),
            transport_timeout_s=CONNECT_S,
            auth_timeout_s=CONNECT_S,
            read_timeout_s=CONNECT_S,
        )
    phone._maxdata = min(phone._maxdata, PACKET)
    return phone


def _text(content: bytes) -> str:
    return content.decode(errors="replace")


def problem_of(state: str) -> str:
    """What to do about a phone that a server lists in ``state``; empty if nothing."""
    match state:
        case "device":
            return ""
        case "unauthorized":
            return "tap 'Allow USB debugging' on its screen"
        case "no permissions":
            return "no USB permission: apt-get install android-sdk-platform-tools-common, replug"
    return f"its state is {state!r}: plug it in again"
