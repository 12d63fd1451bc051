"""All that is known of one proposal, from being asked for to the end of the search."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Any, cast

from controller.algorithm import (
    Evaluated,
    Failed,
    FailureKind,
    Goal,
    Objective,
    Outcome,
    Proposal,
    Skipped,
    Stopped,
)
from controller.learning_curves import Expected
from controller.objectives import DEFAULT, Names, ObjectiveName, in_order
from latency.account import account
from latency.measurement import Verdict
from latency.source import DeviceEstimate, LatencyEstimate, Origin
from search_space.architecture import Architecture, Json, from_json
from training.executor import TrainingResult

_FLEET = "fleet"
"""Under which name a latency has what each device of a fleet said."""


class OutcomeKind(StrEnum):
    """What can become of a proposal."""

    EVALUATED = "evaluated"
    STOPPED = "stopped"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """A latency as it was predicted.

    Attributes:
        latency_ms: The number.
        low_ms: Lower end of its 95 % interval.
        high_ms: Upper end.
    """

    latency_ms: float
    low_ms: float
    high_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundLatency:
    """A latency as a study keeps it.

    Attributes:
        latency_ms: The number; of a fleet its load, which has no unit (``latency.load``), and so
            are the ends of its interval.
        low_ms: Lower end of its 95 % interval.
        high_ms: Upper end.
        origin: How it was found (``latency.source.Origin``).
        source: The source that answered.
        coverage: Share of the network that was known.
        verdict: ``latency.measurement.Verdict``.
        artifact_sha256: Of the file that was timed; empty for a table.
        measurement: ``latency.account.account`` of what was measured, with what was predicted
            before; of a fleet, what each device said; None for a table.
        labels: What has to be said of the number beyond its measurement, for people.
    """

    latency_ms: float
    low_ms: float
    high_ms: float
    origin: str
    source: str
    coverage: float
    verdict: str
    artifact_sha256: str
    measurement: dict[str, Json] | None
    labels: tuple[str, ...] = ()

    @classmethod
    def of(cls, estimate: LatencyEstimate) -> FoundLatency:
        """What is kept of an estimate."""
        return cls(
            latency_ms=estimate.latency_ms,
            low_ms=estimate.low_ms,
            high_ms=estimate.high_ms,
            origin=estimate.origin.value,
            source=estimate.source,
            coverage=estimate.coverage,
            verdict=estimate.verdict.value,
            artifact_sha256=estimate.artifact_sha256,
            measurement=_account(estimate),
            labels=estimate.labels,
        )

    @property
    def is_measured(self) -> bool:
        """Whether a device told it, now or before; of a fleet, whether all did."""
        return self.origin in (Origin.MEASURED, Origin.STORED)

    @property
    def devices(self) -> tuple[FoundOnDevice, ...]:
        """What each device of a fleet said; empty where there is no fleet."""
        told = (self.measurement or {}).get(_FLEET)
        return tuple(_on_device(one) for one in told) if isinstance(told, list) else ()

    @property
    def measured_on(self) -> int:
        """How many devices told it, now or before."""
        devices = self.devices
        return sum(one.found.is_measured for one in devices) if devices else int(self.is_measured)

    @property
    def in_words(self) -> str:
        """The number with its unit, or that it is a load."""
        is_load = _FLEET in (self.measurement or {})
        return f"load {self.latency_ms:.4g}" if is_load else f"{self.latency_ms:.4g} ms"

    @property
    def predicted(self) -> Prediction | None:
        """What a mixed source had predicted before it measured; None where nothing was."""
        told = (self.measurement or {}).get("predicted")
        if not isinstance(told, dict):
            return None
        low_ms, latency_ms, high_ms = (
            float(str(told[name])) for name in ("low_ms", "latency_ms", "high_ms")
        )
        return Prediction(latency_ms=latency_ms, low_ms=low_ms, high_ms=high_ms)

    @property
    def peak_memory_mb(self) -> float | None:
        """Of its sessions; None where nobody told."""
        value = (self.measurement or {}).get("peak_memory_mb")
        return float(value) if isinstance(value, int | float) else None

    @property
    def energy_mj(self) -> float | None:
        """Of one inference; None where nobody told.

        The median over sessions of what the rails told, with loading and warm-up, over the timed
        runs.
        """
        sessions = (self.measurement or {}).get("sessions")
        told = []
        for session in sessions if isinstance(sessions, list) else ():
            if isinstance(session, dict):
                energy, runs = session.get("energy_mj"), session.get("runs")
                if isinstance(energy, int | float) and isinstance(runs, int):
                    told.append(energy / runs)
        return statistics.median(told) if told else None

    @property
    def told(self) -> dict[str, float | None]:
        """What it tells of objectives, by their names."""
        return {
            ObjectiveName.LATENCY: self.latency_ms,
            ObjectiveName.PEAK_MEMORY_MB: self.peak_memory_mb,
            ObjectiveName.ENERGY_MJ: self.energy_mj,
        }

    @property
    def rejected(self) -> bool:
        """Whether the number may not be used."""
        return self.verdict == Verdict.REJECTED


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundOnDevice:
    """What one device of a fleet said of a candidate.

    Attributes:
        name: Of the device in its fleet.
        target_ms: What a network may take there.
        weight: Of the device among all.
        found: Its answer, in milliseconds.
    """

    name: str
    target_ms: float
    weight: float
    found: FoundLatency


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One trial of a study.

    Attributes:
        proposal: As the algorithm made it.
        asked_after: How many outcomes had been told when it was asked for.
        key: Of the architecture; empty where the point has none.
        document: The architecture as JSON; None where the point has none.
        latency: None until it is found.
        training: None until it is done, and where it was not needed.
        final: Measured again at the end; None for all but the front.
        told: Position of its outcome among all told; None until then.
        kind: What became of it; None until told.
        failure: Where it failed; None if it did not.
        reward: Of what was evaluated, the bound of what was skipped, by what was expected of what
            was stopped; else None.
        expected: Of a training that was stopped; else None.
        text: Why it failed; else empty.
        same_as: Index of the earlier proposal for the same network that was evaluated for it.
        objectives: Of what was evaluated or stopped, as told; empty in studies that did not keep
            them, whose outcomes had accuracy, latency, and the memory of sessions.
    """

    proposal: Proposal
    asked_after: int
    key: str
    document: dict[str, Json] | None
    latency: FoundLatency | None
    training: TrainingResult | None
    final: FoundLatency | None
    told: int | None
    kind: OutcomeKind | None
    failure: FailureKind | None
    reward: float | None
    expected: Expected | None
    text: str
    same_as: int | None
    objectives: tuple[Objective, ...] = ()

    @property
    def index(self) -> int:
        """Of its proposal."""
        return self.proposal.index

    @property
    def architecture(self) -> Architecture:
        """The network.

        Raises:
            ValueError: If the point had none.
        """
        if self.document is None:
            msg = f"proposal {self.index} has no architecture"
            raise ValueError(msg)
        return from_json(self.document)

    @property
    def outcome(self) -> Outcome | None:
        """What the algorithm was told; None until then."""
        match self.kind:
            case OutcomeKind.EVALUATED if (
                self.training and self.latency and self.reward is not None
            ):
                made = evaluated(self.proposal, self.training, self.latency, self.reward)
                return replace(made, objectives=self.objectives) if self.objectives else made
            case OutcomeKind.STOPPED if self.expected and self.latency and self.reward is not None:
                cut = stopped(self.proposal, self.expected, self.latency, self.reward)
                return replace(cut, objectives=self.objectives) if self.objectives else cut
            case OutcomeKind.SKIPPED if self.latency and self.reward is not None:
                return Skipped(
                    proposal=self.proposal, latency_ms=self.latency.latency_ms, bound=self.reward
                )
            case OutcomeKind.FAILED if self.failure:
                return Failed(proposal=self.proposal, kind=self.failure, text=self.text)
        return None


