"""What is said of our networks against the fronts of baselines: figures, intervals, the aim."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from benchmarks.comparison.fronts import Against, Front, Place, against
from benchmarks.comparison.networks import Family
from benchmarks.comparison.resampling import Estimate, Network, estimates, pooled_noise

AIM_SPEEDUP, AIM_POINTS = 1.8, 0.5
"""Over MobileNetV2, one of the two: what MnasNet's paper reports."""


def compared(
    networks: Mapping[str, Network], ours: Sequence[str], fronts: Mapping[Family, Sequence[str]]
) -> dict[str, object]:
    """Speed-ups and gains of ours against each front, with intervals.

    Means are over those of ours that a front reaches by what was found; where it does not reach
    one of them in a draw of the bootstrap, its nearer end counts.

    Args:
        networks: By name.
        ours: Names of ours.
        fronts: Names of each baseline's networks.
    """
    now = {name: network.place for name, network in networks.items()}
    ends = {family: Front.of(now[name] for name in names) for family, names in fronts.items()}
    reached = {
        family: {name: against(now[name], ends[family]) for name in ours} for family in fronts
    }

    def figures(places: Mapping[str, Place]) -> dict[str, float]:
        found: dict[str, float] = {}
        for family, names in fronts.items():
            front = Front.of(places[name] for name in names)
            one = {name: against(places[name], front) for name in ours}
            found.update(_figures(family, one, reached[family]))
        return found

    told = estimates(networks, figures)
    return {
        "speedup": {f.value: _told(f, "speedup", told, reached[f], 1.0) for f in fronts},
        "accuracy_gain": {f.value: _told(f, "gain", told, reached[f], 0.0) for f in fronts},
        "aim_met": {f.value: _aim_met(f, told) for f in fronts},
        "training_noise": 100 * pooled_noise([n.accuracies for n in networks.values()]).deviation,
    }


def _figures(
    family: Family, drawn: Mapping[str, Against], reached: Mapping[str, Against]
) -> dict[str, float]:
    """Of each network that the front reaches by what was found, and their means."""
    speedups = {n: drawn[n].speedup for n, one in reached.items() if one.speedup_beyond == 0}
    gains = {n: 100 * drawn[n].gain for n, one in reached.items() if one.gain_beyond == 0}
    found = {f"speedup {family} {name}": value for name, value in speedups.items()}
    found |= {f"gain {family} {name}": value for name, value in gains.items()}
    if speedups:
        found[f"speedup {family}"] = statistics.geometric_mean(speedups.values())
    if gains:
        found[f"gain {family}"] = statistics.fmean(gains.values())
    return found


def _told(
    family: Family,
    what: str,
    found: Mapping[str, Estimate],
    reached: Mapping[str, Against],
    neutral: float,
) -> dict[str, object]:
    """A mean with its interval, the networks that it is of, and bounds of those that it is not."""
    mean = found.get(f"{what} {family}")
    networks: dict[str, object] = {}
    for name, one in reached.items():
        own = found.get(f"{what} {family} {name}")
        if own is not None:
            networks[name] = asdict(own)
        elif what == "speedup":
            networks[name] = {"at_least" if one.speedup_beyond > 0 else "at_most": one.speedup}
        else:
            networks[name] = {"at_least" if one.gain_beyond < 0 else "at_most": 100 * one.gain}
    shown = {} if mean is None else {**asdict(mean), "verdict": mean.above(neutral)}
    return {**shown, "networks": networks}


def _aim_met(family: Family, found: Mapping[str, Estimate]) -> bool:
    """MobileNetV2: enough in one of two, and surely; the others: ahead in one, behind in none."""
    figures = [
        (found[f"{what} {family}"], neutral, aim)
        for what, neutral, aim in (("speedup", 1.0, AIM_SPEEDUP), ("gain", 0.0, AIM_POINTS))
        if f"{what} {family}" in found
    ]
    verdicts = [one.above(neutral) for one, neutral, _ in figures]
    if family is Family.MOBILENET_V2:
        reached = [one.value >= aim for one, _, aim in figures]
        return any(r and v == "above" for r, v in zip(reached, verdicts, strict=True))
    return "above" in verdicts and "below" not in verdicts
