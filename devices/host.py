"""This computer as a device: LiteRT in a fresh child process for every session."""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path

from devices.device import (
    ClockTier,
    Delegate,
    DeviceInfo,
    DevicePermanentError,
    DeviceState,
    DeviceTransientError,
    ModelFile,
    RawRuns,
    RunnerInfo,
    RunRecord,
    RunSettings,
    Setup,
)
from workspace.files import write_whole
from workspace.home import home
from workspace.python import importing_as_here, python

ID = "host"
TAIL = 2000
"""Characters of a failed runner's words that are kept."""


class HostDevice:
    """This computer; a ``Device``.

    A session is pinned to the last cores that this process may use, unless others are asked for.
    """

    id = ID

    def setup(self, settings: RunSettings) -> Setup:
        """See ``Device.setup``."""
        if settings.delegate is not Delegate.CPU:
            msg = f"this computer runs models on its CPU only, not on {settings.delegate}"
            raise DevicePermanentError(ID, msg)
        return Setup(
            info=_info(),
            runner=RunnerInfo(
                name="litert-python",
                dialect="python, quiet runs",
                version=version("ai-edge-litert"),
            ),
            threads=settings.threads,
            cores=_cores(settings),
            delegate=settings.delegate,
            clock_tier=ClockTier.FREE,
            gives_single_runs=True,
        )

    @contextmanager
    def hold(self, settings: RunSettings) -> Iterator[tuple[str, ...]]:
        """See ``Device.hold``; nothing of this computer is changed."""
        if settings.clock_tier is not ClockTier.FREE:
            tier = settings.clock_tier
            msg = f"this computer's clock is not held, so there is no clock tier {tier} on it"
            raise DevicePermanentError(ID, msg)
        yield ("clock: left to the governor",)

    def state(self) -> DeviceState:
        """See ``Device.state``."""
        return DeviceState(load=os.getloadavg()[0])  # sensors of a PC are no phone's battery

    def run(self, model: ModelFile, settings: RunSettings) -> RunRecord:
        """See ``Device.run``."""
        setup = self.setup(settings)
        if not model.path.is_file():
            raise DevicePermanentError(ID, f"there is no model file {str(model.path)!r}")
        request = {
            "path": str(model.path.absolute()),
            "threads": settings.threads,
            "cores": list(setup.cores),
            "warmup_runs": settings.warmup_runs,
            "warmup_min_s": settings.warmup_min_s,
            "timed_runs": settings.timed_runs,
            "timed_min_s": settings.timed_min_s,
            "best_probe_us": best_probe_us(),
        }
        before, started_at = self.state(), datetime.now(UTC)
        others = _Others()
        result = json.loads(_execute(json.dumps(request), settings.timeout_s))
        others_cores = others.cores()
        note_probe(float(result["best_probe_us"]))
        return RunRecord(
            samples=RawRuns(runs_ms=tuple(result["runs_ms"])),
            first_ms=result["first_ms"],
            init_ms=result["init_ms"],
            peak_memory_mb=result["peak_memory_mb"],
            before=before,
            after=self.state(),
            started_at=started_at,
            others_cores=others_cores,
            quiet_share=float(result["quiet_share"]),
        )

    def close(self) -> None:
        """Nothing is held between sessions."""


PROBE_KEPT_S = 24 * 3600.0
"""For how long the best probe counts: a computer's clock changes with its settings."""