def objective_of(device: str) -> str:
    """Name of the latency on one device of a fleet, in milliseconds, among the objectives."""
    return f"latency_ms@{device}"


def evaluated(
    proposal: Proposal,
    training: TrainingResult,
    latency: FoundLatency,
    reward: float,
    names: Names = DEFAULT,
    figures: Mapping[str, float] = MappingProxyType({}),
) -> Evaluated:
    """The outcome of a candidate that was trained and timed.

    Its ``latency_ms`` is a load where it was timed on a fleet; each device's own follows, last.

    Args:
        proposal: The candidate.
        training: Tells its accuracy.
        latency: Tells its latency, and what else its sessions saw.
        reward: Of both.
        names: Objectives, which come first in this order.
        figures: What its network tells (``controller.network_figures``).

    Raises:
        ValueError: If one of ``names`` was not told.
    """
    return Evaluated(
        proposal=proposal,
        objectives=objectives_of(training.accuracy, latency, names, figures),
        reward=reward,
        feedback=training.feedback,
    )


def stopped(
    proposal: Proposal,
    expected: Expected,
    latency: FoundLatency,
    reward: float,
    names: Names = DEFAULT,
    figures: Mapping[str, float] = MappingProxyType({}),
) -> Stopped:
    """The outcome of a candidate that was timed, and whose training was stopped early.

    See ``evaluated``.
    """
    return Stopped(
        proposal=proposal,
        objectives=objectives_of(expected.accuracy, latency, names, figures),
        reward=reward,
        deviation=expected.deviation,
    )


