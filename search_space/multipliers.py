"""A chain with its width and depth multiplied, rounded as its family's published code does."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

from search_space.chain import ChainArchitecture, Stage
from search_space.widths import scaled_depth, scaled_width, scaled_width_v2


class Rounding(StrEnum):
    """What is rounded how.

    ``efficientnet``: channels, those of stem and last convolution too, to multiples of 8 at most
    10 % below; layers of a stage up (Tan and Le, ICML 2019, published code).
    ``lite``: likewise, but stem and last convolution keep their channels, and the first and the
    last stage their layers (EfficientNet-Lite, published code).
    ``efficientnetv2``: channels to the nearest multiple of 8; layers up (published code).
    """

    EFFICIENTNET = "efficientnet"
    LITE = "lite"
    EFFICIENTNET_V2 = "efficientnetv2"

    @property
    def keeps_ends(self) -> bool:
        """Whether stem, last convolution, and the depth of the outer stages are not multiplied."""
        return self is Rounding.LITE

    def width(self, filters: int, multiplier: float) -> int:
        """Channels after a width multiplier."""
        if self is Rounding.EFFICIENTNET_V2:
            return scaled_width_v2(filters, multiplier)
        return scaled_width(filters, multiplier)

    def depth(self, repeats: int, multiplier: float) -> int:
        """Layers after a depth multiplier."""
        return scaled_depth(repeats, multiplier)


def multiplied(
    base: ChainArchitecture, *, width: float, depth: float, rounding: Rounding
) -> ChainArchitecture:
    """``base`` with more or fewer channels and layers; all else is as it was.

    Args:
        base: At multipliers of 1.
        width: Multiplies channels.
        depth: Multiplies the layers of each stage.
        rounding: Of the family.
    """

    def channels(filters: int) -> int:
        return rounding.width(filters, width)

    def stage(number: int, old: Stage) -> Stage:
        outer = number in (0, len(base.stages) - 1)
        return replace(
            old,
            filters=channels(old.filters),
            expands=None if old.expands is None else channels(old.expands),
            repeats=old.repeats
            if outer and rounding.keeps_ends
            else rounding.depth(old.repeats, depth),
        )

    wide = replace(base, stages=tuple(stage(*one) for one in enumerate(base.stages)))
    if rounding.keeps_ends:
        return wide
    stem = replace(base.stem, filters=channels(base.stem.filters))
    return replace(wide, stem=stem, head_filters=channels(base.head_filters))
