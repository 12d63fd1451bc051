"""How much of a search space a table covers."""

from __future__ import annotations

import random
from dataclasses import dataclass

from latency.signatures import parts_of
from latency.space_parts import every_signature
from latency.table import Known, LatencyTable
from search_space.architecture import Head
from search_space.space import SearchSpace

SAMPLES = 200
"""Random networks that are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Of one space.

    Attributes:
        parts: Distinct parts that its networks can have.
        measured: Of these, those that the table has measured.
        predicted: Of these, those that it has predicted.
        missing: Keys of those it lacks, in order.
        networks: Share of random networks that it knows every part of.
        exact: Whether all parts of the space are counted, else those of random networks.
    """

    parts: int
    measured: int
    predicted: int
    missing: tuple[str, ...]
    networks: float
    exact: bool

    @classmethod
    def of(cls, table: LatencyTable, space: SearchSpace, head: Head) -> Coverage:
        """Of ``space``, whose networks end in ``head``.

        Raises:
            InputError: If networks of this space have no parts that a table knows.
        """
        networks = _random_networks(space, head)
        every = every_signature(space, head)
        keys = list(dict.fromkeys(key for keys in networks for key in keys))
        if every is not None:
            keys = [part.key for part in every]
        known = [table.entries[key].known for key in keys if key in table.entries]
        return cls(
            parts=len(keys),
            measured=known.count(Known.MEASURED),
            predicted=known.count(Known.PREDICTED),
            missing=tuple(key for key in keys if key not in table.entries),
            networks=sum(table.entries.keys() >= set(keys) for keys in networks) / len(networks),
            exact=every is not None,
        )


def _random_networks(space: SearchSpace, head: Head) -> list[tuple[str, ...]]:
    """Keys of the parts of each; the same networks for the same space."""
    rng = random.Random(0)
    drawn = (space.decode(space.points.sample(rng)) for _ in range(SAMPLES))
    return [tuple(part.key for part in parts_of(network, head)) for network in drawn]
