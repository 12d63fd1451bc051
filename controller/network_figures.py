"""What a network takes, by its layers alone: exact, without torch, nothing built or timed."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from enum import StrEnum

from exporters.artifact import Precision
from exporters.lifetimes import Execution, peak
from search_space.architecture import Architecture, Classifier, Head
from search_space.chain import Activation, ChainArchitecture, Op, Skip
from search_space.layers import Layer, LayerKind, layers
from workspace.errors import InputError


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
        architecture: At the size that is timed; a chain of stages.
        head: What it ends in.
        precision: Of the file.
        wanted: Names of figures; others among them are left out.

    Returns:
        By their names.

    Raises:
        InputError: If its layers are not known.
    """
    told = [figure for figure in Figure if figure in wanted]
    if not told:
        return {}
    if not (isinstance(architecture, ChainArchitecture) and isinstance(head, Classifier)):
        names = " and ".join(told)
        msg = f"{names} are told of chains of stages that classify, got {architecture.key!r}"
        raise InputError(msg)
    whole = layers(architecture, head)
    return {figure.value: _figure(figure, whole, precision) for figure in told}


def _figure(figure: Figure, whole: tuple[Layer, ...], precision: Precision) -> float:
    match figure:
        case Figure.PARAMS:
            return sum(layer.params for layer in whole)
        case Figure.MACS:
            return sum(layer.macs for layer in whole)
        case Figure.SIZE_MB:
            weight, bias = _BYTES[precision]
            stored = [layer.stored for layer in whole]
            return sum(weight * weights + bias * biases for weights, biases in stored) / MEGA
        case Figure.ACTIVATION_MB:
            return _peak_activations(whole) * _FLOAT_BYTES / MEGA


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
