"""The torch layers of networks over clips: over the pixels of a frame, or over frames.

Clips are `[N, C, T, H, W]`. No kernel is over both at once, (2+1)D (Tran et al., CVPR 2018), so
that an exporter writes each as a convolution of images. Strides are over pixels alone and pad as
TensorFlow's 'SAME' does; AssembleNet's code pads the same on all sides, which costs phones a PAD.
"""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from search_space.blocks import activation_module, same_padding
from search_space.chain import Activation

BN_EPSILON = 1e-5
"""AssembleNet's published code."""

BN_MOMENTUM = 0.01
"""Share of the new batch; TensorFlow calls this a momentum of 0.99."""


class SameConv3d(nn.Conv3d):
    """A convolution over the pixels of each frame, padded as 'SAME', for whatever size comes.

    Args:
        channels: Of its input.
        filters: Of its output.
        kernel: Side in pixels.
        stride: Likewise.
        groups: That do not mix.
    """

    tf_same: ClassVar[bool] = True

    def __init__(
        self, channels: int, filters: int, kernel: int, stride: int, groups: int = 1
    ) -> None:
        window, step = (1, kernel, kernel), (1, stride, stride)
        super().__init__(channels, filters, window, step, groups=groups, bias=False)

    def forward(self, clip: Tensor) -> Tensor:
        """`[N, C, T, H, W]` to `[N, filters, T, ceil(H / stride), ceil(W / stride)]`."""
        top, bottom = same_padding(clip.shape[3], self.kernel_size[1], self.stride[1])
        left, right = same_padding(clip.shape[4], self.kernel_size[2], self.stride[2])
        if any((top, bottom, left, right)):
            clip = functional.pad(clip, (left, right, top, bottom))
        return functional.conv3d(clip, self.weight, None, self.stride, groups=self.groups)


class SameMaxPool3d(nn.MaxPool3d):
    """The maximum over windows of pixels of each frame, padded as 'SAME', for whatever size comes.

    Args:
        window: Side in pixels.
        stride: Likewise.
    """

    tf_same: ClassVar[bool] = True

    def __init__(self, window: int, stride: int) -> None:
        super().__init__((1, window, window), (1, stride, stride))
        self.window, self.step = window, stride

    def forward(self, clip: Tensor) -> Tensor:
        """`[N, C, T, H, W]` to `[N, C, T, ceil(H / stride), ceil(W / stride)]`."""
        top, bottom = same_padding(clip.shape[3], self.window, self.step)
        left, right = same_padding(clip.shape[4], self.window, self.step)
        around = (left, right, top, bottom)
        if any(around):
            clip = functional.pad(clip, around, value=float("-inf"))
        return functional.max_pool3d(clip, self.kernel_size, self.stride)


class Residual(nn.Module):
    """Layers, a last 1x1 convolution, and what goes around them, added before an activation.

    Args:
        body: All but the last convolution.
        channels: Of its input.
        inner: That the body gives.
        filters: Of its output.
        stride: Of the body, over pixels.
        activation: After the sum.
        projects: Whether a convolution goes around, as it must where shapes change.
    """

    def __init__(
        self,
        body: list[nn.Module],
        channels: int,
        inner: int,
        filters: int,
        stride: int,
        activation: Activation,
        *,
        projects: bool,
    ) -> None:
        super().__init__()
        self.body = nn.Sequential(*body)
        self.last, self.last_norm = over_pixels(inner, filters, 1)
        around = over_pixels(channels, filters, 1, stride) if projects else ()
        self.shortcut = nn.Sequential(*around)
        self.activation = activation_module(activation)

    def forward(self, clip: Tensor) -> Tensor:
        """`[N, C, T, H, W]` to `[N, filters, T, ceil(H / stride), ceil(W / stride)]`."""
        made = self.last_norm(self.last(self.body(clip)))
        result: Tensor = self.activation(made + self.shortcut(clip))
        return result


class Bottleneck(Residual):
    """A residual bottleneck, 2D or (2+1)D, four times as wide outside as its filters.

    Args:
        channels: Of its input.
        filters: Of its first convolution.
        inner: Of its second.
        stride: Of its second.
        dilation: Temporal, of its first convolution over three frames; None for a 1x1 instead.
        activation: In it.
        projects: Whether a convolution goes around it, as it must where shapes change.
    """

    def __init__(
        self,
        channels: int,
        filters: int,
        inner: int,
        stride: int,
        dilation: int | None,
        activation: Activation,
        *,
        projects: bool,
    ) -> None:
        first = (
            over_pixels(channels, filters, 1)
            if dilation is None
            else over_frames(channels, filters, 3, dilation)
        )
        body = [
            *first,
            activation_module(activation),
            *over_pixels(filters, inner, 3, stride),
            activation_module(activation),
        ]
        super().__init__(body, channels, inner, 4 * filters, stride, activation, projects=projects)


class InvertedBottleneck(Residual):
    """A residual module that is wide inside: each channel over pixels, then over three frames.

    Args:
        channels: Of its input.
        filters: Of its output.
        inner: Between.
        stride: Over pixels.
        dilation: Temporal.
        activation: In it.
        projects: Whether a convolution goes around it, as it must where shapes change.
    """

    def __init__(
        self,
        channels: int,
        filters: int,
        inner: int,
        stride: int,
        dilation: int,
        activation: Activation,
        *,
        projects: bool,
    ) -> None:
        body = [
            *over_pixels(channels, inner, 1),
            activation_module(activation),
            *over_pixels(inner, inner, 3, stride, groups=inner),
            activation_module(activation),
            *over_frames(inner, inner, 3, dilation, groups=inner),
            activation_module(activation),
        ]
        super().__init__(body, channels, inner, filters, stride, activation, projects=projects)


def over_pixels(
    channels: int, filters: int, kernel: int, stride: int = 1, groups: int = 1
) -> tuple[nn.Conv3d, nn.BatchNorm3d]:
    """A convolution over the pixels of each frame, without bias, and its batch norm."""
    convolution: nn.Conv3d
    if stride == 1:  # an odd kernel then pads alike on all sides
        convolution = nn.Conv3d(
            channels,
            filters,
            (1, kernel, kernel),
            padding=(0, kernel // 2, kernel // 2),
            groups=groups,
            bias=False,
        )
    else:
        convolution = SameConv3d(channels, filters, kernel, stride, groups)
    return convolution, nn.BatchNorm3d(filters, eps=BN_EPSILON, momentum=BN_MOMENTUM)


def over_frames(
    channels: int, filters: int, kernel: int, dilation: int, groups: int = 1
) -> tuple[nn.Conv3d, nn.BatchNorm3d]:
    """A convolution over the frames of each pixel, without bias, and its batch norm."""
    convolution = nn.Conv3d(
        channels,
        filters,
        (kernel, 1, 1),
        padding=(dilation * (kernel // 2), 0, 0),
        dilation=(dilation, 1, 1),
        groups=groups,
        bias=False,
    )
    return convolution, nn.BatchNorm3d(filters, eps=BN_EPSILON, momentum=BN_MOMENTUM)
