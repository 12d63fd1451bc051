"""The parts of networks of several streams, each with what it costs; free of torch.

A part is named by what it computes and by the shape that it gets, so that two of one key cost the
same in any network. So a part knows of few settings of a network, and a space has few parts for
its many networks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum

from search_space.architecture import VideoClassifier
from search_space.assemblenet import (
    FLOW_CHANNELS,
    FramePooling,
    ModuleKind,
    MultiStreamArchitecture,
)
from search_space.chain import Activation
from search_space.stream_graph import StemKind, StreamNode, StreamStem
from search_space.tape import Tape

_FLOW_WRITES, _LESS = 76, 12
"""Numbers that an iteration of ``representation_flow`` writes for each pixel of each pair of
frames, and how many fewer the first and last do, the gradients counted."""


class StreamPartKind(StrEnum):
    """What a part does."""

    FLOW = "flow"
    STEM = "stem"
    READ = "read"
    ADD = "add"
    MATCH = "match"
    PEER = "peer"
    MIX = "mix"
    ATTEND = "attend"
    ENTRY = "entry"
    AROUND = "around"
    BODY = "body"
    END = "end"
    JOIN = "join"
    SCORES = "scores"
    FRAMES = "frames"


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """What a stem or node gives, or several fused.

    Attributes:
        channels: Of it.
        reduction: Pixels a side of the image that are one of its.
        is_map: Whether it is a map of object classes, which never decides the width of a fusion.
    """

    channels: int
    reduction: int
    is_map: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPart:
    """One part in its place.

    Attributes:
        kind: What it does.
        network: One that has it, for its settings; not for its graph.
        key: All that it computes, and on what shape, as text: equal ones cost the same.
        stem: Of a stem.
        level: Of a node's residual modules; those of several may be the same.
        filters: Of that node, or channels that a feature or vector is brought to.
        dilation: Of that node.
        ratio: By which a feature is made smaller.
        is_first: Of scores, whether no others are there to which they are added.
        given: Shape of its input, channels first, without a batch.
        out_elements: Numbers that it gives.
        hidden_elements: Numbers that it writes and reads again inside.
        macs: Multiply-adds.
        params: Trainable numbers; gates and shares, one number each, are not counted.
    """

    kind: StreamPartKind
    network: MultiStreamArchitecture = field(compare=False, repr=False)
    key: str
    stem: StreamStem | None = None
    level: int = field(default=0, compare=False)
    filters: int = 0
    dilation: int = 1
    ratio: int = 1
    is_first: bool = True
    given: tuple[int, ...]
    out_elements: int
    hidden_elements: int
    macs: int
    params: int

    @property
    def in_elements(self) -> int:
        """Numbers that it reads beside its weights."""
        return math.prod(self.given)

    @property
    def label(self) -> str:
        """Which parts are alike in how they are computed, as a correction treats them."""
        what = self.kind.value
        if self.stem is not None:
            what = f"{what}-{self.stem.kind}"
        elif self.kind is StreamPartKind.READ and self.ratio > 1:
            what = "read-smaller"
        return f"{what}-swish" if self.network.activation is Activation.SWISH else what


def flow(network: MultiStreamArchitecture) -> StreamPart:
    """Optical flow worked out from the clip."""
    tape = _tape(network, network.channels, 1)
    pairs = (network.frames - 1) * network.size**2
    tape.written = (_FLOW_WRITES * network.flow_iterations - _LESS) * pairs
    tape.channels = FLOW_CHANNELS
    what = f"iterations:{network.flow_iterations}"
    return _part(StreamPartKind.FLOW, network, tape, what)


def stem(network: MultiStreamArchitecture, stem: StreamStem) -> StreamPart:
    """The layers of a stem."""
    layers = network.stem
    if stem.kind is StemKind.OBJECT:
        tape = _tape(network, network.objects, 1)
        tape.pool(layers.reduction)
        return _part(StreamPartKind.STEM, network, tape, "object", stem=stem)
    is_rgb = stem.kind is StemKind.RGB
    tape = _tape(network, network.channels if is_rgb else FLOW_CHANNELS, 1)
    tape.convolution(layers.filters, layers.kernel, stride=min(layers.reduction, 2))
    temporal = ""
    if is_rgb or network.module is ModuleKind.INVERTED:
        tape.over_frames(layers.filters, layers.temporal_kernel)
        temporal = f"-temporal:{layers.temporal_kernel}-dilation:{stem.dilation}"
    if layers.reduction == 4:
        tape.pool(2)
    pool = f"-pool:{3 if is_rgb else 2}" if layers.reduction == 4 else ""
    what = f"{stem.kind}-kernel:{layers.kernel}{temporal}{pool}"
    return _part(StreamPartKind.STEM, network, tape, what, stem=stem)


def reading(network: MultiStreamArchitecture, feature: Feature, reduction: int) -> StreamPart:
    """A feature brought to the size of a node's others, times its gate."""
    tape = _tape(network, feature.channels, feature.reduction)
    ratio = reduction // feature.reduction
    if ratio > 1:
        tape.pool(ratio)
    tape.writes(1)
    return _part(StreamPartKind.READ, network, tape, "", ratio=ratio)


