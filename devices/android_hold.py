"""Keeps a phone quiet and its clock firm while it is timed, and puts it back afterwards.

Each step is tried, read back, and labelled where the phone does not let it happen: vendors hide
nodes and ignore commands. Only the clock tier that was asked for is a must.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from devices.android import CALL_S, SCREEN_LINES, Traits, is_screen_on
from devices.device import ClockTier, DevicePermanentError, DeviceTransientError
from devices.held_changes import Change, Journal
from devices.transport import ShellResult, Transport

FIXED_PERFORMANCE_SDK = 30
"""Android 11, the first with a fixed performance mode."""

FIXED_SHARE = 0.8
"""Of the highest clock: what a phone can hold for minutes, where clock tier T1 fixes it."""

SETTLED_S = 0.5
"""How long a clock may take to get where it was told to be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A value in Android's settings that is fixed while the phone is timed."""

    namespace: str
    key: str
    value: str
    name: str


QUIET = (
    Setting(namespace="global", key="window_animation_scale", value="0", name="animations"),
    Setting(namespace="global", key="transition_animation_scale", value="0", name="animations"),
    Setting(namespace="global", key="animator_duration_scale", value="0", name="animations"),
    Setting(namespace="global", key="stay_on_while_plugged_in", value="7", name="screen"),
)
"""Animations off; the screen in the state that it has (it is woken, and stays on)."""


