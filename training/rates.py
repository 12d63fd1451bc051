"""The learning rate as a share of its peak, by how many images a training has seen.

It goes by images, not by steps, so that its shape is the same where stages have batches of
different sizes.
"""

from __future__ import annotations

import math

from training.schedule import Decay, Schedule

STAIR = 0.97
"""What is left of the rate after each stair (EfficientNet, arXiv 1905.11946, section 5.2)."""


def rate(schedule: Schedule, *, seen: int, batch: int, epoch: int) -> float:
    """Share of the peak at a step, linear up over the warm-up and down by ``schedule.decay``.

    >>> cosine = Schedule(samples=100, batch=10)
    >>> [round(rate(cosine, seen=seen, batch=10, epoch=50), 3) for seen in (0, 10, 50, 90)]
    [1.0, 1.0, 0.587, 0.03]

    Args:
        schedule: Of the training.
        seen: Images before the step.
        batch: Images of the step.
        epoch: Images of an epoch.
    """
    steps, step = steps_of(schedule.samples, batch), seen / batch
    warmup = max(1, round(schedule.warmup * steps)) if schedule.warmup else 0
    if step < warmup:
        return min(1.0, (step + 1) / warmup) * _stairs(schedule, seen, epoch)
    if schedule.decay is Decay.STAIRCASE:
        return _stairs(schedule, seen, epoch)
    if schedule.decay is Decay.DROPS:
        return math.pow(0.1, sum(seen >= drop * schedule.samples for drop in schedule.drops))
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def steps_of(samples: int, batch: int) -> int:
    """How many steps a training in batches of one size takes.

    One image that is left at the end is left out: alone it has no batch statistics.

    >>> steps_of(100, 30), steps_of(91, 30), steps_of(1, 30)
    (4, 3, 1)
    """
    steps, rest = divmod(samples, batch)
    return steps + (rest > 1 or steps == 0)


def _stairs(schedule: Schedule, seen: int, epoch: int) -> float:
    if schedule.decay is not Decay.STAIRCASE:
        return 1.0
    return math.pow(STAIR, math.floor(seen / (epoch * schedule.decay_epochs)))
