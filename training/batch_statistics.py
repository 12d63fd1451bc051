"""Batch norms' statistics, taken anew as plain averages ("precise BN").

Wu and Johnson 2021, arXiv 2105.07576: their running averages, at MnasNet's momentum of 0.99, need
thousands of steps, and the averaged weights of a training have none of their own at all.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from training.feed import Feed
from training.order import Order
from training.task import Examples, frames_of

BATCHES = 8
"""From which they are taken."""

LEAST_BATCH = 64
"""Images at once; a clip is as many as it has frames."""


@torch.no_grad()
def take_statistics(
    module: nn.Module, examples: Examples, feed: Feed, *, batch: int, seed: int
) -> None:
    """Take them over some batches without augmentation; ``module`` is in eval mode then, but them.

    Args:
        module: Whose batch norms.
        examples: Of the training split.
        feed: Brings them.
        batch: Examples at once, but of ``LEAST_BATCH`` images at least.
        seed: Of the choice of examples.
    """
    norms = [part for part in module.modules() if isinstance(part, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    module.eval()  # no dropout: only the norms behave as in training
    for norm in norms:
        norm.train()
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative average
    order = Order(len(examples), torch.Generator().manual_seed(seed))
    least = -(-LEAST_BATCH // frames_of(examples))
    for _ in range(BATCHES):
        inputs, _ = feed.batch(examples, order.take(max(batch, least)), None)
        module(*inputs)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
