"""Intervals of what is worked out from a few trainings and a few latency sessions.

Two things move a figure: how a training happens to end, and how the sessions of a latency happen
to be. The bootstrap draws both anew, for every network at once:

* The mean accuracy of a network moves by a normal number. With two or three trainings of each
  its own spread tells nothing, so the variance is pooled over all networks, and how well that many
  trainings can tell it is drawn too (a scaled inverse chi-square; Gelman et al., "Bayesian Data
  Analysis", 3rd edition, section 3.2).
* The latency is the median of its sessions, drawn from them with repetition (Efron 1979).

It says nothing about other images than those of the test split, which are the same for all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean, median, stdev
from typing import TYPE_CHECKING

from benchmarks.comparison.fronts import Place

if TYPE_CHECKING:  # a tenth of a second to import
    import numpy as np

CONFIDENCE = 0.95
DRAWS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What was found of a network.

    Attributes:
        accuracies: One a training, in `[0, 1]`.
        sessions_ms: Of its latency.
    """

    accuracies: tuple[float, ...]
    sessions_ms: tuple[float, ...]

    @property
    def place(self) -> Place:
        """Mean accuracy and median latency."""
        return Place(accuracy=fmean(self.accuracies), latency_ms=median(self.sessions_ms))


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """How far trainings of one network differ.

    Attributes:
        deviation: Standard deviation of an accuracy.
        freedom: Trainings beyond the first of a network, over all, that told it.
    """

    deviation: float
    freedom: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A figure and its interval.

    Attributes:
        value: Of what was found.
        low: Lower end.
        high: Upper end.
    """

    value: float
    low: float
    high: float

    def above(self, neutral: float) -> str:
        """``above`` or ``below`` if the interval excludes a value, else ``not separated``.

        >>> Estimate(value=1.2, low=1.1, high=1.3).above(1.0)
        'above'
        """
        if self.low > neutral:
            return "above"
        return "below" if self.high < neutral else "not separated"


def pooled_noise(accuracies: Sequence[Sequence[float]]) -> Noise:
    """From the trainings of all networks together.

    Raises:
        ValueError: If no network was trained twice.
    """
    freedom = sum(len(own) - 1 for own in accuracies)
    if freedom < 1:
        msg = "how far trainings differ needs a network that was trained twice, got none"
        raise ValueError(msg)
    squares = sum((one - fmean(own)) ** 2 for own in accuracies for one in own)
    return Noise(deviation=math.sqrt(squares / freedom), freedom=freedom)


def estimates(
    networks: Mapping[str, Network],
    figures: Callable[[Mapping[str, Place]], Mapping[str, float]],
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Figures of the places of networks, each with its 95 % interval.

    Args:
        networks: By name; at least one trained twice.
        figures: By name, always the same names, of the networks' places by name.
        draws: Of the bootstrap.
        seed: Of the bootstrap.

    Raises:
        ValueError: If no network was trained twice.
    """
    import numpy as np

    found = figures({name: network.place for name, network in networks.items()})
    drawn = [figures(places) for places in _drawn(networks, draws, np.random.default_rng(seed))]
    ends = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    made = {}
    for name, value in found.items():
        low, high = np.quantile([one[name] for one in drawn], ends)
        made[name] = Estimate(value=value, low=float(low), high=float(high))
    return made


def paired_difference(accuracies: Sequence[float], others: Sequence[float]) -> Estimate:
    """Of two networks trained with the same seeds: the mean difference (Student's t).

    Args:
        accuracies: One a seed, two or more.
        others: With the same seeds.

    Raises:
        ValueError: If they are not equally many, or fewer than two.
    """
    differences = [a - b for a, b in zip(accuracies, others, strict=True)]
    if len(differences) < 2:
        msg = f"a paired difference needs two seeds, got {len(differences)}"
        raise ValueError(msg)
    reach = student_t(len(differences) - 1) * stdev(differences) / math.sqrt(len(differences))
    value = fmean(differences)
    return Estimate(value=value, low=value - reach, high=value + reach)


def student_t(freedom: int) -> float:
    """The factor of a 95 % interval of a mean, to 0.3 % from four degrees of freedom on.

    Abramowitz and Stegun, Handbook of Mathematical Functions, equation 26.7.5; below that, as
    tables print it.

    Raises:
        ValueError: If ``freedom`` is below 1.
    """
    if freedom < 1:
        msg = f"an interval needs at least 1 degree of freedom, got {freedom}"
        raise ValueError(msg)
    if freedom <= len(_FEW):
        return _FEW[freedom - 1]
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3


_FEW = (12.706, 4.303, 3.182)


def _drawn(
    networks: Mapping[str, Network], draws: int, rng: np.random.Generator
) -> Iterator[dict[str, Place]]:
    """Places as they might have been found too."""
    import numpy as np

    noise = pooled_noise([network.accuracies for network in networks.values()])
    sessions = {name: np.array(network.sessions_ms) for name, network in networks.items()}
    for _ in range(draws):
        spread = noise.deviation * math.sqrt(noise.freedom / rng.chisquare(noise.freedom))
        places = {}
        for name, network in networks.items():
            own = sessions[name]
            moved = rng.normal(0.0, spread / math.sqrt(len(network.accuracies)))
            places[name] = Place(
                accuracy=fmean(network.accuracies) + moved,
                latency_ms=float(np.median(rng.choice(own, len(own)))),
            )
        yield places
