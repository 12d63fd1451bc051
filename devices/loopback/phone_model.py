"""How a phone's clock, heat, battery and energy go on, as a scenario says.

No time passes here by itself: whoever holds the model advances it, the daemon of a loopback phone
by real seconds, ``devices.simulated`` by virtual ones. The same calls give the same phone. Only
Python's own library is used: the file is also copied onto the loopback phone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from devices.loopback.scenario import Event, EventKind, Follows, Scenario, ThrottleStep, Zone

STEP_S = 0.5
"""The longest stretch over which the clock is taken to stay the same."""
BUSY_FROM = 0.05
"""Busy cores from which on a free governor goes to the highest clock."""
POWER_SAVER_FACTOR = 0.7
GOVERNORS = ("schedutil", "performance", "powersave")
LOAD_TAU_S = 60.0


@dataclass(slots=True)
class Limits:
    """What root wrote into the nodes ``scaling_*`` of a cluster."""

    min_khz: int
    max_khz: int
    governor: str = GOVERNORS[0]


class PhoneModel:
    """A phone at a moment; ``advance`` is the only way on.

    Attributes:
        scenario: What it follows.
        now_s: Seconds since its start, in the scenario's own clock.
        boots: How often it has started, 1 at first.
        back_at_s: Until when it is away for a reboot.
        fixed_performance: Whether Android's fixed performance mode is on.
        power_saver: Whether Android saves power.
        screen_on: Whether the screen is lit.
        charging: Whether it is on power.
        battery_percent: Charge.
        override: A thermal status that was set from outside; None for none.
        limits: Of each cluster.
        load: Busy threads, averaged over a minute.
        energy_mj: Since the first start.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        thermal = scenario.thermal
        rise = thermal.start_c - thermal.ambient_c
        self._fast_c = rise * (1 - thermal.slow_share)
        self._slow_c = rise * thermal.slow_share
        self._skin_c = rise * thermal.skin_share
        self._battery_c = rise * thermal.battery_share
        self._step: ThrottleStep | None = None
        self._events = list(scenario.events)
        self._background: list[Event] = []
        self.now_s = 0.0
        self.back_at_s = 0.0
        self.boots = 0
        self.battery_percent = scenario.battery.percent
        self.charging = scenario.battery.charging
        self.power_saver = False
        self.load = 0.0
        self.energy_mj = 0.0
        self._fastest_khz = max(scenario.core_khz)
        self._boot()
        self._throttle()

    def _boot(self) -> None:
        """What a start of the system sets back."""
        self.boots += 1
        self.fixed_performance = False
        self.screen_on = False
        self.override: int | None = None
        self.limits = [Limits(c.min_khz, c.max_khz) for c in self.scenario.clusters]
        self._spent_s = [dict.fromkeys(c.frequencies_khz, 0.0) for c in self.scenario.clusters]
        self._busy_clusters: frozenset[int] = frozenset()

    # --- what it tells --------------------------------------------------------------------------

    @property
    def away(self) -> bool:
        """Whether it is down for a reboot."""
        return self.now_s < self.back_at_s

    @property
    def chip_c(self) -> float:
        """The chip's temperature."""
        return self.scenario.thermal.ambient_c + self._fast_c + self._slow_c

    @property
    def skin_c(self) -> float:
        """The skin's temperature."""
        return self.scenario.thermal.ambient_c + self._skin_c

    @property
    def battery_c(self) -> float:
        """The battery's temperature."""
        return self.scenario.thermal.ambient_c + self._battery_c

    @property
    def thermal_status(self) -> int:
        """As Android's thermal service says."""
        if self.override is not None:
            return self.override
        return self._step.thermal_status if self._step else 0

    @property
    def clock_factor(self) -> float:
        """What throttling leaves of the clock; 1 when it does not throttle."""
        return self._step.clock_factor if self._step else 1.0

    @property
    def core_khz(self) -> tuple[int, ...]:
        """The clock of each core now."""
        return tuple(
            self.cluster_khz(index)
            for index, cluster in enumerate(self.scenario.clusters)
            for _ in cluster.cores
        )

    def zone_c(self, zone: Zone) -> float:
        """What a thermal zone says."""
        if zone.fixed_c is not None:
            return zone.fixed_c
        match zone.follows:
            case Follows.CHIP:
                return self.chip_c + zone.offset_c
            case Follows.SKIN:
                return self.skin_c + zone.offset_c
            case Follows.BATTERY:
                return self.battery_c + zone.offset_c

    def time_in_state(self, cluster: int) -> tuple[tuple[int, int], ...]:
        """Each clock of a cluster and the ticks of 10 ms spent there since the system's start."""
        spent = self._spent_s[cluster]
        return tuple((khz, int(100 * seconds)) for khz, seconds in spent.items())

    def cluster_khz(self, cluster: int, *, busy: bool | None = None) -> int:
        """The clock of a cluster, as busy as it is or as told."""
        busy = cluster in self._busy_clusters if busy is None else busy
        frequencies = self.scenario.clusters[cluster].frequencies_khz
        limits, highest = self.limits[cluster], frequencies[-1]
        if limits.governor == "schedutil":
            wanted = highest if busy or self.fixed_performance else frequencies[0]
        else:
            wanted = highest if limits.governor == "performance" else frequencies[0]
        factor = self.clock_factor
        if self.fixed_performance:
            factor = min(factor, self.scenario.fixed_performance_factor)
        elif self.power_saver:
            factor = min(factor, POWER_SAVER_FACTOR)
        ceiling = _at_most(frequencies, factor * highest)
        return min(max(min(wanted, limits.max_khz), limits.min_khz), ceiling)

    def limit(self, cluster: int, min_khz: int, max_khz: int, governor: str) -> None:
        """Set a cluster's limits as the kernel would: to clocks it has, a governor it has."""
        frequencies = self.scenario.clusters[cluster].frequencies_khz
        limits = self.limits[cluster]
        limits.max_khz = _at_most(frequencies, max_khz)
        above = [khz for khz in frequencies if khz >= min_khz]
        limits.min_khz = min(above[0] if above else frequencies[-1], limits.max_khz)
        if governor in GOVERNORS:
            limits.governor = governor

    def nominal(self, cores: Sequence[int] = ()) -> float:
        """The speed of these cores at their highest clock, nothing slowing them."""
        clusters = self.scenario.clusters
        highest = max(clusters[index].max_khz for index in self._clusters_of(cores))
        return highest / self._fastest_khz

    def speed(self, cores: Sequence[int] = ()) -> float:
        """How fast a busy thread runs, 1 at the highest clock of the phone.

        Args:
            cores: Where it may run; anywhere if empty.
        """
        return self._busy_khz(self._clusters_of(cores)) / self._fastest_khz

    # --- what happens to it ---------------------------------------------------------------------

    def advance(self, seconds: float, busy: float = 0.0, cores: Sequence[int] = ()) -> list[Event]:
        """Let time pass; the events that took place, in order.

        Args:
            seconds: How many of the scenario's own.
            busy: How many cores compute all the while.
            cores: Which ones may; the scheduler's choice (the fastest cluster) if empty.
        """
        happened: list[Event] = []
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            due_s = self._events[0].at_s if self._events else math.inf
            stop_s = min(end_s, self.now_s + STEP_S, max(due_s, self.now_s))
            if self.now_s < self.back_at_s:
                stop_s = min(stop_s, self.back_at_s)
            if stop_s > self.now_s:
                self._pass(stop_s - self.now_s, 0.0 if self.away else busy, cores)
                self.now_s = stop_s
            while self._events and self._events[0].at_s <= self.now_s:
                happened.append(self._events.pop(0))
                self.apply(happened[-1])
        return happened

    def next_event_s(self) -> float:
        """When something happens next; infinite if nothing does."""
        return self._events[0].at_s if self._events else math.inf

    def apply(self, event: Event) -> None:
        """Let an event take place now, whenever it was to."""
        match event.kind:
            case EventKind.REBOOT:
                self.reboot(event.seconds)
            case EventKind.BATTERY:
                self.battery_percent = event.value
            case EventKind.THERMAL_STATUS:
                self.override = int(event.value) if event.value >= 0 else None
            case EventKind.PLUG | EventKind.UNPLUG:
                self.charging = event.kind is EventKind.PLUG
            case EventKind.SCREEN_ON | EventKind.SCREEN_OFF:
                self.screen_on = event.kind is EventKind.SCREEN_ON
            case EventKind.POWER_SAVER:
                self.power_saver = bool(event.value)
            case EventKind.BACKGROUND:
                self._background.append(event)

    def reboot(self, down_s: float) -> None:
        """Start anew: nothing runs for ``down_s``, and what a start sets back is set back."""
        self._boot()
        self._background.clear()
        self.load = 0.0
        self.back_at_s = self.now_s + down_s

    # --- a stretch of time ----------------------------------------------------------------------

    def _pass(self, seconds: float, busy: float, cores: Sequence[int]) -> None:
        self._background = [e for e in self._background if e.at_s + e.seconds > self.now_s]
        total = min(busy + sum(e.value for e in self._background), len(self.scenario.core_khz))
        clusters = self._clusters_of(cores)
        self._busy_clusters = clusters if total >= BUSY_FROM else frozenset()
        if not self.away:
            for index, spent in enumerate(self._spent_s):
                khz = self.cluster_khz(index)
                spent[khz] = spent.get(khz, 0.0) + seconds
        work = total * self._busy_khz(clusters) / self._fastest_khz
        self._heat(seconds, work)
        self._drain(seconds, work)
        if self.scenario.rails:
            rails = self.scenario.rails
            self.energy_mj += seconds * (rails.idle_mw + work * rails.busy_mw)
        self.load += (total - self.load) * -math.expm1(-seconds / LOAD_TAU_S)
        self._throttle()

    def _heat(self, seconds: float, work: float) -> None:
        thermal = self.scenario.thermal
        heat = thermal.heating_c_per_s * work
        self._fast_c = _toward(
            self._fast_c,
            heat * (1 - thermal.slow_share) * thermal.cooling_tau_s,
            seconds / thermal.cooling_tau_s,
        )
        self._slow_c = _toward(
            self._slow_c,
            heat * thermal.slow_share * thermal.slow_tau_s,
            seconds / thermal.slow_tau_s,
        )
        rise = self._fast_c + self._slow_c
        self._skin_c = _toward(
            self._skin_c, rise * thermal.skin_share, seconds / thermal.skin_lag_s
        )
        self._battery_c = _toward(
            self._battery_c, rise * thermal.battery_share, seconds / thermal.battery_lag_s
        )

    def _throttle(self) -> None:
        """The hardest step whose threshold is passed, or that has not cooled enough to end."""
        held = self._step
        self._step = None
        for step in self.scenario.thermal.steps:
            lasts = held is not None and step.above_c <= held.above_c
            if self.chip_c > step.above_c or (lasts and self.chip_c > step.below_c):
                self._step = step

    def _drain(self, seconds: float, work: float) -> None:
        battery = self.scenario.battery
        if self.charging:
            rate = battery.charge_percent_per_h
        else:
            rate = -battery.idle_drain_percent_per_h - work * battery.busy_drain_percent_per_h
        left = self.battery_percent + rate * seconds / 3600
        self.battery_percent = min(100.0, max(0.0, left))
        if not self.charging and self.battery_percent <= battery.power_saver_at_percent > 0:
            self.power_saver = True

    # --- clusters -------------------------------------------------------------------------------

    def _clusters_of(self, cores: Sequence[int]) -> frozenset[int]:
        clusters = self.scenario.clusters
        asked = {i for i, cluster in enumerate(clusters) if set(cluster.cores) & set(cores)}
        if asked:
            return frozenset(asked)
        fastest = max(range(len(clusters)), key=lambda i: clusters[i].max_khz)
        return frozenset({fastest})

    def _busy_khz(self, clusters: frozenset[int]) -> int:
        return max(self.cluster_khz(index, busy=True) for index in clusters)


def _toward(value: float, target: float, part: float) -> float:
    """``value`` after an exponential approach to ``target`` over ``part`` time constants."""
    return target + (value - target) * math.exp(-part)


def _at_most(frequencies: Sequence[int], khz: float) -> int:
    """The highest of the clocks that is not above; the lowest if all are."""
    return max((each for each in frequencies if each <= khz + 0.5), default=frequencies[0])
