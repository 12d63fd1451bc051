"""Latencies of networks as sums over a table: no device, no file, microseconds a network."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Sequence

from latency.correction import corrected_ms, part_ms
from latency.factored_points import FactoredLatencies
from latency.measurement import Verdict
from latency.signatures import Parts, Signature, parts_of, signature_of, unknown_part
from latency.source import (
    LatencyAnswer,
    LatencyEstimate,
    LatencyFailure,
    LatencyRequest,
    Origin,
)
from latency.space_parts import every_signature, possible_parts, taken_apart
from latency.table import Entry, Known, LatencyTable, require_covered
from latency.table_points import AdditiveLatencies, PointLatencies
from latency.without_device import NORMAL_95, WithoutDevice, parts_asked, require_networks
from search_space.architecture import Architecture, Head
from search_space.decisions import DecisionSpace
from search_space.space import SearchSpace
from workspace.errors import InputError


class TableSource(WithoutDevice):
    """Corrected sums of a table's entries; a ``LatencySource``.

    The interval is where one measurement of the network would lie in 95 % of cases if its layers
    took what they took in the table and deviated independently: the variances add up, each with
    the error of its own mean, ``var * (1 + 1 / count)``. A table with a correction knows how far
    whole networks are from it, and that is in the interval too; a table without one does not.

    Args:
        table: Of any space whose layers have keys.
    """

    def __init__(self, table: LatencyTable) -> None:
        self.table = table

    @property
    def name(self) -> str:
        """See ``LatencySource.name``."""
        return self.table.name

    def estimate(self, requests: Sequence[LatencyRequest]) -> Iterator[LatencyAnswer]:
        """See ``LatencySource.estimate``.

        Raises:
            InputError: If a subject is a file, which says nothing of its layers.
        """
        require_networks(self.name, requests)
        return (self._answer(request) for request in requests)

    def missing(self, architecture: Architecture, head: Head) -> tuple[str, ...]:
        """The layers of a network that are not in the table, each named once, in order."""
        return self._missing(_parts(architecture, head))

    def _missing(self, parts: Iterable[Signature]) -> tuple[str, ...]:
        entries = self.table.entries
        return tuple(dict.fromkeys(part.key for part in parts if part.key not in entries))

    def require_covers(self, space: SearchSpace, head: Head, *, samples: int = 200) -> None:
        """Do nothing if every layer that ``space`` can have is in the table.

        Exact for a factorized space, for one of networks that are graphs, and where each decision
        stands for layers of its own; elsewhere each option of every decision is tried around
        random points, so that a rare gap can be left for later.

        Args:
            space: Of any kind.
            head: What its networks end in.
            samples: Random points that are tried.

        Raises:
            InputError: If one is missing; the text names the first few.
        """
        every = every_signature(space, head)
        found: dict[str, None] = {}
        if every is not None:
            found |= dict.fromkeys(self._missing(every))
        else:
            for architecture in _tried(space, samples):
                found |= dict.fromkeys(self.missing(architecture, head))
        own = f" (the table is of {self.table.space!r})" if self.table.space else ""
        require_covered(f"{self.name}{own}", tuple(found), f"the space {space.name!r}")

    def over(self, space: SearchSpace, head: Head) -> PointLatencies:
        """The latencies of all points of a covered space at once, and its fastest network.

        Raises:
            InputError: If the table lacks a layer of the space, the space has no fixed tuple of
                decisions, or its decisions change what others cost in ways it does not tell.
        """
        self.require_covers(space, head)
        correction, entries = self.table.correction, self.table.entries
        what = f"the space {space.name!r} on {self.name}"
        parts = taken_apart(space, head)
        if parts is not None:
            return FactoredLatencies.of(
                parts,
                lambda layer: part_ms(correction, entries, signature_of(layer)),
                correction.constant_ms,
                what,
            )
        points = space.points
        if possible_parts(space, head) is not None:
            msg = (
                f"which parts a network of {what} has is up to all of its decisions together: "
                "one by one only"
            )
            raise InputError(msg)
        if not isinstance(points, DecisionSpace):
            msg = f"points of the space {space.name!r} have no fixed length: one by one only"
            raise InputError(msg)

        def terms(point: tuple[int, ...]) -> tuple[float, ...]:
            found = _parts(space.decode(point), head)
            return (
                correction.constant_ms,
                *(part_ms(correction, entries, part) for part in found),
            )

        return AdditiveLatencies.of(points, terms, what)

    def _answer(self, request: LatencyRequest) -> LatencyAnswer:
        parts = parts_asked(request)
        if isinstance(parts, LatencyFailure):
            return parts
        missing = self._missing(parts)
        if missing:
            known = sum(part.key in self.table.entries for part in parts) / len(parts)
            text = f"{self.name} lacks {', '.join(missing)}"
            more = f" (it has {known:.0%} of the network's layers)" if known else ""
            return LatencyFailure(request_id=request.id, text=text + more, retryable=False)
        return self._sum(request.id, parts)

    def _sum(self, request_id: str, parts: Parts) -> LatencyEstimate:
        table = self.table
        latency_ms = corrected_ms(table.correction, table.entries, parts)
        entries = [table.entries[part.key] for part in parts]
        half_ms = NORMAL_95 * self._deviation_ms(latency_ms, entries)
        measured = sum(entry.known is Known.MEASURED for entry in entries) / len(entries)
        return LatencyEstimate(
            request_id=request_id,
            latency_ms=latency_ms,
            low_ms=max(0.0, latency_ms - half_ms),
            high_ms=latency_ms + half_ms,
            origin=Origin.TABLE,
            source=self.name,
            coverage=measured,
            verdict=Verdict.STABLE,
            labels=table.labels,
        )

    def _deviation_ms(self, latency_ms: float, entries: Sequence[Entry]) -> float:
        """Of one measurement around ``latency_ms``.

        What a correction leaves holds the errors of measured entries already; not of those that
        were predicted, of which a network may have more than those it was fitted on.
        """
        correction = self.table.correction
        if not correction.networks:
            return math.sqrt(
                math.fsum(each.variance_ms2 * (1 + 1 / max(each.count, 1)) for each in entries)
            )
        predicted = [each.variance_ms2 for each in entries if each.known is Known.PREDICTED]
        own = correction.residual_share * latency_ms
        return math.hypot(own, correction.scale * math.sqrt(math.fsum(predicted)))


def _parts(architecture: Architecture, head: Head) -> Parts:
    """Those of a network; a part that no table has, where its family has none."""
    try:
        return parts_of(architecture, head)
    except InputError as error:
        return (unknown_part(str(error)),)


def _tried(space: SearchSpace, samples: int) -> Iterator[Architecture]:
    """Networks that show the layers of ``space``: random ones, and each option once."""
    rng = random.Random(0)
    points = space.points
    yield from (space.decode(points.sample(rng)) for _ in range(samples))
    if isinstance(points, DecisionSpace):
        base = points.sample(rng)
        for position, count in enumerate(points.option_counts):
            for option in range(count):
                yield space.decode((*base[:position], option, *base[position + 1 :]))
