"""The kernel of a Gaussian process, found by evidence.

All weights are those of the largest posterior density (Rasmussen and Williams, "Gaussian processes
for machine learning", 2006, equation 5.9 for the gradient; the ascent is iRprop-, Igel and Hüsken
2003).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.gaussian_process import STEEPNESS, Encoding, Kernel, squared_distances

if TYPE_CHECKING:  # a tenth of a second to import
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Codes = NDArray[np.int64]

_LEAST, _MOST = 1e-6, 1e3
"""Between which every weight stays."""

_DEVIATION, _UNLIKE = 1.3, 1.3
"""Of the natural logarithms of weights, beforehand: of all, and among decisions."""


def fitted(
    encoding: Encoding,
    codes: Codes,
    values: Array,
    variances: Array,
    start: Kernel,
    steps: int,
    trends: Array | None = None,
    share: float = 1.0,
) -> tuple[Kernel, float]:
    """The likeliest kernel that is found from ``start``, and the logarithm of how likely it is.

    Args:
        encoding: Of points.
        codes: `[N, D]`, no two alike.
        values: `[N]`, observed.
        variances: `[N]`, of their errors.
        start: Where to begin.
        steps: Of the ascent.
        trends: `[N, K]`, see ``Posterior``; None for none.
        share: Of the usual variance that is expected.
    """
    import numpy as np

    rows = encoding.rows(codes)
    usual = _numbers(Kernel.usual(len(encoding.counts), share))
    tilt = None if trends is None or not trends.size else STEEPNESS * (trends @ trends.T)
    numbers = _numbers(start)
    lengths = np.full(len(numbers), 0.2)
    before = np.zeros(len(numbers))
    best, highest = numbers, -np.inf
    for _ in range(steps):
        score, slope = _density(encoding, rows, values, variances, numbers, tilt)
        penalty, pull = _prior(numbers, usual)
        score, slope = score - penalty, slope - pull
        if score > highest:
            best, highest = numbers, score
        turned = slope * before
        lengths = lengths * np.where(turned > 0, 1.2, np.where(turned < 0, 0.5, 1.0))
        lengths = np.clip(lengths, 1e-3, 1.0)
        before = np.where(turned < 0, 0.0, slope)
        numbers = numbers + np.sign(before) * lengths
    return _kernel(best), highest


def _prior(numbers: Array, usual: Array) -> tuple[float, Array]:
    """Minus the log density of a kernel's numbers beforehand, and its slope.

    Decisions weigh about alike, whatever that is.
    """
    apart = (numbers - usual) / _DEVIATION
    logs = apart[:-4] * _DEVIATION
    middle = logs.mean()
    own = (logs - middle) / _UNLIKE
    pull = apart / _DEVIATION
    pull[:-4] = own / _UNLIKE + middle / _DEVIATION**2 / len(logs)
    penalty = 0.5 * float((own**2).sum() + (middle / _DEVIATION) ** 2 + (apart[-4:] ** 2).sum())
    return penalty, pull


def _numbers(kernel: Kernel) -> Array:
    """The kernel as numbers without limits."""
    import numpy as np

    order = np.clip(kernel.order, 1e-3, 1 - 1e-3)
    others = [np.log(order / (1 - order)), *np.log([kernel.near, kernel.additive, kernel.own])]
    return np.concatenate([np.log(kernel.distances), others])


def _kernel(numbers: Array) -> Kernel:
    import numpy as np

    positive = np.clip(np.exp(np.clip(numbers, -50, 50)), _LEAST, _MOST)
    return Kernel(
        distances=positive[:-4],
        order=float(1 / (1 + np.exp(-np.clip(numbers[-4], -30, 30)))),
        near=float(positive[-3]),
        additive=float(positive[-2]),
        own=float(positive[-1]),
    )


def _density(
    encoding: Encoding,
    rows: Array,
    values: Array,
    variances: Array,
    numbers: Array,
    tilt: Array | None = None,
) -> tuple[float, Array]:
    """Log density of the values, and its slope along the numbers; ``tilt`` is covariance too."""
    import numpy as np

    kernel = _kernel(numbers)
    weights = encoding.weights(kernel)
    scaled = rows * np.sqrt(weights)
    distances = squared_distances(scaled, scaled)
    total = float(kernel.distances.sum())
    near = kernel.near * np.exp(-distances)
    additive = kernel.additive * (1 - distances / total)
    around = near + additive + np.diag(kernel.own + variances + 1e-9)
    if tilt is not None:
        around += tilt
    factor = np.linalg.cholesky(around)
    inverse = np.linalg.inv(around)
    pulls = inverse @ values
    score = -0.5 * float(values @ pulls) - float(np.log(np.diag(factor)).sum())
    outer = 0.5 * (np.outer(pulls, pulls) - inverse)
    along = outer * (-near - kernel.additive / total)
    by_column = 2 * (along.sum(axis=1) @ rows**2 - (rows * (along @ rows)).sum(axis=0))
    by_name, by_order = encoding.shares()
    own = kernel.distances[encoding.owner]
    slope = np.zeros(len(numbers))
    np.add.at(slope, encoding.owner, by_column * weights)
    slope[:-4] += kernel.distances * float((outer * distances).sum()) * kernel.additive / total**2
    slope[-4] = float((by_column * own * (by_order - by_name)).sum())
    slope[-4] *= kernel.order * (1 - kernel.order)
    slope[-3] = float((outer * near).sum())
    slope[-2] = float((outer * additive).sum())
    slope[-1] = float(np.trace(outer)) * kernel.own
    return score, slope
