"""Which devices there are, as they come and go; ``lease`` holds one of them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from devices.device import Device
from devices.leases import lease as lease
from devices.quarantine import quarantined
from devices.recovery import RECONNECT, Recovery
from workspace.errors import InputError


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
    return tuple(_judged(found) for found in (computer, *_loopback(), *_phones()))


def open_device(device_id: str, recovery: Recovery = RECONNECT) -> Device:
    """The device called ``device_id``: ``host``, ``adb:SERIAL`` or ``adb:SERIAL@HOST:PORT``.

    Args:
        device_id: As the command line names it.
        recovery: How far to go for a phone that does not answer any more.

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

    return AdbDevice(serial, recovery=recovery)


@dataclass(frozen=True, slots=True, kw_only=True)
class Appeared:
    """A device is there that was not."""

    found: Found


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """A device is there no more."""

    found: Found


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A device is still there, and something about it is new, e.g. its problem."""

    before: Found
    found: Found


Event = Appeared | Gone | Changed


def watch(poll_s: float = 1.0, stop: threading.Event | None = None) -> Iterator[Event]:
    """Devices as they come, go and change, until ``stop`` is set; first all that are there.

    Args:
        poll_s: Between two looks; none of them asks a phone anything.
        stop: Ends it within the call that is under way; None goes on for ever.
    """
    stop = stop or threading.Event()
    known: dict[str, Found] = {}
    while not stop.is_set():
        there = {found.id: found for found in discover()}
        yield from _events(known, there)
        known = there
        stop.wait(poll_s)


def _events(before: Mapping[str, Found], after: Mapping[str, Found]) -> Iterator[Event]:
    for device_id, found in before.items():
        if device_id not in after:
            yield Gone(found=found)
    for device_id, found in after.items():
        if device_id not in before:
            yield Appeared(found=found)
        elif found != before[device_id]:
            yield Changed(before=before[device_id], found=found)


def _judged(found: Found) -> Found:
    """With the reason, if it is in quarantine and nothing else is wrong with it."""
    quarantine = None if found.problem else quarantined(found.id)
    return replace(found, problem=str(quarantine)) if quarantine else found


def _phones() -> Iterator[Found]:
    """Phones on USB, and those that a running adb server holds."""
    from devices.transport import problem_of, server_phones
    from devices.usb_phones import NO_PERMISSION, attached

    held = server_phones()
    for serial, state in held.items():
        yield Found(
            id=f"adb:{serial}",
            kind="phone",
            description="Android phone, through the adb server that runs",
            problem=problem_of(state),
        )
    for phone in attached():
        if phone.serial not in held:
            yield Found(
                id=f"adb:{phone.serial}",
                kind="phone",
                description="Android phone on USB",
                problem="" if os.access(phone.node, os.R_OK | os.W_OK) else NO_PERMISSION,
            )


def _loopback() -> Iterator[Found]:
    """Loopback phones that are up."""
    from devices.loopback.state import running

    for phone in running():
        yield Found(
            id=f"adb:{phone.serial}",
            kind="loopback phone",
            description="loopback phone: Debian in a box on this computer, not a phone",
        )
