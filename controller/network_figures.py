"""What a network takes before anything is trained or timed: exact.

Of a chain that classifies by its layers alone, without torch; of others on their torch module
(``controller.counted_figures``).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from enum import StrEnum

from controller.counted_figures import cost_of, stored_by
from exporters.artifact import Precision
from exporters.lifetimes import Execution, peak
from search_space.architecture import Architecture, Classifier, Head
from search_space.chain import Activation, ChainArchitecture, Op, Skip
from search_space.layers import Layer, LayerKind, layers


class Figure(StrEnum):
    """What can be told of a network before anything is trained or timed."""

    PARAMS = "params"
    """Trainable numbers, the head's too."""
    MACS = "macs"
    """Multiply-adds for one image of the size that is timed."""
    SIZE_MB = "size_mb"
    """Weights and biases of the model file in the precision that is timed, in 10^6 bytes; the
    file has its structure beside, some 15 to 70 KB."""
    ACTIVATION_MB = "activation_mb"
    """The most float32 activations that live at once at the size that is timed, in 10^6 bytes
    (``exporters.cost.Cost.peak_activation_bytes``); what a runtime holds beside is not told."""


MEGA = 1e6
"""Bytes of a MB."""

_BYTES = {
    Precision.FP32: (4, 4),
    Precision.FP16: (2, 2),
    Precision.DYNAMIC: (1, 4 + 8),
    Precision.INT8: (1, 4 + 8),
}
"""Of a weight and a bias; an int8 channel has a scale for either too, of 4 bytes."""

_FLOAT_BYTES = 4


def figures_of(
    architecture: Architecture, head: Head, precision: Precision, wanted: Collection[str]
) -> Mapping[str, float]:
    """Those figures of a network that are ``wanted``.

    Args:
        architecture: At the size that is timed.
        head: What it ends in.
        precision: Of the file.
        wanted: Names of figures; others among them are left out.

    Returns:
        By their names.

    Raises:
        InputError: If its family has no such head.
        OperationError: If torch is needed and not installed.
    """
    told = [figure for figure in Figure if figure in wanted]
    if not told:
        return {}
    if isinstance(architecture, ChainArchitecture) and isinstance(head, Classifier):
        whole = layers(architecture, head)
        return {figure.value: _figure(figure, whole, precision) for figure in told}
    return {figure.value: _counted(figure, architecture, head, precision) for figure in told}


def macs_of(architecture: Architecture, head: Head) -> int:
    """Multiply-adds for one image.

    Raises:
        InputError: If its family has no such head.
        OperationError: If torch is needed and not installed.
    """
    return int(figures_of(architecture, head, Precision.FP32, (Figure.MACS,))[Figure.MACS])


def _figure(figure: Figure, whole: tuple[Layer, ...], precision: Precision) -> float:
    match figure:
        case Figure.PARAMS:
            return sum(layer.params for layer in whole)
        case Figure.MACS:
            return sum(layer.macs for layer in whole)
        case Figure.SIZE_MB:
            weights, biases = zip(*(layer.stored for layer in whole), strict=True)
            return _stored_mb((sum(weights), sum(biases)), precision)
        case Figure.ACTIVATION_MB:
            return _peak_activations(whole) * _FLOAT_BYTES / MEGA


def _counted(
    figure: Figure, architecture: Architecture, head: Head, precision: Precision
) -> float:
    match figure:
        case Figure.PARAMS:
            return cost_of(architecture, head).params
        case Figure.MACS:
            return cost_of(architecture, head).macs
        case Figure.SIZE_MB:
            return _stored_mb(stored_by(architecture, head), precision)
        case Figure.ACTIVATION_MB:
            return cost_of(architecture, head).peak_activation_bytes / MEGA


def _stored_mb(stored: tuple[int, int], precision: Precision) -> float:
    """Of weights and biases."""
    return sum(size * count for size, count in zip(_BYTES[precision], stored, strict=True)) / MEGA


class _Walk:
    """Operators in the order of execution, as an exporter's graph has them."""

    def __init__(self, image: int) -> None:
        self.order: list[Execution] = []
        self.sizes = [image]

    def make(self, size: int, *read: int, in_place: bool = False) -> int:
        """Run an operator that reads and makes one activation; its number."""
        self.sizes.append(size)
        made = len(self.sizes) - 1
        self.order.append(Execution(read=read, made=(made,), in_place=in_place))
        return made

    def layer(self, layer: Layer, image: int) -> int:
        """Run a layer of a network; the number of its output."""
        if layer.kind is LayerKind.CLASSIFIER:
            return self.make(layer.out_channels, self.make(layer.in_channels, image))
        body = self._body(layer, image)
        if not layer.has_skip:
            return body
        whole = layer.out_size**2 * layer.out_channels
        return self.make(whole, body, self._around(layer, image))

    def _body(self, layer: Layer, image: int) -> int:
        out = layer.out_size**2
        if not layer.op.expands:
            return self._gated(layer, image, out, layer.out_channels)
        wide = image
        if layer.op is Op.MBCONV and layer.expansion > 1:
            wide = self._activated(layer, layer.in_size**2 * layer.hidden, image)
        deep = self._gated(layer, wide, out, layer.hidden)
        return self.make(out * layer.out_channels, deep)

    def _activated(self, layer: Layer, size: int, image: int) -> int:
        """A convolution with its activation; swish is two operators of its own."""
        made = self.make(size, image)
        if layer.activation is not Activation.SWISH:
            return made
        return self.make(size, made, self.make(size, made))

    def _gated(self, layer: Layer, image: int, pixels: int, channels: int) -> int:
        """A convolution with its activation, and squeeze-excitation where there is one."""
        size = pixels * channels
        deep = self._activated(layer, size, image)
        if not layer.squeezed:
            return deep
        squeezed = self._activated(layer, layer.squeezed, self.make(channels, deep))
        gate = self.make(channels, self.make(channels, squeezed), in_place=True)
        return self.make(size, deep, gate)

    def _around(self, layer: Layer, image: int) -> int:
        if layer.skip is not Skip.POOL:
            return image
        out = layer.out_size**2
        if layer.stride > 1:
            image = self.make(out * layer.in_channels, image)
        if layer.in_channels != layer.out_channels:
            image = self.make(out * layer.out_channels, image)
        return image


def _peak_activations(whole: tuple[Layer, ...]) -> int:
    """The largest number of activations that live at once."""
    first = whole[0]
    walk = _Walk(math.prod((first.in_size, first.in_size, first.in_channels)))
    image = 0
    for layer in whole:
        image = walk.layer(layer, image)
    return peak(walk.order, walk.sizes, inputs=[0], results=[image])
