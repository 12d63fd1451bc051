"""One part of a network of several streams as a network of its own, after what makes its input.

Like ``search_space.single_layers``: a part is timed as the difference that it makes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from search_space.assemblenet import Attention, FramePooling
from search_space.assemblenet_network import (
    draw_stream_weights,
    residual,
    stem_layers,
    weighed_frames,
)
from search_space.blocks import activation_module, draw_weights
from search_space.clip_layers import SameMaxPool3d, over_pixels
from search_space.representation_flow import RepresentationFlow
from search_space.stream_graph import StreamNode
from search_space.stream_part import StreamPart, StreamPartKind

if TYPE_CHECKING:
    from torch import Tensor

    from search_space.chain import Activation

_ENTRY = 6
"""Layers of a residual module's body that are its entry: two convolutions, normed, activated."""

_GATE = 0.5
"""Of a connection before training; any other takes as long."""


class ClipLeadIn(nn.Module):
    """A depthwise convolution over pixels, which is cheap and keeps the shape.

    Args:
        channels: Of its input.
        activation: After it.
    """

    def __init__(self, channels: int, activation: Activation) -> None:
        super().__init__()
        depthwise = over_pixels(channels, channels, 3, groups=channels)
        self.body = nn.Sequential(*depthwise, activation_module(activation))
        draw_stream_weights(self, f"lead-in of clips of {channels}")

    def forward(self, clip: Tensor) -> Tensor:
        """`[N, C, T, H, W]` to the same shape."""
        out: Tensor = self.body(clip)
        return out


class SingleStreamPart(nn.Module):
    """A lead-in and one part.

    Args:
        part: Of a network of several streams.
    """

    def __init__(self, part: StreamPart) -> None:
        super().__init__()
        self.lead_in = ClipLeadIn(part.given[0], part.network.activation)
        with torch.random.fork_rng(devices=[]):  # torch draws first, to no effect
            self.part = _module(part)
        draw_weights(self.part, part.key)  # of dense layers
        draw_stream_weights(self.part, part.key)

    def forward(self, clip: Tensor) -> Tensor:
        """`[N, C, T, H, W]` to what the part gives."""
        out: Tensor = self.part(self.lead_in(clip))
        return out


def _module(part: StreamPart) -> nn.Module:
    network, channels = part.network, part.given[0]
    by_frames = network.pooling is FramePooling.SOFTMAX
    match part.kind:
        case StreamPartKind.FLOW:
            return RepresentationFlow(network.flow_iterations)
        case StreamPartKind.STEM:
            assert part.stem is not None
            return stem_layers(network, part.stem)
        case StreamPartKind.READ:
            return _Gated(part.ratio)
        case StreamPartKind.ADD | StreamPartKind.JOIN:
            return _Doubled(nn.Sequential())
        case StreamPartKind.MATCH:
            return _Doubled(nn.Conv3d(channels, part.filters, 1, bias=False), before=True)
        case StreamPartKind.PEER:
            return nn.Sequential(_Pixel(), nn.Conv3d(channels, part.filters, 1))
        case StreamPartKind.MIX:
            return _Mixed()
        case StreamPartKind.ATTEND:
            return _Attention(channels, part.filters, network.attention)
        case StreamPartKind.ENTRY | StreamPartKind.AROUND:
            module = residual(network, _node(part), channels, 0, network.strides[part.level])
            entry = module.body[:_ENTRY]
            return entry if part.kind is StreamPartKind.ENTRY else module.shortcut
        case StreamPartKind.BODY:
            return _Body(part)
        case StreamPartKind.END:
            return _End(part, by_frames=by_frames)
        case StreamPartKind.SCORES:
            return _Scores(part, by_frames=by_frames)
        case StreamPartKind.FRAMES:
            return _Weighed()


def _node(part: StreamPart) -> StreamNode:
    filters = part.filters or 1
    return StreamNode(level=part.level, inputs=(0,), filters=filters, dilation=part.dilation)


