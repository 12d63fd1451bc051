"""What a run for a fleet tells of each device: as JSON, as text, and as a page."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from controller.finish import FrontMember
from controller.fleet import DeviceResult
from controller.found_latency import FoundLatency

RULES = {
    "worst": "the worst device's load",
    "weighted": "the weighted mean of the devices' loads",
    "each": "the load at which the reward is the mean of the devices' own rewards",
}
"""What the one load of a fleet is, by its rule."""

LOAD = "a load is a latency over its device's target, 1 being at the target"
"""For whoever reads one."""

_HEAD = ("device", "target ms", "front", "trial")
_FIGURES = ("reward", "ms", "verdict")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What a run's latencies are in: milliseconds, or with a fleet loads without a unit.

    Attributes:
        key: That figures' names end in.
        target: In it; None where the reward is not of latency.
        name: Of a column.
        axis: Of a chart.
    """

    key: str
    target: float | None
    name: str
    axis: str

    def figure(self, value: float) -> str:
        """A number with what it is."""
        return f"load {value:g}" if self.key == "load" else f"{value:g} ms"


def unit_of(config: Mapping[str, Any]) -> Unit:
    """Of a run, by its configuration."""
    if config.get("fleet"):
        return Unit(key="load", target=1.0, name="load", axis="load (1 is at the target)")
    return Unit(key="ms", target=config.get("target_ms"), name="ms", axis="latency, ms")


def timed_on(config: Mapping[str, Any]) -> str:
    """What times a run's candidates, with the targets."""
    if not config.get("fleet"):
        return f"{config['latency']}, {_aim(config)}"
    devices = ", ".join(
        f"{entry['name']} within {entry['target_ms']:g} ms" for entry in config["fleet"]
    )
    return f"a fleet ({config['fleet_rule']}) of {devices} ({config['reward']})"


def _aim(config: Mapping[str, Any]) -> str:
    """What a run on one device goes by."""
    match config["reward"]:
        case "macs":
            return f"target {config['target_macs']:,.0f} multiply-adds (macs)"
        case "training-aware":
            return "reward of training step and parameters (training-aware)"
    return f"target {config['target_ms']:g} ms ({config['reward']})"


def sources(config: Mapping[str, Any]) -> tuple[str, ...]:
    """What times a run's candidates, as text."""
    fleet = config.get("fleet", ())
    return tuple(entry["latency"] for entry in fleet) or (config["latency"],)


def fleet_facts(
    config: Mapping[str, Any],
    results: Sequence[DeviceResult],
    member: Callable[[FrontMember], dict[str, Any]],
) -> dict[str, Any] | None:
    """Rule and devices, each with its own best network; None without a fleet.

    Args:
        config: Of the run.
        results: Of each device; none as long as nothing was timed.
        member: Makes facts of a network whose latencies are in milliseconds.
    """
    if not config.get("fleet"):
        return None
    found = {result.name: result for result in results}
    devices = []
    for entry in config["fleet"]:
        own = found.get(entry["name"])
        devices.append(
            {
                "name": entry["name"],
                "source": entry["latency"],
                "target_ms": entry["target_ms"],
                "weight": entry["weight"],
                "front": [] if own is None else [each.candidate.index for each in own.front],
                "best": None if own is None or own.best is None else member(own.best),
            }
        )
    return {"rule": config["fleet_rule"], "devices": devices}


def load_facts(
    found: FoundLatency, latency: Callable[[FoundLatency], dict[str, Any] | None]
) -> dict[str, Any]:
    """A load with its interval, and each device's own latency.

    Args:
        found: Of a fleet.
        latency: Makes facts of one in milliseconds.
    """
    devices = [
        {
            "name": one.name,
            "target_ms": one.target_ms,
            "weight": one.weight,
            "load": one.found.latency_ms / one.target_ms,
            "latency": latency(one.found),
        }
        for one in found.devices
    ]
    return {
        "load": found.latency_ms,
        "ci_low_load": found.low_ms,
        "ci_high_load": found.high_ms,
        "origin": found.origin,
        "source": found.source,
        "verdict": found.verdict,
        "coverage": found.coverage,
        "artifact_sha256": found.artifact_sha256,
        "devices": devices,
        "labels": [*found.labels],
    }


def device_rows(run: Mapping[str, Any]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows: each device's own best network of all that were evaluated."""
    rows: list[tuple[str, ...]] = []
    for device in run["fleet"]["devices"]:
        best = device["best"]
        told: tuple[str, ...] = ("-",) * 5
        if best is not None:
            latency = best["latency"]
            told = (
                str(best["index"]),
                f"{best['accuracy']:.2%}",
                f"{best['reward']:.4f}",
                f"{latency['latency_ms']:.4g} "
                f"[{latency['ci_low_ms']:.4g}, {latency['ci_high_ms']:.4g}]",
                latency["verdict"],
            )
        rows.append((device["name"], f"{device['target_ms']:g}", str(len(device["front"])), *told))
    return (*_HEAD, run["metric"], *_FIGURES), rows


def device_columns(run: Mapping[str, Any]) -> tuple[str, ...]:
    """Headings of each device's own latency, beside a front of loads."""
    fleet = run["fleet"]
    return () if fleet is None else tuple(f"{each['name']} ms" for each in fleet["devices"])


def device_cells(member: Mapping[str, Any]) -> tuple[str, ...]:
    """A network's last latency on each device; nothing without a fleet."""
    devices = member["latency"].get("devices", ())
    return tuple(f"{each['latency']['latency_ms']:.4g}" for each in devices)


def page(run: Mapping[str, Any]) -> str:
    """For a report: what the load is, and each device's own best; empty without a fleet."""
    if run["fleet"] is None:
        return ""
    head, rows = device_rows(run)
    lines = [f"<tr>{''.join(f'<th>{name}</th>' for name in head)}</tr>"]
    for row in rows:
        lines.append(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>")
    return (
        f"<p>{html.escape(told_of_load(run).capitalize())}.</p>"
        "<h2>One network for each device</h2>"
        f"<p>{html.escape(told_of_each(run).capitalize())}.</p><table>{''.join(lines)}</table>"
    )


def told_of_load(run: Mapping[str, Any]) -> str:
    """What the loads of a run are."""
    return f"{LOAD}; here it is {RULES[run['fleet']['rule']]}"


def told_of_each(run: Mapping[str, Any]) -> str:
    """What the networks for each device are chosen by, and how they are named."""
    return (
        "for each device alone, the best of the same evaluations by its own latency and target "
        f"(as ARCH: {run['run']}:best@DEVICE)"
    )
