"""What a phone is and how it is now, read over adb; every probe is optional.

Vendors hide nodes, and a loopback phone is a Debian with adbd that has no Android around it: what
cannot be read is left empty, and one call to the phone reads it all.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping

from devices.device import DeviceInfo, DeviceState, DeviceTransientError
from devices.transport import Transport

CALL_S = 20.0
"""Deadline of a probe."""

LOOPBACK_FILE = "/etc/pocketnas-loopback"
"""JSON with ``stand_in``, ``unit`` and ``model``, in a phone that is none."""

_INFO = r"""
prop() { command -v getprop >/dev/null 2>&1 && getprop "$1"; }
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
for core in /sys/devices/system/cpu/cpu[0-9]*; do
  echo "khz ${core##*/cpu} $(cat $core/cpufreq/cpuinfo_max_freq 2>/dev/null || echo 0)"
done
"""

_STATE = r"""
command -v dumpsys >/dev/null 2>&1 && { dumpsys battery; dumpsys thermalservice; }
echo "load=$(cut -d' ' -f1 /proc/loadavg)"
for core in /sys/devices/system/cpu/cpu[0-9]*; do
  echo "khz ${core##*/cpu} $(cat $core/cpufreq/scaling_cur_freq 2>/dev/null || echo 0)"
done
"""


def read_info(transport: Transport, device: str, serial: str) -> DeviceInfo:
    """What the phone is.

    Raises:
        DeviceTransientError: If it does not answer.
    """
    result = transport.script(_INFO, CALL_S)
    if result.exit_code != 0 and "kernel=" not in result.stdout:
        msg = f"it does not tell what it is: {result.stderr.strip()}"
        raise DeviceTransientError(device, msg, exit_code=result.exit_code)
    found = dict(line.split("=", 1) for line in result.stdout.splitlines() if "=" in line)
    loopback = _loopback(found.get("loopback", ""))
    return DeviceInfo(
        model=loopback.get("model") or found.get("model") or "unknown",
        unit=loopback.get("unit") or hashlib.sha256(serial.encode()).hexdigest()[:12],
        soc=found.get("soc") or found.get("board", ""),
        abi=found.get("abi") or found.get("machine", ""),
        build=found.get("build") or found.get("system", "").strip('"'),
        kernel=found.get("kernel", ""),
        core_khz=_khz(result.stdout),
        ram_mb=int(found.get("ram_kb") or 0) // 1024,
        stand_in=loopback.get("stand_in", ""),
        on_this_computer=bool(loopback),
    )


def read_state(transport: Transport) -> DeviceState:
    """How the phone is now; None for what it does not tell."""
    text = transport.script(_STATE, CALL_S).stdout
    level, tenths = _integer(r"^ *level: (\d+)", text), _integer(r"^ *temperature: (\d+)", text)
    powered = re.findall(r"^ *(?:AC|USB|Wireless) powered: (\w+)", text, re.MULTILINE)
    load = re.search(r"^load=([0-9.]+)", text, re.MULTILINE)
    clocks = _khz(text)
    return DeviceState(
        battery_percent=level,
        charging="true" in powered if powered else None,
        temperature_c=None if tenths is None else tenths / 10,
        thermal_status=_integer(r"^Thermal Status: (\d+)", text),
        load=float(load[1]) if load else None,
        core_khz=clocks if any(clocks) else None,
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


def _integer(pattern: str, text: str) -> int | None:
    found = re.search(pattern, text, re.MULTILINE)
    return int(found[1]) if found else None
