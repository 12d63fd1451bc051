"""How devices deviate from each other: a covariance over parts that is learned from devices.

A device's weights (what each part costs on it) are a draw around the mean of other devices. They
deviate in the directions in which those deviate, and freely: parts of like shape and kind by like
shares (a Matérn 1/2 kernel over the logarithms of their costs), all parts of a device by what
MACs, parameters, moved numbers and a part as such cost on it, and each part a little by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from latency.evidence import Basis

if TYPE_CHECKING:  # a tenth of a second to import
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

CONSTANT_SHARE = 0.3
"""Of a typical network's latency that the constant is, as long as no device is known."""

CONSTANT_DEVIATION = 0.1
"""Free deviation of the constant, as a share of a typical network's latency."""

LEAST_DEVICES = 3
"""From which the spread is learned."""

_ITERATIONS = 200
_PROBES = 60
"""Networks through which devices are compared while it is learned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Standard deviations are shares: of a part's own weight, or of a network's latency.

    Attributes:
        spanned: Of the deviations of the other devices, how much a new one deviates along them.
        alike: Of a part's weight, common to parts of like costs.
        own: Of a part's weight, alone.
        costs: Of a network's latency, by each of MACs, parameters, moved numbers, parts.
        length: Over which likeness falls, in units of the natural logarithm of costs.
        kinds: Share of likeness that is lost between parts of different kinds, in `[0, 1]`.
    """

    spanned: float
    alike: float
    own: float
    costs: float
    length: float
    kinds: float


ALONE = Spread(spanned=1.0, alike=0.5, own=0.2, costs=0.5, length=4.0, kinds=0.2)
"""As long as no other device is known."""

FEW = Spread(spanned=1.0, alike=0.3, own=0.1, costs=0.3, length=4.0, kinds=0.2)
"""With fewer than ``LEAST_DEVICES``."""

_START = Spread(spanned=1.0, alike=0.2, own=0.05, costs=0.07, length=4.0, kinds=0.1)
_LIMITS = {"kinds": (0.01, 0.95), "length": (0.5, 20.0), "own": (0.005, 1.0)}


def cost_shares(basis: Basis) -> Array:
    """What each part has of a typical network's MACs, parameters, moved numbers and parts.

    Returns:
        `[P + 1, 4]` float64; nothing for the constant.
    """
    import numpy as np

    costs = _costs(basis)
    columns = [costs[:, 0], costs[:, 1], costs[:, 2:].sum(axis=1), np.ones(len(costs))]
    shares = np.stack(columns, axis=1)
    totals = basis.typical[:-1] @ shares
    shares = shares / np.where(totals > 0, totals, 1.0)
    return np.concatenate([shares, np.zeros((1, 4))])


def expected(basis: Basis) -> Array:
    """Weights `[P + 1]` by costs alone, so that a typical network takes 1."""
    import numpy as np

    shares: Array = cost_shares(basis).mean(axis=1)
    shares = shares * (1 - CONSTANT_SHARE) / max(float(basis.typical @ shares), 1e-12)
    return np.concatenate([shares[:-1], [CONSTANT_SHARE]])


def likeness(basis: Basis, spread: Spread) -> Array:
    """Correlation of the free deviations of parts; `[P + 1, P + 1]`, none with the constant."""
    import numpy as np

    logs = np.log1p(_costs(basis))
    logs[:, 3] = np.log1p(_costs(basis)[:, 3:].sum(axis=1))
    squares = (logs**2).sum(axis=1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares - 2 * logs @ logs.T, 0.0))
    kinds = np.array([part.kind for part in basis.parts])
    alike = 1 - spread.kinds * (kinds[:, None] != kinds)
    result = np.zeros((len(logs) + 1, len(logs) + 1))
    result[:-1, :-1] = np.exp(-distances / spread.length) * alike
    np.fill_diagonal(result, 1.0)
    return result


