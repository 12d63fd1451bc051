"""EfficientNetV2's search space (Tan and Le, ICML 2021, section 3.2), as Vertex AI's code has it.

Each block chooses its operator, expansion, kernel, squeeze-excitation, width, activation and
number of layers. The paper weighs accuracy against the time of a training step and the parameters
(``controller.reward``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from search_space.block_menu import Block
from search_space.chain import Activation, ChainArchitecture, Op, Stage, Stem
from search_space.decisions import DecisionSpace
from search_space.efficientnet_v2 import STOCHASTIC_DEPTH
from search_space.frame_options import FRAME, read_frame, read_width
from search_space.menu_space import WIDTHS, MenuSpace
from search_space.mnasnet import public_repeats
from search_space.options import OptionReader
from search_space.strides import Strides
from search_space.widths import scaled_width_v2

REPEATS = (1, 2, 2, 3, 5, 8)
"""Layers of each block of the base, EfficientNetV2-B0."""

FILTERS = (16, 32, 48, 96, 112, 192)
"""Output channels of each block of the base."""

_OPTIONS = (*FRAME, "width", "stochastic_depth")


@dataclass(frozen=True, slots=True, kw_only=True)
class EfficientNetV2Space(MenuSpace):
    """EfficientNetV2's space around its B0, which is in it; a ``FactorizedSpace``.

    >>> EfficientNetV2Space().count == 384 * 576**5
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
        self._lay_out(tuple(self._block(position) for position in range(len(FILTERS))))

    @classmethod
    def from_options(cls, options: Mapping[str, str]) -> Self:
        """The space with settings as text: the attributes above, by name.

        Raises:
            InputError: If an option is unknown or out of range.
        """
        reader = OptionReader(options, "efficientnetv2", _OPTIONS)
        return cls(
            **read_frame(reader),
            width=read_width(reader),
            stochastic_depth=reader.rate("stochastic_depth", STOCHASTIC_DEPTH),
        )

    @property
    def name(self) -> str:
        """See ``SearchSpace.name``."""
        return "efficientnetv2"

    def _network(self, stages: tuple[Stage, ...]) -> ChainArchitecture:
        return ChainArchitecture(
            size=self.size,
            channels=self.channels,
            stem=Stem(filters=self._width(self.stem_filters), stride=self.strides.stem),
            stages=stages,
            head_filters=self.head_filters,
            activation=Activation.SWISH,
            stochastic_depth=self.stochastic_depth,
        )

    def _width(self, filters: int) -> int:
        return filters if self.width is None else scaled_width_v2(filters, self.width)

    def _block(self, position: int) -> Block:
        """What block ``position`` may be, counted from 0."""
        filters = FILTERS[position]
        return Block(
            stride=self.strides.blocks[position],
            ops=((Op.MBCONV, None), (Op.FUSED, None)),
            expansions=(1, 2, 4, 6),
            filters=tuple(self._width(int(factor * filters)) for factor in WIDTHS),
            repeats=public_repeats(REPEATS[position]),
            activations=(None, Activation.RELU),
            network_activation=Activation.SWISH,
        )
