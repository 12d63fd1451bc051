"""A chain of stages: the family of MnasNet, MobileNetV2, ProxylessNAS and EfficientNet.

What each layer computes (MnasNet's and EfficientNetV2's published code; facts that tables leave
open):

* ``mbconv``: 1x1 convolution to ``expansion`` times the input channels (left out at expansion 1),
  depthwise convolution with the stride, squeeze-excitation, 1x1 convolution without activation.
* ``dwsep`` is ``mbconv`` at expansion 1, what the paper's figures call SepConv.
* ``fused`` (EfficientNetV2, section 3.2): one convolution with the stride in place of the first
  two of ``mbconv``. At expansion 1 it is ``conv``.
* ``conv``: one convolution with the stride, batch norm, activation, squeeze-excitation.
* Padding is TensorFlow's 'SAME': a layer of stride s turns n pixels into ceil(n / s).
* Batch norm follows every convolution but those of squeeze-excitation, which have a bias instead.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import repeat
from typing import TYPE_CHECKING

from search_space.architecture import Classifier, Family, Head, InputSpec, Json
from workspace.errors import InputError

if TYPE_CHECKING:  # torch takes seconds to import; a type does not need it
    from torch import nn


class Op(StrEnum):
    """The layer that a stage repeats (MnasNet, section 4.1; EfficientNetV2, figure 2)."""

    CONV = "conv"
    DEPTHWISE = "dwsep"
    MBCONV = "mbconv"
    FUSED = "fused"

    @property
    def expands(self) -> bool:
        """Whether an expansion means anything to it."""
        return self in (Op.MBCONV, Op.FUSED)


class Skip(StrEnum):
    """What goes around a layer (MnasNet, section 4.1).

    ``identity`` adds the input where the layer keeps its shape, and nothing elsewhere. ``pool``,
    which the paper does not define, also adds where it does not: the input averaged over windows
    as wide as the stride, then a 1x1 convolution with batch norm where the widths differ.
    """

    IDENTITY = "identity"
    POOL = "pool"
    NONE = "none"


class Activation(StrEnum):
    """The non-linearity after every batch norm but the projection's.

    Inside squeeze-excitation it is ``swish`` where the layer's is, else ``relu``.
    """

    RELU = "relu"
    RELU6 = "relu6"
    SWISH = "swish"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stem:
    """The first convolution, with batch norm and activation.

    Attributes:
        filters: Output channels.
        kernel: Side in pixels, odd.
        stride: 1 or 2.
    """

    filters: int
    kernel: int = 3
    stride: int = 2

    def __post_init__(self) -> None:
        _check_count(self.filters, "filters of a stem")
        _check_window(self.kernel, self.stride, "a stem")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Equal layers, of which the first has the stride and the change of width.

    Attributes:
        op: The layer.
        kernel: Side in pixels, odd.
        stride: Of the first layer, 1 or 2.
        expansion: Hidden channels per input channel of ``mbconv`` and ``fused``; of no effect in
            other ops.
        filters: Output channels.
        repeats: Number of layers, at least 1.
        se_ratio: Squeezed channels per input channel of the layer; 0 for no squeeze-excitation.
        skip: What goes around each layer where shapes allow.
        expands: Channels that the expansion multiplies; None for those of each layer's input
            (EfficientNet-EdgeTPU's first stage has fewer than its input).
        activation: In this stage; None for the network's.
    """

    op: Op
    kernel: int
    stride: int
    expansion: int
    filters: int
    repeats: int
    se_ratio: float = 0.0
    skip: Skip = Skip.IDENTITY
    expands: int | None = None
    activation: Activation | None = None

    def __post_init__(self) -> None:
        _check_count(self.expansion, "expansion of a stage")
        if self.expands is not None:
            _check_count(self.expands, "channels that the expansion of a stage multiplies")
        _check_count(self.filters, "filters of a stage")
        _check_count(self.repeats, "repeats of a stage")
        _check_window(self.kernel, self.stride, "a stage")
        if not 0 <= self.se_ratio <= 1:
            msg = f"squeeze-excitation ratio of a stage must be in [0, 1], got {self.se_ratio!r}"
            raise InputError(msg)

    def __str__(self) -> str:
        times = f"{self.repeats}x" if self.repeats > 1 else ""
        op = "mb" if self.op is Op.MBCONV else str(self.op)
        hidden = str(self.expansion) if self.op.expands else ""
        hidden += f"of{self.expands}" if self.expands is not None else ""
        squeeze = f"se{float(self.se_ratio)!r}" if self.se_ratio else ""
        skip = "" if self.skip is Skip.IDENTITY else f"-{self.skip}"
        own = "" if self.activation is None else f"-{self.activation}"
        window = f"k{self.kernel}s{self.stride}"
        return f"{times}{op}{hidden}{window}f{self.filters}{squeeze}{skip}{own}"

    def keeps_shape(self, channels: int) -> bool:
        """Whether its first layer gives what it takes, on an input of ``channels``."""
        return self.stride == 1 and self.filters == channels

    def squeezed(self, channels: int) -> int:
        """Width inside squeeze-excitation of a layer that takes ``channels``; 0 without."""
        return max(1, int(channels * self.se_ratio)) if self.se_ratio else 0

    def hidden(self, channels: int) -> int:
        """Width inside a layer out of ``unrolled`` that takes ``channels``."""
        return (self.expands or channels) * self.expansion

    def unrolled(self, channels: int) -> Iterator[Stage]:
        """Its layers one by one; see ``runs``."""
        for layer, count in self.runs(channels):
            yield from repeat(layer, count)

    def runs(self, channels: int) -> Iterator[tuple[Stage, int]]:
        """Its layers as stages of one, each with the skip it really has, for ``channels`` input.

        Those that are equal come once, with their number, so that a stage of billions takes no
        time. An op with a single form has expansion 1, ``dwsep`` is written as ``mbconv``,
        ``fused`` of expansion 1 as ``conv``; what an expansion multiplies is told where it is not
        the input.
        """
        expansion = self.expansion if self.op.expands else 1
        layer = replace(self, op=self._same_op(), expansion=expansion, repeats=1)
        around = Skip.NONE if self.skip is Skip.NONE else Skip.IDENTITY
        first = around
        if not self.keeps_shape(channels):
            first = Skip.POOL if self.skip is Skip.POOL else Skip.NONE
        yield replace(layer, skip=first, expands=self._expands(channels)), 1
        if self.repeats > 1:
            later = replace(layer, stride=1, skip=around, expands=self._expands(self.filters))
            yield later, self.repeats - 1

    def _same_op(self) -> Op:
        """The one among the ops which compute the same that stands for them."""
        if self.op is Op.DEPTHWISE:
            return Op.MBCONV
        return Op.CONV if self.op is Op.FUSED and self.expansion == 1 else self.op

    def _expands(self, channels: int) -> int | None:
        """What the expansion multiplies in a layer that takes ``channels``, if it matters."""
        matters = self.op.expands and self.expansion > 1 and self.expands != channels
        return self.expands if matters else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainArchitecture:
    """A stem, a chain of stages, and a last 1x1 convolution before the head; an ``Architecture``.

    Attributes:
        size: Side of the square input, in pixels; at least the product of all strides.
        channels: Of the input: 3 for colour, 1 for grey.
        stem: The first convolution.
        stages: From input to output.
        head_filters: Output channels of the last 1x1 convolution.
        activation: Everywhere but in stages that have their own.
        dropout: Before the classifier, while training.
        stochastic_depth: While training, layer i of n leaves out all but its identity with a
            chance of ``i / n`` times this, i from 0 (EfficientNet's published code).
    """

    size: int
    channels: int = 3
    stem: Stem
    stages: tuple[Stage, ...]
    head_filters: int = 1280
    activation: Activation = Activation.RELU
    dropout: float = 0.2
    stochastic_depth: float = 0.0

    def __post_init__(self) -> None:
        _check_count(self.channels, "input channels of a network")
        _check_count(self.head_filters, "head filters of a network")
        if not self.stages:
            msg = "a network needs at least one stage, got none"
            raise InputError(msg)
        if type(self.size) is not int or self.size < self.total_stride:
            msg = (
                f"input size must be a whole number of at least {self.total_stride} pixels, "
                f"which this network's strides make 1; got {self.size!r}"
            )
            raise InputError(msg)
        _check_rate(self.dropout, "dropout")
        _check_rate(self.stochastic_depth, "stochastic depth")

    @property
    def family(self) -> Family:
        """See ``Architecture.family``."""
        return Family.CHAIN

    @property
    def total_stride(self) -> int:
        """Product of all strides: input pixels a side per output pixel."""
        return self.stem.stride * math.prod(stage.stride for stage in self.stages)

    @property
    def inputs(self) -> tuple[InputSpec, ...]:
        """One image, `[C, H, W]`."""
        return (InputSpec(name="image", shape=(self.channels, self.size, self.size)),)

    @property
    def key(self) -> str:
        """See ``Architecture.key``; the stages of ``canonical`` as text."""
        return f"chain_{self.size}px_{self.weights_key}"

    @property
    def weights_key(self) -> str:
        """The key without the size, which decides the weights of ``build``."""
        same = self.canonical()
        stem = f"stem{self.stem.filters}k{self.stem.kernel}s{self.stem.stride}"
        stages = "_".join(str(stage) for stage in same.stages)
        tail = f"head{self.head_filters}_drop{float(self.dropout)!r}"
        if same.stochastic_depth:
            tail += f"_depth{float(same.stochastic_depth)!r}"
        return f"{self.channels}ch_{self.activation}_{stem}_{stages}_{tail}"

    def unrolled(self) -> tuple[Stage, ...]:
        """Every layer between stem and last convolution, one by one; see ``runs``."""
        return tuple(layer for run in self.runs() for layer in repeat(*run))

    def runs(self) -> Iterator[tuple[Stage, int]]:
        """Equal layers in a row between stem and last convolution, once; see ``Stage.runs``.

        A layer has an activation of its own where it is not the network's.
        """
        channels = self.stem.filters
        for stage in self.stages:
            known = stage.activation is self.activation
            yield from (replace(stage, activation=None) if known else stage).runs(channels)
            channels = stage.filters

    @property
    def drop_rates(self) -> tuple[float, ...]:
        """The chance of each layer of ``unrolled`` to be left out while training."""
        layers = self.unrolled()
        return tuple(
            self.stochastic_depth * number / len(layers) if layer.skip is Skip.IDENTITY else 0.0
            for number, layer in enumerate(layers)
        )

    def canonical(self) -> ChainArchitecture:
        """The one among all chains of the same layers that stands for them.

        Without effect, and so not in it: an expansion where the op has none, the names ``dwsep``
        for an ``mbconv`` and ``fused`` for a ``conv`` of expansion 1, what an expansion multiplies
        where it is the input, an activation that the network has, a skip or stochastic depth where
        no layer has one, and how equal layers are grouped into stages. Squeeze-excitation ratios
        that round to equal widths stay apart.
        """
        from search_space.grouping import grouped

        stages = grouped(self.unrolled(), self.stem.filters)
        depth = self.stochastic_depth
        drops = depth > 0 and any(self.drop_rates)
        return replace(self, stages=stages, stochastic_depth=depth if drops else 0.0)

    def at(self, size: int) -> ChainArchitecture:
        """See ``Architecture.at``."""
        return replace(self, size=size)

    def to_json(self) -> dict[str, Json]:
        """See ``Architecture.to_json``."""
        from search_space.chain_json import to_document

        return to_document(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Json]) -> ChainArchitecture:
        """See ``architecture.from_json``."""
        from search_space.chain_json import from_document

        return from_document(document)

    def build(self, head: Head) -> nn.Module:
        """See ``Architecture.build``; the output is `[N, classes]`."""
        if not isinstance(head, Classifier):
            msg = f"a chain of stages has only a classifier as its head, got {head!r}"
            raise InputError(msg)
        from search_space.blocks import ChainNetwork

        return ChainNetwork(self, head)


def _check_count(value: int, what: str) -> None:
    if type(value) is not int or value < 1:
        msg = f"{what} must be a whole number of at least 1, got {value!r}"
        raise InputError(msg)


def _check_rate(value: float, what: str) -> None:
    if not 0 <= value < 1:
        msg = f"{what} must be in [0, 1), got {value!r}"
        raise InputError(msg)


def _check_window(kernel: int, stride: int, what: str) -> None:
    if type(kernel) is not int or kernel < 1 or kernel % 2 == 0:
        msg = f"kernel of {what} must be an odd number of at least 1, got {kernel!r}"
        raise InputError(msg)
    if type(stride) is not int or stride not in (1, 2):
        msg = f"stride of {what} must be 1 or 2, got {stride!r}"
        raise InputError(msg)
