"""What a simulated phone is and what happens to it: a TOML file, read into frozen values.

Only Python's own library is used: the file is also copied onto the loopback phone. What may stand
in a scenario, and what its defaults are, is told in ``README.md``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

SHIPPED = Path(__file__).parent / "scenarios"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
WORST_STATUS = 6
"""Android's thermal status: none, light, moderate, severe, critical, emergency, shutdown."""
HIDEABLE = (
    *("cpufreq", "time_in_state", "thermal_zones", "power_rails", "taskset", "getprop"),
    *("settings", "svc", "input", "pm", "am"),
    *("cmd power", "cmd deviceidle", "cmd thermalservice"),
    *("cmd package", "dumpsys battery", "dumpsys thermalservice", "dumpsys power"),
    *("dumpsys deviceidle", "dumpsys display"),
)
"""What a vendor may leave out of a phone."""
RUNNER_DIALECTS = ("tflite", "litert")
"""Of the stand-in for benchmark_model."""


class Follows(StrEnum):
    """What a thermal zone is the temperature of."""

    CHIP = "chip"
    SKIN = "skin"
    BATTERY = "battery"


class EventKind(StrEnum):
    """What can happen to a phone at a point in time."""

    REBOOT = "reboot"
    BATTERY = "battery"
    THERMAL_STATUS = "thermal_status"
    PLUG = "plug"
    UNPLUG = "unplug"
    SCREEN_ON = "screen_on"
    SCREEN_OFF = "screen_off"
    POWER_SAVER = "power_saver"
    BACKGROUND = "background"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What the phone says it is; ``getprop`` tells it."""

    model: str = "PocketNAS Simulated 8"
    manufacturer: str = "PocketNAS"
    soc: str = "Simulated SoC"
    abi: str = ""
    release: str = "14"
    sdk: int = 34
    fingerprint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Cores that share a clock; ``frequencies_khz`` goes up from its lowest to its highest."""

    cores: tuple[int, ...]
    frequencies_khz: tuple[int, ...]

    @property
    def min_khz(self) -> int:
        """As ``cpuinfo_min_freq`` says."""
        return self.frequencies_khz[0]

    @property
    def max_khz(self) -> int:
        """As ``cpuinfo_max_freq`` says."""
        return self.frequencies_khz[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrottleStep:
    """From ``above_c`` on, until it has cooled to ``below_c``."""

    above_c: float
    below_c: float
    thermal_status: int
    clock_factor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """A node ``thermal_zoneN``; one with ``fixed_c`` always says the same."""

    type: str
    follows: Follows = Follows.CHIP
    offset_c: float = 0.0
    fixed_c: float | None = None
    per_degree: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Thermal:
    """How the chip heats and cools (Newton), and what follows it.

    Attributes:
        ambient_c: What it cools to.
        start_c: What it starts at.
        heating_c_per_s: While one core is busy at the highest clock of the phone.
        cooling_tau_s: Time constant of cooling.
        slow_tau_s: Of the second, slower mass.
        slow_share: Part of the heat that goes into that; 0 for none.
        skin_lag_s: Time constant with which the skin follows the chip …
        skin_share: … to this part of its rise above ambient.
        battery_lag_s: The same for the battery.
        battery_share: The same for the battery.
        steps: From the mildest to the hardest.
        zones: In the order of their numbers.
    """

    ambient_c: float = 25.0
    start_c: float = 25.0
    heating_c_per_s: float = 0.1
    cooling_tau_s: float = 40.0
    slow_tau_s: float = 600.0
    slow_share: float = 0.0
    skin_lag_s: float = 30.0
    skin_share: float = 0.6
    battery_lag_s: float = 90.0
    battery_share: float = 0.4
    steps: tuple[ThrottleStep, ...] = ()
    zones: tuple[Zone, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Battery:
    """Rates are percent of the whole an hour, the busy one for each busy core, on top of idle."""

    percent: float = 85.0
    charging: bool = True
    charge_percent_per_h: float = 0.0
    idle_drain_percent_per_h: float = 1.0
    busy_drain_percent_per_h: float = 6.0
    power_saver_at_percent: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rails:
    """Power, the busy one for each busy core at the highest clock."""

    idle_mw: float
    busy_mw: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Relative standard deviations: of a session under a free governor, and of single runs."""

    session: float = 0.01
    run: float = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happens ``at_s`` after the phone's start.

    Attributes:
        at_s: In the scenario's own seconds.
        kind: What.
        value: Percent of ``battery``, status of ``thermal_status`` (-1 ends it), 0 or 1 of
            ``power_saver``, busy cores of ``background``.
        seconds: How long a ``reboot`` keeps it away, how long ``background`` lasts.
    """

    at_s: float
    kind: EventKind
    value: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A phone and what happens to it.

    Attributes:
        name: The file's name without ``.toml``.
        digest: The first twelve hex digits of the SHA-256 of the file.
        text: The file's own.
        about: For people.
        seconds_per_second: How many of its seconds pass in a real one, on a loopback phone.
        root: Whether there is ``su``.
        runner_dialect: Whose flags its benchmark_model has; of ``RUNNER_DIALECTS``.
        fixed_performance_factor: Part of the highest clock that the fixed performance mode holds;
            0 where the phone has no such mode.
        hidden: What the vendor left out; of ``HIDEABLE``.
        transfer_mb_per_s: What its cable carries, in 10^6 bytes; None for no limit.
        rails: None where it exposes none.
    """

    name: str
    digest: str
    text: str = field(repr=False)
    about: str = ""
    seconds_per_second: float = 1.0
    root: bool = False
    runner_dialect: str = "tflite"
    fixed_performance_factor: float = 0.8
    hidden: frozenset[str] = frozenset()
    transfer_mb_per_s: float | None = None
    identity: Identity = field(default_factory=Identity)
    clusters: tuple[Cluster, ...]
    thermal: Thermal = field(default_factory=Thermal)
    battery: Battery = field(default_factory=Battery)
    rails: Rails | None = None
    noise: Noise = field(default_factory=Noise)
    events: tuple[Event, ...] = ()

    @property
    def label(self) -> str:
        """Name and digest: two scenarios of one label are the same."""
        return f"{self.name}@{self.digest}"

    @property
    def core_khz(self) -> tuple[int, ...]:
        """The highest clock of each core."""
        return tuple(cluster.max_khz for cluster in self.clusters for _ in cluster.cores)

    def hides(self, what: str) -> bool:
        """Whether the vendor left it out; ``what`` is one of ``HIDEABLE``."""
        return what in self.hidden


def shipped() -> tuple[str, ...]:
    """The names of the scenarios that come with PocketNAS."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.toml")))


def load(name_or_path: str | Path) -> Scenario:
    """A shipped scenario by its name, or any by its path.

    Raises:
        InputError: If there is none, or it does not say what a scenario says.
    """
    from devices.loopback.scenario_parser import parse
    from devices.loopback.scenario_table import ScenarioError
    from workspace.errors import InputError

    try:
        return parse(*_read(name_or_path))
    except ScenarioError as error:
        raise InputError(str(error)) from error


def _read(name_or_path: str | Path) -> tuple[str, str]:
    from workspace.errors import InputError

    given = str(name_or_path)
    path = SHIPPED / f"{given}.toml" if given in shipped() else Path(name_or_path)
    if not _NAME.fullmatch(path.stem):
        msg = f"a scenario file's name is made of letters, digits and '._-', got {path.stem!r}"
        raise InputError(msg)
    try:
        return path.stem, path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        msg = (
            f"there is no scenario {given!r} ({error}): give a TOML file's path, or one of "
            f"{', '.join(shipped())}"
        )
        raise InputError(msg) from error
