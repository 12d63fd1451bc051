"""How far a network may be scaled until it costs what it may."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from search_space.architecture import Architecture
from search_space.memory import TooLargeError
from search_space.scaling import PHI_LIMIT, Factors, ScalingRule, TableRule
from workspace.errors import InputError

NEAR = 0.99
"""Share of the target that is near enough."""

STEPS = 16
"""Networks whose cost is asked for at most."""

_FINEST = 0.01
"""Between two compound coefficients."""

Network = TypeVar("Network", bound=Architecture)
Cost = Callable[[Network], float]
Scaled = Callable[[Factors], Network]


class Limit(StrEnum):
    """What kept a network from being larger."""

    TARGET = "target"
    """A larger one would cost more than it may."""
    MEMORY = "memory"
    """A larger one does not fit this computer's memory."""
    RULE = "rule"
    """The rule has no larger one."""
    SOURCE = "source"
    """Nothing tells what a larger one costs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AtTarget(Generic[Network]):
    """The largest network found that keeps a target.

    Attributes:
        phi: Its compound coefficient.
        network: It.
        cost: What it costs; at most the target.
        asked: How many networks were asked about.
        limit: What kept it from being larger.
    """

    phi: float
    network: Network
    cost: float
    asked: int
    limit: Limit


def to_target(
    rule: ScalingRule, scaled: Scaled[Network], cost: Cost[Network], target: float
) -> AtTarget[Network]:
    """The largest coefficient whose network costs no more than ``target``.

    It is found between one that does and one that does not, where a line through the logarithms
    of both costs meets the target; that costs grow with the coefficient is taken for granted.
    Where there is no such network as the line asks for, halves lead up to the last that there is.
    The few percent by which two measurements of one network differ are those of the answer too.

    Args:
        rule: Of how much deeper, wider and finer.
        scaled: The network of some factors; its ``InputError`` says that there is none.
        cost: Of a network, e.g. milliseconds; above 0.
        target: In the same unit.

    Raises:
        InputError: If no network of the rule costs so little; the text has the least.
    """
    costs = _Costs(rule, scaled, cost, target)
    find = _of_table if isinstance(rule, TableRule) else _of_powers
    place, limit = find(costs)
    return AtTarget(
        phi=place.phi,
        network=place.network,
        cost=place.cost,
        asked=costs.asked,
        limit=Limit.TARGET if place.cost >= NEAR * target else limit,
    )


@dataclass(frozen=True, slots=True)
class _Place(Generic[Network]):
    """A network and what it costs."""

    phi: float
    network: Network
    cost: float

    @property
    def limit(self) -> Limit:
        """Of a smaller one, where this one costs too much."""
        return Limit.TARGET


@dataclass(frozen=True, slots=True)
class _Wall:
    """A coefficient without a network, or with one whose cost nobody tells."""

    phi: float
    limit: Limit

    @property
    def cost(self) -> float:
        """As if it were too dear."""
        return math.inf


class _Costs(Generic[Network]):
    """What the networks of a rule cost, each asked for once."""

    def __init__(
        self, rule: ScalingRule, scaled: Scaled[Network], cost: Cost[Network], target: float
    ) -> None:
        self.rule = rule
        self.target = target
        self._scaled = scaled
        self._cost = cost
        self._known: dict[str, float] = {}

    @property
    def asked(self) -> int:
        """How many networks."""
        return len(self._known)

    def base(self) -> _Place[Network]:
        """The network at coefficient 0.

        Raises:
            InputError: If it cannot be, or nobody tells what it costs.
        """
        network = self._scaled(self.rule.factors(0.0))
        return _Place(0.0, network, self._cost_of(network))

    def at(self, phi: float) -> _Place[Network] | _Wall:
        """The network of a coefficient."""
        try:
            network = self._scaled(self.rule.factors(phi))
        except TooLargeError:
            return _Wall(phi, Limit.MEMORY)
        except InputError:
            return _Wall(phi, Limit.RULE)
        try:
            return _Place(phi, network, self._cost_of(network))
        except InputError:
            return _Wall(phi, Limit.SOURCE)

    def too_dear(self) -> InputError:
        """That nothing costs so little."""
        return InputError(
            f"no network of this rule costs {self.target:g} or less; the smallest that was tried "
            f"costs {min(self._known.values()):.4g}"
        )

    def _cost_of(self, network: Network) -> float:
        if network.key not in self._known:
            self._known[network.key] = self._cost(network)
        return self._known[network.key]


_Found = tuple[_Place[Network], Limit]
"""The largest network that keeps the target, and why it is no larger."""


def _of_table(costs: _Costs[Network]) -> _Found[Network]:
    """The last row that keeps the target, by halving."""
    assert isinstance(costs.rule, TableRule)
    first, rows = costs.rule.first, len(costs.rule.rows)
    best = costs.base()
    if best.cost > costs.target:
        raise costs.too_dear()
    limit = Limit.RULE
    low, high = 0, rows + 1
    while high - low > 1:
        middle = (low + high) // 2
        place = costs.at(float(first + middle - 1))
        if isinstance(place, _Place) and place.cost <= costs.target:
            low, best = middle, place
        else:
            high, limit = middle, place.limit
    return best, limit


def _of_powers(costs: _Costs[Network]) -> _Found[Network]:
    """Between a coefficient that keeps the target and one that does not."""
    first = costs.base()
    below, above = (_upwards if first.cost <= costs.target else _downwards)(costs, first)
    while (
        above.phi - below.phi > _FINEST
        and below.cost < NEAR * costs.target
        and costs.asked < STEPS
    ):
        place = costs.at(_between(below, above, costs.target))
        if isinstance(place, _Place) and place.cost <= costs.target:
            below = place
        else:
            above = place
    return below, above.limit


def _upwards(
    costs: _Costs[Network], first: _Place[Network]
) -> tuple[_Place[Network], _Place[Network] | _Wall]:
    """The last network on the way up that keeps the target, and what comes after it."""
    below, steps = first, 0
    while below.phi < PHI_LIMIT and below.cost < NEAR * costs.target:
        place = costs.at(min(_beyond(costs, below, steps), PHI_LIMIT))
        if not isinstance(place, _Place) or place.cost > costs.target:
            return below, place
        below, steps = place, steps + 1
    return below, _Wall(PHI_LIMIT, Limit.RULE)


def _downwards(
    costs: _Costs[Network], first: _Place[Network]
) -> tuple[_Place[Network], _Place[Network]]:
    """The first network on the way down that keeps the target, and the one before it.

    Raises:
        InputError: If there is none before the smallest that can be.
    """
    above, steps, floor = first, 0, -math.inf
    while above.phi > -PHI_LIMIT and above.phi - floor > _FINEST and costs.asked < STEPS:
        phi = max(_beyond(costs, above, steps), (above.phi + floor) / 2, -PHI_LIMIT)
        place = costs.at(phi)
        steps += 1
        if not isinstance(place, _Place):
            floor = phi
        elif place.cost <= costs.target:
            return place, above
        else:
            above = place
    raise costs.too_dear()


def _beyond(costs: _Costs[Network], place: _Place[Network], steps: int) -> float:
    """A coefficient a little beyond the one where the rule says that the target is.

    Twice as far beyond with each step, so that costs which hardly change are left behind soon.
    """
    growth = max(math.log2(costs.rule.factors(1.0).cost), 1e-3)
    far = math.log2(costs.target / place.cost) / growth
    return place.phi + far + math.copysign(_FINEST + abs(far) / 10, far) * 2.0**steps


def _between(below: _Place[Network], above: _Place[Network] | _Wall, target: float) -> float:
    """Where a line through both costs comes near the target, or the middle."""
    share = 0.5
    if below.cost < above.cost < math.inf:
        exact = math.log(NEAR * target / below.cost) / math.log(above.cost / below.cost)
        share = min(max(exact, 0.1), 0.9)
    return below.phi + share * (above.phi - below.phi)
