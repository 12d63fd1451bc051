"""Finds before a search starts whether any network of the space can meet its target."""

from __future__ import annotations

import random

from controller.reward import Reward
from latency.source import (
    LatencyEstimate,
    LatencyFailure,
    LatencyRequest,
    LatencySource,
    NetworkSubject,
)
from latency.table_source import TableSource
from search_space.architecture import Architecture, Classifier, Head
from search_space.chain import ChainArchitecture
from search_space.decisions import DecisionSpace, Point
from search_space.layers import macs
from search_space.space import SearchSpace
from workspace.errors import InputError, OperationError

SAMPLES = 64
"""Random points from which the smallest network is looked for."""

STEPS = 200
"""Mutations that are tried to make it smaller."""


def require_feasible(
    space: SearchSpace, head: Head, source: LatencySource, reward: Reward, size: int | None = None
) -> LatencyEstimate:
    """The latency of the fastest network that was found, which is within the target.

    A table answers for the whole space exactly. Of other sources the smallest network by MACs
    that a short descent finds is asked for; where families have no quick MACs, of a few samples
    the one with the shortest key.

    Args:
        space: Where the search will go.
        head: What its networks end in.
        source: Gives latencies.
        reward: Has the target.
        size: Input size that is timed; None for the architecture's own.

    Raises:
        InputError: If even that one is slower than the target, or a table lacks a layer.
        OperationError: If the source cannot answer.
    """
    if isinstance(source, TableSource):
        architecture, how = _fastest_by_table(space, head, source)
    else:
        architecture, how = smallest(space), "the fastest network found"
    if size is not None:
        architecture = architecture.at(size)
    subject = NetworkSubject(architecture=architecture, head=head)
    (answer,) = source.estimate([LatencyRequest(id="fastest", subject=subject, preset="quick")])
    if isinstance(answer, LatencyFailure):
        raise OperationError(answer.text)
    if answer.low_ms > reward.target_ms and answer.latency_ms > reward.target_ms:
        msg = (
            f"no network of the space {space.name!r} meets {reward.target_ms:g} ms on "
            f"{answer.source}: {how} takes {answer.latency_ms:.4g} ms; raise --target-ms, or "
            "choose a smaller space"
        )
        raise InputError(msg)
    return answer


def smallest(space: SearchSpace) -> Architecture:
    """A network of ``space`` with few MACs, found by a short seeded descent."""
    rng = random.Random("smallest")
    points = space.points
    best = min((points.sample(rng) for _ in range(SAMPLES)), key=lambda p: _size(space, p))
    if isinstance(points, DecisionSpace):
        return space.decode(_descended(space, points, best))
    for _ in range(STEPS):
        best = min(best, points.mutate(best, rng), key=lambda p: _size(space, p))
    return space.decode(best)


def _descended(space: SearchSpace, points: DecisionSpace, point: Point) -> Point:
    """The best option of each decision in turn, the others as they are."""
    best = points.checked(point)
    for position, count in enumerate(points.option_counts):
        options = [(*best[:position], option, *best[position + 1 :]) for option in range(count)]
        best = min(options, key=lambda p: _size(space, p))
    return best


def _size(space: SearchSpace, point: Point) -> tuple[int, str]:
    architecture = space.decode(point)
    if isinstance(architecture, ChainArchitecture):
        return macs(architecture, Classifier(classes=10)), ""
    return len(architecture.key), architecture.key


def _fastest_by_table(
    space: SearchSpace, head: Head, source: TableSource
) -> tuple[Architecture, str]:
    if not isinstance(space.points, DecisionSpace):
        source.require_covers(space, head)
        return smallest(space), "the fastest network found"
    return space.decode(source.over(space, head).fastest), "its fastest network"
