"""Averages of the weights of a training under way, which its learning rate does not shake."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

LOOKED_AT = 8
"""Of the weights that are looked at: about the last tenth of the steps so far counts (eta of
Shamir and Zhang 2013, "Stochastic gradient descent for non-smooth optimization", section 3)."""


class WeightAverage:
    """An exponential moving average of weights, with a copy of the network around it.

    Its decay warms up as in TensorFlow, whose average EfficientNet's code takes: after n steps it
    is at most (1 + n) / (10 + n), so that a short training does not end with its first weights.

    Args:
        network: Whose weights; the average begins with them.
        decay: Largest share of the past in each step.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = deepcopy(network)
        self.steps = 0
        self._decay = decay
        self._mine: list[Tensor] = list(self.network.parameters())
        self._theirs: list[Tensor] = list(network.parameters())

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights as they are now."""
        self.steps += 1
        decay = min(self._decay, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(self._mine, self._theirs, weight=1 - decay)

    @torch.no_grad()
    def put(self) -> None:
        """Give the network the averaged weights."""
        for mine, theirs in zip(self._mine, self._theirs, strict=True):
            theirs.copy_(mine)


def look_average(network: nn.Module) -> AveragedModel:
    """An average in which later weights count more, for looks on the way."""
    return AveragedModel(network, avg_fn=_towards)


def _towards(average: Tensor, weight: Tensor, steps: Tensor | int) -> Tensor:
    """The average of a weight over one step more, the later ones counting more."""
    return average.lerp(weight, (LOOKED_AT + 1) / (steps + LOOKED_AT + 1))
