"""Networks of several streams: AssembleNet (Ryoo et al., ICLR 2020) and AssembleNet++ (ECCV 2020).

Streams over frames, optical flow and object maps are connected as ``stream_graph`` says. What the
authors' code computes, and tables leave open:

* Every node fuses its inputs: the larger ones are max-pooled to the size of the smallest, each is
  multiplied by its gate, those of equal width are added, and each sum of another width than the
  largest goes through one 1x1 convolution.
* Then come residual modules, of which the first has the stride and a projection around it. Of
  bottlenecks every second one begins with a convolution over three frames, the others with 1x1.
* The number of frames stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from search_space.architecture import Family, Head, InputSpec, Json, VideoClassifier
from search_space.chain import Activation
from search_space.stream_graph import LEVELS, StemKind, StreamGraph, StreamNode
from workspace.errors import InputError

if TYPE_CHECKING:  # torch takes seconds to import; a type does not need it
    from torch import nn

KEY_START = "assemblenet_"
"""Of the keys of this family alone."""

FLOW_CHANNELS = 2
"""Across and down."""


class ModuleKind(StrEnum):
    """The residual modules of block nodes.

    ``bottleneck``: AssembleNet's, 2D and (2+1)D in turn, four times as wide as its filters.
    ``inverted``: the mobile family's, narrow outside and wide inside, depthwise over pixels, then
    over frames (AssembleNet++'s "lite" has one dense convolution over both instead).
    """

    BOTTLENECK = "bottleneck"
    INVERTED = "inverted"


class Attention(StrEnum):
    """What gates the channels of each connection, per frame (AssembleNet++, section 3.3).

    ``peer``: a mixture of all nodes of lower levels, whose shares are learned. ``self``: the
    connection itself.
    """

    NONE = "none"
    PEER = "peer"
    SELF = "self"


class FlowSource(StrEnum):
    """Where optical flow comes from: from the frames, in the network; or as a second input."""

    COMPUTED = "computed"
    GIVEN = "given"


class FramePooling(StrEnum):
    """How frames become one: their mean, or each class's scores weighed by their own softmax.

    The latter is for long clips with several labels: the sum over T frames of
    ``x * softmax(x / sqrt(T))``.
    """

    MEAN = "mean"
    SOFTMAX = "softmax"


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamStemLayers:
    """The layers of all stems.

    Attributes:
        filters: Of each stem; as published 128 over the number of stems.
        kernel: Of the convolution over pixels, odd.
        temporal_kernel: Of the convolution over frames, odd.
        reduction: Pixels a side of the image that are one after the stem: 4 as published, with a
            maximum after the convolution; 2 without; 1 without the convolution's stride either.
    """

    filters: int = 32
    kernel: int = 7
    temporal_kernel: int = 5
    reduction: int = 4

    def __post_init__(self) -> None:
        _check_count(self.filters, "filters of a stem")
        for what, kernel in (("kernel", self.kernel), ("temporal kernel", self.temporal_kernel)):
            if type(kernel) is not int or kernel < 1 or kernel % 2 == 0:
                msg = f"{what} of a stem must be an odd number of at least 1, got {kernel!r}"
                raise InputError(msg)
        if type(self.reduction) is not int or self.reduction not in (1, 2, 4):
            msg = f"reduction of a stem must be 1, 2 or 4, got {self.reduction!r}"
            raise InputError(msg)

    def __str__(self) -> str:
        return f"stem{self.filters}k{self.kernel}t{self.temporal_kernel}r{self.reduction}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiStreamArchitecture:
    """Stems, a graph of block nodes and a head over the last level; an ``Architecture``.

    Graphs that differ in their order alone give equal values. Weights and function depend on what
    leads to the last level, and so does the key. Frames are no part of what decides the weights.

    Attributes:
        size: Side of the square frames, in pixels.
        frames: Of a clip.
        channels: Of a frame: 3 for colour, 1 for grey.
        graph: Stems and nodes. Temporal dilations that no convolution has are 1 in it, whatever
            was given.
        repeats: Residual modules of a node, by level.
        inner: Filters inside of the modules, by level, whatever the node's own.
        strides: Over pixels, of the first module, by level: 1 or 2.
        stem: Layers of the stems.
        module: Kind of the residual modules.
        activation: Everywhere.
        attention: Of the connections.
        flow: Where flow comes from, for networks that read it.
        flow_iterations: Of flow that is computed.
        objects: Channels of object maps, for networks that read them: classes of ADE20K and one.
        head_filters: Of 1x1 convolutions before the head, one after the other.
        pooling: Of frames.
        dropout: Before the classifier, while training.
    """

    size: int
    frames: int = 32
    channels: int = 3
    graph: StreamGraph
    repeats: tuple[int, ...] = (3, 4, 6, 3)
    inner: tuple[int, ...] = (64, 128, 256, 512)
    strides: tuple[int, ...] = (1, 2, 2, 2)
    stem: StreamStemLayers = field(default_factory=StreamStemLayers)
    module: ModuleKind = ModuleKind.BOTTLENECK
    activation: Activation = Activation.RELU
    attention: Attention = Attention.NONE
    flow: FlowSource = FlowSource.COMPUTED
    flow_iterations: int = 40
    objects: int = 151
    head_filters: tuple[int, ...] = ()
    pooling: FramePooling = FramePooling.MEAN
    dropout: float = 0.0

    def __post_init__(self) -> None:
        self._check_numbers()
        nodes = tuple(
            node if self.has_temporal(node.level) else replace(node, dilation=1)
            for node in self.graph.nodes
        )
        object.__setattr__(self, "graph", replace(self.graph, nodes=nodes))
        self._check_frames()
        least = self.total_stride
        if type(self.size) is not int or self.size < least:
            msg = (
                f"input size must be a whole number of at least {least} pixels, which this "
                f"network's strides make 1; got {self.size!r}"
            )
            raise InputError(msg)

    @property
    def family(self) -> Family:
        """See ``Architecture.family``."""
        return Family.MULTI_STREAM

    @property
    def inputs(self) -> tuple[InputSpec, ...]:
        """Clips `[C, T, H, W]`: ``clip``, ``flow`` and ``objects``, as far as it reads them.

        Flow is in pixels a frame, across and down, from each frame to the next; the last frame's
        is that of the one before. Where it is given it comes beside a clip, which a network
        without stems over frames does not look at: so data sets give both or the clip alone.
        """
        read = {stem.kind for stem in self.graph.built[0]}
        given = self.flow is FlowSource.GIVEN
        widths = {}
        if StemKind.RGB in read or StemKind.FLOW in read:
            widths["clip"] = self.channels
        if StemKind.FLOW in read and given:
            widths["flow"] = FLOW_CHANNELS
        if StemKind.OBJECT in read:
            widths["objects"] = self.objects
        return tuple(
            InputSpec(name=name, shape=(width, self.frames, self.size, self.size))
            for name, width in widths.items()
        )

    @property
    def total_stride(self) -> int:
        """Pixels a side of the image that are one after the deepest chain of built nodes."""
        stems, nodes = self.graph.built
        found = [self.stem.reduction] * len(stems)
        for node in nodes:
            coarsest = max(found[source] for source in node.inputs)
            found.append(coarsest * self.strides[node.level])
        return max(found)

    @property
    def key(self) -> str:
        """See ``Architecture.key``.

        A node is its level, filters, dilation and inputs, each with its gate where that is fixed.
        """
        return f"{KEY_START}{self.size}px_{self.frames}f_{self.weights_key}"

    @property
    def weights_key(self) -> str:
        """The key without size and frames, which decides the weights of ``build``."""
        stems, nodes = self.graph.built
        return "_".join(
            (
                f"{self.channels}ch_{self.activation}_{self.stem}",
                f"x{_joined(self.repeats)}_i{_joined(self.inner)}_s{_joined(self.strides)}",
                *self._settings({stem.kind for stem in stems}),
                *map(str, stems),
                *map(str, nodes),
            )
        )

    def has_temporal(self, level: int) -> bool:
        """Whether nodes of that level have a convolution over frames."""
        return self.module is ModuleKind.INVERTED or self.repeats[level] > 1

    def width_of(self, node: StreamNode) -> int:
        """Channels that a node gives."""
        return node.filters * (4 if self.module is ModuleKind.BOTTLENECK else 1)

    def at(self, size: int) -> MultiStreamArchitecture:
        """See ``Architecture.at``."""
        return replace(self, size=size)

    def to_json(self) -> dict[str, Json]:
        """See ``Architecture.to_json``."""
        from search_space.assemblenet_json import to_document

        return to_document(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Json]) -> MultiStreamArchitecture:
        """See ``architecture.from_json``."""
        from search_space.assemblenet_json import from_document

        return from_document(document)

    def build(self, head: Head) -> nn.Module:
        """See ``Architecture.build``; the output is `[N, classes]`."""
        if not isinstance(head, VideoClassifier):
            msg = f"a network of streams has only a classifier of videos as its head, got {head!r}"
            raise InputError(msg)
        from search_space.assemblenet_network import network_of

        return network_of(self, head)

    def _settings(self, read: set[StemKind]) -> Iterator[str]:
        """What differs from AssembleNet, in the key."""
        if self.module is not ModuleKind.BOTTLENECK:
            yield str(self.module)
        if self.attention is not Attention.NONE:
            yield str(self.attention)
        if StemKind.FLOW in read:
            computed = self.flow is FlowSource.COMPUTED
            yield f"flow{self.flow_iterations}" if computed else "flowgiven"
        if StemKind.OBJECT in read:
            yield f"objects{self.objects}"
        if self.head_filters:
            yield f"head{_joined(self.head_filters)}"
        if self.pooling is not FramePooling.MEAN:
            yield f"{self.pooling}frames"
        if self.dropout:
            yield f"drop{float(self.dropout)!r}"

    def _check_numbers(self) -> None:
        _check_count(self.frames, "frames of a clip")
        _check_count(self.channels, "input channels of a network")
        _check_count(self.flow_iterations, "iterations of the flow of a network")
        _check_count(self.objects, "channels of object maps")
        for what in ("repeats", "inner", "strides"):
            values = getattr(self, what)
            if len(values) != LEVELS:
                msg = f"{what} of a network of streams are {LEVELS}, one a level, got {values!r}"
                raise InputError(msg)
            for value in values:
                _check_count(value, f"{what} of a level")
        for filters in self.head_filters:
            _check_count(filters, "head filters of a network")
        if not set(self.strides) <= {1, 2}:
            msg = f"strides of levels must be 1 or 2, got {self.strides!r}"
            raise InputError(msg)
        if not 0 <= self.dropout < 1:
            msg = f"dropout must be in [0, 1), got {self.dropout!r}"
            raise InputError(msg)

    def _check_frames(self) -> None:
        """Do nothing if every convolution over frames reaches another frame, and flow has two."""
        computes = self.flow is FlowSource.COMPUTED
        kinds = {stem.kind for stem in self.graph.built[0]}
        if computes and StemKind.FLOW in kinds and self.frames < 2:
            msg = f"flow needs clips of at least 2 frames, got {self.frames}"
            raise InputError(msg)
        dilations = [stem.dilation for stem in self.graph.stems]
        dilations += [node.dilation for node in self.graph.nodes]
        for number, dilation in enumerate(dilations):
            if dilation > 1 and dilation >= self.frames:
                msg = (
                    f"node {number} has a temporal dilation of {dilation}, which needs clips of "
                    f"at least {dilation + 1} frames, got {self.frames}"
                )
                raise InputError(msg)


def _joined(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))


def _check_count(value: int, what: str) -> None:
    if type(value) is not int or value < 1:
        msg = f"{what} must be a whole number of at least 1, got {value!r}"
        raise InputError(msg)
