"""One number for accuracy and latency together (MnasNet, arXiv 1807.11626, equations 1 to 3)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from workspace.errors import InputError

if TYPE_CHECKING:  # a tenth of a second to import
    import numpy as np
    from numpy.typing import NDArray


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
