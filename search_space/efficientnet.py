"""EfficientNet, EfficientNet-Lite and EfficientNet-EdgeTPU by name.

Tan and Le, ICML 2019 (arXiv 1905.11946), and their published code. Coefficients are those of the
code: they are rounded by hand, and no powers of 1.2, 1.1 and 1.15 (``scaling.EFFICIENTNET``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from search_space.chain import Activation, ChainArchitecture, Op, Skip, Stage, Stem
from search_space.scaling import Factors, TableRule, scaled

STOCHASTIC_DEPTH = 0.2
"""Of all of them: the last layer survives with a chance of 0.8, nearly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coefficients:
    """What makes a network of a family out of its baseline.

    Attributes:
        width: Multiplies channels.
        depth: Multiplies layers.
        size: Side of the input, in pixels.
        dropout: Before the classifier.
    """

    width: float
    depth: float
    size: int
    dropout: float


def _stages(se_ratio: float) -> tuple[Stage, ...]:
    rows = (  # EfficientNet, table 1: repeats, kernel, stride, expansion, filters
        (1, 3, 1, 1, 16),
        (2, 3, 2, 6, 24),
        (2, 5, 2, 6, 40),
        (3, 3, 2, 6, 80),
        (3, 5, 1, 6, 112),
        (4, 5, 2, 6, 192),
        (1, 3, 1, 6, 320),
    )
    return tuple(
        Stage(
            op=Op.MBCONV,
            kernel=kernel,
            stride=stride,
            expansion=expansion,
            filters=filters,
            repeats=repeats,
            se_ratio=se_ratio,
        )
        for repeats, kernel, stride, expansion, filters in rows
    )


B0 = ChainArchitecture(
    size=224,
    stem=Stem(filters=32),
    stages=_stages(0.25),
    activation=Activation.SWISH,
    dropout=0.2,
    stochastic_depth=STOCHASTIC_DEPTH,
)
"""The baseline, which was searched for."""

LITE0 = replace(B0, stages=_stages(0.0), activation=Activation.RELU6)
"""The baseline of EfficientNet-Lite: without squeeze-excitation, with ReLU6."""

EDGETPU_S = ChainArchitecture(
    size=224,
    stem=Stem(filters=32),
    stages=tuple(
        Stage(
            op=op,
            kernel=kernel,
            stride=stride,
            expansion=expansion,
            filters=filters,
            repeats=repeats,
            # The code declares 24 input channels for the first stage, where the stem gives 32.
            expands=24 if number == 0 else None,
            skip=Skip.NONE if number == 0 else Skip.IDENTITY,
        )
        for number, (op, repeats, kernel, stride, expansion, filters) in enumerate(
            (
                (Op.FUSED, 1, 3, 1, 4, 24),
                (Op.FUSED, 2, 3, 2, 8, 32),
                (Op.FUSED, 4, 3, 2, 8, 48),
                (Op.MBCONV, 5, 5, 2, 8, 96),
                (Op.MBCONV, 4, 5, 1, 8, 144),
                (Op.MBCONV, 2, 5, 2, 8, 192),
            )
        )
    ),
    dropout=0.2,
    stochastic_depth=STOCHASTIC_DEPTH,
)
"""The baseline of EfficientNet-EdgeTPU: without squeeze-excitation, with ReLU."""


def _coefficients(width: float, depth: float, size: int, dropout: float) -> Coefficients:
    return Coefficients(width=width, depth=depth, size=size, dropout=dropout)


COEFFICIENTS: Mapping[str, Coefficients] = MappingProxyType(
    {
        "efficientnet-b0": _coefficients(1.0, 1.0, 224, 0.2),
        "efficientnet-b1": _coefficients(1.0, 1.1, 240, 0.2),
        "efficientnet-b2": _coefficients(1.1, 1.2, 260, 0.3),
        "efficientnet-b3": _coefficients(1.2, 1.4, 300, 0.3),
        "efficientnet-b4": _coefficients(1.4, 1.8, 380, 0.4),
        "efficientnet-b5": _coefficients(1.6, 2.2, 456, 0.4),
        "efficientnet-b6": _coefficients(1.8, 2.6, 528, 0.5),
        "efficientnet-b7": _coefficients(2.0, 3.1, 600, 0.5),
        "efficientnet-b8": _coefficients(2.2, 3.6, 672, 0.5),
        "efficientnet-l2": _coefficients(4.3, 5.3, 800, 0.5),
        "efficientnet-lite0": _coefficients(1.0, 1.0, 224, 0.2),
        "efficientnet-lite1": _coefficients(1.0, 1.1, 240, 0.2),
        "efficientnet-lite2": _coefficients(1.1, 1.2, 260, 0.3),
        "efficientnet-lite3": _coefficients(1.2, 1.4, 280, 0.3),
        "efficientnet-lite4": _coefficients(1.4, 1.8, 300, 0.3),
        "efficientnet-edgetpu-s": _coefficients(1.0, 1.0, 224, 0.2),
        "efficientnet-edgetpu-m": _coefficients(1.0, 1.1, 240, 0.2),
        "efficientnet-edgetpu-l": _coefficients(1.2, 1.4, 300, 0.3),
    }
)
"""Of every published network, by its name in the catalog."""


RELEASED = TableRule(
    name="released",
    rows=tuple(
        (one.depth, one.width, one.size)
        for one in (COEFFICIENTS[f"efficientnet-b{number}"] for number in range(1, 9))
    ),
    size=B0.size,
)
"""The factors of B1 to B8 as a rule for any network: whole compound coefficients."""


def create(name: str) -> ChainArchitecture:
    """The published network called ``name``, one of ``COEFFICIENTS``."""
    chosen = COEFFICIENTS[name]
    factors = Factors(depth=chosen.depth, width=chosen.width)
    made = scaled(_baseline(name), factors, fixed_ends=keeps_ends(name))
    return replace(made, size=chosen.size, dropout=chosen.dropout)


def keeps_ends(name: str) -> bool:
    """Whether the published code scales that network between its ends alone: -Lite."""
    return "-lite" in name


def _baseline(name: str) -> ChainArchitecture:
    if keeps_ends(name):
        return LITE0
    return EDGETPU_S if "-edgetpu" in name else B0
