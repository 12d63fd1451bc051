"""Networks of several streams as torch modules."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from search_space.assemblenet import FLOW_CHANNELS, Attention, FlowSource, FramePooling, ModuleKind
from search_space.blocks import activation_module, generator_of
from search_space.clip_layers import (
    Bottleneck,
    InvertedBottleneck,
    Residual,
    SameMaxPool3d,
    over_frames,
    over_pixels,
)
from search_space.representation_flow import RepresentationFlow
from search_space.stream_fusion import ChannelAttention, Source, StreamFusion
from search_space.stream_graph import LEVELS, StemKind, StreamNode, StreamStem, node_name

if TYPE_CHECKING:
    from search_space.architecture import VideoClassifier
    from search_space.assemblenet import MultiStreamArchitecture

_ATTENTION_DEVIATION = 0.01
"""Of gates, shares and dense layers before training (the published code)."""


class StreamNodeModules(nn.Module):
    """A block node: what it reads is fused, then goes through its residual modules.

    Args:
        network: What it is in.
        name: In what a training tells.
        node: Where in it.
        sources: All stems and nodes before it.
        lower: Those of lower levels.
    """

    def __init__(
        self,
        network: MultiStreamArchitecture,
        name: str,
        node: StreamNode,
        sources: Sequence[Source],
        lower: Sequence[Source],
    ) -> None:
        super().__init__()
        candidates = {
            Attention.NONE: None,
            Attention.SELF: (),
            Attention.PEER: tuple(lower),
        }[network.attention]
        read = [sources[number] for number in node.inputs]
        self.fusion = StreamFusion(name, read, node.gates, candidates)
        stride = network.strides[node.level]
        self.reduction = self.fusion.reduction * stride
        channels, modules = self.fusion.channels, []
        for place in range(network.repeats[node.level]):
            first = place == 0
            made = residual(network, node, channels, place, stride if first else 1)
            modules.append(made)
            channels = network.width_of(node)
        self.body = nn.Sequential(*modules)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Features of all before it, each `[N, C, T, H, W]`, to its own."""
        made: Tensor = self.body(self.fusion(features))
        return made


