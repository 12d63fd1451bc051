"""What is mounted inside a loopback phone so that its Android's nodes stand at their real paths.

It runs as the phone's root, in the phone's own mounts. Only what is simulated is replaced: the
rest of each folder leads back to this computer's, because a runtime that finds strange CPU nodes
gets slow. Only Python's own library is used: the file is also copied onto the phone.
"""

from __future__ import annotations

import os
import re
import subprocess
import uuid
from collections.abc import Callable

from devices.loopback.scenario import Scenario

CPU = "/sys/devices/system/cpu"
THERMAL = "/sys/class/thermal"
METER = "/sys/bus/iio/devices/iio:device0"
BOOT_ID = "/proc/sys/kernel/random/boot_id"
LIVE = "/run/pocketnas"
"""Where the daemon's own files are; the shell user may read them."""
_REAL = f"{LIVE}/real"


def furnish(scenario: Scenario) -> None:
    """Mount all of it, empty."""
    os.makedirs(_REAL)
    os.chmod(LIVE, 0o755)
    _cpu_folder(len(scenario.core_khz))
    _empty_folder(THERMAL)
    if scenario.rails:
        _empty_folder(METER)
    new_boot_id()
    _mount("--bind", f"{LIVE}/boot_id", BOOT_ID)
    _mount("-o", "remount,bind,ro,nosuid,nodev,noexec", BOOT_ID)
    if scenario.hides("taskset"):
        with open(f"{LIVE}/nothing", "w"):
            pass
        os.chmod(f"{LIVE}/nothing", 0)
        _mount("--bind", f"{LIVE}/nothing", "/usr/bin/taskset")


def new_boot_id() -> None:
    """Another start of the system."""
    with open(f"{LIVE}/boot_id", "a+") as file:
        file.truncate(0)
        file.write(f"{uuid.uuid4()}\n")


def _cpu_folder(cores: int) -> None:
    """The real nodes, but for clocks; and folders for cores that this computer does not have."""
    real = _graft(CPU, lambda name: name == "cpufreq" or bool(re.fullmatch(r"cpu\d+", name)))
    for core in range(cores):
        os.mkdir(f"{CPU}/cpu{core}")
        if os.path.isdir(f"{real}/cpu{core}"):
            for name in os.listdir(f"{real}/cpu{core}"):
                if name != "cpufreq":
                    os.symlink(f"{real}/cpu{core}/{name}", f"{CPU}/cpu{core}/{name}")


def _empty_folder(path: str) -> None:
    """An own folder there, whether or not this computer has one."""
    if os.path.isdir(path):
        _mount("-t", "tmpfs", "-o", "nosuid,nodev,noexec,mode=755", "tmpfs", path)
        return
    above, missing = path, ""
    while not os.path.isdir(above):
        above, missing = os.path.split(above)
    _graft(above, lambda name: name == missing)
    os.makedirs(path)


def _graft(path: str, left_out: Callable[[str], bool]) -> str:
    """An own folder over a real one, whose children lead to the real ones; where those are."""
    real = f"{_REAL}/{path.strip('/').replace('/', '-')}"
    os.mkdir(real)
    _mount("--bind", path, real)
    _mount("-t", "tmpfs", "-o", "nosuid,nodev,noexec,mode=755", "tmpfs", path)
    for name in os.listdir(real):
        if not left_out(name):
            os.symlink(f"{real}/{name}", f"{path}/{name}")
    return real


def _mount(*words: str) -> None:
    subprocess.run(["/usr/bin/mount", *words], check=True, timeout=20)
