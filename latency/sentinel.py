"""The sentinel: one small network, the same everywhere, that tells whether a device has moved.

It runs first, every few sessions and last. Where its time moved by more than the protocol allows,
what ran in between does not count. Slower drift below that is taken out of the sessions between.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cache
from statistics import fmean

from devices.device import ModelFile
from latency.chains import Chain
from latency.measurement import MeasurementProtocol
from workspace.home import home

NAME = "sentinel-1"
"""Raise the number when the network below changes."""

CHANNELS = (16, 24, 32, 64, 96, 128)
"""Of the blocks; each but the first two halves the image."""

SIZE = 128
"""Of the image, in pixels."""

CLASSES = 1000
"""Scores that it gives."""

CORRECTED_FROM = 0.01
"""Movement, as a share, below which nothing is corrected: a reading's own noise is as large."""

PROTOCOL = MeasurementProtocol(
    preset=NAME,
    warmup_runs=5,
    warmup_min_s=0.1,
    timed_runs=30,
    timed_min_s=0.25,
    sessions_min=2,
    sessions_max=2,
    half_width=0.5,
)
"""Of one reading, which is one session."""


@cache
def sentinel_file() -> ModelFile:
    """The network as a file, written once into ``POCKETNAS_HOME``.

    A MobileNet-like chain of 3x3 depthwise and 1x1 convolutions, so that what slows candidates
    slows it alike.

    Raises:
        ExportError: If it cannot be written.
    """
    chain = Chain(NAME, size=SIZE)
    chain.convolution(CHANNELS[0], kernel=3, stride=2)
    for index, wider in enumerate(CHANNELS[1:]):
        chain.depthwise(stride=1 if index == 0 else 2)
        chain.convolution(wider)
        chain.depthwise()
        chain.convolution(wider)
    chain.mean()
    chain.convolution(CLASSES)
    return chain.file(home() / "sentinel")


@dataclass(slots=True)
class Drift:
    """The sentinel's readings in one batch.

    Attributes:
        times_s: When each was taken, on any clock that the sessions' times are of too.
        values_ms: Each reading.
    """

    times_s: list[float] = field(default_factory=list)
    values_ms: list[float] = field(default_factory=list)

    def add(self, at_s: float, value_ms: float) -> None:
        """One more reading."""
        self.times_s.append(at_s)
        self.values_ms.append(value_ms)

    def restart(self) -> None:
        """Forget all readings: the device is at another level now."""
        self.times_s.clear()
        self.values_ms.clear()

    @property
    def level_ms(self) -> float:
        """Where the batch stands: the geometric mean of its readings."""
        return math.exp(fmean(math.log(value) for value in self.values_ms))

    def moved(self, value_ms: float) -> float:
        """By which share a reading is off the first one; 0 for the first itself."""
        return value_ms / self.values_ms[0] - 1 if self.values_ms else 0.0

    def factor(self, at_s: float) -> float:
        """How far above the batch's level the device was at a time, between two readings.

        1 where readings hardly differ.
        """
        if len(self.values_ms) < 2 or max(self.values_ms) / min(self.values_ms) < (
            1 + CORRECTED_FROM
        ):
            return 1.0
        after = min(max(bisect_right(self.times_s, at_s), 1), len(self.times_s) - 1)
        start_s, end_s = self.times_s[after - 1], self.times_s[after]
        share = min(max((at_s - start_s) / max(end_s - start_s, 1e-9), 0.0), 1.0)
        logs = [math.log(value) for value in self.values_ms[after - 1 : after + 1]]
        return math.exp((1 - share) * logs[0] + share * logs[1]) / self.level_ms
