"""The way to a phone, chosen by what holds it.

An adb server that runs and lists the phone, else TCP or USB directly; a USB interface that is
busy by the server that has it; wireless debugging (TLS) by a server only. No server is ever
started, ended or upgraded here.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from devices.adb_lines import TcpLine
from devices.adb_server import ServerAddress, ServerLink, listed, local_address
from devices.adb_wire import Connection, Line
from devices.device import DeviceBusyError, DevicePermanentError, DeviceTransientError
from devices.phone_wire import TAP, Link
from devices.usb_phones import NO_PERMISSION, UsbPhone, attached, claim, usb_phones
from workspace.errors import InputError


def way_to(device: str, serial: str) -> Callable[[float], Link]:
    """How to connect to a phone, by an instant of ``time.monotonic``.

    Args:
        device: Its id, for errors.
        serial: As ``transport.open_transport`` takes it.

    Raises:
        InputError: If there is none.
        DeviceError: If those who hold it say that it cannot be used.
    """
    name, at, elsewhere = serial.rpartition("@")
    if at:
        return _through(device, _address(elsewhere, serial), name)
    server = local_address()
    held = listed(server)
    if held is not None and serial in held:
        return _through(device, server, serial)
    if _TLS in serial:
        raise DevicePermanentError(device, _tls_text(server, running=held is not None))
    place = _tcp_place(serial)
    if place:
        return lambda until: _direct(TcpLine(*place, until), until)
    for phone in attached():
        if phone.serial == serial:
            return lambda until: _over_usb(device, phone, until)
    there = ", ".join(sorted({*usb_phones(), *(held or {})})) or "none"
    msg = f"no phone {serial!r} is attached; there is {there}"
    raise InputError(msg)


_TLS = "._adb-tls-"


def _tls_text(server: ServerAddress, *, running: bool) -> str:
    """What to do where wireless debugging needs a server."""
    lacking = (
        f"the adb server at {server} does not list it: pair it with adb pair, then adb connect"
        if running
        else f"none runs at {server}: start one with adb start-server, pair with adb pair"
    )
    return f"wireless debugging (TLS) goes through an adb server, and {lacking}"


def _address(text: str, serial: str) -> ServerAddress:
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and 0 < int(port) < 1 << 16):
        msg = f"{serial!r} names no adb server: SERIAL@HOST:PORT does, e.g. {serial}:5037"
        raise InputError(msg)
    return ServerAddress(host=host.strip("[]"), port=int(port))


def _tcp_place(serial: str) -> tuple[str, int] | None:
    """Where a phone listens, if its serial tells; an emulator one port above its console."""
    if serial.startswith("emulator-") and serial.removeprefix("emulator-").isdigit():
        return "127.0.0.1", int(serial.removeprefix("emulator-")) + 1
    host, colon, port = serial.rpartition(":")
    return (host.strip("[]"), int(port)) if colon and port.isdigit() else None


def _through(device: str, server: ServerAddress, serial: str) -> Callable[[float], Link]:
    """By a server, which must list the phone as usable."""
    held = listed(server)
    if held is None:
        msg = f"no adb server answers at {server}"
        raise DeviceTransientError(device, msg)
    if serial not in held:
        msg = f"the adb server at {server} has no phone {serial!r}; it has {_names(held)}"
        raise InputError(msg)
    problem = problem_of(held[serial])
    if problem:
        kind = DeviceTransientError if held[serial] in _PASSING else DevicePermanentError
        raise kind(device, f"the adb server at {server} has it: {problem}")
    return lambda until: ServerLink(server, serial, until)


_PASSING = ("offline", "connecting", "authorizing", "bootloader", "recovery")


def _names(held: dict[str, str]) -> str:
    return ", ".join(sorted(held)) or "none"


def _over_usb(device: str, phone: UsbPhone, until: float) -> Link:
    """Directly, or by the server that took the phone meanwhile."""
    try:
        line = claim(device, phone, max(0.01, until - time.monotonic()))
    except DeviceBusyError:
        server = local_address()
        held = listed(server)
        if held and phone.serial in held:
            return _through(device, server, phone.serial)(until)
        raise
    return _direct(line, until)


def _direct(line: Line, until: float) -> Connection:
    from devices.adb_keys import signers

    try:
        return Connection(line, signers, until)
    except BaseException:
        line.close()
        raise


def server_phones() -> dict[str, str]:
    """Serial and state (``device``, ``unauthorized``, …) of the phones that a server holds."""
    return listed(local_address()) or {}


def problem_of(state: str) -> str:
    """What to do about a phone that a server lists in ``state``; empty if nothing."""
    match state.partition(" (")[0].partition(";")[0]:
        case "device":
            return ""
        case "unauthorized":
            return TAP
        case "no permissions":
            return NO_PERMISSION
    return f"its state is {state!r}: plug it in again"
