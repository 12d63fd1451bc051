"""The torch layers of a scale-permuted network: blocks, and what brings features to their shape.

Sizes follow from levels, so a network runs at any image size: at level l it has ceil(size / 2^l)
pixels. Where 2^l divides the size that is the published code, to the bit. Elsewhere the code
takes the ratio of rounded sizes as its factor and resizes what does not fit; here a maximum with
a stride of 2^n and 'SAME' padding always fits, and what grows by 2^n is cut at bottom and right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from torch import Tensor, nn
from torch.nn import functional

from search_space.blocks import Block, StochasticDepth, activation_module, conv_bn, same_padding
from search_space.chain import Activation
from search_space.permuted_blocks import BlockKind
from search_space.spinenet_parts import mobile_stage

if TYPE_CHECKING:
    from search_space.spinenet import ScalePermutedArchitecture

BN_EPSILON = 1e-4
"""SpineNet's published code, for detection."""

BN_MOMENTUM = 0.003
"""Share of the new batch; TensorFlow calls this a momentum of 0.997."""


class SameMaxPool2d(nn.MaxPool2d):
    """The maximum over windows, padded as TensorFlow's 'SAME' does, for whatever size comes.

    Args:
        window: Side in pixels.
        stride: Likewise.
    """

    tf_same: ClassVar[bool] = True

    def __init__(self, window: int, stride: int) -> None:
        super().__init__(window, stride)
        self.window, self.step = window, stride

    def forward(self, image: Tensor) -> Tensor:
        """`[N, C, H, W]` to `[N, C, ceil(H / stride), ceil(W / stride)]`."""
        top, bottom = same_padding(image.shape[2], self.window, self.step)
        left, right = same_padding(image.shape[3], self.window, self.step)
        around = (left, right, top, bottom)
        if any(around):
            image = functional.pad(image, around, value=float("-inf"))
        return functional.max_pool2d(image, self.window, self.step)


class Enlarge(nn.Module):
    """Each pixel as a square of pixels, cut to a size.

    Args:
        levels: How often the size doubles.
    """

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.factor = 2**levels

    def forward(self, image: Tensor, rows: int, columns: int) -> Tensor:
        """`[N, C, H, W]` to `[N, C, rows, columns]`, at most the factor times as large."""
        large = functional.interpolate(image, scale_factor=self.factor, mode="nearest")
        return large[:, :, :rows, :columns]


class Resampling(nn.Module):
    """A parent's feature brought to the level and the channels of a block (section 3.2).

    Args:
        network: What it is in.
        source: Level and kind of the parent.
        target: Level and kind of the block.
    """

    def __init__(
        self,
        network: ScalePermutedArchitecture,
        source: tuple[int, BlockKind],
        target: tuple[int, BlockKind],
    ) -> None:
        super().__init__()
        smaller = target[0] - source[0]
        channels, wanted = network.channels_of(*source), network.channels_of(*target)
        activation = network.activation
        if network.mobile is not None:
            parts = [
                part
                for _ in range(smaller)
                for part in activated(channels, channels, 3, activation, 2, groups=channels)
            ]
        else:
            inner = max(1, int(network.filters_at(source[0]) * network.alpha))
            parts = activated(channels, inner, 1, activation)
            parts += _shrinking(inner, smaller, activation)
            channels = inner
        self.before = nn.Sequential(*parts)
        self.enlarge = Enlarge(-smaller) if smaller < 0 else None
        self.after = nn.Sequential(*conv_bn(channels, wanted, 1))

    def forward(self, feature: Tensor, rows: int, columns: int) -> Tensor:
        """`[N, C, H, W]` to `[N, channels, rows, columns]`."""
        made: Tensor = self.before(feature)
        if self.enlarge is not None:
            made = self.enlarge(made, rows, columns)
        result: Tensor = self.after(made)
        return result


class ShortcutBlock(nn.Module):
    """A bottleneck or a residual block at stride 1, with an activation after the sum.

    Args:
        kind: Which of the two.
        channels: Of its input; where they are not its own, a 1x1 convolution goes around it.
        filters: Of its convolutions; a bottleneck's last has four times as many.
        activation: In it.
        drop_rate: Its chance to leave out all but the way around, while training.
    """

    def __init__(
        self,
        kind: BlockKind,
        channels: int,
        filters: int,
        activation: Activation,
        drop_rate: float = 0.0,
    ) -> None:
        super().__init__()
        if kind is BlockKind.BOTTLENECK:
            made = 4 * filters
            parts = [
                *activated(channels, filters, 1, activation),
                *activated(filters, filters, 3, activation),
                *conv_bn(filters, made, 1),
            ]
        else:
            made = filters
            parts = [*activated(channels, filters, 3, activation), *conv_bn(filters, made, 3)]
        if drop_rate:
            parts.append(StochasticDepth(drop_rate))
        self.body = nn.Sequential(*parts)
        around = conv_bn(channels, made, 1) if channels != made else []
        self.shortcut = nn.Sequential(*around)
        self.activation = activation_module(activation)

    def forward(self, image: Tensor) -> Tensor:
        """`[N, C, H, W]` to `[N, channels, H, W]`."""
        result: Tensor = self.activation(self.body(image) + self.shortcut(image))
        return result


def group(
    network: ScalePermutedArchitecture,
    kind: BlockKind,
    level: int,
    channels: int,
    drop_rate: float = 0.0,
    stride: int = 1,
) -> nn.Sequential:
    """A block of a network and its repeats.

    Args:
        network: What it is in.
        kind: Of the block.
        level: Likewise.
        channels: Of its input.
        drop_rate: Of stochastic depth.
        stride: Of the first, in mobile networks.
    """
    filters, activation = network.filters_at(level), network.activation
    if network.mobile is not None:
        stage = mobile_stage(network, level, stride=stride)
        taken = [channels] + [filters] * (network.repeats - 1)
        layers = zip(stage.unrolled(channels), taken, strict=True)
        return nn.Sequential(*(Block(each, c, activation, drop_rate) for each, c in layers))
    own = network.channels_of(level, kind)
    taken = [channels] + [own] * (network.repeats - 1)
    return nn.Sequential(*(ShortcutBlock(kind, c, filters, activation, drop_rate) for c in taken))


def activated(
    channels: int,
    filters: int,
    kernel: int,
    activation: Activation,
    stride: int = 1,
    groups: int = 1,
) -> list[nn.Module]:
    """A convolution, its batch norm and an activation."""
    return [
        *conv_bn(channels, filters, kernel, stride, groups),
        activation_module(activation),
    ]


def norm_as_published(network: nn.Module) -> None:
    """Give all batch norms of ``network`` this family's epsilon and momentum."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps, module.momentum = BN_EPSILON, BN_MOMENTUM


def _shrinking(channels: int, levels: int, activation: Activation) -> list[nn.Module]:
    """From a level to one ``levels`` deeper: a convolution to the next, then a maximum."""
    if levels < 1:
        return []
    parts = activated(channels, channels, 3, activation, 2)
    if levels > 1:
        parts.append(SameMaxPool2d(3 if levels == 2 else 5, 2 ** (levels - 1)))
    return parts
