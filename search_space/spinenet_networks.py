"""SpineNet, R0-SP53 and the mobile SpineNets: block lists and scales of the published code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from search_space.permuted_blocks import Block, BlockKind, connected
from search_space.spinenet import MobileBlocks, PermutedStem, ScalePermutedArchitecture

Row = tuple[int, BlockKind, tuple[int, int], bool]
"""One block: level, kind, parents, whether it is an output."""

_B, _R, _M = BlockKind.BOTTLENECK, BlockKind.RESIDUAL, BlockKind.MBCONV

_SPINENET_49: tuple[Row, ...] = (  # SpineNet, figure 3; tensorflow/tpu, spinenet.py
    (2, _B, (0, 1), False),
    (4, _R, (0, 1), False),
    (3, _B, (2, 3), False),
    (4, _B, (2, 4), False),
    (6, _R, (3, 5), False),
    (4, _B, (3, 5), False),
    (5, _R, (6, 7), False),
    (7, _R, (6, 8), False),
    (5, _B, (8, 9), False),
    (5, _B, (8, 10), False),
    (4, _B, (5, 10), True),
    (3, _B, (4, 10), True),
    (5, _B, (7, 12), True),
    (7, _B, (5, 14), True),
    (6, _B, (12, 14), True),
)
_R0_SP53: tuple[Row, ...] = (  # the permuted ResNet-50 of table 1; list as hyperion redraws it
    (2, _B, (0, 1), False),
    (3, _B, (0, 1), False),
    (3, _B, (2, 3), False),
    (4, _B, (2, 4), False),
    (4, _B, (3, 5), False),
    (3, _B, (5, 6), False),
    (5, _B, (4, 7), False),
    (4, _B, (4, 8), False),
    (4, _B, (8, 9), False),
    (4, _B, (8, 10), False),
    (3, _B, (4, 10), True),
    (4, _B, (6, 7), True),
    (5, _B, (8, 13), True),
    (7, _B, (6, 9), True),
    (6, _B, (7, 9), True),
)
_MOBILE_49: tuple[Row, ...] = (  # appendix A; tensorflow/tpu, spinenet_mbconv.py
    (2, _M, (0, 1), False),
    (2, _M, (1, 2), False),
    (4, _M, (1, 2), False),
    (3, _M, (3, 4), False),
    (4, _M, (3, 5), False),
    (6, _M, (4, 6), False),
    (4, _M, (4, 6), False),
    (5, _M, (7, 8), False),
    (7, _M, (7, 9), False),
    (5, _M, (9, 10), False),
    (5, _M, (9, 11), False),
    (4, _M, (6, 11), True),
    (3, _M, (5, 11), True),
    (5, _M, (8, 13), True),
    (7, _M, (6, 15), True),
    (6, _M, (13, 15), True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How a block list is made a network (the published codes' ``SCALING_MAP``).

    Attributes:
        rows: The blocks.
        size: Side of the input of the published detector, in pixels.
        repeats: Of each block.
        filter_scale: Times the filters.
        alpha: Times the channels between two resamplings.
        endpoint_filters: Channels of the pyramid.
        head_convs: Of a detector's class and box nets.
        head_filters: Their channels; None for those of the pyramid.
    """

    rows: tuple[Row, ...] = _SPINENET_49
    size: int = 640
    repeats: int = 1
    filter_scale: float = 1.0
    alpha: float = 0.5
    endpoint_filters: int = 256
    head_convs: int = 4
    head_filters: int | None = None

    def architecture(self) -> ScalePermutedArchitecture:
        """The network."""
        mobile = self.rows[0][1] is BlockKind.MBCONV
        return ScalePermutedArchitecture(
            size=self.size,
            blocks=blocks_of(self.rows),
            repeats=self.repeats,
            filter_scale=self.filter_scale,
            alpha=self.alpha,
            endpoint_filters=self.endpoint_filters,
            head_convs=self.head_convs,
            head_filters=self.head_filters or self.endpoint_filters,
            stem=MOBILE_STEM if mobile else PermutedStem(),
            mobile=MobileBlocks() if mobile else None,
        )


MOBILE_STEM = PermutedStem(filters=8, kernel=3)
"""Of the mobile networks."""

SCALES: Mapping[str, Scale] = MappingProxyType(
    {
        # The code's 0.65; the 11.9M parameters that its authors print do not follow from it.
        "spinenet-49s": Scale(filter_scale=0.65, endpoint_filters=128),
        "spinenet-49": Scale(),
        "spinenet-96": Scale(size=1024, repeats=2),
        "spinenet-143": Scale(size=1280, repeats=3, alpha=1.0),
        "spinenet-143l": Scale(size=1280, repeats=3, alpha=1.0, filter_scale=1.3),
        "spinenet-190": Scale(
            size=1280, repeats=4, alpha=1.0, filter_scale=1.3, endpoint_filters=512, head_convs=7
        ),
        "spinenet-r0-sp53": Scale(rows=_R0_SP53),
        "spinenet-mobile-49": Scale(rows=_MOBILE_49, size=384, endpoint_filters=48),
        "spinenet-mobile-49s": Scale(
            rows=_MOBILE_49, size=384, filter_scale=0.65, endpoint_filters=40
        ),
        "spinenet-mobile-49xs": Scale(
            rows=_MOBILE_49, size=256, filter_scale=0.6, endpoint_filters=24
        ),
    }
)
"""Published networks by name."""


def create(name: str) -> ScalePermutedArchitecture:
    """The network called ``name``, one of ``SCALES``."""
    return SCALES[name].architecture()


def blocks_of(rows: tuple[Row, ...]) -> tuple[Block, ...]:
    """The blocks of a list, with what its outputs add."""
    return connected(
        [
            Block(level=level, kind=kind, parents=parents, is_output=is_output)
            for level, kind, parents, is_output in rows
        ]
    )
