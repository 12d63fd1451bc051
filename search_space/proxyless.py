"""The search space of ProxylessNAS for phones (Cai et al., ICLR 2019, arXiv 1812.00332).

Every layer has its own kernel and expansion, and may be left out where it keeps its shape. At 224
pixels and published strides each network is covered by the latency table that its authors
measured on a Pixel 1, whose keys ``table_key`` forms.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self, assert_never

from search_space.architecture import Architecture
from search_space.chain import Activation, ChainArchitecture, Op, Skip, Stage, Stem
from search_space.decisions import Choice, Decisions, DecisionSpace, Point
from search_space.frame_options import FRAME, read_frame
from search_space.layers import Layer, LayerKind
from search_space.membership import check_frame, no_place
from search_space.options import OptionReader
from search_space.strides import Strides
from workspace.errors import InputError

FILTERS = (16, 24, 40, 80, 96, 192, 320)
"""Output channels of each stage."""

LAYERS = (1, 4, 4, 4, 4, 4, 1)
"""Most layers of each stage."""

KERNELS = (3, 5, 7)
EXPANSIONS = (3, 6)
"""In all but the first stage, whose layer has expansion 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One layer to be chosen.

    Attributes:
        stage: From 0.
        layer: In its stage, from 0; all but the first may be left out.
    """

    stage: int
    layer: int

    @property
    def name(self) -> str:
        """Of its decision."""
        return f"stage{self.stage + 1}.layer{self.layer + 1}"

    @property
    def layers(self) -> tuple[tuple[int, int], ...]:
        """What it can be, as (expansion, kernel)."""
        expansions = (1,) if self.stage == 0 else EXPANSIONS
        return tuple((expansion, kernel) for expansion in expansions for kernel in KERNELS)

    @property
    def options(self) -> tuple[str, ...]:
        """The options of its decision; the last is to leave it out, where it can be."""
        kinds = tuple(f"mb{expansion}k{kernel}" for expansion, kernel in self.layers)
        return (*kinds, "skip") if self.layer else kinds


SLOTS = tuple(
    Slot(stage=stage, layer=layer) for stage, count in enumerate(LAYERS) for layer in range(count)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxylessSpace:
    """ProxylessNAS's space at width 1; a ``SearchSpace``.

    >>> ProxylessSpace().count == 3 * (6 * 7**3) ** 5 * 6
    True

    Attributes:
        size: Side of the input in pixels; the Pixel 1 table knows 224 only.
        channels: Of the input; the table knows 3 only.
        strides: For large or for small images; the table knows the published ones only.
        stem_filters: Of the first convolution; the table knows 32 only.
        head_filters: Of the last convolution; the table knows 1280 only.
        points: Names like ``stage3.layer2``.
    """

    size: int = 224
    channels: int = 3
    strides: Strides = Strides.PUBLISHED
    stem_filters: int = 32
    head_filters: int = 1280
    points: DecisionSpace = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        choices = tuple(Choice(name=slot.name, options=slot.options) for slot in SLOTS)
        object.__setattr__(self, "points", DecisionSpace(choices=choices))
        self.decode((0,) * len(SLOTS))  # a size too small for the strides

    @classmethod
    def from_options(cls, options: Mapping[str, str]) -> Self:
        """The space with settings as text: the attributes above, by name.

        Raises:
            InputError: If an option is unknown or out of range.
        """
        reader = OptionReader(options, "proxyless", FRAME)
        return cls(**read_frame(reader))

    @property
    def name(self) -> str:
        """See ``SearchSpace.name``."""
        return "proxyless"

    @property
    def count(self) -> int:
        """See ``SearchSpace.count``; which of a stage's equal layers is left out makes points."""
        return self.points.count

    def decode(self, point: Point) -> ChainArchitecture:
        """See ``SearchSpace.decode``."""
        decisions = self.points.checked(point)
        stages = (self.stages_of(slot, (chosen,)) for slot, chosen in enumerate(decisions))
        return ChainArchitecture(
            size=self.size,
            channels=self.channels,
            stem=Stem(filters=self.stem_filters, stride=self.strides.stem),
            stages=tuple(itertools.chain.from_iterable(stages)),
            head_filters=self.head_filters,
            activation=Activation.RELU6,
        )

    @property
    def groups(self) -> tuple[tuple[int, ...], ...]:
        """Each layer is one of its own."""
        return tuple((position,) for position in range(len(SLOTS)))

    def stages_of(self, group: int, decisions: Decisions) -> tuple[Stage, ...]:
        """See ``FactorizedSpace.stages_of``."""
        slot, (chosen,) = SLOTS[group], decisions
        if chosen == len(slot.layers):
            return ()
        expansion, kernel = slot.layers[chosen]
        return (self._stage(slot, expansion, kernel),)

    def encode(self, architecture: Architecture) -> Decisions:
        """See ``SearchSpace.encode``; the point whose left out layers are the last of a stage."""
        member = self.decode((0,) * len(SLOTS))
        chain = check_frame(architecture, member, self.name)
        layers = chain.unrolled()
        decisions: list[int] = []
        position = 0
        for slot in SLOTS:
            chosen = self._chosen(slot, layers[position]) if position < len(layers) else None
            if chosen is not None:
                position += 1
            elif slot.layer == 0:
                raise no_place(self.name, chain, position)
            decisions.append(len(slot.layers) if chosen is None else chosen)
        if position < len(layers):
            raise no_place(self.name, chain, position)
        return tuple(decisions)

    def _chosen(self, slot: Slot, layer: Stage) -> int | None:
        """The option of ``slot`` that gives ``layer``, a stage of one; None if there is none."""
        for option, (expansion, kernel) in enumerate(slot.layers):
            keeps = slot.layer > 0
            stage = replace(
                self._stage(slot, expansion, kernel),
                skip=Skip.IDENTITY if keeps else Skip.NONE,
            )
            if stage == layer:
                return option
        return None

    def _stage(self, slot: Slot, expansion: int, kernel: int) -> Stage:
        return Stage(
            op=Op.MBCONV,
            kernel=kernel,
            stride=1 if slot.layer else self.strides.blocks[slot.stage],
            expansion=expansion,
            filters=FILTERS[slot.stage],
            repeats=1,
        )


