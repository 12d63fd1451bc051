"""Finds before a search starts whether any network of the space can meet its target."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator
from itertools import islice

from controller.reward import SearchReward
from latency.measurement import Verdict
from latency.source import (
    LatencyEstimate,
    LatencyFailure,
    LatencyRequest,
    LatencySource,
    NetworkSubject,
    SpaceSource,
)
from search_space.architecture import Architecture, Classifier, Head
from search_space.chain import ChainArchitecture
from search_space.decisions import DecisionSpace, Point
from search_space.layers import macs
from search_space.space import SearchSpace
from workspace.errors import InputError, OperationError

SAMPLES = 64
"""Random points from which the smallest network is looked for."""

STEPS = 200
"""Mutations that are tried to make it smaller, where points have no fixed length."""

TIMED = 4
"""Small networks that are timed before a target is refused."""


def require_feasible(
    space: SearchSpace,
    head: Head,
    source: LatencySource,
    reward: SearchReward,
    size: int | None = None,
    *,
    remedy: str = "raise --target-ms",
) -> LatencyEstimate:
    """The latency of the fastest network that was found, within the target where there is one.

    A table answers for the whole space exactly where it can. Of other sources the smallest network
    by MACs that a short descent finds is asked for, and where that is too slow a few of its
    neighbours are too, since the smallest need not be the fastest.

    Args:
        space: Where the search will go.
        head: What its networks end in.
        source: Gives latencies.
        reward: Has the target, if it is of latency.
        size: Input size that is timed; None for the architecture's own.
        remedy: What to do about a target that is too low; a clause.

    Raises:
        InputError: If even that one is slower than the target, a table lacks a layer, or networks
            cannot run at ``size``.
        OperationError: If the source cannot answer.
    """
    tried = (
        NetworkSubject(architecture=each if size is None else each.at(size), head=head)
        for each in fast_networks(space, head, source)
    )
    fastest = fastest_of(source, islice(tried, 1))
    if is_too_slow(fastest, reward):
        others = list(islice(tried, TIMED - 1))
        found = [fastest, fastest_of(source, others)] if others else [fastest]
        fastest = min(found, key=lambda estimate: estimate.latency_ms)
    if is_too_slow(fastest, reward):
        msg = (
            f"no network of the space {space.name!r} meets {reward.target_ms or 0:g} ms on "
            f"{fastest.source}: the fastest one found takes {fastest.latency_ms:.4g} ms; "
            f"{remedy}, or choose a smaller space"
        )
        raise InputError(msg)
    return fastest


def smallest(space: SearchSpace) -> Iterator[Architecture]:
    """Networks of ``space`` with few MACs, all different, the smallest first; seeded.

    Where families have no quick MACs, those with the shortest keys of a few samples.
    """
    rng = random.Random("smallest")
    points = space.points
    best = min((points.sample(rng) for _ in range(SAMPLES)), key=lambda p: _size(space, p))
    if isinstance(points, DecisionSpace):
        best = _descended(space, points, best)
    else:
        for _ in range(STEPS):
            best = min(best, points.mutate(best, rng), key=lambda p: _size(space, p))
    neighbours = [points.mutate(best, rng) for _ in range(SAMPLES)] if space.count > 1 else []
    keys = set()
    for size, point in sorted((_size(space, point), point) for point in [best, *neighbours]):
        if math.isinf(size[0]):
            return
        architecture = space.decode(point)
        if architecture.key not in keys:
            keys.add(architecture.key)
            yield architecture


def fast_networks(space: SearchSpace, head: Head, source: LatencySource) -> Iterator[Architecture]:
    """The fastest network where ``source`` knows it, else some that should be fast."""
    if isinstance(source, SpaceSource):
        source.require_covers(space, head)
        try:
            point = source.over(space, head).fastest
        except InputError:  # it can answer one by one only
            yield from smallest(space)
        else:
            yield space.decode(point)
    else:
        yield from smallest(space)


def fastest_of(source: LatencySource, subjects: Iterable[NetworkSubject]) -> LatencyEstimate:
    """The answer for the fastest network, of those that may be used.

    Raises:
        InputError: If there is none, where ``source`` is a table.
        OperationError: If there is none, where it is not.
    """
    requests = [
        LatencyRequest(id=f"feasibility-{index}", subject=subject, preset="quick")
        for index, subject in enumerate(subjects)
    ]
    answers = list(source.estimate(requests))
    found = [one for one in answers if isinstance(one, LatencyEstimate) and _usable(one)]
    if found:
        return min(found, key=lambda estimate: estimate.latency_ms)
    text = next(
        (answer.text for answer in answers if isinstance(answer, LatencyFailure)),
        f"{source.name} rejects what it measured",
    )
    raise InputError(text) if isinstance(source, SpaceSource) else OperationError(text)


def _usable(estimate: LatencyEstimate) -> bool:
    return estimate.verdict is not Verdict.REJECTED


def is_too_slow(estimate: LatencyEstimate, reward: SearchReward) -> bool:
    """Whether its whole interval is beyond the target."""
    target_ms = math.inf if reward.target_ms is None else reward.target_ms
    return min(estimate.low_ms, estimate.latency_ms) > target_ms


def require_small_enough(
    space: SearchSpace, head: Classifier, target_macs: float, size: int | None = None
) -> None:
    """Do nothing if some network that is found has at most as many multiply-adds as the target.

    Args:
        space: Of chains.
        head: What its networks end in.
        target_macs: Of a search.
        size: Input size that counts; None for the architecture's own.

    Raises:
        InputError: If even the smallest has more, or networks cannot run at ``size``.
    """
    for found in islice(smallest(space), 1):
        if not isinstance(found, ChainArchitecture):
            return
        least = macs(found if size is None else found.at(size), head)
        if least > target_macs:
            msg = (
                f"no network of the space {space.name!r} has at most {target_macs:,.0f} "
                f"multiply-adds: the smallest one found has {least:,}; raise --target-macs, or "
                "choose a smaller space"
            )
            raise InputError(msg)


def _descended(space: SearchSpace, points: DecisionSpace, point: Point) -> Point:
    """The best option of each decision in turn, the others as they are."""
    best = points.checked(point)
    for position, count in enumerate(points.option_counts):
        options = [(*best[:position], option, *best[position + 1 :]) for option in range(count)]
        best = min(options, key=lambda p: _size(space, p))
    return best


def _size(space: SearchSpace, point: Point) -> tuple[float, str]:
    """What to rank a point by; beyond all others if it stands for no network after all."""
    try:
        architecture = space.decode(point)
    except InputError:
        return math.inf, ""
    if isinstance(architecture, ChainArchitecture):
        return macs(architecture, Classifier(classes=10)), ""
    return len(architecture.key), architecture.key
