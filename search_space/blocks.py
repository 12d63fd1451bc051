"""The torch layers of a chain of stages, and their weights before training.

Layers with a stride pad as TensorFlow does ('SAME': what the output size needs, the odd pixel at
the bottom and right), at any input size, so that an exported file needs no PAD. A tracer takes
``SameConv2d`` and ``SameAvgPool2d`` as single operators; both carry ``tf_same = True``. So it does
with ``StochasticDepth``, which carries ``only_in_training = True``, and exports nothing for it.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, ClassVar, assert_never

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from search_space.chain import Activation, ChainArchitecture, Op, Skip, Stage

if TYPE_CHECKING:
    from search_space.architecture import Classifier

BN_EPSILON = 1e-3
"""MnasNet's published code."""

BN_MOMENTUM = 0.01
"""Share of the new batch; TensorFlow calls this a momentum of 0.99 (MnasNet, section 5)."""


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Pixels before and after, so that ``size`` pixels give ceil(size / stride).

    >>> same_padding(224, 3, 2), same_padding(7, 3, 2), same_padding(7, 5, 1)
    ((0, 1), (1, 1), (2, 2))
    """
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class SameConv2d(nn.Conv2d):
    """A convolution that pads as TensorFlow's 'SAME' does, for whatever size comes."""

    tf_same: ClassVar[bool] = True

    def forward(self, image: Tensor) -> Tensor:
        """`[N, C, H, W]` to `[N, filters, ceil(H / stride), ceil(W / stride)]`."""
        kernel, stride = self.kernel_size, self.stride
        top, bottom = same_padding(image.shape[2], kernel[0], stride[0])
        left, right = same_padding(image.shape[3], kernel[1], stride[1])
        padding = (top, left)
        if (top, left) != (bottom, right):
            image = functional.pad(image, (left, right, top, bottom))
            padding = (0, 0)
        return functional.conv2d(
            image, self.weight, self.bias, stride, padding, self.dilation, self.groups
        )


class SameAvgPool2d(nn.AvgPool2d):
    """The average over windows of `[stride, stride]`, those at the edge cut: TensorFlow's 'SAME'.

    The padding that 'SAME' would put around is not counted, and with windows as wide as the stride
    all of it is at the bottom and right for a stride of 2.
    """

    tf_same: ClassVar[bool] = True

    def __init__(self, stride: int) -> None:
        super().__init__(stride, stride, ceil_mode=True, count_include_pad=False)


class SqueezeExcite(nn.Module):
    """Scales each channel by a gate computed from the mean of all (MnasNet's published code).

    Args:
        channels: Of its input.
        squeezed: Width inside.
        activation: Of the layer; inside, it is swish where this is, else ReLU.
    """

    def __init__(
        self, channels: int, squeezed: int, activation: Activation = Activation.RELU
    ) -> None:
        super().__init__()
        inner = Activation.SWISH if activation is Activation.SWISH else Activation.RELU
        self.reduce = nn.Conv2d(channels, squeezed, 1)
        self.activation = activation_module(inner)
        self.expand = nn.Conv2d(squeezed, channels, 1)
        self.gate = nn.Sigmoid()

    def forward(self, image: Tensor) -> Tensor:
        """`[N, C, H, W]` to the same shape."""
        mean = image.mean((2, 3), keepdim=True)
        gate: Tensor = self.gate(self.expand(self.activation(self.reduce(mean))))
        return image * gate


class StochasticDepth(nn.Module):
    """While training, makes all of an example 0 by chance, and makes up for it in the others.

    EfficientNet's published code (its ``drop_connect``): each example of a batch by itself.

    Args:
        rate: The chance.
    """

    only_in_training: ClassVar[bool] = True

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, image: Tensor) -> Tensor:
        """`[N, C, H, W]` to the same shape."""
        if not self.training:
            return image
        kept = 1 - self.rate
        chances = image.new_empty(image.shape[0], 1, 1, 1).bernoulli_(kept)
        return image * (chances / kept)


class Block(nn.Module):
    """One layer of a stage, with what goes around it.

    Args:
        layer: A stage of one out of ``Stage.unrolled``.
        channels: Of its input.
        activation: Of the network.
        drop_rate: Its chance to leave out all but an identity, while training.
    """

    def __init__(
        self, layer: Stage, channels: int, activation: Activation, drop_rate: float = 0.0
    ) -> None:
        super().__init__()
        parts = _body(layer, channels, layer.activation or activation)
        self.adds_input = layer.skip is Skip.IDENTITY
        if drop_rate:
            parts.append(StochasticDepth(drop_rate))
        self.body = nn.Sequential(*parts)
        self.shortcut = _pooled(layer, channels) if layer.skip is Skip.POOL else None

    def forward(self, image: Tensor) -> Tensor:
        """`[N, C, H, W]` to `[N, filters, ceil(H / stride), ceil(W / stride)]`."""
        out: Tensor = self.body(image)
        if self.adds_input:
            return out + image
        if self.shortcut is not None:
            around: Tensor = self.shortcut(image)
            return out + around
        return out


