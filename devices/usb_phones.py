"""Phones on USB: which there are, and claiming the interface of one.

They are listed from Linux's own tree of devices, which opens none of them; elsewhere phones on
USB are reached through an adb server.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from devices.adb_lines import UsbLine
from devices.adb_wire import WireClosedError
from devices.device import DeviceBusyError, DevicePermanentError

if TYPE_CHECKING:
    from adb_shell.transport.usb_transport import UsbTransport

SYSFS = Path("/sys/bus/usb/devices")

NO_PERMISSION = (
    "this user may not open it on USB: apt-get install android-sdk-platform-tools-common (udev "
    "rules), adduser $USER plugdev, log in again, and replug it"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsbPhone:
    """A USB device with adb's interface (class 255, 66, protocol 1).

    Attributes:
        serial: As adb names it.
        port_path: Bus, then the port of each hub down to it.
        node: Its file, by which it is opened.
    """

    serial: str
    port_path: tuple[int, ...]
    node: Path


def attached(root: Path = SYSFS) -> tuple[UsbPhone, ...]:
    """Phones on USB, in the order of their ports; a device that goes meanwhile is left out."""
    found = []
    for interface in sorted(root.glob("*:*")):
        with suppress(OSError, ValueError):
            kind = [
                (interface / f"bInterface{part}").read_text().strip()
                for part in ("Class", "SubClass", "Protocol")
            ]
            if kind == ["ff", "42", "01"]:
                found.append(_phone(root / interface.name.partition(":")[0]))
    return tuple(found)


def usb_phones(root: Path = SYSFS) -> tuple[str, ...]:
    """Serial numbers of the phones on USB."""
    return tuple(phone.serial for phone in attached(root))


def _phone(folder: Path) -> UsbPhone:
    bus, _, ports = folder.name.partition("-")
    node = "000/000"
    with suppress(OSError, ValueError):
        numbers = [int((folder / name).read_text()) for name in ("busnum", "devnum")]
        node = f"{numbers[0]:03d}/{numbers[1]:03d}"
    return UsbPhone(
        serial=(folder / "serial").read_text().strip(),
        port_path=(int(bus), *(int(port) for port in ports.split("."))),
        node=Path("/dev/bus/usb") / node,
    )


def claim(device: str, phone: UsbPhone, connect_s: float) -> UsbLine:
    """A line over the phone's interface, which nobody else has then.

    Raises:
        DeviceBusyError: If another program has it; the text says which, where that can be seen.
        DevicePermanentError: If this user may not open it.
        WireClosedError: If it is gone.
    """
    from adb_shell.exceptions import UsbDeviceNotFoundError
    from adb_shell.transport.usb_transport import UsbTransport

    try:
        transport = UsbTransport.find_adb(
            port_path=list(phone.port_path), default_transport_timeout_s=connect_s
        )
    except UsbDeviceNotFoundError as error:
        if not phone.node.exists():
            msg = f"there is no {phone.node}: this computer (or container) needs /dev/bus/usb"
            raise DevicePermanentError(device, msg) from error
        msg = f"USB device {phone.serial} is gone"
        raise WireClosedError(msg) from error
    with _told(device, phone):
        try:
            transport.connect(connect_s)
        except BaseException:
            _let_go(transport)
            raise
    return UsbLine(transport, _packet_bytes(transport))


def _let_go(transport: UsbTransport) -> None:
    """Close what a claim that failed has opened; adb-shell's own close releases it, and fails."""
    handle, transport._transport = transport._transport, None
    if handle is not None:
        handle.close()


def _packet_bytes(transport: UsbTransport) -> int:
    return max(int(end.getMaxPacketSize()) for end in transport._setting.iterEndpoints())


@contextmanager
def _told(device: str, phone: UsbPhone) -> Iterator[None]:
    import usb1

    try:
        yield
    except usb1.USBErrorBusy as error:
        raise DeviceBusyError(device, busy_text(phone)) from error
    except usb1.USBErrorAccess as error:
        raise DevicePermanentError(device, NO_PERMISSION) from error
    except usb1.USBError as error:
        msg = f"USB: {error}"
        raise WireClosedError(msg) from error


def busy_text(phone: UsbPhone) -> str:
    """Who has a phone's USB interface, and what to do about it."""
    holders = ", ".join(holders_of(phone.node)) or "a program of another user"
    return (
        f"{holders} holds its USB interface: end that, or let an adb server hold the phone and "
        "reach it through the server"
    )


def holders_of(node: Path, proc: Path = Path("/proc")) -> tuple[str, ...]:
    """Name and pid of the other programs that have a file open, as far as this user may see."""
    found = []
    for folder in sorted(proc.glob("[0-9]*")):
        with suppress(OSError):
            held = any(os.readlink(link) == str(node) for link in (folder / "fd").iterdir())
            if held and int(folder.name) != os.getpid():
                found.append(f"{(folder / 'comm').read_text().strip()} (pid {folder.name})")
    return tuple(found)
