"""A simulated phone: no file is run, no second passes, and it says so wherever it is named.

It follows a scenario as a loopback phone does, on the same model, but in a clock of its own: hours
of heating and cooling take milliseconds. It is for tests of what surrounds a measurement (gates,
cool-down, schedulers), never for a latency.
"""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

from devices.clock import SimulatedClock
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
from devices.loopback.android_text import fingerprint
from devices.loopback.phone_model import PhoneModel
from devices.loopback.scenario import Event, Scenario

START = datetime(2026, 1, 1, tzinfo=UTC)
"""The time of day at the start of every simulated clock."""
INIT_S = 0.1
"""What a process takes to start and to load its file."""
FIXED_PART = 0.75
"""The part of a cluster's highest clock at which tier T1 fixes it, or the next one below."""
FIXED_PERFORMANCE_SDK = 30


class SimulatedPhone:
    """A ``Device`` that is none.

    Args:
        scenario: What it is and what happens to it.
        latency_ms_of: How long a file takes at the phone's highest clock.
        clock: What passes while it works; shared with whoever waits for it.
        seed: Of its noise.
    """

    def __init__(
        self,
        scenario: Scenario,
        latency_ms_of: Callable[[ModelFile], float],
        clock: SimulatedClock,
        seed: int = 0,
    ) -> None:
        self._scenario = scenario
        self._latency_ms_of = latency_ms_of
        self._clock = clock
        self._seed = seed
        self._random = random.Random(f"{scenario.digest}/{seed}")
        self._model = PhoneModel(scenario)
        self._started_s = clock.now_s()
        self._held: ClockTier | None = None

    @property
    def id(self) -> str:
        """Of the form ``simulated:SCENARIO-SEED``."""
        return f"simulated:{self._scenario.name}-{self._seed}"

    @property
    def model(self) -> PhoneModel:
        """The phone at this moment, for tests that look behind what it tells."""
        self._catch_up()
        return self._model

    def setup(self, settings: RunSettings) -> Setup:
        """See ``Device.setup``."""
        self._refuse_what_it_has_not(settings)
        fixed = settings.clock_tier is ClockTier.FIXED
        return Setup(
            info=self._info(),
            runner=RunnerInfo(
                name="simulated-runner",
                dialect="simulated",
                version="1",
                stand_in="simulated runner: it runs nothing",
            ),
            threads=settings.threads,
            cores=settings.cores,
            delegate=settings.delegate,
            clock_tier=settings.clock_tier,
            gives_single_runs=True,
            clock_khz=self._fixed_khz(self._cluster_of(settings.cores)) if fixed else 0,
        )

    @contextmanager
    def hold(self, settings: RunSettings) -> Iterator[tuple[str, ...]]:
        """See ``Device.hold``."""
        self._catch_up()
        self._refuse_what_it_has_not(settings)
        before = self._held
        self._hold_tier(settings.clock_tier, settings.cores)
        try:
            yield tuple(f"hidden: {what}" for what in sorted(self._scenario.hidden))
        finally:
            self._catch_up()
            self._hold_tier(before, settings.cores)

    def state(self) -> DeviceState:
        """See ``Device.state``."""
        self._catch_up()
        self._refuse_while_away()
        return self._look()

    def run(self, model: ModelFile, settings: RunSettings) -> RunRecord:
        """See ``Device.run``."""
        self._catch_up()
        self._refuse_what_it_has_not(settings)
        self._refuse_file(model)
        self._refuse_while_away()
        if self._held is settings.clock_tier:
            return self._run(model, settings)
        with self.hold(settings):
            return self._run(model, settings)

    def close(self) -> None:
        """See ``Device.close``."""

    # --- a session ------------------------------------------------------------------------------

    def _run(self, model: ModelFile, settings: RunSettings) -> RunRecord:
        before, energy_mj = self._look(), self._model.energy_mj
        start_s = self._clock.now_s()
        deadline_s = start_s + settings.timeout_s
        nominal_ms = self._latency_ms_of(model) * self._session_noise(settings.clock_tier)
        self._work(INIT_S, settings, deadline_s)
        warm_up = self._runs(
            nominal_ms, settings.warmup_runs, settings.warmup_min_s, settings, deadline_s
        )
        timed = self._runs(
            nominal_ms, settings.timed_runs, settings.timed_min_s, settings, deadline_s
        )
        has_rails = self._scenario.rails and not self._scenario.hides("power_rails")
        return RunRecord(
            samples=RawRuns(runs_ms=tuple(timed)),
            first_ms=warm_up[0] if warm_up else None,
            init_ms=1000 * INIT_S,
            peak_memory_mb=None,
            before=before,
            after=self._look(),
            started_at=START + timedelta(seconds=start_s),
            energy_mj=self._model.energy_mj - energy_mj if has_rails else None,
        )

    def _runs(
        self,
        nominal_ms: float,
        least: int,
        least_s: float,
        settings: RunSettings,
        deadline_s: float,
    ) -> list[float]:
        """Times of single runs, at least so many and for so long."""
        times: list[float] = []
        end_s = self._clock.now_s() + least_s
        while len(times) < least or self._clock.now_s() < end_s:
            noise = max(0.5, self._random.gauss(1.0, self._scenario.noise.run))
            time_ms = noise * nominal_ms / self._model.speed(settings.cores)
            self._work(time_ms / 1000, settings, deadline_s)
            times.append(time_ms)
        return times

    def _work(self, seconds: float, settings: RunSettings, deadline_s: float) -> None:
        """Be busy for so long, unless the phone goes down or the time is up."""
        boots = self._model.boots
        self._clock.sleep(min(seconds, max(0.0, deadline_s - self._clock.now_s())))
        self._catch_up(busy=float(settings.threads), cores=settings.cores)
        if self._model.boots != boots:
            msg = "the connection broke in mid-run: the phone is rebooting"
            raise DeviceTransientError(self.id, msg)
        if self._clock.now_s() >= deadline_s:
            msg = f"the run did not end within {settings.timeout_s:g} s"
            raise DeviceTransientError(self.id, msg)

    def _session_noise(self, tier: ClockTier) -> float:
        part = {ClockTier.FREE: 1.0, ClockTier.SUSTAINED: 0.5, ClockTier.FIXED: 0.0}[tier]
        return 1.0 + part * abs(self._random.gauss(0.0, self._scenario.noise.session))

    # --- time -----------------------------------------------------------------------------------

    def _catch_up(self, busy: float = 0.0, cores: tuple[int, ...] = ()) -> list[Event]:
        """Bring the phone to the clock's now."""
        boots = self._model.boots
        passed_s = self._clock.now_s() - self._started_s - self._model.now_s
        happened = self._model.advance(passed_s, busy, cores) if passed_s > 0 else []
        if self._model.boots != boots:
            self._held = None
        return happened

    # --- what it refuses ------------------------------------------------------------------------

    def _refuse_what_it_has_not(self, settings: RunSettings) -> None:
        scenario, tier = self._scenario, settings.clock_tier
        count = len(scenario.core_khz)
        lacking = ""
        if not set(settings.cores) <= set(range(count)):
            lacking = f"it has the cores 0 to {count - 1}, not {settings.cores}"
        elif settings.cores and scenario.hides("taskset"):
            lacking = "it has no taskset, so a run cannot be pinned"
        elif settings.delegate is not Delegate.CPU:
            lacking = f"the delegate {settings.delegate} is not simulated"
        elif tier is ClockTier.FIXED and (not scenario.root or scenario.hides("cpufreq")):
            lacking = "clock tier T1 takes root and cpufreq"
        elif tier is ClockTier.SUSTAINED and not self._has_fixed_performance():
            lacking = "clock tier T2 takes Android 11 and its fixed performance mode"
        if lacking:
            raise DevicePermanentError(self.id, lacking)

    def _has_fixed_performance(self) -> bool:
        scenario = self._scenario
        recent = scenario.identity.sdk >= FIXED_PERFORMANCE_SDK
        return recent and scenario.fixed_performance_factor > 0 and not scenario.hides("cmd power")

    def _refuse_file(self, model: ModelFile) -> None:
        try:
            with model.path.open("rb") as file:
                sound = _is_flatbuffer(file)
        except OSError as error:
            msg = f"cannot read {model.path}: {error}"
            raise DevicePermanentError(self.id, msg) from error
        if not sound:
            msg = f"{model.path} is no model file"
            raise DevicePermanentError(self.id, msg)

    def _refuse_while_away(self) -> None:
        if self._model.away:
            msg = "it does not answer: it is rebooting"
            raise DeviceTransientError(self.id, msg)

    # --- its clock ------------------------------------------------------------------------------

    def _hold_tier(self, tier: ClockTier | None, cores: tuple[int, ...]) -> None:
        self._held = tier
        self._model.fixed_performance = tier is ClockTier.SUSTAINED
        for index, cluster in enumerate(self._scenario.clusters):
            fixed = tier is ClockTier.FIXED and index == self._cluster_of(cores)
            khz = self._fixed_khz(index)
            low, high = (khz, khz) if fixed else (cluster.min_khz, cluster.max_khz)
            self._model.limit(index, low, high, "schedutil")

    def _cluster_of(self, cores: tuple[int, ...]) -> int:
        """The cluster that a run on these cores is timed on; the fastest one by default."""
        clusters = self._scenario.clusters
        mine = [i for i, each in enumerate(clusters) if set(each.cores) & set(cores)]
        return max(mine or range(len(clusters)), key=lambda i: clusters[i].max_khz)

    def _fixed_khz(self, cluster: int) -> int:
        frequencies = self._scenario.clusters[cluster].frequencies_khz
        below = [khz for khz in frequencies if khz <= FIXED_PART * frequencies[-1]]
        return max(below, default=frequencies[0])

    # --- what it tells --------------------------------------------------------------------------

    def _info(self) -> DeviceInfo:
        scenario = self._scenario
        who = scenario.identity
        return DeviceInfo(
            model=f"{who.model} (simulated)",
            unit=hashlib.sha256(self.id.encode()).hexdigest()[:12],
            soc=who.soc,
            abi=who.abi or "arm64-v8a",
            build=fingerprint(scenario),
            kernel="simulated",
            core_khz=tuple(0 for _ in scenario.core_khz)
            if scenario.hides("cpufreq")
            else scenario.core_khz,
            ram_mb=8192,
            stand_in=f"simulated phone, scenario {scenario.label}: nothing is run",
        )

    def _look(self) -> DeviceState:
        model, hides = self._model, self._scenario.hides
        clocks, times = not hides("cpufreq"), not hides("cpufreq") and not hides("time_in_state")
        battery, zones = not hides("dumpsys battery"), not hides("thermal_zones")
        return DeviceState(
            battery_percent=round(model.battery_percent) if battery else None,
            charging=model.charging if battery else None,
            temperature_c=round(model.battery_c, 1) if battery else None,
            thermal_status=None if hides("dumpsys thermalservice") else model.thermal_status,
            load=round(model.load, 2),
            core_khz=model.core_khz if clocks else None,
            zones_c=self._zones() if zones else None,
            power_saver=None if hides("dumpsys power") else model.power_saver,
            screen_on=None if hides("dumpsys power") else model.screen_on,
            boot_id=f"simulated-{self._seed}-{model.boots}",
            time_in_state=self._times() if times else None,
        )

    def _zones(self) -> tuple[tuple[str, float], ...]:
        return tuple(
            (zone.type, round(self._model.zone_c(zone), 3))
            for zone in self._scenario.thermal.zones
        )

    def _times(self) -> tuple[tuple[int, int, int], ...]:
        return tuple(
            (core, khz, ticks)
            for index, cluster in enumerate(self._scenario.clusters)
            for core in cluster.cores
            for khz, ticks in self._model.time_in_state(index)
        )


def _is_flatbuffer(file: BinaryIO) -> bool:
    """Whether it is a model file, as far as its root table tells, which must lie within it."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(8)
    if head[4:] != b"TFL3":
        return False
    root = int.from_bytes(head[:4], "little")
    file.seek(root)
    table = root - int.from_bytes(file.read(4), "little", signed=True)
    if not 0 <= table <= size - 4:
        return False
    file.seek(table)
    return int.from_bytes(file.read(2), "little") <= size - table
