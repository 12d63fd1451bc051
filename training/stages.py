"""Stages of a training: the image size and the strength of regularization of each part of it.

EfficientNetV2 (Tan and Le 2021, arXiv 2104.00298), algorithm 1: both grow together, and the
weights are carried over.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from workspace.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Regularization:
    """How strongly a stage keeps a network from learning its images by heart.

    Attributes:
        dropout: Before the classifier, in `[0, 1)`; None for the network's own.
        randaugment: Magnitude of RandAugment (Cubuk et al. 2020, arXiv 1909.13719), 0 to 30; 0
            for none.
        mixup: Alpha of mixup (Zhang et al. 2018, arXiv 1710.09412), at least 0; 0 for none.
        cutmix: Alpha of CutMix (Yun et al. 2019, arXiv 1905.04899), likewise.
    """

    dropout: float | None = None
    randaugment: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        if self.dropout is not None and not 0 <= self.dropout < 1:
            msg = f"dropout of a stage must be in [0, 1), got {self.dropout!r}"
            raise InputError(msg)
        if not 0 <= self.randaugment <= 30:
            msg = f"a magnitude of RandAugment must be in [0, 30], got {self.randaugment!r}"
            raise InputError(msg)
        for name, alpha in (("mixup", self.mixup), ("cutmix", self.cutmix)):
            if not (math.isfinite(alpha) and alpha >= 0):
                msg = f"alpha of {name} must be a finite number of at least 0, got {alpha!r}"
                raise InputError(msg)

    @property
    def changes_images(self) -> bool:
        """Whether it distorts or mixes images."""
        return max(self.randaugment, self.mixup, self.cutmix) > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingStage:
    """A part of a training, from where the stage before it ends.

    Attributes:
        until: Share of all training images at which it ends, in `(0, 1]`.
        size: Side of the images, in pixels.
        batch: Images a step; None for the schedule's.
        regularization: Its strength.
    """

    until: float
    size: int
    batch: int | None = None
    regularization: Regularization = Regularization()

    def __post_init__(self) -> None:
        if not 0 < self.until <= 1:
            msg = f"a stage must end at a share in (0, 1] of the training, got {self.until!r}"
            raise InputError(msg)
        if type(self.size) is not int or self.size < 1:
            msg = f"image size of a stage must be a whole number of pixels, got {self.size!r}"
            raise InputError(msg)
        if self.batch is not None and (type(self.batch) is not int or self.batch < 1):
            msg = f"batch of a stage must be a whole number of at least 1, got {self.batch!r}"
            raise InputError(msg)


def check_covered(stages: Sequence[TrainingStage]) -> None:
    """Check that stages follow each other and cover the whole training.

    Raises:
        InputError: If there is none, one ends no later than the one before it, or the last one
            ends before the training does.
    """
    if not stages:
        msg = "a progressive training needs at least one stage, got none"
        raise InputError(msg)
    for before, after in pairwise(stages):
        if after.until <= before.until:
            msg = (
                "each stage must end later than the one before it, "
                f"got {after.until:g} after {before.until:g}"
            )
            raise InputError(msg)
    if stages[-1].until != 1:
        msg = f"the last stage must end at 1, the whole training, got {stages[-1].until:g}"
        raise InputError(msg)
