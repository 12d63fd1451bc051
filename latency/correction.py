"""Fits what turns sums of a table's entries into latencies of whole networks."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from latency.signatures import Parts, Signature
from latency.table import Correction, Entry
from workspace.errors import InputError

if TYPE_CHECKING:  # a tenth of a second to import
    import numpy as np
    from numpy.typing import NDArray

LEAST_NETWORKS = 8
"""For a scale and a constant, and for a spread that means something."""

SCALE_DEVIATION = 0.5
CONSTANT_DEVIATION = 0.3
"""Of the prior: of the scale around 1, of the constant as a share of the median latency."""

TERM_DEVIATIONS = (0.0, 0.0005, 0.001, 0.002, 0.005, 0.01)
"""Of the prior of a part's own term, as shares of the median latency; the data choose."""

NOISE_SHARE = 0.01
"""Of one network's latency, in the prior's units."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole:
    """A whole network that was measured.

    Attributes:
        key: Of its architecture.
        parts: From input to output.
        latency_ms: What it takes.
    """

    key: str
    parts: Parts
    latency_ms: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.latency_ms) and self.latency_ms > 0):
            msg = f"a network's latency must be a positive number, got {self.latency_ms!r} ms"
            raise InputError(msg)


def short(key: str) -> str:
    """A network's key as tables name it."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def fit(entries: Mapping[str, Entry], networks: Sequence[Whole]) -> Correction:
    """A scale, a constant and a term for each kind of part.

    Ridge regression of latencies on sums, counts of kinds and 1, each network weighed by its own
    latency, shrunk towards the plain sum; how far terms may go is chosen by leaving each network
    out in turn.

    Args:
        entries: Of all parts of the networks.
        networks: At least ``LEAST_NETWORKS``, of which none serves to validate.

    Raises:
        InputError: If they are too few, or an entry is missing.
    """
    import numpy as np

    if len(networks) < LEAST_NETWORKS:
        msg = f"a correction needs at least {LEAST_NETWORKS} whole networks, got {len(networks)}"
        raise InputError(msg)
    kinds = sorted({part.kind for network in networks for part in network.parts})
    design = np.array([_row(entries, network.parts, kinds) for network in networks])
    latencies = np.array([network.latency_ms for network in networks])
    fits = [_Ridge.of(design, latencies, deviation) for deviation in TERM_DEVIATIONS]
    best = min(fits, key=lambda each: each.left_out_share)
    scale, constant, *terms = best.weights
    return Correction(
        scale=float(scale),
        constant_ms=float(constant),
        terms_ms={kind: float(ms) for kind, ms in zip(kinds, terms, strict=True) if ms},
        residual_share=best.left_out_share,
        networks=tuple(short(network.key) for network in networks),
    )


def corrected_ms(correction: Correction, entries: Mapping[str, Entry], parts: Parts) -> float:
    """A network's latency by its entries.

    Raises:
        InputError: If one is missing; named.
    """
    return math.fsum(
        (correction.constant_ms, *(part_ms(correction, entries, part) for part in parts))
    )


def part_ms(correction: Correction, entries: Mapping[str, Entry], part: Signature) -> float:
    """What one part adds.

    Raises:
        InputError: If its entry is missing; named.
    """
    return correction.scale * _ms(entries, part.key) + correction.terms_ms.get(part.kind, 0.0)


def _row(entries: Mapping[str, Entry], parts: Parts, kinds: Sequence[str]) -> list[float]:
    counts = Counter(part.kind for part in parts)
    total = math.fsum(_ms(entries, part.key) for part in parts)
    return [total, 1.0, *(float(counts[kind]) for kind in kinds)]


def _ms(entries: Mapping[str, Entry], key: str) -> float:
    try:
        return entries[key].ms
    except KeyError:
        msg = f"the table lacks {key}"
        raise InputError(msg) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ridge:
    """One fit.

    Attributes:
        weights: `[2 + K]` scale, constant, terms.
        left_out_share: Root mean square of relative residuals, each network by a fit without it.
    """

    weights: NDArray[np.float64]
    left_out_share: float

    @classmethod
    def of(
        cls, design: NDArray[np.float64], latencies: NDArray[np.float64], deviation: float
    ) -> _Ridge:
        """Around a scale of 1 and nothing else, in relative units."""
        import numpy as np

        middle = float(np.median(latencies))
        priors = [SCALE_DEVIATION, CONSTANT_DEVIATION * middle]
        priors += [deviation * middle] * (design.shape[1] - 2)
        free = [number for number, prior in enumerate(priors) if prior > 0]
        relative = design[:, free] / latencies[:, None]
        start = np.array([1.0] + [0.0] * (len(free) - 1))
        targets = 1.0 - relative @ start
        precision = np.diag([(NOISE_SHARE / priors[number]) ** 2 for number in free])
        inverse = np.linalg.inv(relative.T @ relative + precision)
        found = inverse @ relative.T @ targets
        leverage = np.einsum("ni,ij,nj->n", relative, inverse, relative)
        left_out = (targets - relative @ found) / (1.0 - leverage)
        weights = np.zeros(design.shape[1])
        weights[free] = start + found
        return cls(weights=weights, left_out_share=float(np.sqrt(np.mean(left_out**2))))
