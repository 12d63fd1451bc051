"""Latencies by a predictor: no device, no file, with an interval that is calibrated."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from latency.evidence import Measurement
from latency.factored_points import FactoredLatencies
from latency.heads import kind_of
from latency.measurement import Verdict
from latency.predictor_file import PredictorRecord
from latency.signatures import Parts, parts_of, signature_of
from latency.source import (
    LatencyAnswer,
    LatencyEstimate,
    LatencyFailure,
    LatencyRequest,
    Origin,
)
from latency.space_parts import taken_apart
from latency.table_points import PointLatencies
from latency.table_validation import require_conditions
from latency.without_device import NORMAL_95, WithoutDevice, parts_asked, require_networks
from search_space.architecture import Head
from search_space.space import SearchSpace
from workspace.errors import InputError

if TYPE_CHECKING:
    from latency.predictor import Predictions

CONFIDENCE = 0.95
"""Of the intervals, as everywhere."""


class PredictorSource(WithoutDevice):
    """Answers of a predictor; a ``LatencySource``.

    A network with parts that no device was measured with is answered, and said so: its coverage
    is below 1, its interval is wide, and a label counts these parts.

    Args:
        record: Of one device.
    """

    def __init__(self, record: PredictorRecord) -> None:
        self.record = record

    @property
    def name(self) -> str:
        """See ``LatencySource.name``."""
        return self.record.name

    def estimate(self, requests: Sequence[LatencyRequest]) -> Iterator[LatencyAnswer]:
        """See ``LatencySource.estimate``; all networks of a batch at once.

        Raises:
            InputError: If a subject is a file, which says nothing of its parts.
        """
        require_networks(self.name, requests)
        return self._answers(requests)

    def require_covers(self, space: SearchSpace, head: Head) -> None:
        """Do nothing if networks of ``space`` have parts; any can be predicted, more or less well.

        Raises:
            InputError: If they have none, or their heads are of another kind than those that it
                was fitted on.
        """
        if kind_of(head) != self.record.head:
            msg = (
                f"{self.name} was fitted on {self.record.head}s and cannot answer for networks "
                f"that end in {head!r}: fit one with 'pocketnas predictor fit --head "
                f"{kind_of(head)}'"
            )
            raise InputError(msg)
        parts_of(space.decode(space.points.sample(random.Random(0))), head)

    def over(self, space: SearchSpace, head: Head) -> PointLatencies:
        """The latencies of all points at once, as sums.

        Raises:
            InputError: If its latencies are no sums, or the space does not tell its parts.
        """
        parts = taken_apart(space, head)
        if parts is None or self.record.predictor.interactions is not None:
            msg = f"{self.name} answers for networks of {space.name!r} one by one only"
            raise InputError(msg)
        known = self.record.predictor.covering([parts.signatures()])
        weights_ms = known.scale_ms * known.weights.mean
        index = known.prior.basis.index
        return FactoredLatencies.of(
            parts,
            lambda layer: float(weights_ms[index[signature_of(layer).key]]),
            float(weights_ms[-1]),
            f"the space {space.name!r} on {self.name}",
        )

    def learn(self, pairs: Sequence[tuple[LatencyRequest, LatencyEstimate]]) -> None:
        """Fit anew, with measurements of the same device.

        Args:
            pairs: What was asked, and what a device answered.

        Raises:
            InputError: If the device is under other conditions than the predictor; names each.
        """
        found = []
        for request, measured in pairs:
            if measured.measurement is not None:
                conditions = dict(measured.measurement.conditions.flat())
                require_conditions(self.name, self.record.conditions, conditions)
            parts = parts_asked(request)
            if not isinstance(parts, LatencyFailure):
                found.append(measured_on(parts, measured))
        if found:
            self.record = replace(
                self.record, predictor=self.record.predictor.with_measurements(found)
            )

    def _answers(self, requests: Sequence[LatencyRequest]) -> Iterator[LatencyAnswer]:
        known: list[tuple[str, Parts]] = []
        for request in requests:
            found = parts_asked(request)
            if isinstance(found, LatencyFailure):
                yield found
            else:
                known.append((request.id, found))
        if known:
            predictions = self.record.predictor.predict([parts for _, parts in known], CONFIDENCE)
            for place, (request_id, parts) in enumerate(known):
                yield self._estimate(request_id, parts, predictions, place)

    def _estimate(
        self, request_id: str, parts: Parts, predictions: Predictions, place: int
    ) -> LatencyEstimate:
        coverage = float(predictions.coverage[place])
        labels = self.record.labels
        if coverage < 1:
            new = round((1 - coverage) * len(parts))
            labels += (f"{new} of {len(parts)} parts were measured on no device",)
        return LatencyEstimate(
            request_id=request_id,
            latency_ms=float(predictions.latency_ms[place]),
            low_ms=float(predictions.low_ms[place]),
            high_ms=float(predictions.high_ms[place]),
            origin=Origin.PREDICTED,
            source=self.name,
            coverage=coverage,
            verdict=Verdict.STABLE,
            labels=labels,
        )


def measured_on(parts: Parts, estimate: LatencyEstimate) -> Measurement:
    """What a predictor learns from a measured network: the interval tells its error."""
    half_ms = (estimate.high_ms - estimate.low_ms) / 2
    return Measurement(
        parts=parts,
        latency_ms=estimate.latency_ms,
        variance_ms2=(half_ms / NORMAL_95) ** 2,
    )