def objectives_of(
    accuracy: float, latency: FoundLatency, names: Names, figures: Mapping[str, float]
) -> tuple[Objective, ...]:
    """Those named, then what else was told; see ``evaluated``.

    Raises:
        ValueError: If one of ``names`` was not told.
    """
    told: dict[str, float | None]
    told = {ObjectiveName.ACCURACY: accuracy, **latency.told, **figures}
    if ObjectiveName.ENERGY_MJ not in names:  # told before it was an objective, and not weighed
        del told[ObjectiveName.ENERGY_MJ]
    on_devices = (
        Objective(name=objective_of(one.name), value=one.found.latency_ms, goal=Goal.MINIMIZE)
        for one in latency.devices
    )
    return (*in_order(names, told), *on_devices)


def same_for(proposal: Proposal, outcome: Outcome) -> Outcome:
    """The same outcome, of another proposal for the same network."""
    return replace(outcome, proposal=proposal)


def _account(estimate: LatencyEstimate) -> dict[str, Json] | None:
    """What is kept beside the number."""
    if estimate.devices:
        return _of_fleet(estimate.devices)
    if estimate.measurement is None:
        return None
    found, predicted = account(estimate.measurement), estimate.predicted
    if predicted is None:
        return found
    told: dict[str, Json] = {
        "latency_ms": predicted.latency_ms,
        "low_ms": predicted.low_ms,
        "high_ms": predicted.high_ms,
        "source": predicted.source,
    }
    return {**found, "predicted": told}


def _of_fleet(devices: Sequence[DeviceEstimate]) -> dict[str, Json]:
    """What each device said, why it is rejected if it is, and the most memory that it takes."""
    told: list[Json] = []
    reasons, memory_mb = [], []
    for one in devices:
        found = FoundLatency.of(one.estimate)
        facts = {field: getattr(found, field) for field in FoundLatency.__slots__}
        latency: dict[str, Json] = {**facts, "labels": [*found.labels]}
        told.append(
            {
                "name": one.name,
                "target_ms": one.target_ms,
                "weight": one.weight,
                "latency": latency,
            }
        )
        memory_mb.append(found.peak_memory_mb)
        if found.rejected:
            reasons.append(f"{one.name}: {(found.measurement or {}).get('reason', '')}")
    known = [each for each in memory_mb if each is not None]
    return {
        _FLEET: told,
        "reason": "; ".join(reasons),
        "peak_memory_mb": max(known) if len(known) == len(devices) else None,
    }


def _on_device(told: Json) -> FoundOnDevice:
    """What ``_of_fleet`` made of one device."""
    facts = cast("dict[str, Any]", told)
    latency = {**facts["latency"], "labels": tuple(facts["latency"]["labels"])}
    return FoundOnDevice(
        name=facts["name"],
        target_ms=facts["target_ms"],
        weight=facts["weight"],
        found=FoundLatency(**latency),
    )