def free_covariance(basis: Basis, spread: Spread, weights: Array) -> Array:
    """Of the free deviations from ``weights``, `[P + 1]`; `[P + 1, P + 1]`."""
    import numpy as np

    sizes = np.maximum(weights, 0.1 * expected(basis))
    sizes[-1] = 0.0
    shares = cost_shares(basis)
    result: Array = np.outer(sizes, sizes) * spread.alike**2 * likeness(basis, spread)
    result += np.diag((spread.own * sizes) ** 2) + spread.costs**2 * shares @ shares.T
    result[-1, -1] += CONSTANT_DEVIATION**2
    return result


def covariance(basis: Basis, spread: Spread, devices: Array, free: float = 1.0) -> Array:
    """Of a new device's weights around the mean of ``devices``, its own scale left open.

    Args:
        basis: Of `P` parts.
        spread: How devices deviate.
        devices: `[D, P + 1]`, weights in units of a typical network's latency.
        free: By which the free deviations are wider.

    Returns:
        `[P + 1, P + 1]` float64.
    """
    import numpy as np

    mean = devices.mean(axis=0)
    apart = devices - mean
    result: Array = spread.spanned**2 * apart.T @ apart / max(len(devices) - 1, 1)
    result += free**2 * free_covariance(basis, spread, mean)
    result += np.outer(mean, mean)
    return result


def learned(basis: Basis, devices: Array, errors: Sequence[Array], networks: Array) -> Spread:
    """The spread under which each device is likeliest, given the others.

    Args:
        basis: Of `P` parts.
        devices: `[D, P + 1]`, at least ``LEAST_DEVICES``.
        errors: For each device, the covariance `[P + 1, P + 1]` of its weights' errors.
        networks: `[N, P + 1]`, through which they are compared.
    """
    import numpy as np

    probes = networks[:: max(len(networks) // _PROBES, 1)][:_PROBES]
    used = np.append(np.flatnonzero((probes[:, :-1] != 0).any(axis=0)), probes.shape[1] - 1)
    noise = [probes @ error @ probes.T for error in errors]
    small = Basis.from_parts(tuple(basis.parts[i] for i in used[:-1]), basis.typical[used])
    return _climbed(small, devices[:, used], noise, probes[:, used])


def _climbed(basis: Basis, devices: Array, noise: Sequence[Array], probes: Array) -> Spread:
    """By a seeded random walk on the logarithms that only goes upwards."""
    import numpy as np

    rng = np.random.default_rng(0)
    best = _START
    score = _score(basis, best, devices, noise, probes)
    names = sorted(asdict(best))
    for iteration in range(_ITERATIONS):
        step = max(0.2, 0.7 * 0.995**iteration)
        tried = best
        for name in rng.choice(names, size=rng.integers(1, 3), replace=False):
            value = asdict(tried)[name] * float(np.exp(step * rng.normal()))
            tried = replace(tried, **{str(name): _within(str(name), value)})
        found = _score(basis, tried, devices, noise, probes)
        if found > score:
            best, score = tried, found
    return best


def _within(name: str, value: float) -> float:
    low, high = _LIMITS.get(name, (1e-3, 3.0))
    return min(max(value, low), high)


def _score(
    basis: Basis, spread: Spread, devices: Array, noise: Sequence[Array], probes: Array
) -> float:
    """Mean log density of each device's latencies of the probes, given the other devices."""
    import numpy as np

    total = 0.0
    for place, (weights, error) in enumerate(zip(devices, noise, strict=True)):
        others = np.delete(devices, place, axis=0)
        around = probes @ covariance(basis, spread, others) @ probes.T + error
        factor = np.linalg.cholesky(around + 1e-6 * np.eye(len(probes)))
        apart = np.linalg.solve(factor, probes @ (weights - others.mean(axis=0)))
        total += -0.5 * float(apart @ apart) - float(np.log(np.diag(factor)).sum())
    return total / len(devices)


def _costs(basis: Basis) -> Array:
    """`[P, 5]`, as ``Signature.costs``."""
    import numpy as np

    return np.array([part.costs for part in basis.parts], np.float64).reshape(-1, 5)
