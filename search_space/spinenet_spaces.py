"""The named scale-permuted spaces and their options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum

from search_space.options import OptionReader
from search_space.permuted_blocks import BlockKind
from search_space.spinenet import ScalePermutedArchitecture
from search_space.spinenet_networks import create
from search_space.spinenet_space import SpineNetSpace
from search_space.strides import Strides

FRAME_OPTIONS = (
    "size",
    "channels",
    "strides",
    "filter_scale",
    "alpha",
    "repeats",
    "endpoint_filters",
    "head_convs",
    "head_filters",
    "stem_filters",
    "stochastic_depth",
    "gates",
)
"""Of what all members of a space share."""


class Definition(StrEnum):
    """Which of two published lists of choices ``spinenet`` has.

    ``paper``: 10 intermediate blocks and parents among the last 5 features, as the networks of the
    paper have. ``public``: Vertex AI's, 11 and 4.
    """

    PAPER = "paper"
    PUBLIC = "public"


class Adjustments(StrEnum):
    """Whether levels and kinds of blocks are chosen."""

    YES = "yes"
    NO = "no"


class Gates(StrEnum):
    """Whether connections carry weights that networks learn."""

    YES = "yes"
    NO = "no"


_BOTH = (BlockKind.BOTTLENECK, BlockKind.RESIDUAL)
_TEN = (2, 3, 3, 3, 4, 4, 4, 4, 4, 5)  # ResNet-50's blocks, a level 5 as outputs 6 and 7
_OFFSETS = (-1, 0, 1, 2)


def spinenet(options: Mapping[str, str]) -> SpineNetSpace:
    """SpineNet's space.

    >>> import math
    >>> pairs = math.prod(math.comb(i, 2) for i in range(2, 17))
    >>> orders = math.factorial(10) * math.factorial(5)
    >>> spinenet({"window": "17"}).count == orders * pairs * 4**10 * 2**15
    True

    Args:
        options: ``FRAME_OPTIONS``, ``definition``, ``window`` (how many features before a block
            its parents are among), and ``adjustments``, ``no`` for permutation and connections
            alone, all blocks bottlenecks (the paper's R[N]-SP[M]).
    """
    known = ("definition", "window", "adjustments", *FRAME_OPTIONS)
    reader = OptionReader(options, "spinenet", known)
    definition = reader.member("definition", Definition.PAPER)
    is_papers = definition is Definition.PAPER
    adjusts = reader.member("adjustments", Adjustments.YES) is Adjustments.YES
    return SpineNetSpace(
        name="spinenet",
        frame=frame(reader, "spinenet-49"),
        bases=_TEN if is_papers else (*_TEN, 5),
        offsets=_OFFSETS if adjusts else (0,),
        kinds=_BOTH if adjusts else _BOTH[:1],
        window=_window(reader, 5 if is_papers else 4),
    )


def spinenet_v2(options: Mapping[str, str]) -> SpineNetSpace:
    """Vertex AI's ``spinenet_v2``: bottlenecks alone, levels shifted by at most one."""
    reader = OptionReader(options, "spinenet_v2", ("window", *FRAME_OPTIONS))
    return SpineNetSpace(
        name="spinenet_v2",
        frame=frame(reader, "spinenet-49"),
        bases=_TEN,
        offsets=(-1, 0, 1),
        kinds=_BOTH[:1],
        window=_window(reader, 4),
    )


def spinenet_mbconv(options: Mapping[str, str]) -> SpineNetSpace:
    """Vertex AI's ``spinenet_mbconv``: the blocks of EfficientNet-B0."""
    reader = OptionReader(options, "spinenet_mbconv", ("window", *FRAME_OPTIONS))
    return SpineNetSpace(
        name="spinenet_mbconv",
        frame=frame(reader, "spinenet-mobile-49"),
        bases=(2, 3, 4, 4, 4, 4, 4, 5, 5, 5, 5),
        offsets=_OFFSETS,
        kinds=(BlockKind.MBCONV,),
        window=_window(reader, 4),
    )


def frame(reader: OptionReader, name: str) -> ScalePermutedArchitecture:
    """A published network with the options that were given.

    Raises:
        InputError: If one is out of range, or the size too small.
    """
    base = create(name)
    strides = reader.member("strides", Strides.PUBLISHED)
    reduction = base.stem.reduction if strides is Strides.PUBLISHED else 2
    filters = reader.integer("stem_filters", base.stem.filters, low=1, high=4096)
    return replace(
        base,
        size=reader.integer("size", base.size, low=1, high=4096),
        channels=reader.integer("channels", base.channels, low=1, high=64),
        stem=replace(base.stem, filters=filters, reduction=reduction),
        filter_scale=reader.number("filter_scale", base.filter_scale, low=1 / 32, high=16),
        alpha=reader.number("alpha", base.alpha, low=1 / 32, high=16),
        repeats=reader.integer("repeats", base.repeats, low=1, high=16),
        endpoint_filters=reader.integer(
            "endpoint_filters", base.endpoint_filters, low=1, high=4096
        ),
        head_convs=reader.integer("head_convs", base.head_convs, low=0, high=16),
        head_filters=reader.integer("head_filters", base.head_filters, low=1, high=4096),
        stochastic_depth=reader.rate("stochastic_depth", base.stochastic_depth),
        gated=reader.member("gates", Gates.NO) is Gates.YES,
    )


def _window(reader: OptionReader, default: int) -> int:
    return reader.integer("window", default, low=2, high=99)
