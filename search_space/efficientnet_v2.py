"""EfficientNetV2 by name: Tan and Le, ICML 2021 (arXiv 2104.00298), and their published code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from search_space.chain import Activation, ChainArchitecture, Op, Stage, Stem
from search_space.scaling import Factors, Rounding, scaled

Row = tuple[Op, int, int, int, int]
"""Stages: op, repeats, stride, expansion, filters; kernels are 3.

``mbconv`` has squeeze-excitation at 0.25, ``fused`` none.
"""

STOCHASTIC_DEPTH = 0.2
"""Of all of them."""

ROUNDING = Rounding.EFFICIENTNETV2
"""Of the published code, which has no limit of 10 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A published network.

    Attributes:
        rows: Of the network, before multipliers.
        stem: Filters of the first convolution, before multipliers.
        width: Multiplies channels.
        depth: Multiplies layers.
        train_size: Largest side of the images that it is trained on, in pixels.
        size: Side of the images that it is evaluated on: its native size.
        dropout: Before the classifier.
    """

    rows: tuple[Row, ...]
    stem: int = 32
    width: float = 1.0
    depth: float = 1.0
    train_size: int
    size: int
    dropout: float


_BASE: tuple[Row, ...] = (
    (Op.FUSED, 1, 1, 1, 16),
    (Op.FUSED, 2, 2, 4, 32),
    (Op.FUSED, 2, 2, 4, 48),
    (Op.MBCONV, 3, 2, 4, 96),
    (Op.MBCONV, 5, 1, 6, 112),
    (Op.MBCONV, 8, 2, 6, 192),
)
_S: tuple[Row, ...] = (
    (Op.FUSED, 2, 1, 1, 24),
    (Op.FUSED, 4, 2, 4, 48),
    (Op.FUSED, 4, 2, 4, 64),
    (Op.MBCONV, 6, 2, 4, 128),
    (Op.MBCONV, 9, 1, 6, 160),
    (Op.MBCONV, 15, 2, 6, 256),
)
_M: tuple[Row, ...] = (
    (Op.FUSED, 3, 1, 1, 24),
    (Op.FUSED, 5, 2, 4, 48),
    (Op.FUSED, 5, 2, 4, 80),
    (Op.MBCONV, 7, 2, 4, 160),
    (Op.MBCONV, 14, 1, 6, 176),
    (Op.MBCONV, 18, 2, 6, 304),
    (Op.MBCONV, 5, 1, 6, 512),
)
_L: tuple[Row, ...] = (
    (Op.FUSED, 4, 1, 1, 32),
    (Op.FUSED, 7, 2, 4, 64),
    (Op.FUSED, 7, 2, 4, 96),
    (Op.MBCONV, 10, 2, 4, 192),
    (Op.MBCONV, 19, 1, 6, 224),
    (Op.MBCONV, 25, 2, 6, 384),
    (Op.MBCONV, 7, 1, 6, 640),
)
_XL: tuple[Row, ...] = (
    (Op.FUSED, 4, 1, 1, 32),
    (Op.FUSED, 8, 2, 4, 64),
    (Op.FUSED, 8, 2, 4, 96),
    (Op.MBCONV, 16, 2, 4, 192),
    (Op.MBCONV, 24, 1, 6, 256),
    (Op.MBCONV, 32, 2, 6, 512),
    (Op.MBCONV, 8, 1, 6, 640),
)

VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {
        "efficientnetv2-b0": Variant(rows=_BASE, train_size=192, size=224, dropout=0.2),
        "efficientnetv2-b1": Variant(rows=_BASE, depth=1.1, train_size=192, size=240, dropout=0.2),
        "efficientnetv2-b2": Variant(
            rows=_BASE, width=1.1, depth=1.2, train_size=208, size=260, dropout=0.3
        ),
        "efficientnetv2-b3": Variant(
            rows=_BASE, width=1.2, depth=1.4, train_size=240, size=300, dropout=0.3
        ),
        "efficientnetv2-s": Variant(rows=_S, stem=24, train_size=300, size=384, dropout=0.2),
        "efficientnetv2-m": Variant(rows=_M, stem=24, train_size=384, size=480, dropout=0.3),
        "efficientnetv2-l": Variant(rows=_L, train_size=384, size=480, dropout=0.4),
        "efficientnetv2-xl": Variant(rows=_XL, train_size=384, size=512, dropout=0.4),
    }
)
"""Every published network, by its name in the catalog."""


def create(name: str) -> ChainArchitecture:
    """The published network called ``name``, one of ``VARIANTS``, at its evaluation size."""
    variant = VARIANTS[name]
    base = ChainArchitecture(
        size=variant.size,
        stem=Stem(filters=variant.stem),
        stages=tuple(_stage(row) for row in variant.rows),
        activation=Activation.SWISH,
        dropout=variant.dropout,
        stochastic_depth=STOCHASTIC_DEPTH,
    )
    factors = Factors(depth=variant.depth, width=variant.width)
    return scaled(base, factors, ROUNDING)


def _stage(row: Row) -> Stage:
    op, repeats, stride, expansion, filters = row
    return Stage(
        op=op,
        kernel=3,
        stride=stride,
        expansion=expansion,
        filters=filters,
        repeats=repeats,
        se_ratio=0.25 if op is Op.MBCONV else 0.0,
    )
