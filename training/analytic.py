"""An analytic stand-in for training: an accuracy out of a formula, where no network is trained.

It lets a search run in a minute on a computer that has no time for training, and lets tests and
benchmarks know the truth. Its shape is that of the field's findings, and its constants are chosen
so that MobileNetV2 and MnasNet come out within 2 points of their published ImageNet accuracies,
from 60.3 % to 75.2 % (MnasNet, tables 1 and 4). Beyond them it says nothing about any network, and
every result carries ``STAND_IN``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Future
from itertools import groupby

from search_space.architecture import Architecture
from search_space.chain import ChainArchitecture, Op
from search_space.layers import Layer, LayerKind, layers
from training.executor import TrainingError, TrainingJob, TrainingResult

STAND_IN = "accuracy from an analytic formula over the layers, a stand-in: nothing was trained"
"""Goes with every result."""

_LEVELS = 0.50
"""Error of a network with no capacity at any level."""

_FLOOR = 0.06
"""Error that no capacity removes."""

_RECEPTIVE = 0.10
"""Error of a network that sees a single pixel."""

_RESOLUTION = 0.30
"""Error of a network whose input is a single pixel."""

_BALANCE = 0.04
"""Error of a network whose capacity is all at one level."""


def analytic_accuracy(architecture: ChainArchitecture) -> float:
    """A made-up accuracy in `(0, 1)`, smooth in the structure, in well under a millisecond.

    Its error is a sum of five terms:

    * for each level (layers of one output size), a weight over ``(1 + capacity) ** 0.7``: more
      layers, more channels and a larger expansion help ever less; late levels weigh most;
    * a term that falls with the receptive field over the input size (kernels, depth and strides
      together), one that falls with the input size, and one for capacity that is unevenly spread
      over the levels;
    * a constant.

    Architectures with equal keys have equal accuracies.
    """
    chain = layers(architecture)
    blocks = [layer for layer in chain if layer.kind is LayerKind.BLOCK]
    levels = [tuple(level) for _, level in groupby(blocks, key=lambda layer: layer.out_size)]
    positions = [index / max(1, len(levels) - 1) for index in range(len(levels))]
    capacities = [_capacity(*level) for level in zip(levels, positions, strict=True)]
    weights = [0.15 + position for position in positions]
    missing = sum(
        weight / math.pow(1 + capacity, 0.7)
        for weight, capacity in zip(weights, capacities, strict=True)
    ) / sum(weights)
    uneven = math.tanh(_variance([math.log1p(capacity) for capacity in capacities]))
    sight = receptive_field(chain) / architecture.size
    error = (
        _FLOOR
        + _LEVELS * missing
        + _RECEPTIVE * math.exp(-sight)
        + _RESOLUTION * 32 / (31 + architecture.size)
        + _BALANCE * uneven
    )
    return 1 - error


def receptive_field(chain: Sequence[Layer]) -> int:
    """Side of the square of input pixels that one output pixel of the last layer can see."""
    side, step = 1, 1
    for layer in chain:
        side += (layer.kernel - 1) * step
        step *= layer.stride
    return side


def _capacity(level: Sequence[Layer], position: float) -> float:
    """What the layers of one level can do together; each counts less than the one before.

    Args:
        level: The layers of one output size, in order.
        position: 0 for the first level, 1 for the last.
    """
    share, total = 1 / 0.85, 0.0
    for layer in level:
        share *= 0.92 if layer.has_skip else 0.85
        total += share * _strength(layer, position)
    return total


def _strength(layer: Layer, position: float) -> float:
    """Channels against 16 in the first level and 256 in the last, times three preferences.

    A full convolution mixes more than a depthwise one; squeeze-excitation helps late levels most;
    the best kernel grows from 3 in the first level to 6 in the last.
    """
    width = math.sqrt(layer.hidden * layer.out_channels) / (16 * math.pow(16, position))
    mixing = 1.0 if layer.op is Op.MBCONV else 1.3
    squeeze = 1.05 + 0.15 * position if layer.squeezed else 1.0
    mismatch = math.log(layer.kernel / (3 + 3 * position))
    return width * mixing * squeeze * math.exp(-(mismatch**2) / (2 * 0.8**2))


def _variance(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / len(values)


class AnalyticExecutor:
    """Answers training jobs by ``analytic_accuracy``; an ``Executor`` that trains nothing."""

    lanes = 1
    on_this_computer = False
    deterministic = True
    stops_early = False

    def submit(self, job: TrainingJob) -> Future[TrainingResult]:
        """See ``Executor.submit``; the future is done."""
        future: Future[TrainingResult] = Future()
        try:
            future.set_result(_result(job.architecture))
        except TrainingError as error:
            future.set_exception(error)
        return future

    def close(self) -> None:
        """Nothing is open."""


def _result(architecture: Architecture) -> TrainingResult:
    if not isinstance(architecture, ChainArchitecture):
        msg = f"the analytic stand-in knows chains of stages only, got {architecture.key!r}"
        raise TrainingError(msg)
    accuracy = analytic_accuracy(architecture)
    return TrainingResult(accuracy=accuracy, samples=0, seconds=0.0, stand_in=STAND_IN)
