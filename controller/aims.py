"""What a search by models is to improve: a reward, a reward that is worked out, or a front.

An aim holds a model of each figure that it needs, and scores candidates by what they are expected
to improve. Where evaluations err by a known amount (``noise``), the best is the point of the best
mean rather than the one that looked best once, and evaluating a point again is a candidate too:
scored is by how much one evaluation is expected to raise the best mean, with what other points
would learn from it left out (the knowledge gradient of Frazier, Powell and Dayanik, "The
knowledge-gradient policy for correlated normal beliefs", 2009, for independent ones).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from heapq import nlargest
from typing import TYPE_CHECKING, Protocol

from controller.algorithm import Evaluated, Goal, Skipped, Stopped
from controller.earlier import ACCURACY, LATENCY, REWARD, Known
from controller.expected_improvement import log_improvement
from controller.figure_model import FigureModel
from controller.reward import Reward
from search_space.decisions import Point

if TYPE_CHECKING:  # a tenth of a second to import
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Codes = NDArray[np.int64]

_PARENTS = 12
"""Points from which candidates are made, where there is no front."""

_NODES = (-2.856970013872806, -1.355626179974266, 0.0, 1.355626179974266, 2.856970013872806)
_SHARES = (
    0.011257411327721,
    0.222075922005613,
    0.533333333333333,
    0.222075922005613,
    0.011257411327721,
)
"""Of a normal number: where it is looked at, and how much that counts (Gauss-Hermite)."""


class Aim(Protocol):
    """Learns from outcomes, and says where to look next."""

    @property
    def models(self) -> Sequence[FigureModel]:
        """Of each figure; whoever asks for scores refreshes them before."""
        ...

    def check(self, outcome: Evaluated | Stopped) -> None:
        """Do nothing if the outcome has what is needed.

        Raises:
            ValueError: If not.
        """
        ...

    def learn(self, outcome: Evaluated | Stopped | Skipped) -> None:
        """Take in an outcome; what was stopped is never the best, however much is expected."""
        ...

    def inform(self, known: Known) -> None:
        """Take in what is known of a point that was not evaluated."""
        ...

    def worth(self, points: Sequence[Point]) -> list[float]:
        """How much points tell of where to look; larger is more."""
        ...

    def parents(self) -> list[Point]:
        """The best that are known."""
        ...

    def scores(self, codes: Codes) -> Array:
        """Of points `[M, D]` that were not evaluated; larger is better."""
        ...

    def again(self) -> Mapping[Point, float]:
        """Scores of evaluating points again; none where that tells nothing."""
        ...

    def best(self) -> Point:
        """What a search that ends now would choose."""
        ...


class _ByReward(ABC):
    """What aims at the largest reward have in common."""

    def __init__(self) -> None:
        self._rewards: dict[Point, float] = {}
        self._hearsay: dict[Point, float] = {}

    def inform(self, known: Known) -> None:
        """See ``Aim``; a reward, however it was found, says where it may be worth looking."""
        figure = known.figure(REWARD)
        if figure is not None:
            self._hearsay[known.point] = figure.value

    def worth(self, points: Sequence[Point]) -> list[float]:
        """See ``Aim``."""
        known = {**self._hearsay, **self._rewards}
        return [known.get(point, -1e9) for point in points]

    def parents(self) -> list[Point]:
        """See ``Aim``."""
        means = self._means()
        return nlargest(_PARENTS, means, key=means.__getitem__)

    def best(self) -> Point:
        """See ``Aim``."""
        means = self._means()
        return max(means, key=means.__getitem__)

    @abstractmethod
    def _means(self) -> Mapping[Point, float]:
        """The reward of each point that was evaluated, on average."""


class RewardAim(_ByReward):
    """The largest reward, of which nothing is known but its values; an ``Aim``.

    Args:
        noise: Standard deviation of a reward's error.
    """

    def __init__(self, noise: float) -> None:
        super().__init__()
        self._noise = noise
        self._model = FigureModel(noise)

    @property
    def models(self) -> Sequence[FigureModel]:
        """See ``Aim``."""
        return (self._model,)

    def check(self, outcome: Evaluated | Stopped) -> None:
        """See ``Aim``; every outcome has a reward."""

    def learn(self, outcome: Evaluated | Stopped | Skipped) -> None:
        """See ``Aim``; what was skipped is no better than the worst, nor than its bound."""
        point = outcome.proposal.point
        match outcome:
            case Evaluated(reward=reward):
                self._rewards[point] = reward
                self._model.learn(point, reward)
            case Stopped(reward=reward):
                self._model.learn(point, reward, deviation=_reward_deviation(outcome))
            case Skipped(bound=bound):
                self._model.learn(point, min([bound, *self._rewards.values()]))

    def inform(self, known: Known) -> None:
        """See ``Aim``."""
        super().inform(known)
        teach(self._model, known, REWARD)

    def scores(self, codes: Codes) -> Array:
        """See ``Aim``."""
        mean, deviation = self._model.at(codes)
        return log_improvement(mean, _told(deviation, self._noise), max(self._means().values()))

    def again(self) -> Mapping[Point, float]:
        """See ``Aim``."""
        return _again(_of(self._model.at_known(), self._rewards), self._noise)

    def _means(self) -> Mapping[Point, float]:
        if not self._noise:
            return self._rewards
        known = _of(self._model.at_known(), self._rewards)
        return {point: mean for point, (mean, _) in known.items()}


class KnownRewardAim(_ByReward):
    """The largest reward, worked out from accuracy and latency; an ``Aim``.

    Args:
        reward: Of both.
        noise: Standard deviation of an accuracy's error.
    """

    def __init__(self, reward: Reward, noise: float) -> None:
        super().__init__()
        self._noise = noise
        self._accuracy, self._latency = FigureModel(noise), FigureModel()
        self._reward = reward
        self._factors: dict[Point, float] = {}

    @property
    def models(self) -> Sequence[FigureModel]:
        """See ``Aim``."""
        return (self._accuracy, self._latency)

    def check(self, outcome: Evaluated | Stopped) -> None:
        """See ``Aim``."""
        _figures(outcome)

    def learn(self, outcome: Evaluated | Stopped | Skipped) -> None:
        """See ``Aim``; of what was skipped the latency."""
        point = outcome.proposal.point
        if isinstance(outcome, Skipped):
            self._latency.learn(point, -outcome.latency_ms)
            return
        accuracy, latency = _figures(outcome)
        deviation = outcome.deviation if isinstance(outcome, Stopped) else 0.0
        self._accuracy.learn(point, accuracy, deviation=deviation)
        self._latency.learn(point, latency)
        if isinstance(outcome, Evaluated):
            self._rewards[point] = outcome.reward
            self._factors[point] = self._reward.value(1.0, -latency)

    def inform(self, known: Known) -> None:
        """See ``Aim``."""
        super().inform(known)
        teach(self._accuracy, known, ACCURACY)
        teach(self._latency, known, LATENCY, turned=-1.0)

    def scores(self, codes: Codes) -> Array:
        """See ``Aim``; the mean over what the latency may be."""
        import numpy as np

        accuracy, unsure = self._accuracy.at(codes)
        latency, spread = self._latency.at(codes)
        unsure = _told(unsure, self._noise)
        best = max(self._means().values())
        logs = []
        for node, share in zip(_NODES, _SHARES, strict=True):
            at = np.maximum(-latency + node * spread, 1e-6 * self._reward.target_ms)
            factor = self._reward.factors(at)
            logs.append(np.log(share) + log_improvement(accuracy * factor, unsure * factor, best))
        return np.asarray(np.logaddexp.reduce(logs, axis=0))

    def again(self) -> Mapping[Point, float]:
        """See ``Aim``."""
        return _again(self._known(), self._noise, self._factors)

    def _means(self) -> Mapping[Point, float]:
        if not self._noise:
            return self._rewards
        return {point: mean for point, (mean, _) in self._known().items()}

    def _known(self) -> Mapping[Point, tuple[float, float]]:
        return {
            point: (mean * self._factors[point], deviation * self._factors[point])
            for point, (mean, deviation) in self._accuracy.at_known().items()
            if point in self._factors
        }


def _figures(outcome: Evaluated | Stopped) -> tuple[float, float]:
    """Accuracy and latency, turned so that larger is better.

    Raises:
        ValueError: If one is not there, or is better the other way.
    """
    found = {objective.name: objective for objective in outcome.objectives}
    if not {ACCURACY, LATENCY} <= found.keys():
        msg = f"the surrogate needs {ACCURACY} and {LATENCY}, got {outcome.objectives}"
        raise ValueError(msg)
    accuracy, latency = found[ACCURACY], found[LATENCY]
    if (accuracy.goal, latency.goal) != (Goal.MAXIMIZE, Goal.MINIMIZE):
        msg = f"accuracy is to be large and latency small, got {outcome.objectives}"
        raise ValueError(msg)
    return accuracy.value, -latency.value


def teach(model: FigureModel, known: Known, name: str, turned: float = 1.0) -> None:
    """Have a model learn a figure, if it is known, times ``turned``."""
    figure = known.figure(name)
    if figure is not None:
        model.learn(known.point, turned * figure.value, figure.fidelity)


def _reward_deviation(outcome: Stopped) -> float:
    """Of the error of its reward, which is taken to be in proportion to the accuracy."""
    found = {objective.name: objective.value for objective in outcome.objectives}
    return outcome.deviation * abs(outcome.reward) / max(found.get(ACCURACY, 1.0), 1e-3)


def _told(deviation: Array, noise: Array | float) -> Array:
    """Standard deviation of the mean that one evaluation will give."""
    import numpy as np

    return np.asarray(deviation**2 / np.hypot(deviation, noise))


def _of(
    known: Mapping[Point, tuple[float, float]], points: Mapping[Point, float]
) -> Mapping[Point, tuple[float, float]]:
    return {point: told for point, told in known.items() if point in points}


def _again(
    known: Mapping[Point, tuple[float, float]],
    noise: float,
    factors: Mapping[Point, float] | None = None,
) -> Mapping[Point, float]:
    """By how much evaluating each known point once more is expected to raise the best mean.

    Args:
        known: Means and standard deviations.
        noise: Of an evaluation, before ``factors``.
        factors: That means and deviations were multiplied by.
    """
    import numpy as np

    if not noise or len(known) < 2:
        return {}
    means = np.array([mean for mean, _ in known.values()])
    deviations = np.maximum([deviation for _, deviation in known.values()], 1e-12)
    second, first = np.partition(means, -2)[-2:]
    scale = np.array([factors[point] for point in known]) if factors else 1.0
    others = np.where(means == first, second, first)
    scores = log_improvement(-np.abs(means - others), _told(deviations, noise * scale), 0.0)
    return dict(zip(known, scores.tolist(), strict=True))