class StreamHead(nn.Module):
    """Scores of a clip from the nodes of the last level.

    Nodes of one width share a dense layer, as all do in the published code; where there are
    several widths, which it cannot have, each has its own and their scores are added.

    Args:
        network: What it is in.
        widths: Channels of the nodes.
        classes: Number of scores.
    """

    def __init__(
        self, network: MultiStreamArchitecture, widths: Sequence[int], classes: int
    ) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList()
        for width in widths:
            parts: list[nn.Module] = []
            channels = width
            for filters in network.head_filters:
                parts += [
                    *over_pixels(channels, filters, 1),
                    activation_module(network.activation),
                ]
                channels = filters
            self.convolutions.append(nn.Sequential(*parts))
        made = [network.head_filters[-1] if network.head_filters else width for width in widths]
        self.groups = [
            [place for place, channels in enumerate(made) if channels == width]
            for width in dict.fromkeys(made)
        ]
        self.count = len(made)
        self.by_frames = network.pooling is FramePooling.SOFTMAX
        self.dropout = nn.Dropout(network.dropout)
        self.classifiers = nn.ModuleList(
            nn.Conv3d(width, classes, 1, bias=not place)
            if self.by_frames
            else nn.Linear(width, classes, bias=not place)
            for place, width in enumerate(dict.fromkeys(made))
        )

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Each `[N, C, T, H, W]`, to `[N, classes]`."""
        pooled = []
        for convolutions, feature in zip(self.convolutions, features, strict=True):
            clip = convolutions(feature)
            pooled.append(
                clip.mean((3, 4), keepdim=True) if self.by_frames else clip.mean((2, 3, 4))
            )
        scores: Tensor | None = None
        for classifier, places in zip(self.classifiers, self.groups, strict=True):
            whole = pooled[places[0]]
            for place in places[1:]:
                whole = whole + pooled[place]
            whole = whole / self.count if self.count > 1 else whole
            part: Tensor = classifier(self.dropout(whole))
            scores = part if scores is None else scores + part
        assert scores is not None  # there is a node at the last level
        return weighed_frames(scores) if self.by_frames else scores


def weighed_frames(scores: Tensor) -> Tensor:
    """Scores of T frames, `[N, K, T, 1, 1]`, as ``FramePooling.SOFTMAX`` sums them, `[N, K]`."""
    shares = torch.softmax(scores / math.sqrt(scores.shape[2]), 2)
    return (scores * shares).sum(2).flatten(1)


class MultiStreamNetwork(nn.Module):
    """The network of a ``MultiStreamArchitecture``, with the weights that its key gives it."""

    def __init__(self, network: MultiStreamArchitecture, head: VideoClassifier) -> None:
        super().__init__()
        stems, nodes = network.graph.built
        names = [spec.name for spec in network.inputs]
        given = network.flow is FlowSource.GIVEN
        reads = {
            StemKind.RGB: "clip",
            StemKind.FLOW: "flow" if given else "clip",
            StemKind.OBJECT: "objects",
        }
        self.places = [names.index(reads[stem.kind]) for stem in stems]
        self.kinds = [stem.kind for stem in stems]
        computes = StemKind.FLOW in self.kinds and not given
        with torch.random.fork_rng(devices=[]):  # torch draws first, to no effect
            self.flow = RepresentationFlow(network.flow_iterations) if computes else None
            self.stems = nn.ModuleList(stem_layers(network, stem) for stem in stems)
            self.nodes = nn.ModuleList()
            sources = [
                Source(
                    number=number,
                    channels=network.objects if is_map else network.stem.filters,
                    reduction=network.stem.reduction,
                    is_map=is_map,
                )
                for number, is_map in enumerate(kind is StemKind.OBJECT for kind in self.kinds)
            ]
            levels = [-1] * len(stems)
            for number, node in enumerate(nodes, start=len(stems)):
                lower = [each for each in sources if levels[each.number] < node.level]
                made = StreamNodeModules(network, node_name(number), node, sources, lower)
                self.nodes.append(made)
                width = network.width_of(node)
                sources.append(Source(number=number, channels=width, reduction=made.reduction))
                levels.append(node.level)
            self.ends = [number for number, level in enumerate(levels) if level == LEVELS - 1]
            widths = [sources[number].channels for number in self.ends]
            self.head = StreamHead(network, widths, head.classes)
        draw_stream_weights(self, network.weights_key)

    def scores(self, inputs: Sequence[Tensor]) -> Tensor:
        """The inputs in order, each `[N, C, T, H, W]`, to `[N, classes]`."""
        flow = None
        features: list[Tensor] = []
        for stem, kind, place in zip(self.stems, self.kinds, self.places, strict=True):
            read = inputs[place]
            if kind is StemKind.FLOW and self.flow is not None:
                flow = self.flow(read) if flow is None else flow
                read = flow
            features.append(stem(read))
        for node in self.nodes:
            features.append(node(features))
        scores: Tensor = self.head([features[number] for number in self.ends])
        return scores


class OneInputNetwork(MultiStreamNetwork):
    """One that reads clips alone, or object maps alone."""

    def forward(self, clip: Tensor) -> Tensor:
        """`[N, C, T, H, W]` to `[N, classes]`."""
        return self.scores((clip,))


class TwoInputNetwork(MultiStreamNetwork):
    """One that reads clips, and flow or object maps."""

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Both `[N, C, T, H, W]`, to `[N, classes]`."""
        return self.scores((first, second))


class ThreeInputNetwork(MultiStreamNetwork):
    """One that reads clips, flow and object maps."""

    def forward(self, clip: Tensor, flow: Tensor, objects: Tensor) -> Tensor:
        """All `[N, C, T, H, W]`, to `[N, classes]`."""
        return self.scores((clip, flow, objects))


def network_of(network: MultiStreamArchitecture, head: VideoClassifier) -> MultiStreamNetwork:
    """The module, whose ``forward`` takes as many tensors as the network has inputs."""
    kinds = (OneInputNetwork, TwoInputNetwork, ThreeInputNetwork)
    return kinds[len(network.inputs) - 1](network, head)


