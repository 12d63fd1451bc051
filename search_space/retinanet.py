"""RetinaNet's heads (Lin et al., ICCV 2017, section 4) as SpineNet's published code has them.

Levels share the convolutions; each level has batch norms of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from search_space.blocks import activation_module
from search_space.chain import Activation
from search_space.spinenet import ANCHORS

PRIOR = 0.01
"""Chance of an object that an untrained detector gives every anchor (RetinaNet, section 4.1)."""

_HIDDEN_DEVIATION, _LAST_DEVIATION = 0.01, 1e-5  # tensorflow/tpu, heads.py


class RetinaNetHead(nn.Module):
    """A class net and a box net.

    Args:
        channels: Of each level's feature.
        classes: Of objects.
        levels: How many.
        convs: Of each net, before its last.
        filters: Of each of them.
        activation: After each of them.
        separable: Whether they are depthwise separable.
    """

    def __init__(
        self,
        *,
        channels: int,
        classes: int,
        levels: int,
        convs: int,
        filters: int,
        activation: Activation,
        separable: bool,
    ) -> None:
        super().__init__()
        shape = (channels, filters, convs, levels)
        self.classes = _Net(*shape, ANCHORS * classes, activation, separable=separable)
        self.boxes = _Net(*shape, ANCHORS * 4, activation, separable=separable)

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Class logits `[N, 9 * classes, H, W]` of each level, then boxes `[N, 36, H, W]`."""
        return (*self.classes(features), *self.boxes(features))

    @torch.no_grad()
    def start(self) -> None:
        """Make drawn weights as small as the published code has them, and set the prior."""
        for net in (self.classes, self.boxes):
            net.shrink()
        last = _last(self.classes.last)
        assert last.bias is not None
        last.bias.fill_(-math.log((1 - PRIOR) / PRIOR))


class _Net(nn.Module):
    """Convolutions that all levels share, a batch norm for each level after each but the last."""

    def __init__(
        self,
        channels: int,
        filters: int,
        convs: int,
        levels: int,
        outputs: int,
        activation: Activation,
        *,
        separable: bool,
    ) -> None:
        super().__init__()
        taken = [channels] + [filters] * convs
        self.convs = nn.ModuleList(
            _convolution(each, filters, separable=separable) for each in taken[:-1]
        )
        self.norms = nn.ModuleList(
            nn.ModuleList(nn.BatchNorm2d(filters) for _ in range(convs)) for _ in range(levels)
        )
        self.activation = activation_module(activation)
        self.last = _convolution(taken[-1], outputs, separable=separable)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """One tensor for each level."""
        return [
            self._level(feature, norms)
            for feature, norms in zip(features, self.norms, strict=True)
        ]

    def _level(self, feature: Tensor, norms: nn.Module) -> Tensor:
        for convolution, norm in zip(self.convs, norms.children(), strict=True):
            feature = self.activation(norm(convolution(feature)))
        result: Tensor = self.last(feature)
        return result

    def shrink(self) -> None:
        """From ``draw_weights``; separable layers but the last stay as they are drawn."""
        for convolution in self.convs:
            if isinstance(convolution, nn.Sequential) and len(convolution) == 1:
                _shrink(_last(convolution), _HIDDEN_DEVIATION)
        _shrink(_last(self.last), _LAST_DEVIATION)


def _convolution(channels: int, filters: int, *, separable: bool) -> nn.Sequential:
    """3x3 with a bias; separable: of each channel apart, then 1x1 with the bias."""
    if not separable:
        return nn.Sequential(nn.Conv2d(channels, filters, 3, padding=1))
    depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
    return nn.Sequential(depthwise, nn.Conv2d(channels, filters, 1))


def _last(convolution: nn.Sequential) -> nn.Conv2d:
    """Where its bias is."""
    *_, last = (each for each in convolution if isinstance(each, nn.Conv2d))
    return last


def _shrink(last: nn.Conv2d, deviation: float) -> None:
    """Give weights as ``draw_weights`` draws them a standard deviation."""
    fan_out = math.prod(last.kernel_size) * last.out_channels
    last.weight.mul_(deviation / math.sqrt(2 / fan_out))
