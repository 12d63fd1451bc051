"""The sentinel: one small network, the same everywhere, that tells whether a device has moved.

It runs first, every few sessions and last. Where its time moved by more than the protocol allows,
what ran in between does not count. Slower drift below that is taken out of the sessions between.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cache
from statistics import fmean, linear_regression

from devices.device import ModelFile
from latency.chains import Chain
from latency.measurement import MeasurementProtocol
from workspace.home import home

NAME = "sentinel-1"
"""Raise the number when the network below changes."""

CHANNELS = (32, 48, 64, 96, 160, 256)
"""Of the blocks; each but the first two halves the image."""

SIZE = 224
"""Of the image, in pixels."""

CLASSES = 1000
"""Scores that it gives."""

STUDENT = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.1, 2.0)
"""Two-sided 95 % points of Student's t with 1, 2, … degrees of freedom."""

PROTOCOL = MeasurementProtocol(
    preset=NAME,
    warmup_runs=5,
    warmup_min_s=0.2,
    timed_runs=50,
    timed_min_s=0.5,
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
        """How far above the batch's level the device was at a time.

        A straight line through the readings' logarithms; 1 where they do not lie on a slope that
        their own noise can be told from (Student's t, 95 %), since a correction by noise is noise.
        """
        count = len(self.values_ms)
        if count < 3 or at_s < self.times_s[0]:
            return 1.0
        logs = [math.log(value) for value in self.values_ms]
        slope, middle_s = linear_regression(self.times_s, logs).slope, fmean(self.times_s)
        level = fmean(logs)
        rest = sum(
            (log - level - slope * (time_s - middle_s)) ** 2
            for time_s, log in zip(self.times_s, logs, strict=True)
        )
        spread = sum((time_s - middle_s) ** 2 for time_s in self.times_s)
        error = math.sqrt(rest / (count - 2) / spread)
        critical = STUDENT[min(count - 3, len(STUDENT) - 1)]
        if abs(slope) <= critical * error:
            return 1.0
        return math.exp(slope * (min(at_s, self.times_s[-1]) - middle_s))
