"""Which devices there are, and who holds them."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from devices.device import Device, DeviceBusyError
from workspace.errors import InputError
from workspace.home import home

POLL_S = 0.05
"""Between two looks at a lease that someone else holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A device that is there.

    Attributes:
        id: As the command line names it.
        kind: ``computer``, ``phone`` or ``loopback phone``.
        description: What it is.
        problem: Why it cannot be used now, and what to do; empty if it can.
    """

    id: str
    kind: str
    description: str
    problem: str = ""


def discover() -> tuple[Found, ...]:
    """This computer, then every phone that is attached or up; asks none of them anything."""
    computer = Found(id="host", kind="computer", description="this computer, LiteRT on its CPU")
    return (computer, *_loopback(), *_phones())


def open_device(device_id: str) -> Device:
    """The device called ``device_id``.

    Raises:
        InputError: If there is none.
        DeviceError: If it does not answer.
    """
    if device_id == "host":
        from devices.host import HostDevice

        return HostDevice()
    serial = device_id.removeprefix("adb:")
    if serial == device_id or not serial:
        msg = f"unknown device {device_id!r}; there are host and adb:SERIAL"
        raise InputError(msg)
    from devices.adb import AdbDevice

    return AdbDevice(serial)


@contextmanager
def lease(device_id: str, *, wait_s: float = 0.0) -> Iterator[None]:
    """Hold a device while the block runs; among all processes of this user only one does.

    The kernel frees it when the holder dies.

    Args:
        device_id: Of the device.
        wait_s: How long to wait for whoever holds it.

    Raises:
        DeviceBusyError: If it is still held then; the text has the holder's process.
    """
    folder = home() / "leases"
    folder.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(device_id.encode()).hexdigest()[:16]
    with (folder / f"{name}.lock").open("a+") as lock:
        _take(lock, device_id, wait_s)
        lock.truncate(0)
        lock.write(f"{os.getpid()} {device_id}")
        lock.flush()
        yield


def _take(lock: IO[str], device_id: str, wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(POLL_S)
                continue
            lock.seek(0)
            holder = lock.read().partition(" ")[0]
            msg = f"it is in use by process {holder or 'unknown'}"
            raise DeviceBusyError(device_id, msg) from None
        return


def _phones() -> Iterator[Found]:
    """Phones on USB, and those that a running adb server holds."""
    from devices.transport import problem_of, server_phones, usb_phones

    held = server_phones()
    for serial, state in held.items():
        yield Found(
            id=f"adb:{serial}",
            kind="phone",
            description="Android phone, through the adb server that runs",
            problem=problem_of(state),
        )
    for serial in usb_phones():
        if serial not in held:
            yield Found(id=f"adb:{serial}", kind="phone", description="Android phone on USB")


def _loopback() -> Iterator[Found]:
    """Loopback phones that are up."""
    from devices.loopback.state import running

    for phone in running():
        yield Found(
            id=f"adb:{phone.serial}",
            kind="loopback phone",
            description="loopback phone: Debian in a box on this computer, not a phone",
        )