@torch.no_grad()
def draw_stream_weights(network: nn.Module, key: str) -> None:
    """Set every weight as AssembleNet's published code does, from a seed made of ``key``.

    Convolutions normal, cut at two deviations, with variance 1 / (kernel size * input channels);
    dense layers, gates and shares normal with a deviation of 0.01; the last batch norm of each
    residual module starts at 0, so that it starts as what goes around it. NumPy draws; see
    ``blocks.draw_weights``.
    """
    if any(weight.is_meta for weight in network.parameters()):
        return
    rng = generator_of(key)
    for module in network.modules():
        match module:
            case StreamHead():
                for dense in module.classifiers:
                    _draw(dense, rng, _ATTENTION_DEVIATION)
            case ChannelAttention() | StreamFusion():
                _draw_attention(module, rng)
            case Residual():
                nn.init.zeros_(module.last_norm.weight)
    dense_layers = {id(each) for each in _dense(network)}
    for module in network.modules():
        if isinstance(module, nn.Conv3d) and id(module) not in dense_layers:
            fan_in = module.weight[0].numel()
            _draw(module, rng, math.sqrt(1 / fan_in) / _CUT_DEVIATION)


_CUT_DEVIATION = 0.87962566103423978
"""Of a standard normal that is cut at 2."""


def _draw_attention(module: ChannelAttention | StreamFusion, rng: np.random.Generator) -> None:
    if isinstance(module, ChannelAttention):
        numbers = module.shares
        _draw(module.dense, rng, _ATTENTION_DEVIATION)
    else:
        numbers = module.theta if isinstance(module.theta, nn.Parameter) else None
        for dense in module.peers.dense if module.peers is not None else ():
            _draw(dense, rng, _ATTENTION_DEVIATION)
    if numbers is not None:
        numbers.copy_(_cut_normal(rng, tuple(numbers.shape)) * _ATTENTION_DEVIATION)


def _dense(network: nn.Module) -> list[nn.Module]:
    """Layers that are dense ones, whatever they are written as."""
    found: list[nn.Module] = []
    for module in network.modules():
        if isinstance(module, StreamHead):
            found += module.classifiers
        elif isinstance(module, ChannelAttention):
            found.append(module.dense)
        elif isinstance(module, StreamFusion) and module.peers is not None:
            found += module.peers.dense
    return found


def _draw(layer: nn.Module, rng: np.random.Generator, deviation: float) -> None:
    """A layer's weights, and 0 for its bias."""
    assert isinstance(layer, nn.Conv3d | nn.Linear)
    layer.weight.copy_(_cut_normal(rng, tuple(layer.weight.shape)) * deviation)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def _cut_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Tensor:
    """Standard normal numbers, drawn again where they are beyond 2."""
    values = rng.standard_normal(shape, np.float32)
    beyond = np.abs(values) > 2
    while beyond.any():
        values[beyond] = rng.standard_normal(int(beyond.sum()), np.float32)
        beyond = np.abs(values) > 2
    return torch.from_numpy(values)


def stem_layers(network: MultiStreamArchitecture, stem: StreamStem) -> nn.Module:
    """The layers of a stem; of object maps the largest of each square."""
    layers, activation = network.stem, network.activation
    if stem.kind is StemKind.OBJECT:
        return SameMaxPool3d(layers.reduction, layers.reduction)
    is_rgb = stem.kind is StemKind.RGB
    channels = network.channels if is_rgb else FLOW_CHANNELS
    stride = 1 if layers.reduction == 1 else 2
    parts: list[nn.Module] = [
        *over_pixels(channels, layers.filters, layers.kernel, stride),
        activation_module(activation),
    ]
    if is_rgb or network.module is ModuleKind.INVERTED:
        parts += over_frames(layers.filters, layers.filters, layers.temporal_kernel, stem.dilation)
        parts.append(activation_module(activation))
    if layers.reduction == 4:
        parts.append(SameMaxPool3d(3 if is_rgb else 2, 2))
    return nn.Sequential(*parts)


def residual(
    network: MultiStreamArchitecture, node: StreamNode, channels: int, place: int, stride: int
) -> Residual:
    """Residual module ``place`` of a node."""
    inner, activation, projects = network.inner[node.level], network.activation, place == 0
    if network.module is ModuleKind.INVERTED:
        return InvertedBottleneck(
            channels, node.filters, inner, stride, node.dilation, activation, projects=projects
        )
    dilation = node.dilation if place % 2 else None
    return Bottleneck(
        channels, node.filters, inner, stride, dilation, activation, projects=projects
    )
