"""What of the measurement protocol a phone supports, and what to do about the rest."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from devices.adb import RUNNERS
from devices.android import Traits, clusters, read_phone, read_state
from devices.android_hold import FIXED_PERFORMANCE_SDK, QUIET
from devices.device import DeviceInfo, DeviceState
from devices.energy import read_rails
from devices.phone_cache import PhoneCache
from devices.runners import UnreadableOutputError, dialect_of, stand_in_of
from devices.transport import Transport

CALL_S = 10.0
"""Deadline of one question."""

LEAST_FREE_MB = 600
"""For models and runners."""

NOT_FOUND = 127
"""What a shell ends with where there is no such program."""

_ANSWER = (7, "out", "err")
"""What a shell is asked to end with and to say."""

_SETTINGS = "\n".join(
    (
        "if command -v settings >/dev/null 2>&1; then",
        *(
            f"echo {setting.key}=$(settings get {setting.namespace} {shlex.quote(setting.key)})"
            for setting in QUIET
        ),
        "fi",
        "for f in /sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_m[ai][nx]_freq; do",
        '  { read -r k <"$f"; } 2>/dev/null && echo "${f#/sys/devices/system/cpu/}=$k"',
        "done",
        ":",
    )
)


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
    exit_codes = _exit_codes(transport)
    info, traits = read_phone(transport, device_id, serial)
    state = read_state(transport)
    return (
        exit_codes,
        _runner(transport, device_id),
        Support(
            item="GPU delegate",
            supported=True,
            detail="not tried: 'measure --delegate gpu' fails where it took only a part",
        ),
        *_clocks(info, traits),
        *_states(state),
        _doze(traits),
        _free(transport),
        _energy(transport),
        _cache(transport, device_id),
    )


def settings_now(transport: Transport) -> dict[str, str]:
    """What a measurement may change on the phone, by name; what it hides is left out.

    Raises:
        DeviceError: If it does not answer.
    """
    told = transport.script(_SETTINGS, CALL_S).stdout
    return dict(line.split("=", 1) for line in told.splitlines() if "=" in line)


def _exit_codes(transport: Transport) -> Support:
    code, out, err = _ANSWER
    told = transport.script(f"echo {out}; echo {err} >&2; exit {code}", CALL_S)
    got = (told.exit_code, told.stdout.strip(), told.stderr.strip())
    good = got == _ANSWER
    return Support(
        item="exit codes",
        supported=good,
        detail="told, stdout and stderr apart" if good else f"wrong: {_ANSWER} became {got}",
        remedy="" if good else "nothing on it can be trusted: try another cable or adb server",
    )


def _runner(transport: Transport, device_id: str) -> Support:
    remedy = f"pocketnas devices provision {device_id}"
    broken = ""
    for path in RUNNERS:
        answer = transport.shell([path, "--help"], CALL_S)
        text = answer.stdout + answer.stderr
        try:
            dialect = dialect_of(text)
        except UnreadableOutputError:
            if answer.exit_code != NOT_FOUND and not broken:
                words = " ".join(text.split())[:200] or "nothing"
                broken = f"{path} does not run (exit code {answer.exit_code}): {words}"
            continue
        stand_in = stand_in_of(text)
        detail = f"{path}, {dialect} dialect" + (f", {stand_in}" if stand_in else "")
        return Support(item="benchmark_model", supported=True, detail=detail)
    return Support(
        item="benchmark_model", supported=False, detail=broken or "not there", remedy=remedy
    )


def _clocks(info: DeviceInfo, traits: Traits) -> Iterator[Support]:
    known = [(khz, cores) for khz, cores in clusters(info.core_khz) if khz]
    told = ", ".join(f"{len(cores)} x {khz / 1e6:g} GHz" for khz, cores in known)
    yield Support(
        item="core clusters",
        supported=bool(known),
        detail=told or "hidden",
        remedy="" if known else "none: runs are pinned to its last cores, which may not be fast",
    )
    yield Support(
        item="core mask",
        supported=traits.pins,
        detail="taskset" if traits.pins else "not pinned: no taskset, or no cores of its own",
        remedy="" if traits.pins else "none: its numbers are labelled, and more sessions needed",
    )
    yield _fixed_clock(traits)
    has_mode = traits.sdk >= FIXED_PERFORMANCE_SDK and "cmd" in traits.commands
    yield Support(
        item="clock tier T2",
        supported=has_mode,
        detail=f"Android API level {traits.sdk}" if traits.sdk else "no Android",
        remedy="" if has_mode else "use T3: more sessions are needed",
    )


def _fixed_clock(traits: Traits) -> Support:
    if not traits.root:
        detail, remedy = "no root", "use T2 or T3; a userdebug build or 'adb root' gives T1"
    elif not any(traits.available_khz):
        detail, remedy = f"root by {traits.root}, clocks hidden", "use T2 or T3"
    else:
        detail, remedy = f"root by {traits.root}", ""
    return Support(item="clock tier T1", supported=not remedy, detail=detail, remedy=remedy)


def _states(state: DeviceState) -> Iterator[Support]:
    readings = (
        ("clocks", _ghz(state), "", "throttling is seen by the thermal status alone"),
        ("battery", state.battery_percent, "%", "its charge is not checked"),
        ("battery temperature", state.temperature_c, "C", "heat is seen by the thermal service"),
        ("thermal status", state.thermal_status, "", "throttling is seen by clocks alone"),
        ("power saver", _on(state.power_saver), "", "look that it is off"),
        ("screen", _on(state.screen_on), "", "keep it in one state"),
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


def _ghz(state: DeviceState) -> str | None:
    if state.core_khz is None:
        return None
    return ", ".join(f"{khz / 1e6:g}" for khz in state.core_khz) + " GHz now"


def _on(value: bool | None) -> str | None:  # noqa: FBT001 - a reading, not a switch
    return None if value is None else ("on" if value else "off")


def _doze(traits: Traits) -> Support:
    there = bool(traits.sdk) and "dumpsys" in traits.commands
    return Support(
        item="doze",
        supported=there,
        detail="held while it is timed, 'dumpsys deviceidle'" if there else "not held",
        remedy="" if there else "none: its numbers are labelled",
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
    there = bool(rails.uws)
    return Support(
        item="energy",
        supported=there,
        detail=f"{len(rails.uws)} power rails" if there else f"not available: {rails.reason}",
        remedy="" if there else "none: only phones with power rails, such as Pixels, tell it",
    )


def _cache(transport: Transport, device_id: str) -> Support:
    usage = PhoneCache(transport, device_id).usage()
    detail = f"{usage.files} models, {usage.bytes / 1e6:.0f} MB"
    return Support(item="models kept on it", supported=True, detail=detail)
