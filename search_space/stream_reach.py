"""All parts that the networks of a space of several streams can have; free of torch.

What a node does depends on the shapes of what it reads, and these on what its inputs read: each
level has few shapes, which follow from those of the levels before it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement

from search_space import stream_part
from search_space import stream_parts as parts
from search_space.architecture import Head, VideoClassifier
from search_space.assemblenet import Attention, FlowSource, FramePooling
from search_space.assemblenet_space import AssembleNetSpace
from search_space.stream_graph import LEVELS, StemKind, StreamNode, StreamStem
from search_space.stream_part import Feature, StreamPart
from search_space.stream_points import SHARES


def possible_parts(space: AssembleNetSpace, head: Head) -> tuple[StreamPart, ...]:
    """Each part that a network of ``space`` can have, once.

    None that there can be is missing. A few are among them that come in no network: what can be
    read together is told by two or three nodes at a time, not by all that these read themselves.

    Raises:
        InputError: If its networks have no such head.
    """
    found = _Reach(space).parts(parts.classifier(head))
    return tuple({part.key: part for part in found}.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """What a node may read.

    Attributes:
        level: Of a node; -1 of a stem.
        shares: Of its level's filters; 0 of a stem.
        feature: That it gives.
    """

    level: int
    shares: int
    feature: Feature


class _Reach:
    """The sources of a space by level.

    Args:
        space: Any.
    """

    def __init__(self, space: AssembleNetSpace) -> None:
        self.space, self.network = space, space.frame
        kinds = [stem.kind for stem in self.network.graph.stems]
        self.stems = Counter(
            _Source(
                level=-1,
                shares=0,
                feature=parts.stem_feature(self.network, StreamStem(kind=kind)),
            )
            for kind in kinds
        )
        self.levels: list[tuple[_Source, ...]] = [tuple(self.stems)]
        for level in range(LEVELS):
            found = (
                _Source(
                    level=level,
                    shares=shares,
                    feature=parts.node_feature(self.network, fused, self._node(level, shares)),
                )
                for fused in self._fused(self._lower(level))
                for shares in self._shares()
            )
            self.levels.append(tuple(dict.fromkeys(found)))

    def parts(self, head: VideoClassifier) -> Iterator[StreamPart]:
        """All, from input to output; some several times."""
        yield from self._inputs()
        for level in range(LEVELS):
            lower = self._lower(level)
            yield from self._connections(lower)
            for fused in self._fused(lower):
                for shares in self._shares():
                    for dilation in self.space.points.node_dilations(level):
                        node = self._node(level, shares, dilation)
                        yield from parts.node_parts(self.network, fused, node)
        yield from self._ends(head)

    def _inputs(self) -> Iterator[StreamPart]:
        kinds = dict.fromkeys(stem.kind for stem in self.network.graph.stems)
        if StemKind.FLOW in kinds and self.network.flow is FlowSource.COMPUTED:
            yield stream_part.flow(self.network)
        for kind in kinds:
            for dilation in self.space.points.stem_dilations(kind):
                yield stream_part.stem(self.network, StreamStem(kind=kind, dilation=dilation))

    def _connections(self, lower: Sequence[_Source]) -> Iterator[StreamPart]:
        """What a node does with what it reads, before its residual modules."""
        network, attention = self.network, self.network.attention
        widths = {source.feature.channels for source in lower}
        for one in lower if attention is not Attention.NONE else ():
            yield from self._attention(one.feature, one.feature.reduction, widths)
        for pair in combinations_with_replacement(lower, 2):
            if not self._meet(*pair):
                continue
            fused = parts.fusion([source.feature for source in pair])
            for source in pair:
                yield stream_part.reading(network, source.feature, fused.reduction)
                if attention is not Attention.NONE:
                    yield from self._attention(source.feature, fused.reduction, widths)
            yield from self._sums(pair, lower)

    def _sums(
        self, pair: tuple[_Source, _Source], lower: Sequence[_Source]
    ) -> Iterator[StreamPart]:
        """Of two, as small as a third makes them."""
        channels = {source.feature.channels for source in pair}
        wide = parts.fusion([source.feature for source in pair]).channels
        for third in (None, *lower):
            read = pair if third is None else (*pair, third)
            if third is not None and not self._meet(*read):
                continue
            fused = parts.fusion([source.feature for source in read])
            if len(channels) == 1:
                yield stream_part.addition(self.network, wide, fused.reduction)
            for own in channels if fused.channels == wide else ():
                if own != wide:
                    yield stream_part.match(self.network, own, fused)

    def _attention(
        self, feature: Feature, reduction: int, widths: set[int]
    ) -> Iterator[StreamPart]:
        """Of one connection, whatever its candidates are."""
        network = self.network
        if network.attention is Attention.SELF:
            yield stream_part.attention(network, feature.channels, reduction, 0)
            return
        for width in widths:
            if width >= feature.channels:
                yield stream_part.peer(network, feature, width)
                yield stream_part.mixing(network, width)
                yield stream_part.attention(network, feature.channels, reduction, width)

    def _ends(self, head: VideoClassifier) -> Iterator[StreamPart]:
        ends, network = self.levels[LEVELS], self.network
        for one in ends:
            yield stream_part.ending(network, one.feature)
            width = parts.head_width(network, one.feature.channels)
            yield stream_part.scoring(network, head, width, is_first=True)
        for pair in combinations_with_replacement(ends, 2):
            if self._meet(*pair):
                widths = {parts.head_width(network, each.feature.channels) for each in pair}
                for width in widths:
                    if len(widths) == 1:
                        yield stream_part.joining(network, width)
                    else:
                        yield stream_part.scoring(network, head, width, is_first=False)
        if network.pooling is FramePooling.SOFTMAX:
            yield stream_part.weighing(network, head)

    def _lower(self, level: int) -> tuple[_Source, ...]:
        """What a node of that level may read."""
        return tuple(source for sources in self.levels[: level + 1] for source in sources)

    def _fused(self, lower: Sequence[_Source]) -> tuple[Feature, ...]:
        """Of any that can be read together: two tell the width and the size."""
        alone = [parts.fusion([source.feature]) for source in lower]
        pairs = filter(lambda pair: self._meet(*pair), combinations_with_replacement(lower, 2))
        together = [parts.fusion([one.feature, two.feature]) for one, two in pairs]
        return tuple(dict.fromkeys((*alone, *together)))

    def _meet(self, *sources: _Source) -> bool:
        """Whether one network can have all of them, equal ones as often as they are given."""
        for level in {source.level for source in sources}:
            own = [source for source in sources if source.level == level]
            if level < 0:
                if any(count > self.stems[stem] for stem, count in Counter(own).items()):
                    return False
                continue
            total = sum(source.shares for source in own)
            most = self.space.nodes - (total < SHARES)  # the rest has a node of its own
            if total > SHARES or len(own) > most:
                return False
        return True

    def _shares(self) -> range | tuple[int, ...]:
        """That a node may have of its level's filters."""
        return range(1, SHARES + 1) if self.space.nodes > 1 else (SHARES,)

    def _node(self, level: int, shares: int, dilation: int = 1) -> StreamNode:
        filters = self.space.filters[level] * shares // SHARES
        return StreamNode(level=level, inputs=(0,), filters=filters, dilation=dilation)
