"""The layers of a chain one by one, with their shapes and what they cost; free of torch."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import repeat

from search_space.architecture import Classifier
from search_space.chain import Activation, ChainArchitecture, Op, Skip, Stage


class LayerKind(StrEnum):
    """Where in the network a layer is."""

    STEM = "stem"
    BLOCK = "block"
    HEAD = "head"
    CLASSIFIER = "classifier"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer in its place.

    Attributes:
        kind: Where it is.
        op: Of a block, ``conv``, ``mbconv`` or ``fused``; ``conv`` elsewhere.
        in_size: Side of its input in pixels.
        in_channels: Of its input.
        out_size: Side of its output in pixels; 1 for the classifier.
        out_channels: Of its output; classes for the classifier.
        kernel: Side in pixels.
        stride: 1 or 2.
        expansion: Hidden channels per input channel.
        squeezed: Width inside squeeze-excitation, 0 without.
        skip: What really goes around it.
        expands: Channels that the expansion multiplies; None for those of its input.
        activation: In it; of no effect in the classifier.
    """

    kind: LayerKind
    op: Op = Op.CONV
    in_size: int
    in_channels: int
    out_size: int
    out_channels: int
    kernel: int = 1
    stride: int = 1
    expansion: int = 1
    squeezed: int = 0
    skip: Skip = Skip.NONE
    expands: int | None = None
    activation: Activation = Activation.RELU

    @property
    def hidden(self) -> int:
        """Width between its first and last convolution; of a plain one, its input's."""
        return (self.expands or self.in_channels) * self.expansion

    @property
    def has_skip(self) -> bool:
        """Whether anything goes around it."""
        return self.skip is not Skip.NONE

    @property
    def params(self) -> int:
        """Trainable numbers: weights, batch norm's two a channel, biases."""
        return sum(part.params for part in self._parts())

    @property
    def macs(self) -> int:
        """Multiply-adds of its convolutions, or of the dense layer, for one image."""
        return sum(part.macs for part in self._parts())

    @property
    def statistics(self) -> int:
        """Running means and variances of its batch norms, which are not trained."""
        return sum(2 * part.channels for part in self._parts() if part.normed)

    @property
    def stored(self) -> tuple[int, int]:
        """Weights and biases in a model file, its batch norms folded into what is before them."""
        parts = self._parts()
        return sum(part.weights for part in parts), sum(part.channels for part in parts)

    def _parts(self) -> tuple[_Part, ...]:
        if self.kind is LayerKind.CLASSIFIER:
            weights = self.in_channels * self.out_channels
            return (_Part(weights=weights, channels=self.out_channels, normed=False),)
        return (*self._main(), *self._squeeze(), *self._shortcut())

    def _main(self) -> tuple[_Part, ...]:
        match self.op:
            case Op.MBCONV:
                return self._bottleneck()
            case Op.FUSED:
                return self._fused()
        return (self._convolution(),)

    def _convolution(self) -> _Part:
        weights = self.kernel**2 * self.in_channels * self.out_channels
        return _Part(weights=weights, channels=self.out_channels, positions=self.out_size**2)

    def _bottleneck(self) -> tuple[_Part, ...]:
        hidden = self.hidden
        expand = _Part(
            weights=self.in_channels * hidden, channels=hidden, positions=self.in_size**2
        )
        depthwise = _Part(
            weights=self.kernel**2 * hidden, channels=hidden, positions=self.out_size**2
        )
        end = (depthwise, self._project())
        return (expand, *end) if self.expansion > 1 else end

    def _fused(self) -> tuple[_Part, ...]:
        weights = self.kernel**2 * self.in_channels * self.hidden
        expand = _Part(weights=weights, channels=self.hidden, positions=self.out_size**2)
        return expand, self._project()

    def _project(self) -> _Part:
        weights = self.hidden * self.out_channels
        return _Part(weights=weights, channels=self.out_channels, positions=self.out_size**2)

    def _squeeze(self) -> tuple[_Part, ...]:
        if not self.squeezed:
            return ()
        hidden = self.hidden if self.op.expands else self.out_channels
        weights = hidden * self.squeezed
        return (
            _Part(weights=weights, channels=self.squeezed, normed=False),
            _Part(weights=weights, channels=hidden, normed=False),
        )

    def _shortcut(self) -> tuple[_Part, ...]:
        if self.skip is not Skip.POOL or self.in_channels == self.out_channels:
            return ()
        weights = self.in_channels * self.out_channels
        channels = self.out_channels
        return (_Part(weights=weights, channels=channels, positions=self.out_size**2),)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One convolution: its weights, output channels and pixels, and whether a batch norm follows.

    Without one it has biases.
    """

    weights: int
    channels: int
    positions: int = 1
    normed: bool = True

    @property
    def params(self) -> int:
        return self.weights + (2 if self.normed else 1) * self.channels

    @property
    def macs(self) -> int:
        return self.weights * self.positions


def layers(architecture: ChainArchitecture, head: Classifier | None = None) -> tuple[Layer, ...]:
    """Every layer from input to output: stem, blocks, last convolution, and classifier if given.

    Architectures with equal keys have equal layers.
    """
    return tuple(layer for run in runs(architecture, head) for layer in repeat(*run))


def runs(
    architecture: ChainArchitecture, head: Classifier | None = None
) -> tuple[tuple[Layer, int], ...]:
    """What ``layers`` has, equal ones in a row once, with their number; see ``Stage.runs``."""
    stem, activation = architecture.stem, architecture.activation
    last = Layer(
        kind=LayerKind.STEM,
        in_size=architecture.size,
        in_channels=architecture.channels,
        out_size=halved(architecture.size, stem.stride),
        out_channels=stem.filters,
        kernel=stem.kernel,
        stride=stem.stride,
        activation=activation,
    )
    found = [(last, 1)]
    for stage, count in architecture.runs():
        last = block(stage, last.out_size, last.out_channels, activation)
        found.append((last, count))
    filters = architecture.head_filters
    end = Layer(
        kind=LayerKind.HEAD,
        in_size=last.out_size,
        in_channels=last.out_channels,
        out_size=last.out_size,
        out_channels=filters,
        activation=activation,
    )
    found.append((end, 1))
    if head is not None:
        classifier = Layer(
            kind=LayerKind.CLASSIFIER,
            in_size=last.out_size,
            in_channels=filters,
            out_size=1,
            out_channels=head.classes,
        )
        found.append((classifier, 1))
    return tuple(found)


def params(architecture: ChainArchitecture, head: Classifier) -> int:
    """Trainable numbers of the network, exactly."""
    return sum(count * layer.params for layer, count in runs(architecture, head))


def statistics(architecture: ChainArchitecture, head: Classifier) -> int:
    """Running means and variances of the network, exactly."""
    return sum(count * layer.statistics for layer, count in runs(architecture, head))


def macs(architecture: ChainArchitecture, head: Classifier) -> int:
    """Multiply-adds of convolutions and dense layers for one image, exactly."""
    return sum(count * layer.macs for layer, count in runs(architecture, head))


def halved(size: int, stride: int) -> int:
    """Pixels a side after a layer of ``stride``, ceil(size / stride).

    >>> halved(7, 2)
    4
    """
    return -(-size // stride)


def block(stage: Stage, size: int, channels: int, activation: Activation) -> Layer:
    """A layer between stem and last convolution.

    Args:
        stage: Of one, out of ``Stage.unrolled``.
        size: Side of its input in pixels.
        channels: Of its input.
        activation: Of its network.
    """
    return Layer(
        kind=LayerKind.BLOCK,
        op=stage.op,
        in_size=size,
        in_channels=channels,
        out_size=halved(size, stage.stride),
        out_channels=stage.filters,
        kernel=stage.kernel,
        stride=stage.stride,
        expansion=stage.expansion,
        squeezed=stage.squeezed(channels),
        skip=stage.skip,
        expands=stage.expands,
        activation=stage.activation or activation,
    )
