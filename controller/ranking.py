"""How sure the order of a search's candidates is, given what training and timing leave open.

Candidates that were trained more than once (``controller.confirm``) tell how far two trainings of
one network differ. With that, what a network would give on average is a normal number: around the
mean of its trainings, drawn towards what networks of the search give at all, since the best of
many is lucky too (empirical Bayes; Efron and Morris, "Data analysis using Stein's estimator and
its generalizations", 1975). A latency is normal within its interval.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean
from typing import Self

from controller.algorithm import Evaluated
from controller.candidate import Candidate
from controller.finish import FrontMember
from controller.objectives import ObjectiveName
from controller.reward import SearchReward

LEAST_FREEDOM = 3
"""Trainings beyond the first of a network, over all, from which the noise is told."""

SURE = 0.9
"""Probability from which one candidate counts as better than another."""

_NO_NOISE = 1e-9
"""Up to which accuracies differ by rounding only."""

_DRAWS = 1000
_LATENCY_SCORE = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """A member of the front among the others.

    Attributes:
        index: Of its first trial.
        trainings: That its accuracy is the mean of.
        accuracy_low: Lower end of the 90 % interval of what it gives on average.
        accuracy_high: Upper end.
        best: Probability that no other member has a larger reward.
        tied: Whether the likeliest best is better with a probability below ``SURE`` only.
    """

    index: int
    trainings: int
    accuracy_low: float
    accuracy_high: float
    best: float
    tied: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranking:
    """Of the members of a front.

    Attributes:
        noise: Standard deviation of an accuracy among trainings of one network.
        freedom: Trainings beyond the first of a network, over all, that told it.
        members: The likeliest best first.
    """

    noise: float
    freedom: int
    members: tuple[Ranked, ...]

    @classmethod
    def of(
        cls, front: Sequence[FrontMember], candidates: Iterable[Candidate], reward: SearchReward
    ) -> Self | None:
        """Of a front; None where too few networks were trained again.

        Args:
            front: Its members.
            candidates: All of the search.
            reward: Of the search.
        """
        accuracies = trained(candidates)
        told = noise_of(accuracies.values())
        if told is None or not front:
            return None
        noise, freedom = told
        beliefs = _Beliefs.of(accuracies, noise)
        return cls(noise=noise, freedom=freedom, members=_ranked(front, beliefs, reward))

    @property
    def sentence(self) -> str:
        """For people."""
        first, *others = self.members
        ties = [str(one.index) for one in others if one.tied]
        told = (
            f"trainings of one network differ by {100 * self.noise:.2g} points; trial "
            f"{first.index} is the best of the front to {first.best:.0%}"
        )
        if not ties:
            return told
        return f"{told}, and not separated from trial{'s' * (len(ties) > 1)} {', '.join(ties)}"


def trained(candidates: Iterable[Candidate]) -> dict[str, list[float]]:
    """Accuracies of each network's own trainings, by its key."""
    found: dict[str, list[float]] = {}
    for candidate in candidates:
        if isinstance(candidate.outcome, Evaluated) and candidate.training is not None:
            own = found.setdefault(candidate.key, [])
            if candidate.same_as is None:
                own.append(candidate.training.accuracy)
    return {key: own for key, own in found.items() if own}


def noise_of(accuracies: Iterable[Sequence[float]]) -> tuple[float, int] | None:
    """Standard deviation among trainings of one network, and what told it.

    Args:
        accuracies: Of each network's trainings.

    Returns:
        Also the number of trainings beyond the first of a network; None if these are fewer than
        ``LEAST_FREEDOM``.
    """
    often = [own for own in accuracies if len(own) > 1]
    freedom = sum(len(own) - 1 for own in often)
    if freedom < LEAST_FREEDOM:
        return None
    squares = sum((one - fmean(own)) ** 2 for own in often for one in own)
    noise = math.sqrt(squares / freedom)
    return (noise if noise > _NO_NOISE else 0.0), freedom


@dataclass(frozen=True, slots=True, kw_only=True)
class _Beliefs:
    """What networks give on average, before and after their trainings.

    Attributes:
        middle: Mean over networks.
        spread: Standard deviation over networks of what they give on average.
        noise: Of a training.
        accuracies: Of each network's trainings.
    """

    middle: float
    spread: float
    noise: float
    accuracies: Mapping[str, Sequence[float]]

    @classmethod
    def of(cls, accuracies: Mapping[str, Sequence[float]], noise: float) -> Self:
        means = [fmean(own) for own in accuracies.values()]
        middle = fmean(means)
        whole = fmean((mean - middle) ** 2 for mean in means)
        errors = fmean(noise**2 / len(own) for own in accuracies.values())
        spread = math.sqrt(max(whole - errors, 0.01 * whole, 1e-12))
        return cls(middle=middle, spread=spread, noise=noise, accuracies=accuracies)

    def about(self, key: str) -> NormalDist:
        """What a network gives on average."""
        own = self.accuracies[key]
        if self.noise == 0:
            return NormalDist(fmean(own), _NO_NOISE)
        told, before = len(own) / self.noise**2, 1 / self.spread**2
        mean = (told * fmean(own) + before * self.middle) / (told + before)
        return NormalDist(mean, (told + before) ** -0.5)


def _ranked(
    front: Sequence[FrontMember], beliefs: _Beliefs, reward: SearchReward
) -> tuple[Ranked, ...]:
    rng = random.Random(0)
    draws: list[list[tuple[bool, float]]] = []
    about = [beliefs.about(member.candidate.key) for member in front]
    for member, accuracy in zip(front, about, strict=True):
        latency = member.latency
        told = {one.name: one.value for one in member.objectives}
        spread = (latency.high_ms - latency.low_ms) / (2 * _LATENCY_SCORE)
        own = []
        for _ in range(_DRAWS):
            drawn = min(max(rng.gauss(accuracy.mean, accuracy.stdev), 0.0), 1.0)
            time_ms = max(rng.gauss(latency.latency_ms, spread), 0.1 * latency.latency_ms)
            told[ObjectiveName.LATENCY] = time_ms
            own.append((time_ms <= reward.limit_ms, reward.rated(drawn, told)))
        draws.append(own)
    wins = [0] * len(front)
    for together in zip(*draws, strict=True):
        wins[max(range(len(front)), key=together.__getitem__)] += 1
    order = sorted(range(len(front)), key=lambda place: -wins[place])
    first = draws[order[0]]
    return tuple(
        Ranked(
            index=front[place].candidate.index,
            trainings=len(beliefs.accuracies[front[place].candidate.key]),
            accuracy_low=about[place].inv_cdf(0.05),
            accuracy_high=about[place].inv_cdf(0.95),
            best=wins[place] / _DRAWS,
            tied=place != order[0]
            and sum(a > b for a, b in zip(first, draws[place], strict=True)) < SURE * _DRAWS,
        )
        for place in order
    )
