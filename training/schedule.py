"""How much and how to train: one frozen value, free of torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from itertools import pairwise
from typing import ClassVar

from training.stages import TrainingStage, check_covered
from workspace.errors import InputError


class Arithmetic(StrEnum):
    """Number format of the forward and backward pass; weights stay in fp32."""

    FP32 = "fp32"
    BF16 = "bf16"
    FP16 = "fp16"


class OptimizerName(StrEnum):
    """What turns gradients into steps.

    ``adamw`` decouples weight decay (Loshchilov and Hutter 2019, arXiv 1711.05101). ``rmsprop-tf``
    is TensorFlow's RMSProp, epsilon inside the root and averages that begin at 1, with decay and
    momentum 0.9 and epsilon 0.001 (EfficientNet, arXiv 1905.11946, section 5.2, and its code).
    ``sgd`` has Nesterov's momentum of 0.9.
    """

    ADAMW = "adamw"
    RMSPROP_TF = "rmsprop-tf"
    SGD = "sgd"


class Decay(StrEnum):
    """How the learning rate falls after its warm-up.

    ``cosine``: half a cosine down to 0 (Loshchilov and Hutter 2017, arXiv 1608.03983).
    ``staircase``: times 0.97 every ``Schedule.decay_epochs`` from the first image on, warm-up
    included (EfficientNet, section 5.2: every 2.4 epochs). ``drops``: to a tenth at each of
    ``Schedule.drops`` (SpineNet, arXiv 1912.05027, section 4.1).
    """

    COSINE = "cosine"
    STAIRCASE = "staircase"
    DROPS = "drops"


class StageBatch(StrEnum):
    """Images a step of a stage that names no batch of its own.

    ``constant``: the schedule's. ``memory``: as many as take the memory that the schedule's batch
    takes at the largest size, so that images times squared size stays the same.
    """

    CONSTANT = "constant"
    MEMORY = "memory"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Schedule:
    """How much and how to train.

    Attributes:
        samples: Training images seen in all, with repetition: the proxy budget.
        batch: Images a step, of all processes together.
        learning_rate: Peak.
        weight_decay: Not on batch norms and biases; decoupled with ``adamw``, else a part of the
            gradient.
        label_smoothing: Share of the target spread over all classes.
        arithmetic: Of the forward and backward pass.
        optimizer: What turns gradients into steps.
        ema: Decay a step of the average of the weights that is evaluated and kept in place of the
            weights themselves, in `[0, 1)`; 0 for none.
        decay: How the learning rate falls.
        decay_epochs: Epochs a stair of ``staircase``.
        drops: Shares of the training at which ``drops`` makes the rate a tenth of what it was.
        warmup: Share of the training over which the learning rate rises linearly.
        clip: Largest norm of all gradients together; 0 for any.
        compiled: Whether ``torch.compile`` makes the network faster first, which takes a minute.
        stages: Sizes and strengths of regularization, one after the other; none for one stage at
            the size that is asked for.
        stage_batch: Of stages that name no batch.
        jitter: Least and largest factor by which images with boxes are scaled; none for the data
            set's own.
        anchor: Side of a level's smallest square anchor of boxes, in cells of the level; 0 for the
            data set's own.
    """

    FIRST_FIELDS: ClassVar[frozenset[str]] = frozenset(
        ("samples", "batch", "learning_rate", "weight_decay", "label_smoothing", "arithmetic")
    )
    """Those of the first version: they are always in its text and documents."""

    samples: int
    batch: int = 64
    learning_rate: float = 0.01
    weight_decay: float = 1e-4
    label_smoothing: float = 0.0
    arithmetic: Arithmetic = Arithmetic.FP32
    optimizer: OptimizerName = OptimizerName.ADAMW
    ema: float = 0.0
    decay: Decay = Decay.COSINE
    decay_epochs: float = 2.4
    drops: tuple[float, ...] = ()
    warmup: float = 0.1
    clip: float = 0.0
    compiled: bool = False
    stages: tuple[TrainingStage, ...] = ()
    stage_batch: StageBatch = StageBatch.CONSTANT
    jitter: tuple[float, ...] = ()
    anchor: float = 0.0

    def __post_init__(self) -> None:
        if self.samples < 1 or self.batch < 1:
            msg = f"need at least 1 sample and a batch of 1, got {self}"
            raise InputError(msg)
        for name in ("learning_rate", "decay_epochs"):
            _check(0 < getattr(self, name) < math.inf, self, name, "positive and finite")
        for name in ("weight_decay", "clip", "anchor"):
            _check(0 <= getattr(self, name) < math.inf, self, name, "finite and at least 0")
        for name in ("label_smoothing", "ema", "warmup"):
            _check(0 <= getattr(self, name) < 1, self, name, "in [0, 1)")
        rises = all(before < after for before, after in pairwise((0, *self.drops, 1)))
        _check(rises, self, "drops", "shares between 0 and 1, each larger than the one before")
        _check(
            self.decay is not Decay.DROPS or bool(self.drops),
            self,
            "drops",
            "at least one, as SpineNet's recipes have",
        )
        fits = not self.jitter or (len(self.jitter) == 2 and 0 < self.jitter[0] <= self.jitter[1])
        _check(fits, self, "jitter", "two positive factors, the smaller first")
        if self.stages:
            check_covered(self.stages)

    def __repr__(self) -> str:
        """Without later fields that are at their defaults: kept trainings are known by it."""
        shown = (
            f"{item.name}={getattr(self, item.name)!r}"
            for item in fields(self)
            if item.name in self.FIRST_FIELDS or getattr(self, item.name) != item.default
        )
        return f"Schedule({', '.join(shown)})"

    def parts(self, size: int) -> tuple[TrainingStage, ...]:
        """The stages, each with its batch.

        >>> two = (TrainingStage(until=0.5, size=16), TrainingStage(until=1, size=32))
        >>> schedule = Schedule(samples=100, stages=two, stage_batch=StageBatch.MEMORY)
        >>> [part.batch for part in schedule.parts(32)]
        [256, 64]

        Args:
            size: Pixels a side where there are no stages.
        """
        if not self.stages:
            return (TrainingStage(until=1, size=size, batch=self.batch),)
        return tuple(replace(stage, batch=self._batch_of(stage)) for stage in self.stages)

    def _batch_of(self, stage: TrainingStage) -> int:
        if stage.batch is not None:
            return stage.batch
        if self.stage_batch is StageBatch.CONSTANT:
            return self.batch
        largest = max(each.size for each in self.stages)
        return self.batch * largest**2 // stage.size**2


def _check(holds: bool, schedule: Schedule, name: str, range_: str) -> None:  # noqa: FBT001
    if not holds:
        words = name.replace("_", " ")
        msg = f"{words} of a training must be {range_}, got {getattr(schedule, name)!r}"
        raise InputError(msg)
