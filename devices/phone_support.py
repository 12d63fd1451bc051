"""What of the measurement protocol a phone supports, and what to do about the rest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from devices.adb import RUNNERS
from devices.android import Traits, clusters, read_phone, read_state
from devices.android_hold import FIXED_PERFORMANCE_SDK
from devices.device import DeviceInfo, DeviceState
from devices.energy import read_rails
from devices.phone_cache import PhoneCache
from devices.runners import UnreadableOutputError, dialect_of, stand_in_of
from devices.transport import Transport

CALL_S = 10.0
"""Deadline of one question."""

LEAST_FREE_MB = 600
"""For models and runners."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """One part of the protocol.

    Attributes:
        item: Its name.
        supported: Whether the phone does its part.
        detail: What was found.
        remedy: What to do about it; empty if nothing is needed, or nothing can be done.
    """

    item: str
    supported: bool
    detail: str
    remedy: str = ""


def examine(transport: Transport, device_id: str, serial: str) -> tuple[Support, ...]:
    """Ask the phone about every part; nothing is changed on it.

    Raises:
        DeviceError: If it does not answer.
    """
    info, traits = read_phone(transport, device_id, serial)
    state = read_state(transport)
    return (
        _runner(transport, device_id),
        *_clocks(info, traits),
        *_states(state),
        _free(transport),
        _energy(transport),
        _cache(transport, device_id),
    )


def _runner(transport: Transport, device_id: str) -> Support:
    for path in RUNNERS:
        answer = transport.shell([path, "--help"], CALL_S)
        text = answer.stdout + answer.stderr
        try:
            dialect = dialect_of(text)
        except UnreadableOutputError:
            continue
        stand_in = stand_in_of(text)
        detail = f"{path}, {dialect} dialect" + (f", {stand_in}" if stand_in else "")
        return Support(item="benchmark_model", supported=True, detail=detail)
    return Support(
        item="benchmark_model",
        supported=False,
        detail="not there",
        remedy=f"pocketnas devices provision {device_id}",
    )


def _clocks(info: DeviceInfo, traits: Traits) -> Iterator[Support]:
    known = [(khz, cores) for khz, cores in clusters(info.core_khz) if khz]
    told = ", ".join(f"{len(cores)} x {khz / 1e6:g} GHz" for khz, cores in known)
    yield Support(
        item="core clusters", supported=bool(known), detail=told or "hidden: any core may be used"
    )
    yield Support(
        item="core mask",
        supported=traits.pins,
        detail="taskset" if traits.pins else "not pinned: no taskset, or no cores of its own",
    )
    yield Support(
        item="clock tier T1",
        supported=bool(traits.root) and any(traits.available_khz),
        detail=f"root by {traits.root}" if traits.root else "no root",
        remedy="" if traits.root else "use T2 or T3; a userdebug build or 'adb root' gives T1",
    )
    has_mode = traits.sdk >= FIXED_PERFORMANCE_SDK and "cmd" in traits.commands
    yield Support(
        item="clock tier T2",
        supported=has_mode,
        detail=f"Android API level {traits.sdk}" if traits.sdk else "no Android",
        remedy="" if has_mode else "use T3: more sessions are needed",
    )


def _states(state: DeviceState) -> Iterator[Support]:
    readings = (
        ("battery", state.battery_percent, "%", "its charge is not checked"),
        ("battery temperature", state.temperature_c, "C", "heat is seen by the thermal service"),
        ("thermal status", state.thermal_status, "", "throttling is seen by clocks alone"),
        ("power saver", state.power_saver, "", "look that it is off"),
        ("screen", state.screen_on, "", "keep it in one state"),
        ("start of the system", state.boot_id and "told", "", "a reboot may go unnoticed"),
    )
    for item, value, unit, remedy in readings:
        there = value is not None
        detail = f"{value} {unit}".strip() if there else "not told"
        yield Support(item=item, supported=there, detail=detail, remedy="" if there else remedy)
    zones = len(state.zones_c or ())
    yield Support(
        item="thermal zones",
        supported=zones > 0,
        detail=f"{zones} of them",
        remedy="" if zones else "a session starts by battery and thermal status alone",
    )
    yield Support(
        item="time at each clock",
        supported=state.time_in_state is not None,
        detail="told" if state.time_in_state else "not told",
        remedy="" if state.time_in_state else "throttling is seen by the thermal status alone",
    )


def _free(transport: Transport) -> Support:
    told = transport.script("df -k /data/local/tmp | tail -n 1", CALL_S).stdout.split()
    numbers = [int(word) for word in told if word.isdigit()]
    free_mb = numbers[2] // 1024 if len(numbers) >= 3 else 0
    enough = free_mb >= LEAST_FREE_MB
    return Support(
        item="space in /data/local/tmp",
        supported=enough,
        detail=f"{free_mb} MB free",
        remedy="" if enough else f"free some: {LEAST_FREE_MB} MB are used at most",
    )


def _energy(transport: Transport) -> Support:
    rails = read_rails(transport, CALL_S)
    detail = f"{len(rails.uws)} power rails" if rails.uws else f"not available: {rails.reason}"
    return Support(item="energy", supported=bool(rails.uws), detail=detail)


def _cache(transport: Transport, device_id: str) -> Support:
    usage = PhoneCache(transport, device_id).usage()
    detail = f"{usage.files} models, {usage.bytes / 1e6:.0f} MB"
    return Support(item="models kept on it", supported=True, detail=detail)
