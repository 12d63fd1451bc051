"""The factorized hierarchical search space of MnasNet (section 4.1).

A network is a chain of blocks. Each block has its own layer, kernel, squeeze-excitation, skip,
width and number of layers, and repeats that one layer; only the first has the stride.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from search_space.block_menu import Block
from search_space.chain import ChainArchitecture, Op, Skip, Stage, Stem
from search_space.decisions import DecisionSpace
from search_space.frame_options import FRAME, read_frame, read_width
from search_space.menu_space import WIDTHS, MenuSpace
from search_space.options import OptionReader
from search_space.strides import Strides
from search_space.widths import scaled_width
from workspace.errors import InputError


class Definition(StrEnum):
    """Which of the two published lists of choices a block has.

    ``paper``: layer (``mbconv`` at expansion 3 and at 6 are two), kernel, squeeze-excitation,
    skip, width, and 0, +1 or -1 layers: 432 options. At one layer, -1 removes the block.
    ``public``: Vertex AI's. Layer (``conv`` or ``mbconv``), expansion, kernel, squeeze-excitation,
    width, and the same layers, or 1 or 2 where the base has 1: 216 or 144 options. Expansion
    means nothing to ``conv``, and the skip is always the identity.
    """

    PAPER = "paper"
    PUBLIC = "public"


class Base(StrEnum):
    """The network whose widths and numbers of layers the choices are relative to."""

    MOBILENET_V2 = "mobilenet_v2"
    MNASNET_A1 = "mnasnet_a1"

    @property
    def repeats(self) -> tuple[int, ...]:
        """Layers of each block."""
        return (1, 2, 3, 4, 3, 3, 1) if self is Base.MOBILENET_V2 else (1, 2, 3, 4, 2, 3, 1)

    @property
    def filters(self) -> tuple[int, ...]:
        """Output channels of each block."""
        if self is Base.MOBILENET_V2:
            return (16, 24, 32, 64, 96, 160, 320)
        return (16, 24, 40, 80, 112, 160, 320)


_OPTIONS = ("definition", "base", "blocks", *FRAME, "width")


@dataclass(frozen=True, slots=True, kw_only=True)
class MnasNetSpace(MenuSpace):
    """MnasNet's space around a base; a ``FactorizedSpace``.

    >>> MnasNetSpace(blocks=5).count == 432**5, MnasNetSpace(blocks=7).count == 432**7
    (True, True)
    >>> MnasNetSpace(definition=Definition.PUBLIC).count == 216**5 * 144**2
    True

    Attributes:
        definition: Which choices a block has.
        base: What they are relative to.
        blocks: 7, or 5 for the space of the paper's example: its blocks 2 to 6 are chosen, and
            the first and last, of one layer each, are those that both bases share.
        size: Side of the input in pixels.
        width: Multiplies stem and blocks, with the published rounding; None leaves widths as
            they are. The last convolution is never multiplied.
        channels: Of the input.
        strides: For large or for small images.
        stem_filters: Of the first convolution, before ``width``.
        head_filters: Of the last convolution.
    """

    definition: Definition = Definition.PAPER
    base: Base = Base.MOBILENET_V2
    blocks: int = 7
    size: int = 224
    width: float | None = None
    channels: int = 3
    strides: Strides = Strides.PUBLISHED
    stem_filters: int = 32
    head_filters: int = 1280
    menu: tuple[Block, ...] = field(init=False, repr=False, compare=False)
    points: DecisionSpace = field(init=False, repr=False, compare=False)
    groups: tuple[tuple[int, ...], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.blocks not in (5, 7):
            msg = f"the space has 5 or 7 blocks to choose, got {self.blocks!r}"
            raise InputError(msg)
        self._lay_out(tuple(self._block(i) for i in range(7)))

    @classmethod
    def from_options(cls, options: Mapping[str, str]) -> Self:
        """The space with settings as text: the attributes above, by name.

        Raises:
            InputError: If an option is unknown or out of range.
        """
        reader = OptionReader(options, "mnasnet", _OPTIONS)
        return cls(
            definition=reader.member("definition", Definition.PAPER),
            base=reader.member("base", Base.MOBILENET_V2),
            blocks=reader.integer("blocks", 7, low=5, high=7),
            **read_frame(reader),
            width=read_width(reader),
        )

    @property
    def name(self) -> str:
        """See ``SearchSpace.name``."""
        return "mnasnet"

    def _network(self, stages: tuple[Stage, ...]) -> ChainArchitecture:
        return ChainArchitecture(
            size=self.size,
            channels=self.channels,
            stem=Stem(filters=self._width(self.stem_filters), stride=self.strides.stem),
            stages=stages,
            head_filters=self.head_filters,
        )

    def _width(self, filters: int) -> int:
        return filters if self.width is None else scaled_width(filters, self.width)

    def _block(self, position: int) -> Block:
        """What block ``position`` may be, counted from 0."""
        stride = self.strides.blocks[position]
        filters, repeats = self.base.filters[position], self.base.repeats[position]
        if self.blocks == 5 and position in (0, 6):
            return Block(
                stride=stride,
                ops=((Op.MBCONV, 1 if position == 0 else 6),),
                kernels=(3,),
                ratios=(0.0,),
                filters=(self._width(filters),),
                repeats=(repeats,),
            )
        widths = tuple(self._width(int(factor * filters)) for factor in WIDTHS)
        if self.definition is Definition.PAPER:
            return papers_block(stride=stride, filters=widths, repeats=repeats)
        return Block(
            stride=stride,
            ops=((Op.CONV, None), (Op.MBCONV, None)),
            expansions=(1, 3, 6),
            filters=widths,
            repeats=public_repeats(repeats),
        )


def papers_block(*, stride: int, filters: tuple[int, ...], repeats: int) -> Block:
    """What a block may be by MnasNet's paper (section 4.1).

    Args:
        stride: Of its first layer.
        filters: Its widths.
        repeats: The base's layers.
    """
    return Block(
        stride=stride,
        ops=((Op.CONV, 1), (Op.DEPTHWISE, 1), (Op.MBCONV, 3), (Op.MBCONV, 6)),
        skips=(Skip.POOL, Skip.IDENTITY, Skip.NONE),
        filters=filters,
        repeats=(repeats, repeats + 1, repeats - 1),
    )


def public_repeats(repeats: int) -> tuple[int, ...]:
    """The numbers of layers of a block by Vertex AI's code, around the base's."""
    return (repeats, repeats - 1, repeats + 1) if repeats > 1 else (1, 2)