def addition(network: MultiStreamArchitecture, channels: int, reduction: int) -> StreamPart:
    """A feature added to another of its width."""
    tape = _tape(network, channels, reduction)
    tape.writes(1)
    return _part(StreamPartKind.ADD, network, tape, "")


def match(network: MultiStreamArchitecture, channels: int, fused: Feature) -> StreamPart:
    """A sum of features brought to the width of others, and added to these."""
    tape = _tape(network, channels, fused.reduction)
    tape.mixed(fused.channels)
    tape.writes(1)
    return _part(StreamPartKind.MATCH, network, tape, "", filters=fused.channels)


def peer(network: MultiStreamArchitecture, feature: Feature, width: int) -> StreamPart:
    """The mean pixel of a feature in each frame, at the width of a node's candidates."""
    tape = _tape(network, feature.channels, feature.reduction)
    tape.size = 1
    tape.writes(1)
    tape.dense(width)
    return _part(StreamPartKind.PEER, network, tape, "", filters=width)


def mixing(network: MultiStreamArchitecture, width: int) -> StreamPart:
    """A further candidate's share in what one connection's attention is worked out from."""
    tape = _vector(network, width)
    tape.writes(2)
    return _part(StreamPartKind.MIX, network, tape, "")


def attention(
    network: MultiStreamArchitecture, channels: int, reduction: int, width: int
) -> StreamPart:
    """One gate for each channel and frame of a connection.

    Args:
        network: Any with the settings.
        channels: Of the connection.
        reduction: Of the node that it leads to.
        width: Of the candidates; 0 for a connection's attention to itself.
    """
    tape = _tape(network, channels, reduction)
    tape.writes(1)
    tape.size, tape.channels = 1, width or channels
    tape.writes(1)
    tape.dense(channels)
    tape.writes(1)
    tape.size = _side(network, reduction)
    what = f"peers:{width}" if width else "self"
    return _part(StreamPartKind.ATTEND, network, tape, what, filters=width)


def entry(
    network: MultiStreamArchitecture, fused: Feature, level: int, filters: int
) -> StreamPart:
    """The first two convolutions of a node's first residual module."""
    tape = _tape(network, fused.channels, fused.reduction)
    inner, stride = network.inner[level], network.strides[level]
    if network.module is ModuleKind.INVERTED:
        tape.convolution(inner, 1)
        tape.depthwise(3, stride=stride)
        what, filters = f"stride:{stride}", 0
    else:
        tape.convolution(filters, 1)
        tape.convolution(inner, 3, stride=stride)
        what = f"filters:{filters}-stride:{stride}"
    what = f"{network.module}-{what}"
    kind = StreamPartKind.ENTRY
    return _part(kind, network, tape, what, level=level, filters=filters)


def around(
    network: MultiStreamArchitecture, fused: Feature, level: int, filters: int
) -> StreamPart:
    """What goes around a node's first residual module."""
    tape = _tape(network, fused.channels, fused.reduction)
    stride = network.strides[level]
    tape.convolution(_width(network, filters), 1, stride=stride, activated=False)
    what = f"stride:{stride}"
    return _part(StreamPartKind.AROUND, network, tape, what, level=level, filters=filters)


def body(
    network: MultiStreamArchitecture, level: int, filters: int, dilation: int, reduction: int
) -> StreamPart:
    """What follows a node's entry: the rest of its first residual module, and the others.

    Args:
        network: Any with the settings.
        level: Of the node.
        filters: Likewise.
        dilation: Likewise; 1 where no convolution is over frames.
        reduction: Of what the node gives.
    """
    tape, inner = _tape(network, network.inner[level], reduction), network.inner[level]
    is_inverted = network.module is ModuleKind.INVERTED
    width = _width(network, filters)
    if is_inverted:
        tape.over_frames(inner, 3, depthwise=True)
    _summed(tape, width)
    for place in range(1, network.repeats[level]):
        if is_inverted:
            tape.convolution(inner, 1)
            tape.depthwise(3, stride=1)
            tape.over_frames(inner, 3, depthwise=True)
        else:
            if place % 2:
                tape.over_frames(filters, 3)
            else:
                tape.convolution(filters, 1)
            tape.convolution(inner, 3)
        _summed(tape, width)
    temporal = f"-dilation:{dilation}" if network.has_temporal(level) else ""
    what = f"{network.module}x{network.repeats[level]}-filters:{filters}{temporal}"
    return _part(
        StreamPartKind.BODY,
        network,
        tape,
        what,
        level=level,
        filters=filters,
        dilation=dilation,
    )


