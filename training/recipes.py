"""Ways to train, by name, as data: the published ones, and what a search's short training does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

from training.schedule import Decay, OptimizerName, Schedule
from workspace.errors import InputError


class RecipeName(StrEnum):
    """Recipes that ship with the project, as the command line names them.

    ``proxy`` is what the data set recommends for a search, at whatever length.
    """

    PROXY = "proxy"
    EFFICIENTNET = "efficientnet"
    EFFICIENTNETV2 = "efficientnetv2"
    SPINENET_A = "spinenet-a"
    SPINENET_B = "spinenet-b"
    SPINENET_C = "spinenet-c"
    SPINENET_MOBILE = "spinenet-mobile"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A published way to train.

    Attributes:
        epochs: Of its data set.
        batch: Images a step.
        rate_per_256: Peak of the learning rate for each 256 images of a batch.
        warmup_epochs: Of ``epochs``; a training of another length has as large a share of it.
        base: All else; its samples, batch and rate say nothing.
    """

    epochs: float
    batch: int
    rate_per_256: float
    warmup_epochs: float
    base: Schedule

    def schedule(self, *, samples: int, batch: int) -> Schedule:
        """The schedule of a training of that length, the rate in proportion to the batch."""
        return replace(
            self.base,
            samples=samples,
            batch=batch,
            learning_rate=self.rate_per_256 * batch / 256,
            warmup=self.warmup_epochs / self.epochs,
        )


_TENSORFLOW = Schedule(
    samples=1,
    weight_decay=1e-5,
    label_smoothing=0.1,
    optimizer=OptimizerName.RMSPROP_TF,
    ema=0.9999,
    decay=Decay.STAIRCASE,
    decay_epochs=2.4,
)

_IMAGES_OF_COCO = 118_287


def _spinenet(epochs: float, jitter: tuple[float, float], *, weight_decay: float = 4e-5) -> Recipe:
    """A protocol of SpineNet (arXiv 1912.05027, section 4.1 and appendix A).

    The rate falls to a tenth 30 and 10 epochs before the end; warm-up of 2,000 steps and clipping
    are its configurations'. Its momentum is not Nesterov's, as ``sgd`` here is, and its protocol A
    has DropBlock, which there is none of here.
    """
    return Recipe(
        epochs=epochs,
        batch=256,
        rate_per_256=0.28,
        warmup_epochs=2000 * 256 / _IMAGES_OF_COCO,
        base=Schedule(
            samples=1,
            weight_decay=weight_decay,
            optimizer=OptimizerName.SGD,
            decay=Decay.DROPS,
            drops=(1 - 30 / epochs, 1 - 10 / epochs),
            clip=10.0,
            jitter=jitter,
        ),
    )


RECIPES: Mapping[RecipeName, Recipe] = MappingProxyType(
    {
        # Section 5.2 of arXiv 1905.11946; batch, warm-up, smoothing, average: its code.
        RecipeName.EFFICIENTNET: Recipe(
            epochs=350, batch=2048, rate_per_256=0.016, warmup_epochs=5, base=_TENSORFLOW
        ),
        # Section 5.1 of arXiv 2104.00298: 0 to 0.256 at a batch of 4096; smoothing: its code.
        RecipeName.EFFICIENTNETV2: Recipe(
            epochs=350, batch=4096, rate_per_256=0.016, warmup_epochs=5, base=_TENSORFLOW
        ),
        # For detection. Networks have ReLU in A and B, swish in C, which is B, longer, with
        # stochastic depth of 0.2, and in mobile ones; those above SpineNet-96 have anchors of 4.
        RecipeName.SPINENET_A: _spinenet(250, (0.8, 1.2)),
        RecipeName.SPINENET_B: _spinenet(350, (0.5, 2.0)),
        RecipeName.SPINENET_C: _spinenet(500, (0.5, 2.0)),
        RecipeName.SPINENET_MOBILE: _spinenet(600, (0.5, 2.0), weight_decay=3e-5),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """How long to train, and with how many images at once.

    Attributes:
        samples: Training images; None where ``epochs`` say it, or the recipe.
        epochs: Passes over the training split, likewise.
        batch: Images a step; None for the recipe's.
    """

    samples: int | None = None
    epochs: float | None = None
    batch: int | None = None

    def __post_init__(self) -> None:
        if self.samples is not None and self.epochs is not None:
            msg = (
                f"a training is either of so many samples or epochs, got {self.samples} samples "
                f"and {self.epochs:g} epochs"
            )
            raise InputError(msg)
        if self.epochs is not None and not self.epochs > 0:
            msg = f"a training must be of more than 0 epochs, got {self.epochs:g}"
            raise InputError(msg)

    def seen(self, epoch: int) -> int | None:
        """Training images, where an epoch has so many; None where the recipe says it."""
        if self.epochs is None:
            return self.samples
        return max(1, round(self.epochs * epoch))


def schedule_of(name: RecipeName, proxy: Schedule, length: Length, *, epoch: int) -> Schedule:
    """The schedule of a recipe.

    >>> long = Length(epochs=350, batch=512)
    >>> found = schedule_of(RecipeName.EFFICIENTNET, Schedule(samples=1), long, epoch=1000)
    >>> found.samples, found.learning_rate, found.ema
    (350000, 0.032, 0.9999)

    Args:
        name: Of the recipe.
        proxy: What the data set recommends.
        length: What was asked for.
        epoch: Images of the training split.
    """
    if name is RecipeName.PROXY:
        samples = length.seen(epoch) or proxy.samples
        return replace(proxy, samples=samples, batch=length.batch or proxy.batch)
    recipe = RECIPES[name]
    samples = length.seen(epoch) or round(recipe.epochs * epoch)
    return recipe.schedule(samples=samples, batch=length.batch or recipe.batch)
