"""One number for all that a network is worth: its accuracy, and what it costs.

A cost is a latency (MnasNet, arXiv 1807.11626, equations 1 to 3), multiply-adds (EfficientNet,
arXiv 1905.11946, section 4), or the time of a training step and the parameters (EfficientNetV2,
arXiv 2104.00298, section 3.2).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, assert_never

from workspace.errors import InputError

if TYPE_CHECKING:  # a tenth of a second to import
    import numpy as np
    from numpy.typing import NDArray


class RewardName(StrEnum):
    """Rewards as the command line names them."""

    SOFT = "soft"
    HARD = "hard"
    MACS = "macs"
    TRAINING_AWARE = "training-aware"


LATENCY = "latency_ms"
"""What a reward of latency is of, by its name among objectives."""


class RewardMode(StrEnum):
    """What a latency beyond the target costs, and one below it earns (MnasNet, figure 3)."""

    SOFT = "soft"
    HARD = "hard"


_EXPONENTS = {RewardMode.SOFT: (-0.07, -0.07), RewardMode.HARD: (0.0, -1.0)}
"""Alpha and beta of each mode (MnasNet, section 3 and figure 3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reward:
    """``accuracy * (latency / target) ** w``, w being alpha up to the target and beta beyond.

    Soft: doubling the latency is worth about 5 % of the accuracy, on both sides of the target
    (1.05 * 2 ** -0.0704 = 1; the paper rounds to -0.07). Hard: the target is a limit.

    >>> round(Reward(mode=RewardMode.SOFT, target_ms=80.0).value(0.5, 160.0), 6)
    0.476319

    Attributes:
        mode: Gives the exponents that are not given.
        target_ms: Latency that is aimed at; positive and finite.
        alpha: Exponent up to the target, at most 0; None for the mode's.
        beta: Exponent beyond the target, at most 0; None for the mode's.
    """

    mode: RewardMode
    target_ms: float
    alpha: float | None = None
    beta: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.target_ms) and self.target_ms > 0):
            msg = f"the target must be a positive number of milliseconds, got {self.target_ms!r}"
            raise InputError(msg)
        for name, value in (("alpha", self.alpha), ("beta", self.beta)):
            if value is not None and not (math.isfinite(value) and value <= 0):
                msg = f"exponent {name} of the reward must be finite and at most 0, got {value!r}"
                raise InputError(msg)

    @property
    def weighs(self) -> tuple[str, ...]:
        """Names of what it is of beside the accuracy, as objectives have them."""
        return (LATENCY,)

    @property
    def limit_ms(self) -> float:
        """A latency beyond which a network comes after all within it; there may be none."""
        return self.target_ms if self.mode is RewardMode.HARD else math.inf

    def rated(self, accuracy: float, told: Mapping[str, float]) -> float:
        """``value`` by what is told of a network, by names of objectives."""
        return self.value(accuracy, told[LATENCY])

    @property
    def exponents(self) -> tuple[float, float]:
        """Alpha and beta, as given or else the mode's."""
        alpha, beta = _EXPONENTS[self.mode]
        return (
            alpha if self.alpha is None else self.alpha,
            beta if self.beta is None else self.beta,
        )

    def value(self, accuracy: float, latency_ms: float) -> float:
        """The reward of a network; larger is better.

        Raises:
            ValueError: If ``accuracy`` is outside `[0, 1]` or ``latency_ms`` is not positive and
                finite.
        """
        if not 0 <= accuracy <= 1:
            msg = f"accuracy must be in [0, 1], got {accuracy!r}"
            raise ValueError(msg)
        if not (math.isfinite(latency_ms) and latency_ms > 0):
            msg = f"latency must be a positive number of milliseconds, got {latency_ms!r}"
            raise ValueError(msg)
        alpha, beta = self.exponents
        exponent = alpha if latency_ms <= self.target_ms else beta
        return float(accuracy * (latency_ms / self.target_ms) ** exponent)

    def factors(self, latencies_ms: NDArray[np.float64]) -> NDArray[np.float64]:
        """What accuracies are multiplied by; `[N]` of `[N]`, all positive."""
        import numpy as np

        alpha, beta = self.exponents
        relative = latencies_ms / self.target_ms
        return np.asarray(relative ** np.where(relative <= 1, alpha, beta))

    def upper_bound(self, latency_ms: float) -> float:
        """What no network of this latency can exceed: the reward at accuracy 1."""
        return self.value(1.0, latency_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """``(figure / reference) ** exponent``.

    Attributes:
        figure: Name of an objective.
        reference: At which it is 1; positive and finite.
        exponent: At most 0: less is better.
    """

    figure: str
    reference: float
    exponent: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.reference) and self.reference > 0):
            msg = f"the target of {self.figure} must be a positive number, got {self.reference!r}"
            raise InputError(msg)
        if not (math.isfinite(self.exponent) and self.exponent <= 0):
            msg = f"the exponent of {self.figure} must be at most 0, got {self.exponent!r}"
            raise InputError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureReward:
    """The accuracy times a factor for each figure; none of them is a latency.

    >>> b0 = macs_reward(400e6)
    >>> round(b0.rated(0.5, {"macs": 800e6}), 6)
    0.476319

    Attributes:
        factors: One or more.
    """

    factors: tuple[Factor, ...]

    @property
    def weighs(self) -> tuple[str, ...]:
        """See ``Reward.weighs``."""
        return tuple(factor.figure for factor in self.factors)

    @property
    def target_ms(self) -> None:
        """It has no latency to aim at."""
        return

    @property
    def limit_ms(self) -> float:
        """See ``Reward.limit_ms``."""
        return math.inf

    def rated(self, accuracy: float, told: Mapping[str, float]) -> float:
        """The reward of a network; larger is better.

        Args:
            accuracy: In `[0, 1]`.
            told: Of the network, by names of objectives.

        Raises:
            ValueError: If ``accuracy`` is outside, or a figure is missing, or not positive and
                finite.
        """
        if not 0 <= accuracy <= 1:
            msg = f"accuracy must be in [0, 1], got {accuracy!r}"
            raise ValueError(msg)
        worth = float(accuracy)
        for factor in self.factors:
            figure = told.get(factor.figure, math.nan)
            if not (math.isfinite(figure) and figure > 0):
                msg = f"{factor.figure} must be a positive number, got {figure!r}"
                raise ValueError(msg)
            worth *= (figure / factor.reference) ** factor.exponent
        return worth


