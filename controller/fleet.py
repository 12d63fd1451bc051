"""What a search for a fleet found for each of its devices alone, from the same evaluations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from controller.candidate import Candidate, OutcomeKind
from controller.finish import FrontMember, accuracy_of, best_of, front_points, member_of
from controller.found_latency import FoundLatency, FoundOnDevice
from controller.objectives import DEFAULT
from controller.reward import Reward, SearchReward


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceResult:
    """A fleet's search as one of its devices alone sees it.

    Attributes:
        name: Of the device.
        target_ms: What a network may take there.
        weight: Of the device among all.
        front: Pareto front of accuracy and this device's latency, fastest first.
        best: Of all evaluated networks the one with the largest reward by this device's latency
            and target; None if nothing was evaluated.
    """

    name: str
    target_ms: float
    weight: float
    front: tuple[FrontMember, ...]
    best: FrontMember | None


def device_results(trials: Sequence[Candidate], reward: SearchReward) -> tuple[DeviceResult, ...]:
    """One for each device of the fleet, in its order; none where the trials are of no fleet.

    Args:
        trials: All of a search.
        reward: Of the search; a device's own has its target. One without is of no fleet.
    """
    if not isinstance(reward, Reward):
        return ()
    latencies = (trial.latency for trial in trials if trial.latency is not None)
    devices = next((latency.devices for latency in latencies), ())
    return tuple(_result(device, trials, reward) for device in devices)


def _result(device: FoundOnDevice, trials: Sequence[Candidate], reward: Reward) -> DeviceResult:
    own = replace(reward, target_ms=device.target_ms)
    seen = {trial.index: trial for trial in _seen_by(device.name, trials)}
    front = tuple(
        member_of(seen[point.index], own, accuracy_of(point, DEFAULT))
        for point in front_points(seen.values())
    )
    return DeviceResult(
        name=device.name,
        target_ms=device.target_ms,
        weight=device.weight,
        front=front,
        best=best_of(front, own),
    )


def _seen_by(name: str, trials: Sequence[Candidate]) -> Iterator[Candidate]:
    """The evaluated trials as a search on one device would have them: with its latencies."""
    for trial in trials:
        if trial.kind is OutcomeKind.EVALUATED and trial.latency is not None:
            final = None if trial.final is None else _on(name, trial.final)
            yield replace(
                trial,
                latency=_on(name, trial.latency),
                final=final if final is not None and final.is_measured else None,
                objectives=(),  # those told are of the fleet; accuracy and this latency stand in
            )


def _on(name: str, latency: FoundLatency) -> FoundLatency:
    return next(one.found for one in latency.devices if one.name == name)