class ChainNetwork(nn.Module):
    """The network of a ``ChainArchitecture``, with the weights that its key gives it."""

    def __init__(self, architecture: ChainArchitecture, head: Classifier) -> None:
        super().__init__()
        stem, activation = architecture.stem, architecture.activation
        channels = stem.filters
        blocks = []
        with torch.random.fork_rng(devices=[]):  # torch draws first, to no effect
            self.stem = nn.Sequential(
                *conv_bn(architecture.channels, channels, stem.kernel, stem.stride),
                activation_module(activation),
            )
            layers = zip(architecture.unrolled(), architecture.drop_rates, strict=True)
            for layer, drop_rate in layers:
                blocks.append(Block(layer, channels, activation, drop_rate))
                channels = layer.filters
            self.blocks = nn.Sequential(*blocks)
            last = architecture.head_filters
            self.head = nn.Sequential(*conv_bn(channels, last, 1), activation_module(activation))
            self.dropout = nn.Dropout(architecture.dropout)
            self.classifier = nn.Linear(last, head.classes)
        draw_weights(self, architecture.weights_key)

    def forward(self, image: Tensor) -> Tensor:
        """`[N, C, H, W]` to `[N, classes]`."""
        features: Tensor = self.head(self.blocks(self.stem(image)))
        scores: Tensor = self.classifier(self.dropout(features.mean((2, 3))))
        return scores


@torch.no_grad()
def draw_weights(network: nn.Module, key: str) -> None:
    """Set every weight as MnasNet's published code does, from a seed that derives from ``key``.

    Convolutions normal with variance 2 / (kernel height * width * output channels per group),
    dense layers uniform within 1 / sqrt(outputs), biases 0. NumPy draws, not torch, whose normal
    numbers differ between processors; no global random state is read or changed. Modules on the
    meta device have no numbers to draw.
    """
    if any(weight.is_meta for weight in network.parameters()):
        return
    rng = generator_of(key)
    for module in network.modules():
        match module:
            case nn.Conv2d():
                fan_out = math.prod(module.kernel_size) * module.out_channels // module.groups
                _fill(module.weight, rng.standard_normal(module.weight.shape, np.float32))
                module.weight.mul_(math.sqrt(2 / fan_out))
            case nn.Linear():
                limit = 1 / math.sqrt(module.out_features)
                _fill(module.weight, rng.random(module.weight.shape, np.float32))
                module.weight.mul_(2 * limit).sub_(limit)
            case nn.BatchNorm2d():
                module.reset_parameters()
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)


def generator_of(key: str) -> np.random.Generator:
    """What draws the weights of the network of that key, the same on every machine."""
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:16], "big")
    return np.random.Generator(np.random.PCG64(seed))


def _fill(weight: Tensor, values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> None:
    weight.copy_(torch.from_numpy(values))


def _body(layer: Stage, channels: int, activation: Activation) -> list[nn.Module]:
    match layer.op:
        case Op.MBCONV:
            return _bottleneck(layer, channels, activation)
        case Op.FUSED:
            return _fused(layer, channels, activation)
    return _plain(layer, channels, activation)


def _plain(layer: Stage, channels: int, activation: Activation) -> list[nn.Module]:
    return [
        *conv_bn(channels, layer.filters, layer.kernel, layer.stride),
        activation_module(activation),
        *_squeeze(layer, channels, layer.filters, activation),
    ]


def _bottleneck(layer: Stage, channels: int, activation: Activation) -> list[nn.Module]:
    hidden = layer.hidden(channels)
    expand = [*conv_bn(channels, hidden, 1), activation_module(activation)]
    return [
        *(expand if layer.expansion > 1 else ()),
        *conv_bn(hidden, hidden, layer.kernel, layer.stride, groups=hidden),
        activation_module(activation),
        *_squeeze(layer, channels, hidden, activation),
        *conv_bn(hidden, layer.filters, 1),
    ]


def _fused(layer: Stage, channels: int, activation: Activation) -> list[nn.Module]:
    hidden = layer.hidden(channels)
    return [
        *conv_bn(channels, hidden, layer.kernel, layer.stride),
        activation_module(activation),
        *_squeeze(layer, channels, hidden, activation),
        *conv_bn(hidden, layer.filters, 1),
    ]


def _squeeze(layer: Stage, channels: int, hidden: int, activation: Activation) -> list[nn.Module]:
    squeezed = layer.squeezed(channels)
    return [SqueezeExcite(hidden, squeezed, activation)] if squeezed else []


def _pooled(layer: Stage, channels: int) -> nn.Sequential:
    pool = [SameAvgPool2d(layer.stride)] if layer.stride > 1 else []
    widen = conv_bn(channels, layer.filters, 1) if channels != layer.filters else []
    return nn.Sequential(*pool, *widen)


def conv_bn(
    channels: int, filters: int, kernel: int, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    """A convolution without bias, padded as 'SAME', and its batch norm."""
    convolution: nn.Conv2d
    if stride == 1:  # an odd kernel then pads alike on all sides
        convolution = nn.Conv2d(
            channels, filters, kernel, padding=kernel // 2, groups=groups, bias=False
        )
    else:
        convolution = SameConv2d(channels, filters, kernel, stride, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(filters, eps=BN_EPSILON, momentum=BN_MOMENTUM)]


def activation_module(activation: Activation) -> nn.Module:
    """The layer of that name; one whose gradient needs its input does not write over it."""
    match activation:
        case Activation.RELU:
            return nn.ReLU(inplace=True)
        case Activation.RELU6:
            return nn.ReLU6(inplace=True)
        case Activation.SWISH:
            return nn.SiLU()
    assert_never(activation)
