"""When a device may be timed, and when a session does not count.

A session starts when the device is cool, not after a timer, and counts only if nothing slowed the
device meanwhile. What a device does not tell cannot be checked; it is labelled instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from devices.clock import Clock
from devices.device import ClockTier, Device, DeviceState, DeviceTransientError, RunRecord, Setup
from latency.baseline import Baselines

POLL_S, POLL_MOST_S = 1.0, 15.0
"""Between two looks at a device that is not ready: at first, and at most. In between it is half
the time that its zones still need, as fast as they are cooling."""

POLL_LEAST_S = 0.5
"""A look is work for the phone too."""

PLATEAU_S, PLATEAU_C = 120.0, 0.3
"""A zone that stays within so much for so long while the device idles is as cool as it gets."""


class NotReadyError(DeviceTransientError):
    """A device that did not become ready in time: it belongs in quarantine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a device must be for its times to count.

    Attributes:
        battery_percent: At least.
        temperature_c: Of the battery, at most, before a session.
        ceiling_c: Of the battery, at most, after it.
        rise_c: Of any thermal zone above its idle baseline, at most, before a session.
        slow_share: Of the time that the cores in use may spend below their clock, by clock tier.
            A free governor ramps up in the first tenth of a second.
        others_cores: Cores' worth of computing by others, from which on a session on this computer
            is tried again: a busy neighbour on the same core slows it by a third.
        load: A phone's one-minute load average, from which on it is a label: what its own system
            counts differs too much from vendor to vendor to refuse it.
        quiet_share: Of a session's runs, the same where that is known: with fewer the runner does
            not find enough of them.
        patience_s: How long to wait for a device to become ready.
    """

    battery_percent: int = 30
    temperature_c: float = 37.0
    ceiling_c: float = 40.0
    rise_c: float = 3.0
    slow_share: tuple[tuple[ClockTier, float], ...] = (
        (ClockTier.FIXED, 0.02),
        (ClockTier.SUSTAINED, 0.05),
        (ClockTier.FREE, 0.10),
    )
    others_cores: float = 0.15
    load: float = 8.0
    quiet_share: float = 0.12
    patience_s: float = 600.0


def _nobody(_: str) -> None:
    """Listens."""


@dataclass(slots=True)
class _Plateau:
    """Since when a zone has been where it is."""

    since_s: float
    value_c: float


@dataclass(slots=True)
class Gate:
    """Lets sessions start, and judges them.

    Attributes:
        limits: What is asked of the device.
        baselines: What its thermal zones are at rest.
    """

    limits: Limits = field(default_factory=Limits)
    baselines: Baselines = field(default_factory=Baselines)
    _usual_khz: dict[tuple[str, int], int] = field(default_factory=dict, init=False)

    def why_not(self, unit: str, state: DeviceState) -> str:
        """Why a session may not start now; empty if it may."""
        return next(self._reasons(unit, state), "")

    def wait(
        self, device: Device, unit: str, clock: Clock, tell: Callable[[str], None] = _nobody
    ) -> float:
        """Return once the device is ready, the seconds that it took.

        Args:
            device: To be timed.
            unit: Which one it is.
            clock: By which to wait.
            tell: Is told why it is not ready, at each look.

        Raises:
            NotReadyError: If it is not ready in time; the text says why not.
            DeviceError: If it does not answer.
        """
        started_s, pause_s = clock.now_s(), POLL_S
        plateaus: dict[str, _Plateau] = {}
        excess_c, looked_s = 0.0, started_s
        while True:
            state = device.state()
            self.baselines.see(unit, state.zones_c or ())
            reason = self.why_not(unit, state)
            waited_s = clock.now_s() - started_s
            if not reason:
                return waited_s
            tell(f"waiting: {reason}")
            if waited_s >= self.limits.patience_s or _never(reason):
                msg = f"it was not ready after {waited_s:.0f} s: {reason}"
                raise NotReadyError(device.id, msg)
            self._settle(unit, state, plateaus, clock.now_s())
            before_c, excess_c = excess_c, self._excess_c(unit, state)
            cooled_c, passed_s = before_c - excess_c, clock.now_s() - looked_s
            if excess_c > 0 and cooled_c > 0 and passed_s > 0:
                pause_s = max(POLL_LEAST_S, excess_c / (cooled_c / passed_s) / 2)
            elif waited_s:
                pause_s *= 2
            pause_s = min(pause_s, POLL_MOST_S)
            looked_s = clock.now_s()
            clock.sleep(pause_s)

    def why_refused(self, setup: Setup, record: RunRecord) -> str:
        """Why a session does not count; empty if it does."""
        before, after = record.before, record.after
        if before.boot_id is not None and after.boot_id not in (None, before.boot_id):
            return "it was rebooted in the session"
        if before.thermal_status:
            return f"its thermal status was {before.thermal_status} before the session"
        if after.power_saver:
            return "its power saver came on in the session"
        if after.thermal_status:
            return f"its thermal status was {after.thermal_status} after the session"
        if after.temperature_c is not None and after.temperature_c > self.limits.ceiling_c:
            return (
                f"its battery had {after.temperature_c:g} C, over the ceiling of "
                f"{self.limits.ceiling_c:g} C, after the session"
            )
        if None not in (before.charging, after.charging) and before.charging != after.charging:
            return "its charger was plugged in or out in the session"
        return self._why_slow(setup, before, after)

    def is_disturbed(self, record: RunRecord) -> bool:
        """Whether others computed so much beside a session that a quieter one should be tried."""
        if record.quiet_share is not None:
            return record.quiet_share < self.limits.quiet_share
        return record.others_cores is not None and record.others_cores > self.limits.others_cores

    def _why_slow(self, setup: Setup, before: DeviceState, after: DeviceState) -> str:
        total = slow = fastest = 0
        fixed = setup.clock_tier is ClockTier.FIXED
        for core in setup.cores:  # where the others were is the scheduler's secret
            spent = spent_ticks(core, before, after)
            if not spent:
                return ""
            agreed = self._agreed_khz(core, setup, spent, after)
            fastest = max(fastest, agreed)
            total += sum(spent.values())
            slow += sum(n for khz, n in spent.items() if khz < agreed or (fixed and khz != agreed))
        limit = dict(self.limits.slow_share)[setup.clock_tier]
        if not total or slow / total <= limit:
            return ""
        where = "not at" if fixed else "below"
        return (
            f"its cores were {where} {fastest / 1e6:g} GHz for {slow / total:.0%} of the session, "
            f"{limit:.0%} are allowed with clock tier {setup.clock_tier}"
        )

    def _agreed_khz(
        self, core: int, setup: Setup, spent: dict[int, int], after: DeviceState
    ) -> int:
        """The clock that a core should have had.

        The one that was fixed; in fixed performance mode, whose clock nobody tells, the usual one
        of its fastest session; else the highest that it has used since the system started.
        """
        if setup.clock_khz:
            return setup.clock_khz
        usual = max(spent, key=lambda khz: spent[khz])
        if setup.clock_tier is ClockTier.SUSTAINED:
            key = (setup.info.unit, core)
            self._usual_khz[key] = max(usual, self._usual_khz.get(key, 0))
            return self._usual_khz[key]
        used = (
            khz
            for known, khz, ticks in after.time_in_state or ()
            if known == core and ticks >= USED_TICKS
        )
        return max(used, default=usual)

    def _reasons(self, unit: str, state: DeviceState) -> Iterator[str]:
        limits = self.limits
        if state.battery_percent is not None and state.battery_percent < limits.battery_percent:
            yield (
                f"{_LOW_BATTERY} {state.battery_percent} %, {limits.battery_percent} % are "
                "needed: charge it"
            )
        if state.power_saver:
            yield f"{_SAVES_POWER}: switch it off in its settings"
        if state.thermal_status:
            yield f"its thermal status is {state.thermal_status}, 0 is needed"
        if state.temperature_c is not None and state.temperature_c > limits.temperature_c:
            yield f"its battery has {state.temperature_c:g} C, {limits.temperature_c:g} C at most"
        for name, temperature_c in state.zones_c or ():
            rest_c = self.baselines.rest_c(unit, name)
            if rest_c is not None and temperature_c > rest_c + limits.rise_c:
                yield f"zone {name} has {temperature_c:g} C, {rest_c:g} C at rest"

    def _excess_c(self, unit: str, state: DeviceState) -> float:
        """By how much the worst zone is too warm to start; 0 if none is."""
        limits = (
            (temperature_c, self.baselines.rest_c(unit, name))
            for name, temperature_c in state.zones_c or ()
        )
        return max(
            (c - rest_c - self.limits.rise_c for c, rest_c in limits if rest_c is not None),
            default=0.0,
        )

    def _settle(
        self, unit: str, state: DeviceState, plateaus: dict[str, _Plateau], now_s: float
    ) -> None:
        """A zone that does not get cooler any more is at rest, whatever it was before."""
        for name, temperature_c in state.zones_c or ():
            plateau = plateaus.get(name)
            if plateau is None or abs(temperature_c - plateau.value_c) > PLATEAU_C:
                plateaus[name] = _Plateau(now_s, temperature_c)
            elif now_s - plateau.since_s >= PLATEAU_S:
                self.baselines.set(unit, name, temperature_c)


_LOW_BATTERY = "its battery is at"
_SAVES_POWER = "its power saver is on"


def _never(reason: str) -> bool:
    """Whether waiting is of no use: nobody charges a phone within a batch."""
    return reason.startswith((_LOW_BATTERY, _SAVES_POWER))


USED_TICKS = 50
"""Ticks of 10 ms since the system started from which on a clock counts as one that it uses."""


def spent_ticks(core: int, before: DeviceState, after: DeviceState) -> dict[int, int]:
    """Ticks that a core spent at each clock in kHz; empty where it is not told."""
    if before.time_in_state is None or after.time_in_state is None:
        return {}
    earlier = {khz: ticks for known, khz, ticks in before.time_in_state if known == core}
    spent = {
        khz: ticks - earlier.get(khz, 0)
        for known, khz, ticks in after.time_in_state
        if known == core
    }
    sane = bool(spent) and sum(spent.values()) > 0 and min(spent.values()) >= 0
    return spent if sane else {}