def table_key(layer: Layer) -> str:
    """The key of ``layer`` in the latency tables of ProxylessNAS.

    >>> from search_space.layers import layers
    >>> [table_key(layer) for layer in layers(ProxylessSpace().decode((0,) * 22))][1]
    'expanded_conv-input:112x112x32-output:112x112x16-expand:1-kernel:3-stride:1-idskip:0'

    Raises:
        InputError: If such tables have no key for it: it has swish or squeeze-excitation, pools
            around itself, or is no ``mbconv`` between stem and head, or one that expands fewer
            channels than it takes.
    """
    if layer.activation is Activation.SWISH:
        raise _no_key(layer)
    taken = f"input:{layer.in_size}x{layer.in_size}x{layer.in_channels}"
    given = f"output:{layer.out_size}x{layer.out_size}x{layer.out_channels}"
    match layer.kind:
        case LayerKind.STEM:
            return f"Conv-{taken}-{given}"
        case LayerKind.HEAD:
            return f"Conv_1-{taken}-{given}"
        case LayerKind.CLASSIFIER:
            return f"Logits-{taken}-output:{layer.out_channels}"
        case LayerKind.BLOCK:
            return f"expanded_conv-{taken}-{given}-{_kind(layer)}"
    assert_never(layer.kind)


def _kind(layer: Layer) -> str:
    odd = layer.squeezed or layer.skip is Skip.POOL or layer.expands is not None
    if layer.op is not Op.MBCONV or odd:
        raise _no_key(layer)
    return (
        f"expand:{layer.expansion}-kernel:{layer.kernel}-stride:{layer.stride}"
        f"-idskip:{int(layer.skip is Skip.IDENTITY)}"
    )


def _no_key(layer: Layer) -> InputError:
    return InputError(f"tables of ProxylessNAS have no key for a layer like {layer}")
