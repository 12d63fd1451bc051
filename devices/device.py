"""The contract between the platform and anything that can run a model file.

The error tree says what to do next, not where it went wrong:

* DeviceError
  + DeviceBusyError       try another device, or wait
  + DeviceTransientError  try the same call again (USB dropped, adb timed out, too hot)
  + DevicePermanentError  do not try again (no such file, unsupported operator, no such phone)
"""

from __future__ import annotations

import math
import statistics
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from workspace.errors import OperationError


class DeviceError(OperationError):
    """Something went wrong on, or on the way to, a device.

    Attributes:
        device: Which device, as ``Device.id`` names it.
        detail: What happened, with what the device or tool said, verbatim.
        command: What was asked of it; empty if nothing was run.
        exit_code: What the command ended with; None if it did not end.
        stdout: What it printed, cut to a bounded length.
        stderr: What it complained, cut to a bounded length.
    """

    def __init__(
        self,
        device: str,
        detail: str,
        *,
        command: tuple[str, ...] = (),
        exit_code: int | None = None,
        stdout: str = "",
        stderr: str = "",
    ) -> None:
        super().__init__(device, detail)
        self.device = device
        self.detail = detail
        self.command = command
        self.exit_code = exit_code
        self.stdout = stdout
        self.stderr = stderr

    def __str__(self) -> str:
        return f"{self.device}: {self.detail}"


class DeviceBusyError(DeviceError):
    """Someone else holds the device; nothing was run."""


class DeviceTransientError(DeviceError):
    """The call may succeed if repeated unchanged."""


class DevicePermanentError(DeviceError):
    """The call will fail again; the model or the request is at fault."""


class Delegate(StrEnum):
    """What computes inside the runtime."""

    CPU = "cpu"
    GPU = "gpu"


