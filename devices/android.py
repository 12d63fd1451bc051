"""What a phone is and how it is now, read over adb; every probe is optional.

Vendors hide nodes, and a loopback phone is a Debian with adbd that may have no Android around it:
what cannot be read is left empty, and one call to the phone reads it all. Files are read by the
shell itself, since a phone has a hundred of them and starting a program for each takes seconds.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from devices.device import DeviceInfo, DeviceState, DeviceTransientError
from devices.transport import Transport

CALL_S = 20.0
"""Deadline of a probe."""

LOOPBACK_FILE = "/etc/pocketnas-loopback"
"""JSON with ``stand_in``, ``unit`` and ``model``, in a phone that is none."""

SANE_C = (-30.0, 150.0)
"""A thermal zone outside it measures something else, or nothing."""

_INFO = r"""
prop() { command -v getprop >/dev/null 2>&1 && getprop "$1"; }
has() { command -v "$1" >/dev/null 2>&1 && echo 1; }
echo "serial=$(prop ro.serialno)"
echo "boot_serial=$(prop ro.boot.serialno)"
echo "model=$(prop ro.product.model)"
echo "soc=$(prop ro.soc.model)"
echo "board=$(prop ro.board.platform)"
echo "abi=$(prop ro.product.cpu.abi)"
echo "build=$(prop ro.build.fingerprint)"
echo "sdk=$(prop ro.build.version.sdk)"
echo "kernel=$(uname -r)"
echo "machine=$(uname -m)"
echo "system=$(sed -n 's/^PRETTY_NAME=//p' /etc/os-release 2>/dev/null)"
echo "ram_kb=$(sed -n 's/^MemTotal: *\([0-9]*\).*/\1/p' /proc/meminfo)"
echo "loopback=$(cat /etc/pocketnas-loopback 2>/dev/null)"
root=; [ -n "$(has su)" ] && su -c id </dev/null 2>/dev/null | grep -q 'uid=0' && root=su
[ "$(id -u)" = 0 ] && root=adb
echo "root=$root"
for name in taskset settings cmd dumpsys input; do echo "has_$name=$(has $name)"; done
for core in /sys/devices/system/cpu/cpu[0-9]*; do
  n=${core##*/cpu}; k=0; g=; a=
  { read -r k <$core/cpufreq/cpuinfo_max_freq; } 2>/dev/null
  { read -r g <$core/cpufreq/scaling_governor; } 2>/dev/null
  { read -r a <$core/cpufreq/scaling_available_frequencies; } 2>/dev/null
  echo "khz $n ${k:-0}"; echo "governor $n $g"; echo "available $n $a"
done
"""

SCREEN_LINES = "mWakefulness=|Display Power"
"""Of what ``dumpsys power`` prints, the lines that tell about the screen."""

_STATE = r"""
command -v dumpsys >/dev/null 2>&1 && {
  dumpsys battery; dumpsys thermalservice; dumpsys power | grep -E '{SCREEN_LINES}'; }
command -v settings >/dev/null 2>&1 && echo "low_power=$(settings get global low_power)"
echo "load=$(cut -d' ' -f1 /proc/loadavg)"
{ read -r b </proc/sys/kernel/random/boot_id; } 2>/dev/null && echo "boot=$b"
for core in /sys/devices/system/cpu/cpu[0-9]*; do
  n=${core##*/cpu}; k=0
  { read -r k <$core/cpufreq/scaling_cur_freq; } 2>/dev/null
  echo "khz $n ${k:-0}"
  s=$core/cpufreq/stats/time_in_state
  [ -r $s ] && while read -r f t; do echo "spent $n $f $t"; done <$s 2>/dev/null
done
for zone in /sys/class/thermal/thermal_zone*; do
  n=; t=; { read -r n <$zone/type; read -r t <$zone/temp; } 2>/dev/null && echo "zone $t $n"
done
:
""".replace("{SCREEN_LINES}", SCREEN_LINES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What a phone allows.

    Attributes:
        sdk: Android's API level; 0 where it is no Android.
        root: ``adb`` if commands run as root, ``su`` if they can, else empty.
        commands: Of ``taskset``, ``settings``, ``cmd``, ``dumpsys``, ``input``, those it has.
        governors: Of each core; empty where hidden.
        available_khz: Clocks of each core, lowest first; empty where hidden.
        pins: Whether a run can be pinned to cores of its own: not where they are this computer's.
    """

    sdk: int
    root: str
    commands: frozenset[str]
    governors: tuple[str, ...]
    available_khz: tuple[tuple[int, ...], ...]
    pins: bool


def read_info(transport: Transport, device: str, serial: str) -> DeviceInfo:
    """What the phone is.

    Raises:
        DeviceTransientError: If it does not answer.
    """
    return read_phone(transport, device, serial)[0]


def read_phone(transport: Transport, device: str, serial: str) -> tuple[DeviceInfo, Traits]:
    """What the phone is, and what it allows.

    Args:
        transport: To it.
        device: Its id, for errors.
        serial: As adb has it, which tells its unit where the phone does not.

    Raises:
        DeviceTransientError: If it does not answer.
    """
    result = transport.script(_INFO, CALL_S)
    if result.exit_code != 0 and "kernel=" not in result.stdout:
        msg = f"it does not tell what it is: {result.stderr.strip()}"
        raise DeviceTransientError(device, msg, exit_code=result.exit_code)
    found = dict(line.split("=", 1) for line in result.stdout.splitlines() if "=" in line)
    loopback = _loopback(found.get("loopback", ""))
    info = DeviceInfo(
        model=loopback.get("model") or found.get("model") or "unknown",
        unit=loopback.get("unit") or _unit(found, serial),
        soc=found.get("soc") or found.get("board", ""),
        abi=found.get("abi") or found.get("machine", ""),
        build=found.get("build") or found.get("system", "").strip('"'),
        kernel=found.get("kernel", ""),
        core_khz=_khz(result.stdout),
        ram_mb=int(found.get("ram_kb") or 0) // 1024,
        stand_in=loopback.get("stand_in", ""),
        on_this_computer=bool(loopback),
    )
    own_cores = not loopback or bool(loopback.get("scenario"))
    return info, _traits(found, result.stdout, own_cores=own_cores)


def read_state(transport: Transport) -> DeviceState:
    """How the phone is now; None for what it does not tell."""
    text = transport.script(_STATE, CALL_S).stdout
    level, tenths = _integer(r"^ *level: (\d+)", text), _integer(r"^ *temperature: (-?\d+)", text)
    powered = re.findall(r"^ *(?:AC|USB|Wireless|Dock) powered: (\w+)", text, re.MULTILINE)
    load = re.search(r"^load=([0-9.]+)", text, re.MULTILINE)
    boot = re.search(r"^boot=(\S+)", text, re.MULTILINE)
    saver = re.search(r"^low_power=([01])$", text, re.MULTILINE)
    clocks, spent = _khz(text), re.findall(r"^spent (\d+) (\d+) (\d+)$", text, re.MULTILINE)
    return DeviceState(
        battery_percent=level,
        charging="true" in powered if powered else None,
        temperature_c=None if tenths is None else tenths / 10,
        thermal_status=_integer(r"^Thermal Status: (\d+)", text),
        load=float(load[1]) if load else None,
        core_khz=clocks if any(clocks) else None,
        zones_c=_zones(text),
        power_saver=saver[1] == "1" if saver else None,
        screen_on=is_screen_on(text),
        boot_id=boot[1] if boot else None,
        time_in_state=tuple((int(c), int(k), int(t)) for c, k, t in spent) or None,
    )


def fastest_cluster(core_khz: tuple[int, ...]) -> tuple[int, ...]:
    """The cores with the highest maximum clock; all where it is unknown.

    >>> fastest_cluster((1800000, 1800000, 2850000, 2850000))
    (2, 3)
    >>> fastest_cluster((0, 0))
    (0, 1)
    """
    highest = max(core_khz, default=0)
    return tuple(core for core, khz in enumerate(core_khz) if khz == highest)


def fastest_cores(core_khz: tuple[int, ...], threads: int) -> tuple[int, ...]:
    """As many cores as threads: the fastest, and of equal ones the last, in ascending order.

    Threads on a single prime core and the next cluster are as slow as the slower one: whoever
    asks for more threads than the fastest cluster has gets a mask that spans clusters.

    >>> fastest_cores((1800000, 1800000, 2400000, 2400000, 2850000), 2)
    (3, 4)
    """
    by_speed = sorted(range(len(core_khz)), key=lambda core: (core_khz[core], core))
    return tuple(sorted(by_speed[-threads:]))


def clusters(core_khz: tuple[int, ...]) -> tuple[tuple[int, tuple[int, ...]], ...]:
    """Maximum clock and cores of each cluster, slowest first.

    >>> clusters((1800000, 1800000, 2850000))
    ((1800000, (0, 1)), (2850000, (2,)))
    """
    return tuple(
        (khz, tuple(core for core, own in enumerate(core_khz) if own == khz))
        for khz in sorted(set(core_khz))
    )


def _traits(found: Mapping[str, str], text: str, *, own_cores: bool) -> Traits:
    names = ("taskset", "settings", "cmd", "dumpsys", "input")
    governors = re.findall(r"^governor (\d+) ?(\S*)$", text, re.MULTILINE)
    available = re.findall(r"^available (\d+) ?([\d ]*)$", text, re.MULTILINE)
    commands = frozenset(name for name in names if found.get(f"has_{name}"))
    return Traits(
        sdk=int(found["sdk"]) if found.get("sdk", "").isdigit() else 0,
        root=found.get("root", ""),
        commands=commands,
        governors=tuple(governor for _, governor in sorted(governors, key=_core)),
        available_khz=tuple(
            tuple(sorted(int(khz) for khz in clocks.split()))
            for _, clocks in sorted(available, key=_core)
        ),
        pins=own_cores and "taskset" in commands,
    )


NO_SERIALS = frozenset({"", "unknown", "0123456789ABCDEF"})
"""What many phones say instead of a serial number."""


def _unit(found: Mapping[str, str], serial: str) -> str:
    """A short hash of the phone's own serial number, however it is reached.

    Only where it tells none it is that of ``serial``, by which adb has it: an address may be
    another phone's tomorrow.
    """
    told = (found.get("serial", "").strip(), found.get("boot_serial", "").strip())
    own = next((each for each in told if each not in NO_SERIALS), serial)
    return hashlib.sha256(own.encode()).hexdigest()[:12]


def _core(pair: tuple[str, str]) -> int:
    return int(pair[0])


def _loopback(text: str) -> Mapping[str, str]:
    if not text.strip():
        return {}
    found = json.loads(text)
    return {str(name): str(value) for name, value in found.items()}


def _khz(text: str) -> tuple[int, ...]:
    """Of each core in order, from lines ``khz CORE NUMBER``."""
    found = {
        int(core): int(khz) for core, khz in re.findall(r"^khz (\d+) (\d+)", text, re.MULTILINE)
    }
    return tuple(found[core] for core in sorted(found))


def _zones(text: str) -> tuple[tuple[str, float], ...] | None:
    """From sysfs, where the shell may read it; else what the thermal service has of its sensors.

    sysfs has millidegrees, on some phones degrees.
    """
    found = [
        (name, float(value) / 1000 if abs(int(value)) >= 1000 else float(value))
        for value, name in re.findall(r"^zone (-?\d+) (\S+)$", text, re.MULTILINE)
    ]
    if not found:
        _, _, current = text.partition("Current temperatures from HAL:")
        pattern = r"Temperature\{mValue=(-?[0-9.]+), mType=\d+, mName=([^,}]+)"
        found = [(name, float(value)) for value, name in re.findall(pattern, current)]
    low_c, high_c = SANE_C
    return tuple((name, c) for name, c in found if low_c < c < high_c and c != 0) or None


def is_screen_on(text: str) -> bool | None:
    """From lines of ``dumpsys power``; None where they do not tell."""
    display = re.search(r"Display Power: state=(\w+)", text)
    if display:
        return display[1] == "ON"
    awake = re.search(r"mWakefulness=(\w+)", text)
    return awake[1] == "Awake" if awake else None


def _integer(pattern: str, text: str) -> int | None:
    found = re.search(pattern, text, re.MULTILINE)
    return int(found[1]) if found else None