def ending(network: MultiStreamArchitecture, feature: Feature) -> StreamPart:
    """The head's convolutions over a node of the last level, and the mean of its pixels."""
    tape = _tape(network, feature.channels, feature.reduction)
    for filters in network.head_filters:
        tape.convolution(filters, 1)
    tape.size = 1
    if network.pooling is FramePooling.MEAN:
        tape.frames = 1
    tape.writes(1)
    what = "-".join((f"{network.pooling}", *map(str, network.head_filters)))
    return _part(StreamPartKind.END, network, tape, what)


def joining(network: MultiStreamArchitecture, width: int) -> StreamPart:
    """The mean pixel of a further node of the last level, added to that of another."""
    tape = _vector(network, width, is_scored=True)
    tape.writes(1)
    return _part(StreamPartKind.JOIN, network, tape, "")


def scoring(
    network: MultiStreamArchitecture, head: VideoClassifier, width: int, *, is_first: bool
) -> StreamPart:
    """A dense layer that makes scores, which are added to those that are there."""
    tape = _vector(network, width, is_scored=True)
    tape.dense(head.classes, bias=is_first)
    if not is_first:
        tape.writes(1)
    what = f"classes:{head.classes}{'' if is_first else '-added'}"
    kind = StreamPartKind.SCORES
    return _part(kind, network, tape, what, filters=head.classes, is_first=is_first)


def weighing(network: MultiStreamArchitecture, head: VideoClassifier) -> StreamPart:
    """Scores of frames weighed by their softmax over these, and summed."""
    tape = _vector(network, head.classes, is_scored=True)
    by_frame, by_clip = _WEIGHING_WRITES
    tape.writes(by_frame)
    tape.frames = 1
    tape.writes(by_clip)
    return _part(StreamPartKind.FRAMES, network, tape, "")


_WEIGHING_WRITES = (7, 5)
"""Of each frame, with a softmax over frames (``exporters.reshaping``), and of all together."""


def _summed(tape: Tape, width: int) -> None:
    """The last convolution of a residual module, and the sum with what goes around it."""
    tape.convolution(width, 1, activated=False)
    tape.writes(1)
    tape.activation()


def _width(network: MultiStreamArchitecture, filters: int) -> int:
    """Channels that a node of so many filters gives."""
    return network.width_of(StreamNode(level=0, inputs=(0,), filters=filters))


def _side(network: MultiStreamArchitecture, reduction: int) -> int:
    return -(-network.size // reduction)


def _tape(network: MultiStreamArchitecture, channels: int, reduction: int) -> Tape:
    side = _side(network, reduction)
    return Tape.of((channels, network.frames, side, side), network.activation)


def _vector(network: MultiStreamArchitecture, width: int, *, is_scored: bool = False) -> Tape:
    """One pixel of each frame; of scores that are of all frames, one pixel."""
    is_mean = is_scored and network.pooling is FramePooling.MEAN
    return Tape.of((width, 1 if is_mean else network.frames, 1, 1), network.activation)


def _part(
    kind: StreamPartKind,
    network: MultiStreamArchitecture,
    tape: Tape,
    what: str,
    *,
    stem: StreamStem | None = None,
    level: int = 0,
    filters: int = 0,
    dilation: int = 1,
    ratio: int = 1,
    is_first: bool = True,
) -> StreamPart:
    """What a tape has counted."""
    channels, *clip = tape.given
    given = "x".join(map(str, (*clip, channels)))
    made = f"{tape.frames}x{tape.size}x{tape.size}x{tape.channels}"
    activation = "" if network.activation is Activation.RELU else f"-{network.activation.value}"
    return StreamPart(
        kind=kind,
        network=network,
        key=f"{kind}-input:{given}-output:{made}{'-' if what else ''}{what}{activation}",
        stem=stem,
        level=level,
        filters=filters,
        dilation=dilation,
        ratio=ratio,
        is_first=is_first,
        given=tape.given,
        out_elements=tape.elements,
        hidden_elements=max(0, tape.written - tape.elements),
        macs=tape.macs,
        params=tape.params,
    )