SearchReward = Reward | FigureReward
"""What a search may go by."""


def macs_reward(target: float, exponent: float = -0.07) -> FigureReward:
    """EfficientNet's: ``accuracy * (multiply-adds / target) ** exponent``.

    Args:
        target: Multiply-adds of one image; the paper's is 400 million.
        exponent: The paper's by default.

    Raises:
        InputError: If the target is not positive and finite, or the exponent is above 0.
    """
    return FigureReward(factors=(Factor(figure="macs", reference=target, exponent=exponent),))


def training_aware_reward(step: float = -0.07, params: float = -0.05) -> FigureReward:
    """EfficientNetV2's: ``accuracy * S ** step * P ** params``.

    S is the time of a training step in milliseconds, P the parameters in millions; what they are
    counted in multiplies all rewards of a search by one number.

    Args:
        step: Exponent, the paper's by default.
        params: Likewise.

    Raises:
        InputError: If an exponent is above 0.
    """
    return FigureReward(
        factors=(
            Factor(figure="train_step_ms", reference=1.0, exponent=step),
            Factor(figure="params", reference=1e6, exponent=params),
        )
    )


def create(
    name: str, *, target_ms: float | None = None, target_macs: float | None = None
) -> SearchReward:
    """The reward called ``name``.

    Args:
        name: One of ``RewardName``.
        target_ms: Latency that is aimed at, for those of latency.
        target_macs: Multiply-adds that are aimed at, for ``macs``.

    Raises:
        InputError: If there is no such reward, or it lacks its target.
    """
    try:
        known = RewardName(name)
    except ValueError:
        msg = f"unknown reward {name!r}; there are {', '.join(RewardName)}"
        raise InputError(msg) from None
    match known:
        case RewardName.SOFT | RewardName.HARD:
            if target_ms is None:
                msg = f"reward {name} needs the latency that is aimed at"
                raise InputError(msg)
            return Reward(mode=RewardMode(known.value), target_ms=target_ms)
        case RewardName.MACS:
            if target_macs is None:
                msg = "reward macs needs the multiply-adds that are aimed at"
                raise InputError(msg)
            return macs_reward(target_macs)
        case RewardName.TRAINING_AWARE:
            return training_aware_reward()
    assert_never(known)
