"""Finds before a search for a fleet starts whether any network can meet its targets."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

from controller.feasibility import (
    TIMED,
    fast_networks,
    fastest_of,
    is_too_slow,
    require_feasible,
    smallest,
)
from controller.reward import Reward
from latency.fleet import FleetSource
from latency.load import FleetRule
from latency.source import LatencyEstimate, NetworkSubject, SpaceSource
from latency.table_points import PointLatencies
from search_space.architecture import Architecture, Head
from search_space.decisions import Decisions, DecisionSpace
from search_space.space import SearchSpace
from workspace.errors import InputError

_PASSES = 2
"""Times that every decision is looked at to find a network that is fast on all devices."""


def require_feasible_fleet(
    space: SearchSpace, head: Head, fleet: FleetSource, reward: Reward, size: int | None = None
) -> None:
    """Do nothing if the targets of a fleet can be met as its rule wants it.

    By the rules ``worst`` and ``each`` every device must have a network within its target; by
    ``worst`` and ``weighted`` some network must have a load within 1. Where all devices tell of a
    whole space at once it is looked for decision by decision, else among small networks.

    Args:
        space: Where the search will go.
        head: What its networks end in.
        fleet: Gives loads.
        reward: Whose target is a load.
        size: Input size that is timed; None for the architecture's own.

    Raises:
        InputError: If they cannot be, or a table lacks a layer; the text names the device.
        OperationError: If a device cannot answer.
    """
    rule = fleet.rule.kind
    if rule is not FleetRule.WEIGHTED:
        for device in fleet.devices:
            own = replace(reward, target_ms=device.target_ms)
            remedy = f"raise the target of {device.name}"
            require_feasible(space, head, device.source, own, size, remedy=remedy)
    if rule is FleetRule.EACH:
        return
    networks = {each.key: each for each in _fast_on_all(space, head, fleet)}
    subjects = [
        NetworkSubject(architecture=each if size is None else each.at(size), head=head)
        for each in networks.values()
    ]
    nearest = fastest_of(fleet, subjects)
    if is_too_slow(nearest, reward):
        how = "at once" if rule is FleetRule.WORST else "on weighted average"
        msg = (
            f"no network of the space {space.name!r} was found that meets the fleet's targets "
            f"{how}: the nearest one takes {_told(nearest)}; raise a target, or let each device "
            "have a network of its own (--fleet-rule each)"
        )
        raise InputError(msg)


def _fast_on_all(space: SearchSpace, head: Head, fleet: FleetSource) -> Iterator[Architecture]:
    for device in fleet.devices:
        yield from islice(fast_networks(space, head, device.source), 1)
    points = space.points
    known = _point_latencies(space, head, fleet)
    if known is None or not isinstance(points, DecisionSpace):
        yield from islice(smallest(space), TIMED)
        return
    for each in known:
        yield space.decode(_descended(points, each.fastest, fleet, known))


def _point_latencies(
    space: SearchSpace, head: Head, fleet: FleetSource
) -> list[PointLatencies] | None:
    """Those of each device; None if one answers one by one only."""
    known = []
    for device in fleet.devices:
        if not isinstance(device.source, SpaceSource):
            return None
        try:
            known.append(device.source.over(space, head))
        except InputError:
            return None
    return known


def _descended(
    points: DecisionSpace, start: Decisions, fleet: FleetSource, known: list[PointLatencies]
) -> Decisions:
    """A point of little load, the best option of each decision in turn."""

    def load(point: Decisions) -> tuple[float, float]:
        loads = [
            each.latency_ms(point) / device.target_ms
            for device, each in zip(fleet.devices, known, strict=True)
        ]
        return fleet.rule.value(loads), math.fsum(loads)

    best = start
    for position, count in list(enumerate(points.option_counts)) * _PASSES:
        options = [(*best[:position], option, *best[position + 1 :]) for option in range(count)]
        best = min(options, key=load)
    return best


def _told(estimate: LatencyEstimate) -> str:
    return ", ".join(
        f"{one.estimate.latency_ms:.4g} of {one.target_ms:g} ms on {one.name}"
        for one in estimate.devices
    )
