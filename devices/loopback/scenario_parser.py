"""Reading a scenario file: every key has its type and range, and an unknown one is refused.

Only Python's own library is used: the file is also copied onto the loopback phone.
"""

from __future__ import annotations

import hashlib
import tomllib

from devices.loopback.scenario import (
    HIDEABLE,
    RUNNER_DIALECTS,
    WORST_STATUS,
    Battery,
    Cluster,
    Event,
    EventKind,
    Follows,
    Identity,
    Noise,
    Rails,
    Scenario,
    Thermal,
    ThrottleStep,
    Zone,
)
from devices.loopback.scenario_table import ScenarioError, Table

VERSION = 1


def parse(name: str, text: str) -> Scenario:
    """A scenario from its file's text.

    Raises:
        ScenarioError: Names the key that is wrong and says what would be right.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        msg = f"scenario '{name}': not TOML: {error}"
        raise ScenarioError(msg) from error
    table = Table(content, f"scenario '{name}'")
    if table.integer("version", default=0, low=0, high=99) != VERSION:
        table.refuse("version", f"must be {VERSION}", content.get("version"))
    scenario = Scenario(
        name=name,
        digest=hashlib.sha256(text.encode()).hexdigest()[:12],
        text=text,
        about=table.text("about", default=""),
        seconds_per_second=table.number("seconds_per_second", default=1.0, low=0.01, high=1000),
        root=table.flag("root", default=False),
        runner_dialect=table.choice("runner_dialect", RUNNER_DIALECTS, default="tflite"),
        fixed_performance_factor=table.number(
            "fixed_performance_factor", default=0.8, low=0.0, high=1.0
        ),
        hidden=table.choices("hidden", HIDEABLE),
        transfer_mb_per_s=table.maybe_number("transfer_mb_per_s", low=0.1, high=10_000),
        identity=_identity(table.table("phone")),
        clusters=_clusters(table.tables("clusters")),
        thermal=_thermal(table.table("thermal")),
        battery=_battery(table.table("battery")),
        rails=_rails(table.table("rails")) if "rails" in content else None,
        noise=_noise(table.table("noise")),
        events=tuple(sorted(map(_event, table.tables("events")), key=lambda event: event.at_s)),
    )
    table.done()
    return scenario


def _identity(table: Table) -> Identity:
    usual = Identity()
    identity = Identity(
        model=table.text("model", default=usual.model),
        manufacturer=table.text("manufacturer", default=usual.manufacturer),
        soc=table.text("soc", default=usual.soc),
        abi=table.text("abi", default=usual.abi),
        release=table.text("release", default=usual.release),
        sdk=table.integer("sdk", default=usual.sdk, low=21, high=99),
        fingerprint=table.text("fingerprint", default=usual.fingerprint),
    )
    table.done()
    return identity


def _clusters(tables: list[Table]) -> tuple[Cluster, ...]:
    clusters: list[Cluster] = []
    first = 0
    for table in tables:
        count = table.integer("cores", low=1, high=64)
        low = table.integer("min_khz", low=1000, high=10_000_000)
        high = table.integer("max_khz", low=low, high=10_000_000)
        steps = table.integers("frequencies_khz", low=low, high=high) or _spread(low, high)
        if steps[0] != low or steps[-1] != high or list(steps) != sorted(set(steps)):
            table.refuse("frequencies_khz", f"must go up from min_khz {low} to {high}", steps)
        table.done()
        clusters.append(
            Cluster(cores=tuple(range(first, first + count)), frequencies_khz=tuple(steps))
        )
        first += count
    return tuple(clusters) or _usual_clusters()


def _usual_clusters() -> tuple[Cluster, ...]:
    return (
        Cluster(cores=(0, 1, 2, 3), frequencies_khz=_spread(300_000, 1_800_000)),
        Cluster(cores=(4, 5, 6, 7), frequencies_khz=_spread(500_000, 2_400_000)),
    )


def _spread(low: int, high: int) -> tuple[int, ...]:
    """Eight clocks at equal distances, in whole MHz where they lie between the ends."""
    between = {1000 * round((low + (high - low) * i / 7) / 1000) for i in range(1, 7)}
    return tuple(sorted({low, high, *(khz for khz in between if low < khz < high)}))


def _thermal(table: Table) -> Thermal:
    usual = Thermal()
    ambient = table.number("ambient_c", default=usual.ambient_c, low=-40, high=60)
    thermal = Thermal(
        ambient_c=ambient,
        start_c=table.number("start_c", default=ambient, low=-40, high=120),
        heating_c_per_s=table.number("heating_c_per_s", usual.heating_c_per_s, low=0, high=100),
        cooling_tau_s=table.number("cooling_tau_s", usual.cooling_tau_s, low=0.1, high=100_000),
        slow_tau_s=table.number("slow_tau_s", usual.slow_tau_s, low=0.1, high=100_000),
        slow_share=table.number("slow_share", usual.slow_share, low=0, high=1),
        skin_lag_s=table.number("skin_lag_s", usual.skin_lag_s, low=0.1, high=100_000),
        skin_share=table.number("skin_share", usual.skin_share, low=0, high=1),
        battery_lag_s=table.number("battery_lag_s", usual.battery_lag_s, low=0.1, high=100_000),
        battery_share=table.number("battery_share", usual.battery_share, low=0, high=1),
        steps=_steps(table.tables("steps")),
        zones=tuple(map(_zone, table.tables("zones"))) or _usual_zones(),
    )
    table.done()
    return thermal


def _steps(tables: list[Table]) -> tuple[ThrottleStep, ...]:
    steps: list[ThrottleStep] = []
    for table in tables:
        above = table.number("above_c", low=-40, high=200)
        step = ThrottleStep(
            above_c=above,
            below_c=table.number("below_c", default=above, low=-40, high=above),
            thermal_status=table.integer("thermal_status", default=0, low=0, high=WORST_STATUS),
            clock_factor=table.number("clock_factor", default=1.0, low=0.05, high=1.0),
        )
        if steps and above <= steps[-1].above_c:
            table.refuse("above_c", "must be above that of the step before", above)
        table.done()
        steps.append(step)
    return tuple(steps)


def _zone(table: Table) -> Zone:
    zone = Zone(
        type=table.text("type"),
        follows=Follows(table.choice("follows", tuple(Follows), default=Follows.CHIP)),
        offset_c=table.number("offset_c", default=0.0, low=-100, high=100),
        fixed_c=table.maybe_number("fixed_c", low=-1000, high=1000),
        per_degree=int(table.choice("per_degree", (1000, 10, 1), default=1000)),
    )
    table.done()
    return zone


def _usual_zones() -> tuple[Zone, ...]:
    return (
        Zone(type="cpu-0-0"),
        Zone(type="cpu-1-0", offset_c=1.0),
        Zone(type="skin-therm", follows=Follows.SKIN),
        Zone(type="battery", follows=Follows.BATTERY),
    )


def _battery(table: Table) -> Battery:
    usual = Battery()
    battery = Battery(
        percent=table.number("percent", usual.percent, low=0, high=100),
        charging=table.flag("charging", default=usual.charging),
        charge_percent_per_h=table.number("charge_percent_per_h", 0.0, low=0, high=10_000),
        idle_drain_percent_per_h=table.number(
            "idle_drain_percent_per_h", usual.idle_drain_percent_per_h, low=0, high=100_000
        ),
        busy_drain_percent_per_h=table.number(
            "busy_drain_percent_per_h", usual.busy_drain_percent_per_h, low=0, high=100_000
        ),
        power_saver_at_percent=table.number("power_saver_at_percent", 0.0, low=0, high=100),
    )
    table.done()
    return battery


def _rails(table: Table) -> Rails:
    rails = Rails(
        idle_mw=table.number("idle_mw", default=300.0, low=0, high=100_000),
        busy_mw=table.number("busy_mw", default=1500.0, low=0, high=100_000),
    )
    table.done()
    return rails


def _noise(table: Table) -> Noise:
    usual = Noise()
    noise = Noise(
        session=table.number("session", usual.session, low=0, high=0.5),
        run=table.number("run", usual.run, low=0, high=0.5),
    )
    table.done()
    return noise


def _event(table: Table) -> Event:
    kind = EventKind(table.choice("kind", tuple(EventKind)))
    value = seconds = 0.0
    match kind:
        case EventKind.REBOOT:
            seconds = table.number("down_s", default=20.0, low=0, high=100_000)
        case EventKind.BATTERY:
            value = table.number("percent", low=0, high=100)
        case EventKind.THERMAL_STATUS:
            value = table.integer("status", low=-1, high=WORST_STATUS)
        case EventKind.POWER_SAVER:
            value = float(table.flag("on", default=True))
        case EventKind.BACKGROUND:
            value = table.number("busy", default=1.0, low=0, high=64)
            seconds = table.number("seconds", low=0, high=1_000_000)
        case EventKind.PLUG | EventKind.UNPLUG | EventKind.SCREEN_ON | EventKind.SCREEN_OFF:
            pass
    event = Event(
        at_s=table.number("at_s", low=0, high=10_000_000), kind=kind, value=value, seconds=seconds
    )
    table.done()
    return event
