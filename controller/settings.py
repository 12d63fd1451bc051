"""The settings of every search algorithm: one frozen class each, free of torch and Optuna.

``named`` makes them from what the command line gives. A default that a paper or a library set
names it; one that departs from it says why.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum

from search_space.guidance import Threshold
from workspace import plugin
from workspace.errors import InputError


class AlgorithmName(StrEnum):
    """Algorithms that ship with the project, as the command line names them."""

    RANDOM = "random"
    PPO = "ppo"
    EVOLUTION = "evolution"
    GUIDED = "guided"
    NSGA2 = "nsga2"
    TPE = "tpe"
    SURROGATE = "surrogate"


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomSettings:
    """Random search: nothing to set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvolutionSettings:
    """Regularized evolution (Real et al. 2019, arXiv 1802.01548).

    Attributes:
        population: P, how many of the youngest outcomes may be parents. The paper has 100 for
            20,000 models; 20 here, since a search on a phone has some hundred.
        tournament: S, how many are drawn, of which the best is the parent. A quarter of P, as in
            the paper (25 of 100).
    """

    population: int = 20
    tournament: int = 5

    def __post_init__(self) -> None:
        _check_tournament("evolution", self.tournament, self.population)


class Ablation(StrEnum):
    """What is taken away from guided evolution, to find out what it is worth."""

    NONE = "none"
    """The method."""
    SHUFFLED_WEIGHTS = "shuffled-weights"
    """A parent's weights go to its connections at random, so that they say nothing of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuidedSettings:
    """Evolution guided by learned connection weights (AssembleNet, Ryoo et al., ICLR 2020).

    Attributes:
        population: How many of the youngest outcomes may be parents. Of the paper's set of
            parents nothing is known but that it is one; this is plain evolution's here, so that
            the two differ in their mutation alone.
        tournament: How many are drawn, of which the best is the parent. That there are
            tournaments is known from memory only; as plain evolution's here.
        threshold: B: a connection stays if its weight is larger. 0.5 in the one port that there
            is. ``drawn`` for each connection from [0, 1), so that it stays with a chance as large
            as its weight, which the paper is said to allow. After short trainings weights are
            near 0.5, where they start: the constant tells those that rose from those that fell,
            the other hardly does.
        ablation: ``none``, or ``shuffled-weights``, which is not the method, to compare it with.
    """

    population: int = 20
    tournament: int = 5
    threshold: Threshold = field(default=Threshold(value=0.5))
    ablation: Ablation = Ablation.NONE

    def __post_init__(self) -> None:
        _check_tournament("guided", self.tournament, self.population)


@dataclass(frozen=True, slots=True, kw_only=True)
class PpoSettings:
    """PPO with an LSTM policy (MnasNet, section 4.2; NASNet, arXiv 1707.07012, appendix A.2).

    Attributes:
        hidden: Units of the one LSTM layer (NASNet: 100).
        init: The weights start uniform in `[-init, init]` (NASNet: 0.1).
        minibatch: Outcomes an update (NASNet: 20).
        learning_rate: Of Adam. A departure: NASNet has 0.00035 for 20,000 samples, with which 500
            evaluations beat random search in 18 of 20 seeds of ``benchmarks/search_analytic.py``;
            with ten times that it is 20 of 20, by four times the margin in the mean.
        entropy: Weight of the entropy in the loss (NASNet: 0.00001).
        baseline_decay: Weight of the past in the moving average of rewards (NASNet: 0.95).
        epochs: Passes over a minibatch. Not published.
        clip: Largest change of a probability ratio that is rewarded (PPO, arXiv 1707.06347,
            section 6.1: 0.2).
    """

    hidden: int = 100
    init: float = 0.1
    minibatch: int = 20
    learning_rate: float = 0.0035
    entropy: float = 0.00001
    baseline_decay: float = 0.95
    epochs: int = 5
    clip: float = 0.2

    def __post_init__(self) -> None:
        for name in ("hidden", "minibatch", "epochs"):
            _check(getattr(self, name) >= 1, self, "ppo", name, "at least 1")
        for name in ("init", "learning_rate", "clip"):
            _check(getattr(self, name) > 0, self, "ppo", name, "positive")
        _check(self.entropy >= 0, self, "ppo", "entropy", "at least 0")
        _check(0 <= self.baseline_decay < 1, self, "ppo", "baseline_decay", "in [0, 1)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Nsga2Settings:
    """NSGA-II (Deb et al. 2002).

    Attributes:
        population: Networks that may be parents, at least 2. The paper has 100 for 25,000
            evaluations; 20 here, since a search on a phone has some hundred.
        objectives: How many of an outcome's objectives it weighs, from the first on: 2 are
            accuracy and latency, unless the search names others.
    """

    population: int = 20
    objectives: int = 2

    def __post_init__(self) -> None:
        _check(self.population >= 2, self, "nsga2", "population", "at least 2")
        _check(self.objectives >= 1, self, "nsga2", "objectives", "at least 1")


TPE_GOOD = 25
"""The most outcomes that Optuna's TPE takes for good ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TpeSettings:
    """Tree-structured Parzen estimator (Bergstra et al. 2011), Optuna's.

    Attributes:
        startup: Outcomes before the first proposal that is not random (Optuna: 10).
        candidates: Draws of which the most promising is proposed (Optuna: 24).
        memory: Outcomes that are kept whenever twice as many have come: the 25 best, which are
            the most that Optuna takes for good ones, and the latest others. A proposal costs time
            in proportion to what is remembered.
    """

    startup: int = 10
    candidates: int = 24
    memory: int = 300

    def __post_init__(self) -> None:
        _check(self.startup >= 1, self, "tpe", "startup", "at least 1")
        _check(self.candidates >= 1, self, "tpe", "candidates", "at least 1")
        fewest = max(TPE_GOOD, self.startup)
        _check(self.memory > fewest, self, "tpe", "memory", f"more than {fewest}")


