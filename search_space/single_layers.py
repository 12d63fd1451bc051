"""One layer of a chain as a network of its own, after a layer that makes its input.

A layer is timed as the difference between the two: what comes from the network's input and not
from another layer would be timed cold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from search_space.blocks import Block, activation_module, conv_bn, draw_weights
from search_space.chain import Activation, Stage
from search_space.layers import Layer, LayerKind

if TYPE_CHECKING:
    from torch import Tensor


class LeadIn(nn.Module):
    """A depthwise convolution, which is cheap and keeps the shape.

    Args:
        channels: Of its input.
        activation: After it.
    """

    def __init__(self, channels: int, activation: Activation) -> None:
        super().__init__()
        depthwise = conv_bn(channels, channels, 3, groups=channels)
        self.body = nn.Sequential(*depthwise, activation_module(activation))
        draw_weights(self, f"lead-in of {channels}")

    def forward(self, image: Tensor) -> Tensor:
        """`[N, C, H, W]` to the same shape."""
        out: Tensor = self.body(image)
        return out


class SingleLayer(nn.Module):
    """A lead-in and one layer.

    Args:
        layer: Of a chain.
        activation: Of the chain, and so of the lead-in; the layer has its own.
        weights_key: What the layer's weights derive from.
    """

    def __init__(self, layer: Layer, activation: Activation, weights_key: str) -> None:
        super().__init__()
        self.lead_in = LeadIn(layer.in_channels, activation)
        self.layer = _module(layer)
        draw_weights(self.layer, weights_key)

    def forward(self, image: Tensor) -> Tensor:
        """`[N, C, H, W]` to what the layer gives."""
        out: Tensor = self.layer(self.lead_in(image))
        return out


class _Classifier(nn.Module):
    """The mean of all pixels, and a dense layer."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.dense = nn.Linear(channels, classes)

    def forward(self, image: Tensor) -> Tensor:
        scores: Tensor = self.dense(image.mean((2, 3)))
        return scores


def _module(layer: Layer) -> nn.Module:
    activation = layer.activation
    match layer.kind:
        case LayerKind.BLOCK:
            return Block(_stage(layer), layer.in_channels, activation)
        case LayerKind.CLASSIFIER:
            return _Classifier(layer.in_channels, layer.out_channels)
        case LayerKind.STEM | LayerKind.HEAD:
            convolution = conv_bn(
                layer.in_channels, layer.out_channels, layer.kernel, layer.stride
            )
            return nn.Sequential(*convolution, activation_module(activation))


def _stage(layer: Layer) -> Stage:
    """The stage of one that gives ``layer``."""
    ratio = (layer.squeezed + 0.5) / layer.in_channels if layer.squeezed else 0.0
    return Stage(
        op=layer.op,
        kernel=layer.kernel,
        stride=layer.stride,
        expansion=layer.expansion,
        filters=layer.out_channels,
        repeats=1,
        se_ratio=min(ratio, 1.0),
        skip=layer.skip,
        expands=layer.expands,
    )
