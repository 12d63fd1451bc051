"""The space that EfficientNet's baseline B0 was found in (Tan and Le, ICML 2019, section 4).

MnasNet's choices around B0, with swish everywhere. The paper weighs accuracy against multiply-adds
(``controller.reward``: a target of 400 million).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from search_space.block_menu import Block
from search_space.chain import ChainArchitecture, Stage, Stem
from search_space.decisions import DecisionSpace
from search_space.efficientnet import B0, STOCHASTIC_DEPTH
from search_space.frame_options import FRAME, read_frame, read_width
from search_space.menu_space import WIDTHS, MenuSpace
from search_space.mnasnet import papers_block
from search_space.options import OptionReader
from search_space.strides import Strides
from search_space.widths import scaled_width

_OPTIONS = (*FRAME, "width", "stochastic_depth")


@dataclass(frozen=True, slots=True, kw_only=True)
class EfficientNetSpace(MenuSpace):
    """MnasNet's space around EfficientNet-B0, which is in it; a ``FactorizedSpace``.

    >>> EfficientNetSpace().count == 432**7
    True

    Attributes:
        size: Side of the input in pixels.
        width: Multiplies stem and blocks, with the published rounding; None leaves widths as
            they are. The last convolution is never multiplied.
        channels: Of the input.
        strides: For large or for small images.
        stem_filters: Of the first convolution, before ``width``.
        head_filters: Of the last convolution.
        stochastic_depth: Of every network.
    """

    size: int = 224
    width: float | None = None
    channels: int = 3
    strides: Strides = Strides.PUBLISHED
    stem_filters: int = 32
    head_filters: int = 1280
    stochastic_depth: float = STOCHASTIC_DEPTH
    menu: tuple[Block, ...] = field(init=False, repr=False, compare=False)
    points: DecisionSpace = field(init=False, repr=False, compare=False)
    groups: tuple[tuple[int, ...], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        pairs = zip(B0.stages, self.strides.blocks, strict=True)
        blocks = (
            papers_block(
                stride=stride,
                filters=tuple(self._width(int(factor * stage.filters)) for factor in WIDTHS),
                repeats=stage.repeats,
            )
            for stage, stride in pairs
        )
        self._lay_out(tuple(blocks))

    @classmethod
    def from_options(cls, options: Mapping[str, str]) -> Self:
        """The space with settings as text: the attributes above, by name.

        Raises:
            InputError: If an option is unknown or out of range.
        """
        reader = OptionReader(options, "efficientnet", _OPTIONS)
        return cls(
            **read_frame(reader),
            width=read_width(reader),
            stochastic_depth=reader.rate("stochastic_depth", STOCHASTIC_DEPTH),
        )

    @property
    def name(self) -> str:
        """See ``SearchSpace.name``."""
        return "efficientnet"

    def _network(self, stages: tuple[Stage, ...]) -> ChainArchitecture:
        return ChainArchitecture(
            size=self.size,
            channels=self.channels,
            stem=Stem(filters=self._width(self.stem_filters), stride=self.strides.stem),
            stages=stages,
            head_filters=self.head_filters,
            activation=B0.activation,
            dropout=B0.dropout,
            stochastic_depth=self.stochastic_depth,
        )

    def _width(self, filters: int) -> int:
        return filters if self.width is None else scaled_width(filters, self.width)
