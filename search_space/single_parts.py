"""One part of a scale-permuted network as a network of its own, after what makes its input.

Like ``search_space.single_layers``: a part is timed as the difference that it makes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from search_space.architecture import Classifier, Detector
from search_space.blocks import activation_module, draw_weights
from search_space.retinanet import RetinaNetHead
from search_space.single_layers import LeadIn
from search_space.spinenet import OUTPUT_LEVELS
from search_space.spinenet_layers import Enlarge, Resampling, activated, group
from search_space.spinenet_network import PermutedStem
from search_space.spinenet_parts import PartKind, PermutedPart

if TYPE_CHECKING:
    from torch import Tensor


class SinglePart(nn.Module):
    """A lead-in and one part.

    Args:
        part: Of a scale-permuted network.
    """

    def __init__(self, part: PermutedPart) -> None:
        super().__init__()
        self.lead_in = LeadIn(part.in_channels, part.network.activation)
        self.part = _module(part)
        draw_weights(self.part, part.key)

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, ...]:
        """`[N, C, H, W]` to what the part gives."""
        out: Tensor | tuple[Tensor, ...] = self.part(self.lead_in(image))
        return out


def _module(part: PermutedPart) -> nn.Module:
    network, source, head = part.network, part.source, part.head
    match part.kind:
        case PartKind.STEM:
            return _Last(PermutedStem(network))
        case PartKind.ADD:
            return _Doubled(nn.Sequential())
        case PartKind.NETS:
            assert isinstance(head, Detector)
            return _Nets(part, head)
        case PartKind.AVERAGE:
            assert isinstance(head, Classifier)
            return _Average(network.endpoint_filters, head.classes)
    assert source is not None
    level, kind = source
    channels = network.channels_of(level, kind)
    match part.kind:
        case PartKind.BLOCK:
            body = group(network, kind, level, channels)
            return _Doubled(nn.Sequential(activation_module(network.activation), *body))
        case PartKind.ENDPOINT:
            layers = activated(channels, network.endpoint_filters, 1, network.activation)
            return nn.Sequential(*layers)
        case PartKind.UPWARD:
            upward = Enlarge(level - OUTPUT_LEVELS[0])
            return _Sized(upward, _side(part, OUTPUT_LEVELS[0]), added=True)
        case PartKind.RESAMPLING:
            assert part.target is not None
            resampling = Resampling(network, source, part.target)
            return _Sized(resampling, _side(part, part.target[0]))


def _side(part: PermutedPart, level: int) -> int:
    return -(-part.network.size // part.network.stride_at(level))


class _Last(nn.Module):
    """The last of several features."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, image: Tensor) -> Tensor:
        *_, last = self.body(image)
        made: Tensor = last
        return made


class _Doubled(nn.Module):
    """A feature added to itself, as another one would be, then a body."""

    def __init__(self, body: nn.Sequential) -> None:
        super().__init__()
        self.body = body

    def forward(self, feature: Tensor) -> Tensor:
        made: Tensor = self.body(feature + feature)
        return made


class _Sized(nn.Module):
    """What takes the size that it is to give; added to itself on demand."""

    def __init__(self, body: nn.Module, side: int, *, added: bool = False) -> None:
        super().__init__()
        self.body, self.side, self.added = body, side, added

    def forward(self, feature: Tensor) -> Tensor:
        made: Tensor = self.body(feature, self.side, self.side)
        return made + made if self.added else made


class _Nets(nn.Module):
    """A detector's nets at one level."""

    def __init__(self, part: PermutedPart, head: Detector) -> None:
        super().__init__()
        network = part.network
        self.nets = RetinaNetHead(
            channels=network.endpoint_filters,
            classes=head.classes,
            levels=1,
            convs=network.head_convs,
            filters=network.head_filters,
            activation=network.activation,
            separable=network.mobile is not None and network.mobile.separable_heads,
        )

    def forward(self, feature: Tensor) -> tuple[Tensor, ...]:
        made: tuple[Tensor, ...] = self.nets((feature,))
        return made


class _Average(nn.Module):
    """The mean of levels and pixels, and a dense layer."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.dense = nn.Linear(channels, classes)

    def forward(self, feature: Tensor) -> Tensor:
        mean = (feature / len(OUTPUT_LEVELS)).mean((2, 3))
        scores: Tensor = self.dense(mean)
        return scores
