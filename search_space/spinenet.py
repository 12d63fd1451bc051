"""Scale-permuted backbones: SpineNet (Du et al., CVPR 2020), as its authors' code builds them.

A stem gives features 0 and 1; block i gives feature i + 2 from two earlier ones, at a resolution
of its own that may go up as well as down. Five output blocks at the levels 3 to 7, and a 1x1
convolution on each, give P3 to P7. At level l the image is 2^l times smaller.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from search_space.architecture import Detector, Family, Head, InputSpec, Json, VideoClassifier
from search_space.chain import Activation
from search_space.permuted_blocks import (
    STEM,
    Block,
    BlockKind,
    canonical,
    checked,
    leading_to_outputs,
)
from search_space.widths import scaled_width
from workspace.errors import InputError

if TYPE_CHECKING:  # torch takes seconds to import; a type does not need it
    from torch import nn

KEY_START = "spinenet_"
"""Of the keys of this family alone."""

OUTPUT_LEVELS = (3, 4, 5, 6, 7)
"""Of the feature pyramid, P3 to P7."""

ANCHORS = 9
"""Of a detector, at each place of each level: three scales by three shapes."""

_FILTERS = {1: 32, 2: 64, 3: 128, 4: 256, 5: 256, 6: 256, 7: 256}
_MOBILE_FILTERS = {1: 16, 2: 24, 3: 40, 4: 80, 5: 112, 6: 112, 7: 112}


@dataclass(frozen=True, slots=True, kw_only=True)
class PermutedStem:
    """The layers before the permuted blocks.

    Two bottlenecks at level 2 follow the first convolution and a maximum over 3x3 pixels; in
    mobile networks an MBConv at level 1 and one at level 2.

    Attributes:
        filters: Of the first convolution; the filter scale does not change them.
        kernel: Of the first convolution, odd.
        reduction: Pixels a side of the image that are one at level 2: 4 as published; 2 for small
            images, without the maximum, or in mobile networks without a stride of the first
            convolution. All levels are then twice as large.
    """

    filters: int = 64
    kernel: int = 7
    reduction: int = 4

    def __post_init__(self) -> None:
        _check_count(self.filters, "filters of a stem")
        if type(self.kernel) is not int or self.kernel < 1 or self.kernel % 2 == 0:
            msg = f"kernel of a stem must be an odd number of at least 1, got {self.kernel!r}"
            raise InputError(msg)
        if type(self.reduction) is not int or self.reduction not in (2, 4):
            msg = f"reduction of a stem must be 2 or 4, got {self.reduction!r}"
            raise InputError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class MobileBlocks:
    """What all MBConv blocks of a mobile network share (section A of the paper's appendix).

    Attributes:
        expansion: Hidden channels per input channel.
        kernel: Of the depthwise convolution, odd.
        se_ratio: Squeezed channels per input channel; 0 for no squeeze-excitation.
        separable_heads: Whether a detector's convolutions are depthwise separable.
    """

    expansion: int = 6
    kernel: int = 3
    se_ratio: float = 0.2
    separable_heads: bool = True

    def __post_init__(self) -> None:
        _check_count(self.expansion, "expansion of mobile blocks")
        if type(self.kernel) is not int or self.kernel < 1 or self.kernel % 2 == 0:
            msg = f"kernel of mobile blocks must be an odd number, got {self.kernel!r}"
            raise InputError(msg)
        if not 0 <= self.se_ratio <= 1:
            msg = f"squeeze-excitation ratio of mobile blocks is in [0, 1], got {self.se_ratio!r}"
            raise InputError(msg)

    def __str__(self) -> str:
        squeeze = f"se{float(self.se_ratio)!r}" if self.se_ratio else ""
        return f"mb{self.expansion}k{self.kernel}{squeeze}{'sep' if self.separable_heads else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalePermutedArchitecture:
    """A stem, a graph of blocks at their levels, and what a head needs; an ``Architecture``.

    The same blocks in another order, or with their parents swapped, are an equal value:
    ``permuted_blocks.canonical`` decides the order. Weights and function depend on the blocks
    that lead to outputs, and so does the key.

    Attributes:
        size: Side of the square input, in pixels.
        channels: Of the input: 3 for colour, 1 for grey.
        blocks: In canonical order, whatever order was given.
        repeats: Blocks in place of each, one after the other.
        filter_scale: Times the filters of each level (section 4.3 of the paper).
        alpha: Times the channels between two resamplings; of no effect in mobile networks.
        endpoint_filters: Channels of P3 to P7.
        head_convs: Convolutions of a detector's class and box nets, before the last.
        head_filters: Their channels.
        stem: Before the blocks.
        activation: Everywhere.
        stochastic_depth: While training, block i of n leaves out all but its identity with a
            chance of ``(i + 1) / n`` times this, in canonical order.
        mobile: Of networks of MBConv blocks; None for the others.
        gated: Whether each parent of a block, as it was resampled, is multiplied by a number in
            (0, 1) that the network learns: the sigmoid of a parameter. No published network is.
    """

    size: int
    channels: int = 3
    blocks: tuple[Block, ...]
    repeats: int = 1
    filter_scale: float = 1.0
    alpha: float = 0.5
    endpoint_filters: int = 256
    head_convs: int = 4
    head_filters: int = 256
    stem: PermutedStem = field(default_factory=PermutedStem)
    activation: Activation = Activation.SWISH
    stochastic_depth: float = 0.0
    mobile: MobileBlocks | None = None
    gated: bool = False

    def __post_init__(self) -> None:
        self._check_numbers()
        blocks = checked(self.blocks, OUTPUT_LEVELS, mobile=self.mobile is not None)
        object.__setattr__(self, "blocks", canonical(blocks))
        deepest = max(block.level for block in self.blocks)
        least = self.stride_at(deepest)
        if type(self.size) is not int or self.size < least:
            msg = (
                f"input size must be a whole number of at least {least} pixels, which are one "
                f"at level {deepest}, the deepest of this network; got {self.size!r}"
            )
            raise InputError(msg)

    @property
    def family(self) -> Family:
        """See ``Architecture.family``."""
        return Family.SCALE_PERMUTED

    @property
    def inputs(self) -> tuple[InputSpec, ...]:
        """One image, `[C, H, W]`."""
        return (InputSpec(name="image", shape=(self.channels, self.size, self.size)),)

    @property
    def live_blocks(self) -> tuple[Block, ...]:
        """Those that lead to an output, in canonical order; only they are built."""
        return self.blocks[: leading_to_outputs(self.blocks)]

    @property
    def stem_levels(self) -> tuple[int, int]:
        """Of the features 0 and 1."""
        return (1, 2) if self.mobile is not None else (2, 2)

    @property
    def gated_edges(self) -> dict[str, tuple[tuple[int, int], ...]]:
        """The connections with a gate by the name of the feature they lead to; of ungated none.

        Each goes from a feature to a feature, by their numbers here.
        """
        return {
            feature_name(number): tuple((parent, number) for parent in block.parents)
            for number, block in enumerate(self.live_blocks, start=STEM)
            if self.gated
        }

    @property
    def key(self) -> str:
        """See ``Architecture.key``; a block is level, kind and parents, `o` marks outputs."""
        return f"{KEY_START}{self.size}px_{self.weights_key}"

    @property
    def weights_key(self) -> str:
        """The key without the size, which decides the weights of ``build``."""
        reduced = "" if self.stem.reduction == 4 else f"r{self.stem.reduction}"
        return "_".join(
            (
                f"{self.channels}ch_{self.activation}",
                f"stem{self.stem.filters}k{self.stem.kernel}{reduced}",
                f"a{float(self.alpha)!r}" if self.mobile is None else str(self.mobile),
                f"x{self.repeats}_f{float(self.filter_scale)!r}",
                *map(str, self.live_blocks),
                f"end{self.endpoint_filters}_head{self.head_convs}x{self.head_filters}",
                *self._depth(),
                *(["gated"] if self.gated else []),
            )
        )

    @property
    def drop_rates(self) -> tuple[float, ...]:
        """Of stochastic depth, for each of ``live_blocks``."""
        count = len(self.live_blocks)
        return tuple(self.stochastic_depth * (i + 1) / count for i in range(count))

    def stride_at(self, level: int) -> int:
        """Pixels a side of the image that are one at ``level``."""
        return int(self.stem.reduction * 2**level // 4)

    def filters_at(self, level: int) -> int:
        """Filters of a block at ``level``; a bottleneck gives four times as many channels."""
        if self.mobile is not None:
            return scaled_width(_MOBILE_FILTERS[level], self.filter_scale)
        return int(_FILTERS[level] * self.filter_scale)

    def channels_of(self, level: int, kind: BlockKind) -> int:
        """That a block gives, and takes."""
        return self.filters_at(level) * (4 if kind is BlockKind.BOTTLENECK else 1)

    def at(self, size: int) -> ScalePermutedArchitecture:
        """See ``Architecture.at``."""
        return replace(self, size=size)

    def to_json(self) -> dict[str, Json]:
        """See ``Architecture.to_json``."""
        from search_space.spinenet_json import to_document

        return to_document(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Json]) -> ScalePermutedArchitecture:
        """See ``architecture.from_json``."""
        from search_space.spinenet_json import from_document

        return from_document(document)

    def build(self, head: Head) -> nn.Module:
        """See ``Architecture.build``.

        A classifier gives `[N, classes]`. A detector gives ten tensors: class logits of P3 to P7,
        each `[N, 9 * classes, H, W]`, then boxes, each `[N, 36, H, W]`; at each place, all numbers
        of its first anchor come first. Exported files call them ``class_logits_p3`` to
        ``box_codes_p7``.
        """
        if isinstance(head, VideoClassifier):
            msg = f"a scale-permuted network has a classifier or a detector, got {head!r}"
            raise InputError(msg)
        from search_space.spinenet_network import PermutedClassifier, PermutedDetector

        if isinstance(head, Detector):
            return PermutedDetector(self, head)
        return PermutedClassifier(self, head)

    def _depth(self) -> Iterator[str]:
        if self.stochastic_depth:
            yield f"depth{float(self.stochastic_depth)!r}"

    def _check_numbers(self) -> None:
        _check_count(self.channels, "input channels of a network")
        _check_count(self.repeats, "repeats of a network's blocks")
        _check_count(self.endpoint_filters, "endpoint filters of a network")
        _check_count(self.head_filters, "head filters of a network")
        if type(self.head_convs) is not int or self.head_convs < 0:
            msg = (
                f"head convolutions must be a whole number of at least 0, got {self.head_convs!r}"
            )
            raise InputError(msg)
        if not 1 / 32 <= self.filter_scale <= 16:
            msg = f"the filter scale must be in [1/32, 16], got {self.filter_scale!r}"
            raise InputError(msg)
        if not 1 / 32 <= self.alpha <= 16:
            msg = f"alpha must be in [1/32, 16], got {self.alpha!r}"
            raise InputError(msg)
        if not 0 <= self.stochastic_depth < 1:
            msg = f"stochastic depth must be in [0, 1), got {self.stochastic_depth!r}"
            raise InputError(msg)


def feature_name(number: int) -> str:
    """Of a feature, where a training tells of what leads to it."""
    return f"feature{number}"


def _check_count(value: int, what: str) -> None:
    if type(value) is not int or value < 1:
        msg = f"{what} must be a whole number of at least 1, got {value!r}"
        raise InputError(msg)