@dataclass(frozen=True, slots=True, kw_only=True)
class SurrogateSettings:
    """Search by a model of what candidates give (Bayesian optimization).

    Attributes:
        startup: Evaluated outcomes before the first proposal that comes from the model.
        objectives: What is to improve: 1 is the reward, more are the volume under the front of
            so many of an outcome's objectives, from the first on: 2 are accuracy and latency,
            unless the search names others.
        noise: Standard deviation of the error of an accuracy (where the reward is not known, of a
            reward), as repeated trainings of one network show it. With it a point may be
            evaluated more than once, and is not judged by its luckiest time.
    """

    startup: int = 10
    objectives: int = 1
    noise: float = 0.0

    def __post_init__(self) -> None:
        _check(self.noise >= 0, self, "surrogate", "noise", "at least 0")
        _check(self.startup >= 2, self, "surrogate", "startup", "at least 2")
        _check(self.objectives >= 1, self, "surrogate", "objectives", "at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class UserSettings:
    """An algorithm of yours.

    Attributes:
        reference: ``package.module:NAME`` of a callable that takes a ``PointSpace``, a seed and
            ``options``, and returns a ``SearchAlgorithm``.
        options: Passed on as they are.
    """

    reference: str
    options: Mapping[str, str] = field(default_factory=dict, hash=False)


OwnSettings = (
    RandomSettings
    | PpoSettings
    | EvolutionSettings
    | GuidedSettings
    | Nsga2Settings
    | TpeSettings
    | SurrogateSettings
)
AlgorithmSettings = OwnSettings | UserSettings

_CLASSES: Mapping[AlgorithmName, type[OwnSettings]] = {
    AlgorithmName.RANDOM: RandomSettings,
    AlgorithmName.PPO: PpoSettings,
    AlgorithmName.EVOLUTION: EvolutionSettings,
    AlgorithmName.GUIDED: GuidedSettings,
    AlgorithmName.NSGA2: Nsga2Settings,
    AlgorithmName.TPE: TpeSettings,
    AlgorithmName.SURROGATE: SurrogateSettings,
}


def named(name: str, options: Mapping[str, str]) -> AlgorithmSettings:
    """Settings from text, or of the user's own algorithm at ``package.module:NAME``.

    >>> named("evolution", {"population": "12", "tournament": "3"})
    EvolutionSettings(population=12, tournament=3)

    Args:
        name: One of ``AlgorithmName``, or a reference.
        options: Attributes of its settings class, each as text.

    Raises:
        InputError: If there is no such algorithm or option, or a value does not fit.
    """
    if plugin.is_reference(name):
        return UserSettings(reference=name, options=dict(options))
    try:
        known = AlgorithmName(name)
    except ValueError:
        msg = (
            f"unknown algorithm {name!r}; there are {', '.join(AlgorithmName)}, "
            "and package.module:NAME for one of yours"
        )
        raise InputError(msg) from None
    kind = _CLASSES[known]
    defaults = {item.name: item.default for item in fields(kind)}
    make: Callable[..., OwnSettings] = kind
    return make(**{key: _parsed(known, defaults, key, text) for key, text in options.items()})


_Value = int | float | Threshold | Ablation


def _parsed(name: AlgorithmName, defaults: Mapping[str, object], option: str, text: str) -> _Value:
    """The value of one option, of the type of its default."""
    if option not in defaults:
        known = ", ".join(f"{key}={value}" for key, value in defaults.items()) or "none"
        msg = f"algorithm {name} has no option {option!r}; its options and defaults are: {known}"
        raise InputError(msg)
    read, kind = _reader(defaults[option])
    try:
        return read(text)
    except ValueError:
        msg = f"option {option} of algorithm {name} must be {kind}, got {text!r}"
        raise InputError(msg) from None


def _reader(default: object) -> tuple[Callable[[str], _Value], str]:
    """What reads a value of the type of ``default``, and what it has to be."""
    match default:
        case Threshold():
            return Threshold.parse, "a number in [0, 1], or drawn"
        case Ablation():
            return Ablation, f"one of {', '.join(Ablation)}"
        case int():
            return int, "a whole number"
    return _finite, "a finite number"


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


def _check_tournament(name: str, tournament: int, population: int) -> None:
    if not 1 <= tournament <= population:
        msg = (
            f"{name} needs a tournament of at least 1 and at most its population, got "
            f"tournament {tournament} and population {population}"
        )
        raise InputError(msg)


def _check(holds: bool, settings: object, name: str, option: str, range_: str) -> None:  # noqa: FBT001
    if not holds:
        value = getattr(settings, option)
        msg = f"option {option} of algorithm {name} must be {range_}, got {value!r}"
        raise InputError(msg)
