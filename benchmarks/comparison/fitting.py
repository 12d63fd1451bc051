"""Scale-permuted networks made as fast as is asked, by the scale of their filters alone."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks.comparison.log import Log
from benchmarks.comparison.networks import Own
from benchmarks.comparison.timing import exported, timed
from search_space.architecture import Head
from search_space.spinenet import ScalePermutedArchitecture

STEPS = 64
"""Filter scales are whole numbers of this part: one filter more at level 2."""

SMALLEST, LARGEST = 2, 64
"""Filter scales that are tried, in such parts."""

Latency = Callable[[ScalePermutedArchitecture], float]
"""Of a network, in ms."""


class HostLatency:
    """Latencies of untrained networks on this computer, kept in a log.

    Args:
        head: That networks end in.
        preset: How hard one is tried.
        log: Where they are kept.
    """

    def __init__(self, head: Head, preset: str, log: Log) -> None:
        self._head = head
        self._preset = preset
        self._log = log

    def __call__(self, network: ScalePermutedArchitecture) -> float:
        """The median of its sessions, in ms.

        Raises:
            OperationError: If it cannot be measured.
        """
        name = f"{network.key} {self._preset}"
        known = self._log.find(name)
        if known is None:
            module = Own(name=network.key, architecture=network).build(self._head, 0)
            with tempfile.TemporaryDirectory() as files:
                made, _ = exported(module, network.size, Path(files))
                (values,) = timed({"it": made}, self._preset, self._log).values()
            self._log.add(name, {"ms": statistics.median(values)})
            known = self._log.find(name)
        assert known is not None
        return float(str(known["ms"]))


def fitted_to(
    network: ScalePermutedArchitecture, target_ms: float, latency: Latency
) -> ScalePermutedArchitecture:
    """The network with the filter scale that brings its latency nearest to a target.

    Latencies grow with the scale, but for noise, so halving finds the two scales around the
    target; of them the nearer is taken, by the ratio.

    Args:
        network: At any filter scale.
        target_ms: Positive.
        latency: Of a network.
    """

    def at(part: int) -> ScalePermutedArchitecture:
        return replace(network, filter_scale=part / STEPS)

    low, high = SMALLEST, LARGEST
    if latency(at(low)) >= target_ms:
        return at(low)
    if latency(at(high)) <= target_ms:
        return at(high)
    while high - low > 1:
        middle = (low + high) // 2
        if latency(at(middle)) <= target_ms:
            low = middle
        else:
            high = middle
    below, above = target_ms / latency(at(low)), latency(at(high)) / target_ms
    return at(low) if below <= above else at(high)
