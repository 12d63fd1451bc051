"""What a search by models is to improve where each device of a fleet will have its own network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

from controller.aims import KnownRewardAim
from controller.algorithm import Evaluated, Objective, Skipped, Stopped
from controller.candidate import objective_of
from controller.earlier import ACCURACY, LATENCY, Known
from controller.figure_model import FigureModel
from controller.reward import Reward
from search_space.decisions import Point

if TYPE_CHECKING:  # a tenth of a second to import
    from controller.aims import Array, Codes


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceAim:
    """What one device of a fleet wants.

    Attributes:
        reward: Of accuracy and its own latency.
        weight: Among all devices.
    """

    reward: Reward
    weight: float = 1.0


class EachAim:
    """The weighted mean over devices of each one's largest reward; an ``Aim``.

    What one candidate is expected to improve that by is the weighted mean of what it is expected
    to improve each device's largest reward by, since expectations add up. So the search goes where
    any device gains, and not to what is a compromise of all.

    Args:
        devices: By name, as the objectives of outcomes have it.
        noise: Standard deviation of an accuracy's error.
    """

    def __init__(self, devices: Mapping[str, DeviceAim], noise: float) -> None:
        whole = math.fsum(device.weight for device in devices.values())
        self._devices = dict(devices)
        self._shares = {name: device.weight / whole for name, device in devices.items()}
        self._aims = {
            name: KnownRewardAim(device.reward, noise) for name, device in devices.items()
        }
        self._rewards: dict[Point, float] = {}

    @property
    def models(self) -> Sequence[FigureModel]:
        """See ``Aim``: accuracy and latency, as each device's aim has them."""
        return [model for aim in self._aims.values() for model in aim.models]

    def check(self, outcome: Evaluated | Stopped) -> None:
        """See ``Aim``."""
        for name in self._aims:
            self._seen_by(name, outcome)

    def learn(self, outcome: Evaluated | Stopped | Skipped) -> None:
        """See ``Aim``; what was skipped tells nothing of single devices."""
        if isinstance(outcome, Skipped):
            return
        if isinstance(outcome, Evaluated):
            self._rewards[outcome.proposal.point] = outcome.reward
        for name, aim in self._aims.items():
            aim.learn(self._seen_by(name, outcome))

    def inform(self, known: Known) -> None:
        """See ``Aim``; the accuracy, since a load tells nothing of single devices."""
        told = tuple(figure for figure in known.figures if figure.name == ACCURACY)
        for aim in self._aims.values():
            aim.inform(replace(known, figures=told))

    def worth(self, points: Sequence[Point]) -> list[float]:
        """See ``Aim``: what a point is worth to the device that it is worth most to."""
        told = (aim.worth(points) for aim in self._aims.values())
        return [max(each) for each in zip(*told, strict=True)]

    def parents(self) -> list[Point]:
        """See ``Aim``: those of all devices."""
        return list(dict.fromkeys(chain(*(aim.parents() for aim in self._aims.values()))))

    def scores(self, codes: Codes) -> Array:
        """See ``Aim``."""
        import numpy as np

        logs = [
            math.log(self._shares[name]) + aim.scores(codes) for name, aim in self._aims.items()
        ]
        return np.asarray(np.logaddexp.reduce(logs, axis=0))

    def again(self) -> Mapping[Point, float]:
        """See ``Aim``."""
        import numpy as np

        told = {name: aim.again() for name, aim in self._aims.items()}
        common = set[Point].intersection(*(set(own) for own in told.values()))
        return {
            point: float(
                np.logaddexp.reduce(
                    [math.log(self._shares[name]) + own[point] for name, own in told.items()]
                )
            )
            for point in next(iter(told.values()))
            if point in common
        }

    def best(self) -> Point:
        """See ``Aim``: of one network for all."""
        return max(self._rewards, key=self._rewards.__getitem__)

    def _seen_by(self, name: str, outcome: Evaluated | Stopped) -> Evaluated | Stopped:
        """The outcome of a search on one device.

        Raises:
            ValueError: If it does not tell that device's latency.
        """
        found = {objective.name: objective for objective in outcome.objectives}
        own = found.get(objective_of(name))
        if own is None:
            msg = f"the latency on {name} is needed, got {outcome.objectives}"
            raise ValueError(msg)
        accuracy = found[ACCURACY]
        return replace(
            outcome,
            objectives=(accuracy, Objective(name=LATENCY, value=own.value, goal=own.goal)),
            reward=self._devices[name].reward.value(accuracy.value, own.value),
        )
