"""By how much a candidate is expected to improve on what is known: of a number, or of a front.

Values of candidates are normal and, over objectives, independent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.open_boxes import OpenBoxes

if TYPE_CHECKING:  # a tenth of a second to import
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

_ERFC = (
    -1.26551223,
    1.00002368,
    0.37409196,
    0.09678418,
    -0.18628806,
    0.27886807,
    -1.13520398,
    1.48851587,
    -0.82215223,
    0.17087277,
)
"""Press et al., "Numerical recipes in C", 2nd edition, section 6.2: a relative error of at most
1.2e-7, however small the result."""


def log_improvement(mean: Array, deviation: Array, best: float) -> Array:
    """Natural logarithm of the expected improvement, finite where that is far below any number.

    Jones et al., "Efficient global optimization of expensive black-box functions", 1998, equation
    15; in logarithms as Ament et al., "Unexpected improvements to expected improvement", 2023.

    Args:
        mean: `[M]`, larger is better.
        deviation: `[M]`, positive.
        best: To improve on.
    """
    import numpy as np

    return np.asarray(np.log(deviation) + _log_excess((mean - best) / deviation))


def expected_excess(mean: Array, deviation: Array, limit: Array | float) -> Array:
    """Mean of what a normal number is above a limit; broadcasts."""
    import numpy as np

    return np.asarray(deviation * np.exp(_log_excess((mean - limit) / deviation)))


def hypervolume_improvement(
    means: Array, deviations: Array, front: Array, reference: tuple[float, float]
) -> Array:
    """Expected growth of the area that a front dominates, exactly.

    The area that is not dominated, in strips: of each point in it, the probability that the
    candidate dominates it is a product, so a strip is a product of two expected excesses (Emmerich
    et al., "The computation of the expected improvement in dominated hypervolume of Pareto front
    approximations", 2008, in the order of integration that makes it a sum over the front).

    Args:
        means: `[M, 2]`, larger is better in both.
        deviations: `[M, 2]`, positive.
        front: `[K, 2]`, none dominating another.
        reference: The least of both that counts.
    """
    import numpy as np

    front = front[(front > reference).all(axis=1)]
    front = front[np.argsort(front[:, 0])]
    starts = np.append(reference[0], front[:, 0])
    floors = np.append(front[:, 1], reference[1])
    beyond = expected_excess(means[:, :1], deviations[:, :1], starts)
    widths = beyond - np.concatenate([beyond[:, 1:], np.zeros((len(means), 1))], axis=1)
    heights = expected_excess(means[:, 1:], deviations[:, 1:], floors)
    area: Array = (np.maximum(widths, 0.0) * heights).sum(axis=1)
    return area


def growth_in(boxes: OpenBoxes, means: Array, deviations: Array) -> Array:
    """Expected growth of the volume that a front dominates, exactly, for any number of objectives.

    See ``hypervolume_improvement``: of a box too, it is a product over objectives.

    Args:
        boxes: What the front leaves open.
        means: `[M, N]`, larger is better in all.
        deviations: `[M, N]`, positive.
    """
    import numpy as np

    volumes: Array = np.ones((len(boxes.lows), len(means)))
    for place, edges in enumerate(boxes.edges):
        beyond = expected_excess(means[:, place], deviations[:, place], edges[:-1, None])
        beyond = np.vstack([beyond, np.zeros(len(means))])
        sides = beyond[boxes.lows[:, place]] - beyond[boxes.highs[:, place]]
        volumes *= np.maximum(sides, 0.0)
    grown: Array = volumes.sum(axis=0)
    return grown


def _log_excess(scores: Array) -> Array:
    """``log(density(z) + z * distribution(z))`` of a standard normal number."""
    import numpy as np

    log_density = -0.5 * scores**2 - 0.5 * np.log(2 * np.pi)
    sizes = np.abs(scores)
    ratio = _mills(sizes)
    below = log_density + np.log(np.maximum(1 - sizes * ratio, 1 / (1e4 + scores**2)))
    density = np.exp(np.maximum(log_density, -700.0))
    above = np.log(density + sizes * (1 - density * ratio))
    return np.asarray(np.where(scores > 0, above, below))


def _mills(scores: Array) -> Array:
    """The distribution at minus a score over the density there; scores are 0 or more."""
    import numpy as np

    place = scores / 2**0.5
    t = 1 / (1 + place / 2)
    polynomial = np.zeros_like(t)
    for coefficient in reversed(_ERFC):
        polynomial = polynomial * t + coefficient
    return np.asarray(0.5 * (2 * np.pi) ** 0.5 * t * np.exp(polynomial))
