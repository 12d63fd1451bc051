"""The optimizer of a schedule, and the largest step that it may take."""

from __future__ import annotations

from typing import assert_never

import torch
from torch import nn
from torch.optim import Optimizer

from training.schedule import OptimizerName, Schedule

MOMENTUM = 0.9
"""Of ``rmsprop-tf`` and ``sgd`` (EfficientNet, arXiv 1905.11946, section 5.2)."""

RMSPROP_DECAY, RMSPROP_EPSILON = 0.9, 1e-3
"""Of ``rmsprop-tf``; the epsilon is in EfficientNet's code alone."""


def optimizer_of(module: nn.Module, schedule: Schedule) -> Optimizer:
    """A new optimizer of all weights of ``module``, at the schedule's peak rate."""
    groups, rate = _groups(module, schedule), schedule.learning_rate
    match schedule.optimizer:
        case OptimizerName.ADAMW:
            return torch.optim.AdamW(groups, lr=rate)
        case OptimizerName.SGD:
            return torch.optim.SGD(groups, lr=rate, momentum=MOMENTUM, nesterov=True)
        case OptimizerName.RMSPROP_TF:
            from timm.optim import RMSpropTF

            made: Optimizer = RMSpropTF(
                groups, lr=rate, alpha=RMSPROP_DECAY, eps=RMSPROP_EPSILON, momentum=MOMENTUM
            )
            return made
    assert_never(schedule.optimizer)


def set_rate(optimizer: Optimizer, rate: float) -> None:
    """Let the next step be as long as ``rate`` says."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def clip(module: nn.Module, schedule: Schedule) -> None:
    """Shorten the gradients of ``module`` to the schedule's norm, if they are longer."""
    if schedule.clip:
        torch.nn.utils.clip_grad_norm_(module.parameters(), schedule.clip)


def _groups(module: nn.Module, schedule: Schedule) -> list[dict[str, object]]:
    """Weights, which decay, and batch norms and biases, which do not."""
    weights = [p for p in module.parameters() if p.requires_grad and p.ndim > 1]
    others = [p for p in module.parameters() if p.requires_grad and p.ndim <= 1]
    return [
        {"params": weights, "weight_decay": schedule.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
