"""Batch norms' statistics, taken anew as plain averages ("precise BN").

Wu and Johnson 2021, arXiv 2105.07576: their running averages, at MnasNet's momentum of 0.99, need
thousands of steps, and the averaged weights of a training have none of their own at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from training.batch_bound import bounded
from training.distributed import ALONE, World, synchronised
from training.feed import Feed
from training.order import Order
from training.task import Examples, frames_of

BATCHES = 8
"""From which they are taken; more where each has to be smaller."""

LEAST_BATCH = 64
"""Images at once; a clip is as many as it has frames."""


@torch.no_grad()
def take_statistics(
    module: nn.Module,
    examples: Examples,
    feed: Feed,
    *,
    size: int,
    batch: int,
    seed: int,
    world: World = ALONE,
) -> None:
    """Take them over some batches without augmentation; ``module`` is in eval mode then, but them.

    Args:
        module: Whose batch norms.
        examples: Of the training split.
        feed: Brings them.
        size: Of them, in pixels.
        batch: Examples at once, but of ``LEAST_BATCH`` images at least, as far as
            ``batch_bound.MOST_PIXELS`` goes.
        seed: Of the choice of examples.
        world: The processes that share each batch; all of them take the same statistics.
    """
    module.eval()  # no dropout: only the norms behave as in training
    order = Order(len(examples), torch.Generator().manual_seed(seed))
    least = -(-LEAST_BATCH // frames_of(examples))
    wanted = min(max(batch, least), len(examples))
    taken = max(bounded(wanted, examples, size), world.size)
    with synchronised(module, world), _averaging(module):
        for _ in range(-(-BATCHES * wanted // taken)):
            inputs, _ = feed.batch(examples, world.part(order.take(taken)), None)
            module(*inputs)


@contextmanager
def _averaging(module: nn.Module) -> Iterator[None]:
    """Let batch norms begin anew, and take the plain average while the block runs."""
    norms = [part for part in module.modules() if isinstance(part, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.train()
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative average
    yield
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