class ClockTier(StrEnum):
    """How firmly the clock was held; part of every condition, never mixed."""

    FIXED = "T1"
    """Root, one frequency, read back."""
    SUSTAINED = "T2"
    """No root, fixed performance mode of Android 11 and later."""
    FREE = "T3"
    """A free governor: more sessions are needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """How to time a model once (one process start, one session).

    Attributes:
        threads: CPU threads given to the runtime, at least 1.
        cores: CPU numbers the process is pinned to; empty leaves it to the device's own choice.
        delegate: What should compute.
        warmup_runs: Runs thrown away first, at least this many …
        warmup_min_s: … and for at least this long.
        timed_runs: Runs reported, at least this many …
        timed_min_s: … and for at least this long.
        timeout_s: Limit on the whole call, transfer included.
        clock_tier: How firmly the clock is to be held; a device that cannot refuses.
    """

    threads: int = 1
    cores: tuple[int, ...] = ()
    delegate: Delegate = Delegate.CPU
    warmup_runs: int = 10
    warmup_min_s: float = 0.5
    timed_runs: int = 50
    timed_min_s: float = 1.0
    timeout_s: float = 120.0
    clock_tier: ClockTier = ClockTier.FREE

    def __post_init__(self) -> None:
        if self.threads < 1 or self.timed_runs < 1 or self.warmup_runs < 0:
            msg = f"need at least 1 thread and 1 timed run, got {self}"
            raise ValueError(msg)
        if self.cores and self.threads > len(self.cores):
            msg = f"threads={self.threads} exceed the cores {self.cores} they are pinned to"
            raise ValueError(msg)
        times = (self.warmup_min_s, self.timed_min_s, self.timeout_s)
        if not all(math.isfinite(t) and t >= 0 for t in times) or self.timeout_s == 0:
            msg = f"times must be finite and not negative, the timeout positive, got {self}"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """A file to run.

    Attributes:
        path: Where it lies on this computer.
        sha256: Hex digest of its bytes; devices cache by it.
    """

    path: Path
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceInfo:
    """What a device is: nothing in here changes while it is switched on.

    Attributes:
        model: For people, e.g. ``"Pixel 6"`` or the CPU's name.
        unit: Short hash of the serial number: which one of the model. Never the serial itself.
        soc: The system on chip, e.g. ``"Tensor"``; empty where it cannot be read.
        abi: E.g. ``"arm64-v8a"`` or ``"x86_64"``.
        build: Operating system build, e.g. Android's fingerprint.
        kernel: Kernel release.
        core_khz: ``cpuinfo_max_freq`` of each core in kHz, 0 where it cannot be read.
        ram_mb: Physical memory in MB.
        stand_in: Empty for the real thing, else a sentence that says what it stands in for.
        on_this_computer: Whether it shares its cores with whatever else runs here.
    """

    model: str
    unit: str
    soc: str
    abi: str
    build: str
    kernel: str
    core_khz: tuple[int, ...]
    ram_mb: int
    stand_in: str = ""
    on_this_computer: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerInfo:
    """The program that runs the file on the device.

    Attributes:
        name: E.g. ``"benchmark_model"`` or ``"litert-python"``.
        dialect: Which of its command lines it has, e.g. ``"tflite"`` or ``"litert"``.
        version: Of the runtime inside.
        sha256: Hex digest of the program; empty where it is no single file.
        stand_in: Empty for the real program, else a sentence that says what it is.
    """

    name: str
    dialect: str
    version: str
    sha256: str = ""
    stand_in: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """Under which conditions a run with given settings will take place.

    Attributes:
        info: The device.
        runner: The program.
        threads: As asked.
        cores: CPU numbers the run is pinned to; empty if it is not pinned.
        delegate: As asked.
        clock_tier: As held now.
        gives_single_runs: Whether records hold raw runs, or only the runner's summary.
        clock_khz: The one frequency of clock tier T1; 0 in the others.
    """

    info: DeviceInfo
    runner: RunnerInfo
    threads: int
    cores: tuple[int, ...]
    delegate: Delegate
    clock_tier: ClockTier
    gives_single_runs: bool
    clock_khz: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceState:
    """What changes from run to run; None where the device does not tell.

    Attributes:
        battery_percent: Charge.
        charging: Whether it is on power.
        temperature_c: Of the battery.
        thermal_status: Android's thermal service, 0 is none.
        load: One-minute load average.
        core_khz: Current clock of each core.
        zones_c: Name and temperature of each thermal zone that can be read.
        power_saver: Whether Android saves power, which slows it.
        screen_on: Whether its screen is lit.
        boot_id: Of this start of the system: another one means that it was rebooted.
        time_in_state: Of each core that tells, ``(core, kHz, ticks of 10 ms spent there)`` since
            the start of the system.
    """

    battery_percent: int | None = None
    charging: bool | None = None
    temperature_c: float | None = None
    thermal_status: int | None = None
    load: float | None = None
    core_khz: tuple[int, ...] | None = None
    zones_c: tuple[tuple[str, float], ...] | None = None
    power_saver: bool | None = None
    screen_on: bool | None = None
    boot_id: str | None = None
    time_in_state: tuple[tuple[int, int, int], ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRuns:
    """Every single timed run of a session, in order, in ms; never empty, all positive."""

    runs_ms: tuple[float, ...]

    def __post_init__(self) -> None:
        bad = [run for run in self.runs_ms if not (math.isfinite(run) and run > 0)]
        if bad or not self.runs_ms:
            msg = f"runs_ms must hold positive finite times, got {bad or 'none'}"
            raise ValueError(msg)

    @property
    def median_ms(self) -> float:
        """Robust to the odd slow run."""
        return statistics.median(self.runs_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """What a runner tells that keeps single runs to itself.

    Attributes:
        count: Number of timed runs, at least 1.
        mean_ms: Their mean.
        min_ms: The fastest; 0 where the runner counts whole microseconds and it took less.
        max_ms: The slowest.
        std_ms: Standard deviation; None where it is not told.
        median_ms: None where the runner has none.
        p95_ms: None where the runner has none.
    """

    count: int
    mean_ms: float
    min_ms: float
    max_ms: float
    std_ms: float | None = None
    median_ms: float | None = None
    p95_ms: float | None = None

    def __post_init__(self) -> None:
        times = (self.mean_ms, self.max_ms)
        good = all(math.isfinite(time) and time > 0 for time in times)
        if self.count < 1 or not good or not 0 <= self.min_ms < math.inf:
            msg = f"a summary needs runs with positive finite times, got {self}"
            raise ValueError(msg)


Samples = RawRuns | RunSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One session as the device gave it.

    Attributes:
        samples: The timed runs.
        first_ms: The very first inference; None where it is not told.
        init_ms: Loading the model; None where it is not told.
        peak_memory_mb: The most that the run held. benchmark_model watches it only in sessions of
            their own; in others it is the growth of its memory, told unasked. None where
            nothing is told.
        before: The device just before.
        after: The device just after.
        started_at: Timezone-aware.
        energy_mj: Of the phone's power rails from start to end of the process, warm-up included;
            None where it exposes none.
        others_cores: How many cores' worth of computing others did meanwhile, a stolen core of a
            virtual machine among them; None where it cannot be told.
        quiet_share: Share of the runs beside which nobody else computed on the same core. Where
            they were enough, only they are in ``samples``. None where it cannot be told.
    """

    samples: Samples
    first_ms: float | None
    init_ms: float | None
    peak_memory_mb: float | None
    before: DeviceState
    after: DeviceState
    started_at: datetime
    energy_mj: float | None = None
    others_cores: float | None = None
    quiet_share: float | None = None

    def __post_init__(self) -> None:
        if self.started_at.tzinfo is None:
            msg = "started_at must be timezone-aware"
            raise ValueError(msg)


class Device(Protocol):
    """A phone, this computer, or a stand-in; one caller at a time, under a lease (``pool``).

    Laws, held by ``devices.testing.DeviceContract``: a run takes place under exactly the ``setup``
    of its settings or raises; a number is never returned for a run that did not end well; every
    call ends by its deadline.
    """

    @property
    def id(self) -> str:
        """As the command line names it: ``host`` or ``adb:SERIAL``; unique on this computer."""
        ...

    def setup(self, settings: RunSettings) -> Setup:
        """The conditions of a run with ``settings``, without running.

        Raises:
            DeviceError: One of its three children.
        """
        ...

    def hold(self, settings: RunSettings) -> AbstractContextManager[tuple[str, ...]]:
        """Inside ``with``, the device is kept as quiet and its clock as firm as was asked.

        It gives labels: what could not be held or read, for people. What was changed is put back
        on leaving; after a crash, by whoever holds the device next.

        Raises:
            DeviceError: If the clock tier that was asked for cannot be had.
        """
        ...

    def state(self) -> DeviceState:
        """How the device is now.

        Raises:
            DeviceError: One of its three children.
        """
        ...

    def run(self, model: ModelFile, settings: RunSettings) -> RunRecord:
        """Run ``model`` in a process of its own: warm up, then time.

        Raises:
            DeviceError: One of its three children.
        """
        ...

    def close(self) -> None:
        """Give back whatever it holds; further calls are an error."""
        ...
