"""Whether a search could rely on its predictions: each beside what a device told later."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from controller.candidate import Candidate
from controller.found_latency import FoundLatency, Prediction

LEAST_NETWORKS = 3
"""From which predictions can be said to be off."""

BIAS_LIMIT = 0.05
"""How far the median of measured over predicted may be from 1."""

INSIDE_LIMIT = 0.7
"""Share of 95 % intervals that must hold the measured latency: a few networks are no proof."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionCheck:
    """Networks of one search that were predicted and measured.

    Attributes:
        networks: How many.
        median_ratio: Of measured over predicted.
        inside: How many were measured inside the 95 % interval of their prediction.
    """

    networks: int
    median_ratio: float
    inside: int

    @classmethod
    def of(cls, candidates: Iterable[Candidate]) -> Self | None:
        """Of a search's candidates; None where none was both predicted and measured."""
        pairs = [pair for candidate in candidates for pair in _pairs(candidate)]
        if not pairs:
            return None
        return cls(
            networks=len(pairs),
            median_ratio=statistics.median(
                measured.latency_ms / predicted.latency_ms for predicted, measured in pairs
            ),
            inside=sum(
                predicted.low_ms <= measured.latency_ms <= predicted.high_ms
                for predicted, measured in pairs
            ),
        )

    @property
    def alarm(self) -> str:
        """Why the predictions were not to be relied on; empty if they were."""
        if self.networks < LEAST_NETWORKS:
            return ""
        off = abs(self.median_ratio - 1) > BIAS_LIMIT
        if not off and self.inside >= INSIDE_LIMIT * self.networks:
            return ""
        return (
            f"predictions were off: {self.networks} networks took {self.median_ratio - 1:+.1%} "
            f"against what was predicted (median), {self.inside} of them inside their 95 % "
            "intervals; validate the table or predictor, and look again at what was not measured"
        )


def _pairs(candidate: Candidate) -> Iterator[tuple[Prediction, FoundLatency]]:
    found, final = candidate.latency, candidate.final
    if found is None or candidate.same_as is not None:  # a copy of another's figures
        return
    own = found.devices
    if not own:
        yield from _pair(found, final)
        return
    finals = {one.name: one.found for one in final.devices} if final else {}
    for one in own:
        yield from _pair(one.found, finals.get(one.name))


def _pair(
    found: FoundLatency, final: FoundLatency | None
) -> Iterator[tuple[Prediction, FoundLatency]]:
    """What was predicted on one device, and what that measured; nothing where either lacks."""
    if found.is_measured:
        if found.predicted is not None and not found.rejected:
            yield found.predicted, found
    elif final is not None and final.is_measured and not final.rejected:
        yield _prediction(found), final


def _prediction(found: FoundLatency) -> Prediction:
    return Prediction(latency_ms=found.latency_ms, low_ms=found.low_ms, high_ms=found.high_ms)