class Hold:
    """Holds one phone.

    Args:
        device: Its id.
        transport: Gives the connection to it, which may be another one after a fault.
        traits: What it allows.
        cores: The cores whose clock is fixed in tier T1.
    """

    def __init__(
        self,
        device: str,
        transport: Callable[[], Transport],
        traits: Traits,
        cores: tuple[int, ...],
    ) -> None:
        self._device = device
        self._transport = transport
        self._traits = traits
        self._cores = cores
        self._journal = Journal(device)

    @contextmanager
    def held(self, tier: ClockTier) -> Iterator[tuple[str, ...]]:
        """Inside ``with`` the phone is quiet and in ``tier``; gives labels of what it refused.

        Raises:
            DeviceError: If the tier cannot be had; the phone is as before then.
            OperationError: If this computer cannot note what is changed; nothing is changed then.
        """
        left = self._journal.put_back(self._transport())  # what a process left that died
        try:
            yield (*left, *self._quiet(), *self._clock(tier))
        finally:
            self._journal.put_back_quietly(self._transport)

    def _quiet(self) -> tuple[str, ...]:
        if not self._traits.sdk:
            return ("quiet: nothing is held, it is no Android",)
        before = self._settings_now() if "settings" in self._traits.commands else {}
        changes = self._changes(before)
        self._note(changes)
        labels = (*self._apply_settings(before), *self._apply_commands(changes))
        return tuple(dict.fromkeys(labels))

    def _changes(self, before: Mapping[str, str]) -> tuple[Change, ...]:
        """What will be changed, and how it is undone."""
        changes: list[Change] = []
        if "settings" in self._traits.commands:
            changes += [_undo(setting, before) for setting in QUIET]
            if "input" in self._traits.commands and is_screen_on(before.get(_SCREEN, "")) is False:
                changes.append(Change(name=_SCREEN, undo=("input", "keyevent", "223")))
        if "dumpsys" in self._traits.commands:
            changes.append(Change(name=_IDLE, undo=("dumpsys", "deviceidle", "unforce")))
        if "cmd" in self._traits.commands:
            enable = ("cmd", "package", "bg-dexopt-job", "--enable")
            changes.append(Change(name=_DEXOPT, undo=enable))
        return tuple(changes)

    def _settings_now(self) -> dict[str, str]:
        lines = "; ".join(
            f"echo {s.key}=$(settings get {s.namespace} {shlex.quote(s.key)})" for s in QUIET
        )
        screen = f"echo {_SCREEN}=$(dumpsys power 2>/dev/null | grep -E '{SCREEN_LINES}')"
        told = self._transport().script(f"{lines}; {screen}", CALL_S).stdout
        return dict(line.split("=", 1) for line in told.splitlines() if "=" in line)

    def _apply_settings(self, before: Mapping[str, str]) -> list[str]:
        """Fix the settings and wake the screen; labels of what was refused."""
        if "settings" not in self._traits.commands:
            return ["screen and animations: not held, it has no settings"]
        puts = "; ".join(
            f"settings put {s.namespace} {shlex.quote(s.key)} {shlex.quote(s.value)}"
            for s in QUIET
        )
        wake, labels = self._wake(before)
        self._transport().script(f"{puts}{wake}", CALL_S)
        now = self._settings_now()
        refused = [
            setting
            for setting in QUIET
            if _number(now.get(setting.key, "")) != _number(setting.value)
        ]
        self._forget(tuple(s.key for s in refused if _undo(s, now) == _undo(s, before)))
        return labels + [f"{s.name}: not held, the phone refuses {s.key}" for s in refused]

    def _wake(self, before: Mapping[str, str]) -> tuple[str, list[str]]:
        """The end of a script that wakes the screen, and labels.

        A screen of which it is not known whether it is lit could not be put back: it stays as it
        is.
        """
        if "input" not in self._traits.commands:
            return "", []
        if is_screen_on(before.get(_SCREEN, "")) is None:
            return "", ["screen: not woken, the phone does not tell whether it is on"]
        return "; input keyevent 224", []

    def _apply_commands(self, changes: Sequence[Change]) -> list[str]:
        labels = ["updates: not held, Android has no command for it"]
        for change in changes:
            if change.name == _IDLE:
                told = self._run("dumpsys", "deviceidle", "force-idle")
                if told.exit_code != 0 or "Now forced in" not in told.stdout:
                    labels.append(f"doze: not forced ({_said(told)})")
                if told.exit_code != 0:
                    self._forget((change.name,))
            elif change.name == _DEXOPT:
                told = self._run("cmd", "package", "bg-dexopt-job", "--disable")
                if told.exit_code != 0:
                    self._forget((change.name,))
                    labels.append(f"background compilation: not held ({_said(told)})")
        return labels

    def _clock(self, tier: ClockTier) -> tuple[str, ...]:
        match tier:
            case ClockTier.FREE:
                return ("clock: left to the governor (T3)",)
            case ClockTier.SUSTAINED:
                return self._fixed_performance()
            case ClockTier.FIXED:
                return self._fixed_clock()

    def _fixed_performance(self) -> tuple[str, ...]:
        if self._traits.sdk < FIXED_PERFORMANCE_SDK or "cmd" not in self._traits.commands:
            msg = (
                f"it has no fixed performance mode (API level {self._traits.sdk}, "
                f"{FIXED_PERFORMANCE_SDK} is needed): use clock tier T3"
            )
            raise DevicePermanentError(self._device, msg)
        mode = ("cmd", "power", "set-fixed-performance-mode-enabled")
        self._note((Change(name="fixed performance mode", undo=(*mode, "false")),))
        told = self._run(*mode, "true")
        refused = ("unknown", "exception", "error", "not supported")
        text = f"{told.stdout} {told.stderr}".lower()
        if told.exit_code != 0:
            self._forget(("fixed performance mode",))
        if told.exit_code != 0 or any(word in text for word in refused):
            msg = f"it refuses fixed performance mode ({_said(told)}): use clock tier T3"
            raise DevicePermanentError(self._device, msg)
        shown = self._run("dumpsys", "power").stdout
        if "fixedperformance" in shown.lower().replace(" ", "").replace("_", ""):
            return ("clock: fixed performance mode (T2)",)
        return ("clock: fixed performance mode (T2), which it does not let anyone read back",)

    def _fixed_clock(self) -> tuple[str, ...]:
        khz = fixed_khz(self._device, self._traits, self._cores)
        changes, commands = [], []
        for core in self._cores:
            folder = f"/sys/devices/system/cpu/cpu{core}/cpufreq"
            before = (
                self._transport()
                .shell(["cat", f"{folder}/scaling_min_freq", f"{folder}/scaling_max_freq"], CALL_S)
                .stdout.split()
            )
            if len(before) != 2:
                msg = f"it hides the clock of core {core}: use clock tier T2 or T3"
                raise DevicePermanentError(self._device, msg)
            # The range is opened before it is narrowed: a minimum above the maximum is refused.
            undo = (
                f'[ "$(cat {folder}/scaling_min_freq) $(cat {folder}/scaling_max_freq)" = '
                f'"{before[0]} {before[1]}" ] && exit 0; '
                f"echo {before[0]} >{folder}/scaling_min_freq; "
                f"echo {before[1]} >{folder}/scaling_max_freq; "
                f"echo {before[0]} >{folder}/scaling_min_freq"
            )
            changes.append(Change(name=f"clock of core {core}", undo=self._as_root(undo)))
            commands.append(
                f"echo {khz} >{folder}/scaling_min_freq; echo {khz} >{folder}/scaling_max_freq; "
                f"echo {khz} >{folder}/scaling_min_freq"
            )
        self._note(tuple(changes))
        told = self._transport().shell(self._as_root("; ".join(commands)), CALL_S)
        self._require_clock(khz, told)
        return (f"clock: {khz / 1e6:g} GHz on cores {self._cores} (T1), read back",)

    def _require_clock(self, khz: int, told: ShellResult) -> None:
        """Do nothing if each core's lowest, current and highest clock is ``khz``.

        Raises:
            DeviceTransientError: If one is not.
        """
        paths = [
            f"/sys/devices/system/cpu/cpu{core}/cpufreq/scaling_{which}_freq"
            for core in self._cores
            for which in ("min", "cur", "max")
        ]
        script = f"sleep {SETTLED_S}; cat {' '.join(paths)}"
        read = self._transport().script(script, CALL_S).stdout.split()
        if read != [str(khz)] * len(paths):
            msg = f"its clock is not where it was told to be, {khz} kHz: {read} ({_said(told)})"
            raise DeviceTransientError(self._device, msg)

    def _as_root(self, script: str) -> tuple[str, ...]:
        return ("sh", "-c", script) if self._traits.root == "adb" else ("su", "-c", script)

    def _note(self, changes: tuple[Change, ...]) -> None:
        """Note what is changed next; of what is noted already the first undo is the right one."""
        noted = self._journal.read()
        names = {change.name for change in noted}
        self._journal.write((*noted, *(each for each in changes if each.name not in names)))

    def _forget(self, names: tuple[str, ...]) -> None:
        """Strike what the phone refused to change: there is nothing to put back."""
        kept = tuple(change for change in self._journal.read() if change.name not in names)
        if names:
            self._journal.write(kept)

    def _run(self, *command: str) -> ShellResult:
        return self._transport().shell(command, CALL_S)


