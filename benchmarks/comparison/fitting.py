"""Scale-permuted networks made as fast as is asked, by the scale of their filters alone."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from benchmarks.comparison.log import Log
from benchmarks.comparison.networks import Own
from benchmarks.comparison.timing import timed_untrained
from search_space.architecture import Head
from search_space.spinenet import ScalePermutedArchitecture

STEPS = 256
"""Filter scales are whole numbers of this part: one filter more from level 4 on."""

SMALLEST, LARGEST = 8, 256
"""Filter scales that are tried, in such parts."""

NEAR = 0.01
"""A latency that differs by so much is as near as a measurement tells."""

MOST = 10
"""Latencies of a network at most."""

_FURTHER = 1.4
"""How far to go where no scale is on the other side of the target, as a power of the ratio: a
part of a latency does not depend on filters, so that they change by more than it does."""

Latency = Callable[[ScalePermutedArchitecture], float]
"""Of a network, in ms or as a part of another's."""


def host_latency_ms(
    network: ScalePermutedArchitecture, head: Head, preset: str, log: Log
) -> float:
    """The median of an untrained network's sessions on this computer.

    Args:
        network: What is measured.
        head: That it ends in.
        preset: How hard to try.
        log: Where sessions are kept.

    Raises:
        OperationError: If it cannot be measured.
    """
    own = {"it": Own(name=network.key, architecture=network)}
    return statistics.median(timed_untrained(own, head, network.size, preset, log)["it"])


class RelativeLatency:
    """Latencies of untrained networks as parts of another's, measured together, kept in a log.

    So a computer that is slower at times, or another one, tells the same of them.

    Args:
        head: That networks end in.
        other: What they are compared with.
        preset: How hard each pair is tried, with the number of sessions.
        log: Where they are kept.
    """

    def __init__(
        self, head: Head, other: ScalePermutedArchitecture, preset: str, log: Log
    ) -> None:
        self._head = head
        self._other = other
        self._preset = preset
        self._log = log

    def __call__(self, network: ScalePermutedArchitecture) -> float:
        """The median of the ratios of sessions that were beside each other.

        Raises:
            OperationError: If one of the two cannot be measured.
        """
        return median_ratio(*self.sessions(network))

    def sessions(
        self, network: ScalePermutedArchitecture
    ) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Sessions of the network and, each beside one of these, of the other, in ms.

        Raises:
            OperationError: If one of the two cannot be measured.
        """
        pair = {
            name: Own(name=name, architecture=one)
            for name, one in (("it", network), ("other", self._other))
        }
        found = timed_untrained(pair, self._head, network.size, self._preset, self._log)
        return found["it"], found["other"]


def median_ratio(sessions: Sequence[float], others: Sequence[float]) -> float:
    """Of latencies, from sessions beside each other.

    >>> median_ratio([2.0, 9.0, 3.0], [1.0, 3.0, 2.0])
    2.0
    """
    return statistics.median(one / other for one, other in zip(sessions, others, strict=True))


def fitted_to(
    network: ScalePermutedArchitecture, target: float, latency: Latency
) -> ScalePermutedArchitecture:
    """The network with the filter scale that brings its latency nearest to a target.

    The search begins at the network's own scale. Between a scale that is too fast and one that is
    too slow it interpolates, latencies and scales as logarithms, and halves every other time; it
    ends at a latency within ``NEAR``, at neighbours, or after ``MOST`` latencies.

    Args:
        network: At any filter scale.
        target: Positive; in whatever ``latency`` is.
        latency: Of a network.
    """

    def at(part: int) -> ScalePermutedArchitecture:
        return replace(network, filter_scale=part / STEPS)

    tried: dict[int, float] = {}
    part = _within(network.filter_scale * STEPS)
    while part not in tried and len(tried) < MOST:
        tried[part] = latency(at(part)) / target
        part = _next(tried)
    return at(_nearest(tried))


def _next(tried: Mapping[int, float]) -> int:
    """The next scale to try; one that was tried if none is left."""
    nearest = _nearest(tried)
    if abs(math.log(tried[nearest])) <= NEAR:
        return nearest
    fast = max((part for part, ratio in tried.items() if ratio <= 1), default=None)
    slow = min((part for part, ratio in tried.items() if ratio > 1), default=None)
    if fast is None or slow is None:
        step = 1 if slow is None else -1
        further = _within(nearest * math.exp(-_FURTHER * math.log(tried[nearest])))
        return _within(nearest + step) if further == nearest else further
    low, high = sorted((fast, slow))
    if high - low <= 1:
        return nearest
    if len(tried) % 2:
        return min(max(math.isqrt(low * high), low + 1), high - 1)
    share = math.log(tried[low]) / math.log(tried[low] / tried[high])
    between = round(low * math.exp(share * math.log(high / low)))
    return min(max(between, low + 1), high - 1)


def _nearest(tried: Mapping[int, float]) -> int:
    return min(tried, key=lambda part: abs(math.log(tried[part])))


def _within(part: float) -> int:
    return min(max(round(part), SMALLEST), LARGEST)
