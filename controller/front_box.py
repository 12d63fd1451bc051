"""The box that the hypervolume of a search's front is a share of, the same however far it is."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

from controller.objectives import Names, ObjectiveName
from controller.pareto import FrontPoint, hypervolume

_WORDS = {
    ObjectiveName.LATENCY: "{:g} ms",
    ObjectiveName.PARAMS: "{:,.0f} parameters",
    ObjectiveName.MACS: "{:,.0f} multiply-adds",
    ObjectiveName.SIZE_MB: "{:.4g} MB of weights",
    ObjectiveName.ACTIVATION_MB: "{:.4g} MB of activations",
    ObjectiveName.PEAK_MEMORY_MB: "{:.4g} MB at the peak",
    ObjectiveName.ENERGY_MJ: "{:.4g} mJ",
    ObjectiveName.TRAIN_STEP_MS: "{:.4g} ms a training step",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontBox:
    """From no accuracy, at the worst of everything else, to all of it for nothing.

    Attributes:
        names: Objectives.
        worst: Loss of each (accuracies are negative): no accuracy, twice the target, and of what
            has no target the most that an evaluated candidate has, so that what is a share of this
            box can be compared within a search only.
        has_target: Whether there is a target for the latency.
    """

    names: Names
    worst: tuple[float, ...]
    has_target: bool = True

    @classmethod
    def of(cls, names: Names, target_ms: float | None) -> Self:
        """Before anything was evaluated.

        Args:
            names: Objectives.
            target_ms: Of the search; None where its reward has none.
        """
        fixed = {ObjectiveName.ACCURACY: 0.0}
        if target_ms is not None:
            fixed[ObjectiveName.LATENCY] = 2 * target_ms
        worst = tuple(fixed.get(name, 0.0) for name in names)
        return cls(names=names, worst=worst, has_target=target_ms is not None)

    def with_losses(self, losses: Iterable[float]) -> Self:
        """The box when one more was evaluated that has these."""
        grown = (
            max(before, loss) if self._grows(name) else before
            for name, before, loss in zip(self.names, self.worst, losses, strict=True)
        )
        return replace(self, worst=tuple(grown))

    def share(self, front: Iterable[FrontPoint]) -> float:
        """Of the box that ``front`` dominates, in `[0, 1]`; 0 of an empty one."""
        sides = (
            worst + (name is ObjectiveName.ACCURACY)
            for name, worst in zip(self.names, self.worst, strict=True)
        )
        volume = math.prod(sides)
        return hypervolume(front, self.worst) / volume if volume > 0 else 0.0

    def text(self, *, load: bool = False, metric: str = ObjectiveName.ACCURACY) -> str:
        """For people.

        Args:
            load: Whether latencies are loads of a fleet, which have no unit.
            metric: What the accuracy is called.
        """
        words = {**_WORDS, ObjectiveName.LATENCY: "load {:g}"} if load else _WORDS
        worst = dict(zip(self.names, self.worst, strict=True))
        fixed = [name for name in (ObjectiveName.LATENCY,) if name in worst and self.has_target]
        grown = [name for name in self.names if self._grows(name)]
        if not fixed + grown:
            return f"the range from {metric} 0 to {metric} 1"
        most = " and ".join(words[name].format(worst[name]) for name in fixed + grown)
        least = " and ".join(words[name].format(0.0) for name in fixed + grown)
        if grown:
            most += f" ({'each ' if len(grown) > 1 else ''}the most of any trial)"
        return f"the box from {metric} 0 at {most} to {metric} 1 at {least}"

    def _grows(self, name: ObjectiveName) -> bool:
        if name is ObjectiveName.LATENCY:
            return not self.has_target
        return name is not ObjectiveName.ACCURACY
