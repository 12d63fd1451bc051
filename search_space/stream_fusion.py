"""How a node of several streams fuses what it reads (AssembleNet, section 3.2, and AssembleNet++).

Each connection has a gate, a learned number between 0 and 1, and in AssembleNet++ one for each of
its channels and frames besides, worked out from other nodes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from search_space.clip_layers import SameMaxPool3d


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a node reads.

    Attributes:
        number: Of the stem or node.
        channels: That it gives.
        reduction: Pixels a side of the image that are one of its.
        is_map: Whether it is a map of object classes, which never decides the width of a fusion.
    """

    number: int
    channels: int
    reduction: int
    is_map: bool = False


class ChannelAttention(nn.Module):
    """One gate for each channel and frame of a connection (AssembleNet++, section 3.3).

    Args:
        channels: Of the connection.
        width: Of what it is worked out from.
        peers: How many candidates are mixed, in shares that are learned; 0 for the connection.
    """

    def __init__(self, channels: int, width: int, peers: int) -> None:
        super().__init__()
        self.shares = nn.Parameter(torch.zeros(peers)) if peers else None
        self.dense = nn.Conv3d(width, channels, 1)

    def forward(self, clip: Tensor, peers: Sequence[Tensor]) -> Tensor:
        """`[N, C, T, H, W]` to the same shape; of ``peers`` each is `[N, width, T, 1, 1]`."""
        if self.shares is None:
            source = clip.mean((3, 4), keepdim=True)
        else:
            shares = torch.softmax(self.shares, 0)
            source = shares[0] * peers[0]
            for place in range(1, len(peers)):
                source = source + shares[place] * peers[place]
        return clip * torch.sigmoid(self.dense(source))


class PeerVectors(nn.Module):
    """The candidates for the attention of one node: the mean pixel of each, at one width.

    Args:
        sources: All nodes of lower levels.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        super().__init__()
        self.numbers = [source.number for source in sources]
        self.width = max(source.channels for source in sources)
        self.dense = nn.ModuleList(nn.Conv3d(each.channels, self.width, 1) for each in sources)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Each `[N, C, T, H, W]` to `[N, width, T, 1, 1]`."""
        pairs = zip(self.dense, self.numbers, strict=True)
        return [dense(features[number].mean((3, 4), keepdim=True)) for dense, number in pairs]


class StreamFusion(nn.Module):
    """The weighted sum of what a node reads, at the size of the smallest and the largest width.

    Args:
        name: Of the node, in what a training tells.
        sources: What it reads.
        fixed: Gates, where they are not learned.
        candidates: For the attention of a node of AssembleNet++: all nodes of lower levels; none
            for a connection's attention to itself, None for no attention.
    """

    def __init__(
        self,
        name: str,
        sources: Sequence[Source],
        fixed: Sequence[float] | None,
        candidates: Sequence[Source] | None,
    ) -> None:
        super().__init__()
        self.name = name
        self.numbers = [source.number for source in sources]
        self.reduction = max(source.reduction for source in sources)
        self.pools = nn.ModuleList(
            SameMaxPool3d(ratio, ratio) if ratio > 1 else nn.Identity()
            for ratio in (self.reduction // source.reduction for source in sources)
        )
        self.theta: Tensor | None
        if len(sources) == 1:
            self.register_parameter("theta", None)
        elif fixed is None:
            self.theta = nn.Parameter(torch.zeros(len(sources)))
        else:
            self.register_buffer("theta", thetas(fixed))
        widths = [source.channels for source in sources]
        deciding = [source.channels for source in sources if not source.is_map] or widths
        self.channels = max(deciding) if len(sources) > 1 else widths[0]
        self.groups = [
            [place for place, channels in enumerate(widths) if channels == width]
            for width in dict.fromkeys(widths)
        ]
        self.matching = nn.ModuleList(
            nn.Identity()
            if width == self.channels
            else nn.Conv3d(width, self.channels, 1, bias=False)
            for width in dict.fromkeys(widths)
        )
        self.peers = PeerVectors(candidates) if candidates else None
        self.attentions = nn.ModuleList()
        if candidates is not None:
            self.attentions.extend(
                ChannelAttention(width, self.peers.width if self.peers else width, len(candidates))
                for width in widths
            )

    def gates(self) -> Mapping[str, Sequence[float]]:
        """Weights of the connections, in (0, 1), under the node's name; of a single one none."""
        if self.theta is None:
            return {}
        return {self.name: tuple(map(float, torch.sigmoid(self.theta.detach())))}

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Features of all nodes before, `[N, C, T, H, W]`, to one `[N, channels, T, H, W]`."""
        peers = self.peers(features) if self.peers is not None else []
        gates = None if self.theta is None else torch.sigmoid(self.theta)
        read = []
        for place, (pool, number) in enumerate(zip(self.pools, self.numbers, strict=True)):
            clip = pool(features[number])
            if gates is not None:
                clip = clip * gates[place]
            if len(self.attentions):
                clip = self.attentions[place](clip, peers)
            read.append(clip)
        made: Tensor | None = None
        for match, places in zip(self.matching, self.groups, strict=True):
            whole = read[places[0]]
            for place in places[1:]:
                whole = whole + read[place]
            part: Tensor = match(whole)
            made = part if made is None else made + part
        assert made is not None  # a node reads something
        return made


def thetas(gates: Sequence[float]) -> Tensor:
    """What a sigmoid makes ``gates`` of: -ln(1 / g - 1), `[len(gates)]` float32."""
    return torch.tensor([-math.log(1 / gate - 1) for gate in gates], dtype=torch.float32)