class _Doubled(nn.Module):
    """A feature added to itself, as another one would be, after a body or before it."""

    def __init__(self, body: nn.Module, *, before: bool = False) -> None:
        super().__init__()
        self.body, self.before = body, before

    def forward(self, clip: Tensor) -> Tensor:
        if self.before:
            clip = self.body(clip)
            return clip + clip
        made: Tensor = self.body(clip + clip)
        return made


class _Gated(nn.Module):
    """A feature made smaller, times its gate."""

    def __init__(self, ratio: int) -> None:
        super().__init__()
        self.pool = SameMaxPool3d(ratio, ratio) if ratio > 1 else nn.Identity()

    def forward(self, clip: Tensor) -> Tensor:
        made: Tensor = self.pool(clip) * _GATE
        return made


class _Pixel(nn.Module):
    """The mean pixel of each frame."""

    def forward(self, clip: Tensor) -> Tensor:
        return clip.mean((3, 4), keepdim=True)


class _Mixed(nn.Module):
    """A vector added to a share of it."""

    def forward(self, vector: Tensor) -> Tensor:
        return vector + _GATE * vector


class _Attention(nn.Module):
    """The gates of a connection's channels, worked out from its first pixel or its mean."""

    def __init__(self, channels: int, width: int, kind: Attention) -> None:
        super().__init__()
        self.width = width if kind is Attention.PEER else channels
        self.copies = -(-width // channels)
        self.from_peers = kind is Attention.PEER
        self.dense = nn.Conv3d(self.width, channels, 1)

    def forward(self, clip: Tensor) -> Tensor:
        if self.from_peers:
            pixel = clip[:, :, :, :1, :1]
            source = _GATE * torch.cat((pixel,) * self.copies, 1)[:, : self.width]
        else:
            source = clip.mean((3, 4), keepdim=True)
        return clip * torch.sigmoid(self.dense(source))


class _Body(nn.Module):
    """What follows the entry of a node."""

    def __init__(self, part: StreamPart) -> None:
        super().__init__()
        network, node = part.network, _node(part)
        width = network.width_of(node)
        first = residual(network, node, width, 0, 1)
        self.before = nn.Sequential(*first.body[_ENTRY:], first.last, first.last_norm)
        self.activation = activation_module(network.activation)
        places = range(1, network.repeats[part.level])
        self.others = nn.Sequential(*(residual(network, node, width, p, 1) for p in places))

    def forward(self, clip: Tensor) -> Tensor:
        inside = self.before(clip)
        made: Tensor = self.others(self.activation(inside + inside))
        return made


class _End(nn.Module):
    """The head's convolutions, and the mean of pixels."""

    def __init__(self, part: StreamPart, *, by_frames: bool) -> None:
        super().__init__()
        channels, layers = part.given[0], list[nn.Module]()
        for filters in part.network.head_filters:
            layers += over_pixels(channels, filters, 1)
            layers.append(activation_module(part.network.activation))
            channels = filters
        self.convolutions = nn.Sequential(*layers)
        self.by_frames = by_frames

    def forward(self, clip: Tensor) -> Tensor:
        made: Tensor = self.convolutions(clip)
        return made.mean((3, 4), keepdim=True) if self.by_frames else made.mean((2, 3, 4))


class _Scores(nn.Module):
    """A dense layer, added to itself where it is added to others."""

    def __init__(self, part: StreamPart, *, by_frames: bool) -> None:
        super().__init__()
        channels, added = part.given[0], not part.is_first
        self.dense = (
            nn.Conv3d(channels, part.filters, 1, bias=not added)
            if by_frames
            else nn.Linear(channels, part.filters, bias=not added)
        )
        self.by_frames, self.added = by_frames, added

    def forward(self, clip: Tensor) -> Tensor:
        scores: Tensor = self.dense(clip if self.by_frames else clip.flatten(1))
        return scores + scores if self.added else scores


class _Weighed(nn.Module):
    """Scores of frames as those of a clip."""

    def forward(self, scores: Tensor) -> Tensor:
        return weighed_frames(scores)