def best_probe_us() -> float:
    """The best probe of a day on this computer (``host_runner``); infinite if there is none."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        kept = json.loads((home() / "host-probe.json").read_text())
        if kept["unit"] == _unit() and 0 <= time.time() - kept["at_s"] < PROBE_KEPT_S:
            return float(kept["best_us"])
    return math.inf


def note_probe(best_us: float) -> None:
    """Keep a probe if it is better."""
    if best_us >= best_probe_us():
        return
    content = {"unit": _unit(), "best_us": best_us, "at_s": time.time()}
    with suppress(OSError):  # a full disk costs the next session its knowledge, no number
        home().mkdir(parents=True, exist_ok=True)
        write_whole(home() / "host-probe.json", json.dumps(content).encode())


class _Others:
    """What everybody else computes on this computer from now on."""

    def __init__(self) -> None:
        self._busy_s, self._own_s, self._at_s = _busy_s(), _children_s(), time.monotonic()

    def cores(self) -> float | None:
        """Cores' worth since then, without ended children of ours; None if untold."""
        busy_s = _busy_s()
        if self._busy_s is None or busy_s is None:
            return None
        passed_s = max(time.monotonic() - self._at_s, 0.01)
        own_s = _children_s() - self._own_s
        return max(0.0, busy_s - self._busy_s - own_s) / passed_s


def _busy_s() -> float | None:
    """CPU seconds of all cores that were not idle, since the start; None but on Linux."""
    try:
        words = Path("/proc/stat").read_text().partition("\n")[0].split()[1:]
        user, nice, system, _, _, irq, softirq, steal = (int(word) for word in words[:8])
    except (OSError, ValueError):
        return None
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _execute(request: str, timeout_s: float) -> str:
    """What the runner printed.

    Raises:
        DeviceTransientError: If it was killed, by its deadline or by something else.
        DevicePermanentError: If it refused the file.
    """
    command = python("-m", "devices.host_runner", request)
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
        env=importing_as_here(),
    )
    try:
        stdout, stderr = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        _kill(process)
        process.communicate()
        msg = f"the run did not end within {timeout_s:g} s and was killed"
        raise DeviceTransientError(ID, msg, command=tuple(command)) from None
    finally:
        _kill(process)
    if process.returncode == 0:
        return stdout
    said = "\n".join(line for line in stderr.splitlines() if not line.startswith("INFO:"))
    kind = DevicePermanentError if process.returncode > 0 else DeviceTransientError
    raise kind(
        ID,
        f"the run ended with {process.returncode}: {said[-TAIL:].strip() or 'it said nothing'}",
        command=tuple(command),
        exit_code=process.returncode,
        stdout=stdout[-TAIL:],
        stderr=stderr[-TAIL:],
    )


def _kill(process: subprocess.Popen[str]) -> None:
    """End the process and all that it started; nothing if it has ended."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _cores(settings: RunSettings) -> tuple[int, ...]:
    """Those asked for, else the last ones of this process; none where nothing can be pinned."""
    if not hasattr(os, "sched_getaffinity"):
        return ()
    allowed = sorted(os.sched_getaffinity(0))
    chosen = settings.cores or tuple(allowed[-settings.threads :])
    if not set(chosen) <= set(allowed) or len(chosen) < settings.threads:
        msg = f"{settings.threads} threads on cores {chosen} do not fit the cores {allowed}"
        raise DevicePermanentError(ID, msg)
    return tuple(chosen)


@cache
def _info() -> DeviceInfo:
    return DeviceInfo(
        model=_processor(),
        unit=_unit(),
        soc="",
        abi=platform.machine(),
        build=platform.platform(),
        kernel=platform.release(),
        core_khz=_core_khz(),
        ram_mb=_ram_mb(),
        on_this_computer=True,
    )


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _unit() -> str:
    """A short hash of what tells this computer from others of its kind."""
    identity = platform.node()
    with suppress(OSError):
        identity = Path("/etc/machine-id").read_text().strip() or identity
    return hashlib.sha256(identity.encode()).hexdigest()[:12]


def _core_khz() -> tuple[int, ...]:
    found = []
    for core in range(os.cpu_count() or 1):
        path = Path(f"/sys/devices/system/cpu/cpu{core}/cpufreq/cpuinfo_max_freq")
        try:
            found.append(int(path.read_text()))
        except (OSError, ValueError):
            found.append(0)
    return tuple(found)


def _ram_mb() -> int:
    import psutil

    return int(psutil.virtual_memory().total // 2**20)
