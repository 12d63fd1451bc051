"""A chain of stages: the family of MnasNet, MobileNetV2, ProxylessNAS and EfficientNet."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Op(StrEnum):
    """The layer that a stage repeats (MnasNet, section 4.1)."""

    CONV = "conv"
    DEPTHWISE = "dwsep"
    MBCONV = "mbconv"


class Skip(StrEnum):
    """What goes around a layer (MnasNet, section 4.1)."""

    IDENTITY = "identity"
    POOL = "pool"
    NONE = "none"


class Activation(StrEnum):
    """The non-linearity after every batch norm but the projection's."""

    RELU = "relu"
    RELU6 = "relu6"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Equal layers, of which the first has the stride and the change of width.

    Attributes:
        op: The layer.
        kernel: Side in pixels, odd.
        stride: Of the first layer.
        expansion: Hidden channels per input channel; 1 for an op that has none.
        filters: Output channels.
        repeats: Number of layers, at least 1.
        se_ratio: Squeezed channels per input channel of the layer; 0 for no squeeze-excitation.
        skip: What goes around each layer where shapes allow.
    """

    op: Op
    kernel: int
    stride: int
    expansion: int
    filters: int
    repeats: int
    se_ratio: float = 0.0
    skip: Skip = Skip.IDENTITY


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainArchitecture:
    """A stem, a chain of stages, and a last 1x1 convolution before the head; an ``Architecture``.

    Attributes:
        size: Side of the square input, in pixels.
        channels: Of the input: 3 for colour, 1 for grey.
        stem: The first convolution.
        stages: From input to output.
        head_filters: Output channels of the last 1x1 convolution.
        activation: Everywhere.
        dropout: Before the classifier, while training.
    """

    size: int
    channels: int = 3
    stem: Stem
    stages: tuple[Stage, ...]
    head_filters: int = 1280
    activation: Activation = Activation.RELU
    dropout: float = 0.2
