"""Latencies of networks as sums over a table: no device, no file, microseconds a network."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from functools import lru_cache

from latency.measurement import Verdict
from latency.source import (
    FileSubject,
    LatencyAnswer,
    LatencyEstimate,
    LatencyFailure,
    LatencyRequest,
    NetworkSubject,
    Origin,
)
from latency.table import Entry, LatencyTable
from latency.table_points import PointLatencies
from search_space.architecture import Architecture, Classifier, Head
from search_space.chain import ChainArchitecture
from search_space.decisions import DecisionSpace
from search_space.layers import Layer, layers
from search_space.proxyless import table_key
from search_space.space import SearchSpace
from workspace.errors import InputError

NORMAL_95 = 1.96
"""Half the width of a 95 % interval, in standard deviations."""


class TableSource:
    """Sums of a table's entries; a ``LatencySource``.

    The interval is where one measurement of the network would lie in 95 % of cases if its layers
    took what they took in the table and deviated independently: the variances add up, each with
    the error of its own mean, ``var * (1 + 1 / count)``. How far whole networks are from the sums
    of their layers is not in the table, and so not in the interval.

    Args:
        table: Of any space whose layers have keys.
    """

    def __init__(self, table: LatencyTable) -> None:
        self.table = table

    @property
    def name(self) -> str:
        """See ``LatencySource.name``."""
        return self.table.name

    @property
    def lanes(self) -> int:
        """One: an answer takes microseconds."""
        return 1

    @property
    def on_this_computer(self) -> bool:
        """No: it takes next to nothing of this computer."""
        return False

    def estimate(self, requests: Sequence[LatencyRequest]) -> Iterator[LatencyAnswer]:
        """See ``LatencySource.estimate``.

        Raises:
            InputError: If a subject is a file, which says nothing of its layers.
        """
        for request in requests:
            if isinstance(request.subject, FileSubject):
                msg = (
                    f"{self.name} knows layers, not files: {request.subject.artifact.path} "
                    "can be timed on host or adb:SERIAL"
                )
                raise InputError(msg)
        return (self._answer(request) for request in requests)

    def close(self) -> None:
        """Nothing is held."""

    def missing(self, architecture: Architecture, head: Head) -> tuple[str, ...]:
        """The layers of a network that are not in the table, each named once, in order."""
        keys = _keys(architecture, head)
        return tuple(dict.fromkeys(key for key in keys if key not in self.table.entries))

    def require_covers(self, space: SearchSpace, head: Head, *, samples: int = 200) -> None:
        """Do nothing if every layer that ``space`` can have is in the table.

        Exact where each decision stands for layers of its own; elsewhere each option of every
        decision is tried around random points, so that a rare gap can be left for later.

        Args:
            space: Of any kind.
            head: What its networks end in.
            samples: Random points that are tried.

        Raises:
            InputError: If one is missing; the text names the first few.
        """
        found: dict[str, None] = {}
        for architecture in _tried(space, samples):
            found |= dict.fromkeys(self.missing(architecture, head))
        if found:
            shown = ", ".join(list(found)[:3])
            more = f" and {len(found) - 3} more" if len(found) > 3 else ""
            msg = f"{self.name} lacks layers of the space {space.name!r}: {shown}{more}"
            raise InputError(msg)

    def over(self, space: SearchSpace, head: Head) -> PointLatencies:
        """The latencies of all points of a covered space at once, and its fastest network.

        Raises:
            InputError: If the table lacks a layer of the space, the space has no fixed tuple of
                decisions, or a decision changes what another one costs.
        """
        self.require_covers(space, head)
        points = space.points
        if not isinstance(points, DecisionSpace):
            msg = f"points of the space {space.name!r} have no fixed length: one by one only"
            raise InputError(msg)

        def terms(point: tuple[int, ...]) -> tuple[float, ...]:
            keys = _keys(space.decode(point), head)
            return tuple(self.table.entries[key].mean_ms for key in keys)

        return PointLatencies.of(points, terms, f"the space {space.name!r} on {self.name}")

    def _answer(self, request: LatencyRequest) -> LatencyAnswer:
        subject = request.subject
        if not isinstance(subject, NetworkSubject):
            msg = f"{self.name} knows layers, not files"
            raise InputError(msg)
        keys = _keys(subject.architecture, subject.head)
        entries = self.table.entries
        missing = dict.fromkeys(key for key in keys if key not in entries)
        if missing:
            text = f"{self.name} lacks {', '.join(missing)}"
            return LatencyFailure(request_id=request.id, text=text, retryable=False)
        return self._sum(request.id, [entries[key] for key in keys])

    def _sum(self, request_id: str, entries: Sequence[Entry]) -> LatencyEstimate:
        latency_ms = math.fsum(entry.mean_ms for entry in entries)
        variance = math.fsum(entry.variance_ms2 * (1 + 1 / entry.count) for entry in entries)
        half_ms = NORMAL_95 * math.sqrt(variance)
        return LatencyEstimate(
            request_id=request_id,
            latency_ms=latency_ms,
            low_ms=max(0.0, latency_ms - half_ms),
            high_ms=latency_ms + half_ms,
            origin=Origin.TABLE,
            source=self.name,
            coverage=1.0,
            verdict=Verdict.STABLE,
        )


def _keys(architecture: Architecture, head: Head) -> tuple[str, ...]:
    """The key of each layer; where tables have none, what the layer is."""
    if not isinstance(architecture, ChainArchitecture) or not isinstance(head, Classifier):
        return (f"keys for a network of family {architecture.family} with a head {head}",)
    return tuple(_key(layer) for layer in layers(architecture, head))


@lru_cache(maxsize=16_384)
def _key(layer: Layer) -> str:
    try:
        return table_key(layer)
    except InputError:
        squeeze = f" squeeze{layer.squeezed}" if layer.squeezed else ""
        return (
            f"{layer.op}-input:{layer.in_size}x{layer.in_size}x{layer.in_channels}"
            f"-output:{layer.out_size}x{layer.out_size}x{layer.out_channels}"
            f"-expand:{layer.expansion}-kernel:{layer.kernel}-stride:{layer.stride}"
            f"-skip:{layer.skip}{squeeze}"
        )


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
