"""A network of several streams, cut into its parts one by one.

A node is what it does with each feature that it reads, each sum of two of them, and three parts of
its residual modules: its entry, to the filters inside of the first module; what goes around that;
and the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from search_space.architecture import Head, VideoClassifier
from search_space.assemblenet import (
    Attention,
    FlowSource,
    FramePooling,
    MultiStreamArchitecture,
)
from search_space.stream_graph import LEVELS, StemKind, StreamNode, StreamStem
from search_space.stream_part import (
    Feature,
    StreamPart,
    addition,
    around,
    attention,
    body,
    ending,
    entry,
    flow,
    joining,
    match,
    mixing,
    peer,
    reading,
    scoring,
    stem,
    weighing,
)
from workspace.errors import InputError


def parts_of(network: MultiStreamArchitecture, head: Head) -> tuple[StreamPart, ...]:
    """The parts of a network, from its clip to its scores.

    Raises:
        InputError: If it has no such head.
    """
    head = classifier(head)
    stems, nodes = network.graph.built
    found = list[StreamPart]()
    if network.flow is FlowSource.COMPUTED and any(s.kind is StemKind.FLOW for s in stems):
        found.append(flow(network))
    found += [stem(network, each) for each in stems]
    features = [stem_feature(network, each) for each in stems]
    levels = [-1] * len(stems)
    for node in nodes:
        lower = [f for f, level in zip(features, levels, strict=True) if level < node.level]
        read = [features[number] for number in node.inputs]
        fused = fusion(read)
        found += _fusion_parts(network, read, fused, lower)
        found += node_parts(network, fused, node)
        features.append(node_feature(network, fused, node))
        levels.append(node.level)
    ends = [f for f, level in zip(features, levels, strict=True) if level == LEVELS - 1]
    return (*found, *_head_parts(network, head, ends))


def classifier(head: Head) -> VideoClassifier:
    """``head``, if networks of streams have such a one.

    Raises:
        InputError: If not.
    """
    if not isinstance(head, VideoClassifier):
        msg = f"a network of streams has only a classifier of videos as its head, got {head!r}"
        raise InputError(msg)
    return head


def stem_feature(network: MultiStreamArchitecture, stem: StreamStem) -> Feature:
    """What a stem gives."""
    is_map = stem.kind is StemKind.OBJECT
    channels = network.objects if is_map else network.stem.filters
    return Feature(channels=channels, reduction=network.stem.reduction, is_map=is_map)


def node_feature(network: MultiStreamArchitecture, fused: Feature, node: StreamNode) -> Feature:
    """What a node gives."""
    reduction = fused.reduction * network.strides[node.level]
    return Feature(channels=network.width_of(node), reduction=reduction)


def fusion(read: Sequence[Feature]) -> Feature:
    """What a node makes of all that it reads: as small as the smallest, as wide as the widest."""
    deciding = [feature for feature in read if not feature.is_map] or read
    return Feature(
        channels=max(feature.channels for feature in deciding),
        reduction=max(feature.reduction for feature in read),
    )


def _fusion_parts(
    network: MultiStreamArchitecture,
    read: Sequence[Feature],
    fused: Feature,
    lower: Sequence[Feature],
) -> Iterator[StreamPart]:
    has_peers = network.attention is Attention.PEER
    width = max(feature.channels for feature in lower) if has_peers else 0
    if has_peers:
        yield from (peer(network, feature, width) for feature in lower)
    for feature in read:
        if len(read) > 1:
            yield reading(network, feature, fused.reduction)
        if has_peers:
            yield from [mixing(network, width)] * (len(lower) - 1)
        if network.attention is not Attention.NONE:
            yield attention(network, feature.channels, fused.reduction, width)
    widths = [feature.channels for feature in read]
    for channels in dict.fromkeys(widths):
        more = widths.count(channels) - 1
        yield from [addition(network, channels, fused.reduction)] * more
        if channels != fused.channels:
            yield match(network, channels, fused)


def node_parts(
    network: MultiStreamArchitecture, fused: Feature, node: StreamNode
) -> tuple[StreamPart, ...]:
    """The residual modules of a node."""
    reduction = fused.reduction * network.strides[node.level]
    return (
        entry(network, fused, node.level, node.filters),
        around(network, fused, node.level, node.filters),
        body(network, node.level, node.filters, node.dilation, reduction),
    )


def _head_parts(
    network: MultiStreamArchitecture, head: VideoClassifier, ends: Sequence[Feature]
) -> Iterator[StreamPart]:
    yield from (ending(network, feature) for feature in ends)
    widths = [head_width(network, feature.channels) for feature in ends]
    for place, width in enumerate(dict.fromkeys(widths)):
        yield from [joining(network, width)] * (widths.count(width) - 1)
        yield scoring(network, head, width, is_first=place == 0)
    if network.pooling is FramePooling.SOFTMAX:
        yield weighing(network, head)


def head_width(network: MultiStreamArchitecture, channels: int) -> int:
    """Channels of a node of the last level, after the head's convolutions."""
    return network.head_filters[-1] if network.head_filters else channels
