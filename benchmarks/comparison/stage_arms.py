"""Progressive learning taken apart: what grows, what stays, and what is drawn at random.

After table 13 of EfficientNetV2 (arXiv 2104.00298), which compares growing sizes and random ones
with regularization that stays and that grows with the size.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

from training.stages import TrainingStage

DRAWN = 12
"""Parts of a training at random sizes, each at one: the paper draws a size every eight epochs."""


class Arm(StrEnum):
    """How a training goes.

    ``baseline``: at the full size throughout, with the network's own dropout.
    ``progressive``: size and regularization grow.
    ``growing-size``: with the last regularization throughout.
    ``growing-regularization``: at the full size throughout.
    ``random-sizes``: as many images of each size as in ``growing-size``, the order being drawn.
    """

    BASELINE = "baseline"
    PROGRESSIVE = "progressive"
    GROWING_SIZE = "growing-size"
    GROWING_REGULARIZATION = "growing-regularization"
    RANDOM_SIZES = "random-sizes"


def stages_of(arm: Arm, stages: Sequence[TrainingStage], seed: int) -> tuple[TrainingStage, ...]:
    """The stages of an arm.

    Args:
        arm: Which.
        stages: Of progressive learning.
        seed: Draws the order of random sizes.
    """
    last = stages[-1]
    match arm:
        case Arm.BASELINE:
            return ()
        case Arm.PROGRESSIVE:
            return tuple(stages)
        case Arm.GROWING_SIZE:
            return tuple(replace(each, regularization=last.regularization) for each in stages)
        case Arm.GROWING_REGULARIZATION:
            return tuple(replace(each, size=last.size) for each in stages)
        case Arm.RANDOM_SIZES:
            return _shuffled(stages, seed)


def _shuffled(stages: Sequence[TrainingStage], seed: int) -> tuple[TrainingStage, ...]:
    """Equal parts, each at the size that its middle would have had, in another order."""
    middles = [(number + 0.5) / DRAWN for number in range(DRAWN)]
    sizes = [next(each.size for each in stages if middle < each.until) for middle in middles]
    random.Random(seed).shuffle(sizes)
    return tuple(
        replace(stages[-1], until=(number + 1) / DRAWN, size=size)
        for number, size in enumerate(sizes)
    )
