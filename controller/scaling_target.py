"""How far a network may be scaled until it costs what it may."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from search_space.architecture import Architecture
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


@dataclass(frozen=True, slots=True, kw_only=True)
class AtTarget(Generic[Network]):
    """The largest network found that keeps a target.

    Attributes:
        phi: Its compound coefficient.
        network: It.
        cost: What it costs; at most the target.
        asked: How many networks were asked about.
    """

    phi: float
    network: Network
    cost: float
    asked: int


def to_target(
    rule: ScalingRule, scaled: Scaled[Network], cost: Cost[Network], target: float
) -> AtTarget[Network]:
    """The largest coefficient whose network costs no more than ``target``.

    It is found between one that does and one that does not, where a line through the logarithms
    of both costs meets the target; that costs grow with the coefficient is taken for granted. The
    few percent by which two measurements of one network differ are those of the answer too.

    Args:
        rule: Of how much deeper, wider and finer.
        scaled: The network of some factors; its ``InputError`` says that there is none.
        cost: Of a network, e.g. milliseconds; above 0.
        target: In the same unit.

    Raises:
        InputError: If no network of the rule costs so little; the text has the least.
    """
    asked: dict[str, float] = {}

    def at(phi: float) -> tuple[Network, float]:
        network = scaled(rule.factors(phi))
        if network.key not in asked:
            asked[network.key] = cost(network)
        return network, asked[network.key]

    if isinstance(rule, TableRule):
        phi, network, found = _of_table(rule, at, target)
    else:
        phi, network, found = _of_powers(rule, at, target, asked)
    return AtTarget(phi=phi, network=network, cost=found, asked=len(asked))


_At = Callable[[float], tuple[Network, float]]
_Place = tuple[float, Network, float]


def _of_table(rule: TableRule, at: _At[Network], target: float) -> _Place[Network]:
    """The last row that keeps the target, by halving."""
    whole = [0.0, *(float(rule.first + place) for place in range(len(rule.rows)))]
    low, high = -1, len(whole)
    best: _Place[Network] | None = None
    while high - low > 1:
        middle = (low + high) // 2
        network, cost = at(whole[middle])
        if cost <= target:
            low, best = middle, (whole[middle], network, cost)
        else:
            high = middle
    if best is None:
        raise _too_dear(at(0.0)[1], target)
    return best


def _of_powers(
    rule: ScalingRule, at: _At[Network], target: float, asked: dict[str, float]
) -> _Place[Network]:
    """Between a coefficient that keeps the target and one that does not."""
    first, first_cost = at(0.0)
    place: _Place[Network] = (0.0, first, first_cost)
    below, above = (place, None) if first_cost <= target else (None, place)
    growth = max(math.log2(rule.factors(1.0).cost), 1e-3)
    while (below is None or above is None) and len(asked) < STEPS:
        far = math.log2(target / place[2]) / growth
        phi = place[0] + far + math.copysign(_FINEST + abs(far) / 10, far)
        if abs(phi) > PHI_LIMIT:
            break
        try:
            place = (phi, *at(phi))
        except InputError:
            if below is None:
                break
            above = (phi, first, math.inf)  # there is no such network: as if it were too dear
            continue
        if place[2] <= target:
            below = place
        else:
            above = place
    if below is None:
        raise _too_dear(min(asked.values()), target)
    if above is None:
        return below
    return _narrowed(at, target, below, above, asked)


def _narrowed(
    at: _At[Network],
    target: float,
    below: _Place[Network],
    above: _Place[Network],
    asked: dict[str, float],
) -> _Place[Network]:
    while above[0] - below[0] > _FINEST and below[2] < NEAR * target and len(asked) < STEPS:
        phi = (below[0] + above[0]) / 2
        if math.isfinite(above[2]) and above[2] > below[2]:
            share = math.log(NEAR * target / below[2]) / math.log(above[2] / below[2])
            phi = below[0] + min(max(share, 0.1), 0.9) * (above[0] - below[0])
        try:
            place = (phi, *at(phi))
        except InputError:
            above = (phi, above[1], math.inf)
            continue
        if place[2] <= target:
            below = place
        else:
            above = place
    return below


def _too_dear(least: float, target: float) -> InputError:
    return InputError(
        f"no network of this rule costs {target:g} or less; the smallest that was tried costs "
        f"{least:.4g}"
    )