_SCREEN = "screen"
_IDLE = "doze"
_DEXOPT = "background compilation"


def fixed_khz(device: str, traits: Traits, cores: tuple[int, ...]) -> int:
    """The clock that tier T1 fixes on ``cores``: the highest that a phone can hold.

    Raises:
        DevicePermanentError: If the phone gives no root, or hides its clocks.
    """
    if not traits.root:
        msg = "clock tier T1 needs root, which it does not give: use T2 or T3"
        raise DevicePermanentError(device, msg)
    offered = [
        set(traits.available_khz[core]) for core in cores if core < len(traits.available_khz)
    ]
    common = set.intersection(*offered) if offered else set()
    if not common:
        msg = f"it does not tell which clocks its cores {cores} share: use clock tier T2 or T3"
        raise DevicePermanentError(device, msg)
    bound = FIXED_SHARE * max(common)
    return max((khz for khz in common if khz <= bound), default=min(common))


def _undo(setting: Setting, values: Mapping[str, str]) -> Change:
    """How the setting gets the value that it has among ``values``."""
    where = (setting.namespace, setting.key)
    value = values.get(setting.key, "null").strip()
    if value in ("null", ""):
        undo: tuple[str, ...] = ("settings", "delete", *where)
    else:
        undo = ("settings", "put", *where, value)
    return Change(name=setting.key, undo=undo)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _said(told: ShellResult) -> str:
    words = " ".join((told.stderr or told.stdout).split())[:200]
    return f"exit code {told.exit_code}: {words or 'nothing'}"
