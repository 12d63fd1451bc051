"""A latency as a study keeps it, with what each device of a fleet said."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from controller.objectives import ObjectiveName
from latency.account import account
from latency.measurement import Verdict
from latency.source import DeviceEstimate, LatencyEstimate, Origin
from search_space.architecture import Json

_FLEET = "fleet"
"""Under which name a latency has what each device of a fleet said."""


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
