"""The parts of a scale-permuted network one by one, with what they cost; free of torch.

A part is named by what it computes and by the shape that it gets, so that two of one key cost the
same in any network. What adds a feature to another is a part too, as far as a block does not need
it: each block adds its two parents, and has a part for every further feature that it adds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from search_space.architecture import Classifier, Detector, Head
from search_space.chain import Activation, Op, Stage
from search_space.layers import block as layer_of
from search_space.permuted_blocks import STEM, BlockKind
from search_space.spinenet import ANCHORS, OUTPUT_LEVELS, ScalePermutedArchitecture
from search_space.tape import Tape
from workspace.errors import InputError

Place = tuple[int, BlockKind]
"""Level and kind of a block, which tell its feature's shape."""


class PartKind(StrEnum):
    """What a part does."""

    STEM = "stem"
    RESAMPLING = "resampling"
    ADD = "add"
    BLOCK = "block"
    ENDPOINT = "endpoint"
    NETS = "nets"
    UPWARD = "upward"
    AVERAGE = "average"


@dataclass(frozen=True, slots=True, kw_only=True)
class PermutedPart:
    """One part in its place.

    Attributes:
        kind: What it does.
        network: One that has it, for its settings; not for its blocks.
        source: Of the feature that it gets; None for the stem, which gets the image.
        target: Of the feature that a resampling gives.
        head: Of the network's, where it is a part of that.
        key: All that it computes, and on what shape, as text: equal ones cost the same.
        in_size: Side of its input in pixels.
        in_channels: Of its input.
        out_elements: Numbers that it gives.
        hidden_elements: Numbers that it writes and reads again inside.
        macs: Multiply-adds.
        params: Trainable numbers; of what levels share, each has its own.
    """

    kind: PartKind
    network: ScalePermutedArchitecture = field(compare=False, repr=False)
    source: Place | None = None
    target: Place | None = None
    head: Head | None = None
    key: str
    in_size: int
    in_channels: int
    out_elements: int
    hidden_elements: int
    macs: int
    params: int

    @property
    def label(self) -> str:
        """Which parts are alike in how they are computed, as a correction treats them."""
        what = self.kind.value
        if self.kind is PartKind.RESAMPLING and self.source and self.target:
            smaller = self.target[0] - self.source[0]
            what = "resample-down" if smaller > 0 else "resample-up" if smaller else "resample"
        elif self.kind is PartKind.BLOCK and self.source:
            what = self.source[1].value
            if self.network.mobile is not None and self.network.mobile.se_ratio:
                what += "-se"
        return f"{what}-swish" if self.network.activation is Activation.SWISH else what


def parts_of(network: ScalePermutedArchitecture, head: Head) -> tuple[PermutedPart, ...]:
    """The parts of a network, from its image to its outputs.

    Raises:
        InputError: If it has no such head.
    """
    places = [*_stem_places(network), *((b.level, b.kind) for b in network.live_blocks)]
    found = [stem(network)]
    for block, target in zip(network.live_blocks, places[STEM:], strict=True):
        found += [resampling(network, places[parent], target) for parent in block.parents]
        found += [addition(network, target)] * len(block.adds)
        found.append(body(network, target))
    outputs = {b.level: (b.level, b.kind) for b in network.live_blocks if b.is_output}
    found += [endpoint(network, outputs[level]) for level in OUTPUT_LEVELS]
    return (*found, *_head_parts(network, head))


def possible_parts(
    network: ScalePermutedArchitecture,
    head: Head,
    places: Sequence[Place],
    outputs: Sequence[Place],
) -> tuple[PermutedPart, ...]:
    """All parts that networks with the settings of one can have, whatever their blocks.

    Args:
        network: Any of them.
        head: That they end in.
        places: Of intermediate blocks.
        outputs: Of output blocks.

    Raises:
        InputError: If they have no such head.
    """
    every = tuple(dict.fromkeys((*_stem_places(network), *places, *outputs)))
    targets = tuple(dict.fromkeys((*places, *outputs)))
    found = [stem(network)]
    found += [resampling(network, source, target) for target in targets for source in every]
    found += [addition(network, target) for target in dict.fromkeys(outputs)]
    found += [body(network, target) for target in targets]
    found += [endpoint(network, output) for output in dict.fromkeys(outputs)]
    found += _head_parts(network, head)
    return tuple({part.key: part for part in found}.values())


def stem(network: ScalePermutedArchitecture) -> PermutedPart:
    """The layers before all blocks."""
    settings, (first, second) = network.stem, network.stem_levels
    tape = _tape(network, network.size, network.channels)
    reduction = settings.reduction // 2 if network.mobile is not None else 2
    tape.convolution(settings.filters, settings.kernel, stride=reduction)
    if network.mobile is None and settings.reduction == 4:
        tape.pool(2)
    own = BlockKind.BOTTLENECK if network.mobile is None else BlockKind.MBCONV
    _blocks(tape, network, (first, own))
    _blocks(tape, network, (second, own), stride=2 if network.mobile is not None else 1)
    levels = "x".join(str(network.filters_at(level)) for level in (first, second))
    what = f"{settings.filters}k{settings.kernel}r{settings.reduction}-blocks:{levels}"
    return _part(PartKind.STEM, network, tape, f"{what}-{_block_text(network, own)}")


def resampling(network: ScalePermutedArchitecture, source: Place, target: Place) -> PermutedPart:
    """A parent's feature brought to the shape of a block."""
    tape = _tape_at(network, source)
    smaller = target[0] - source[0]
    if network.mobile is not None:
        inner = "depthwise"
        for _ in range(smaller):
            tape.depthwise(3, stride=2)
    else:
        width = max(1, int(network.filters_at(source[0]) * network.alpha))
        inner = str(width)
        tape.convolution(width, 1)
        if smaller > 0:
            tape.convolution(width, 3, stride=2)
        if smaller > 1:
            tape.pool(2 ** (smaller - 1))
    if smaller < 0:
        tape.enlarged(_size(network, target[0]))
    tape.convolution(network.channels_of(*target), 1, activated=False)
    what = f"inner:{inner}-levels:{smaller}"
    return _part(PartKind.RESAMPLING, network, tape, what, source=source, target=target)


def addition(network: ScalePermutedArchitecture, place: Place) -> PermutedPart:
    """A further feature added to the parents of a block."""
    tape = _tape_at(network, place)
    tape.writes(1)
    return _part(PartKind.ADD, network, tape, "", source=place)


def body(network: ScalePermutedArchitecture, place: Place) -> PermutedPart:
    """The sum of two parents, its activation, a block and its repeats."""
    tape = _tape_at(network, place)
    tape.writes(1)
    tape.activation()
    _blocks(tape, network, place)
    what = f"{place[1].value}-{network.filters_at(place[0])}-{_block_text(network, place[1])}"
    return _part(PartKind.BLOCK, network, tape, what, source=place)


def endpoint(network: ScalePermutedArchitecture, place: Place) -> PermutedPart:
    """What makes a level of the pyramid of an output block's feature."""
    tape = _tape_at(network, place)
    tape.convolution(network.endpoint_filters, 1)
    return _part(PartKind.ENDPOINT, network, tape, "", source=place)


def _head_parts(network: ScalePermutedArchitecture, head: Head) -> Iterator[PermutedPart]:
    match head:
        case Detector():
            for level in OUTPUT_LEVELS:
                yield _nets(network, head, level)
        case Classifier():
            for level in OUTPUT_LEVELS[1:]:
                yield _upward(network, level)
            yield _average(network, head)
        case _:
            msg = f"a scale-permuted network has a classifier or a detector, got {head!r}"
            raise InputError(msg)


def _nets(network: ScalePermutedArchitecture, head: Detector, level: int) -> PermutedPart:
    """RetinaNet's class and box net at one level."""
    tape = _tape(network, _size(network, level), network.endpoint_filters)
    is_separable = network.mobile is not None and network.mobile.separable_heads
    given = 0
    for width in (ANCHORS * head.classes, ANCHORS * 4):
        tape.channels = network.endpoint_filters
        for filters in [network.head_filters] * network.head_convs:
            tape.net_convolution(filters, normed=True, is_separable=is_separable)
            tape.activation()
        tape.net_convolution(width, normed=False, is_separable=is_separable)
        given += tape.elements
    convs = f"{network.head_convs}x{network.head_filters}"
    what = f"classes:{head.classes}-convs:{convs}{'-separable' if is_separable else ''}"
    place = (level, BlockKind.BOTTLENECK)
    return _part(PartKind.NETS, network, tape, what, source=place, head=head, given=given)


def _upward(network: ScalePermutedArchitecture, level: int) -> PermutedPart:
    """A level of the pyramid, enlarged to the shape of P3 and added to it."""
    tape = _tape(network, _size(network, level), network.endpoint_filters)
    tape.enlarged(_size(network, OUTPUT_LEVELS[0]))
    tape.writes(1)
    place = (level, BlockKind.BOTTLENECK)
    what = f"levels:{level - OUTPUT_LEVELS[0]}"
    return _part(PartKind.UPWARD, network, tape, what, source=place)


def _average(network: ScalePermutedArchitecture, head: Classifier) -> PermutedPart:
    """The mean over levels and pixels, and a dense layer."""
    size = _size(network, OUTPUT_LEVELS[0])
    tape = _tape(network, size, network.endpoint_filters)
    tape.writes(1)
    tape.size = 1
    tape.writes(1)
    tape.dense(head.classes)
    place = (OUTPUT_LEVELS[0], BlockKind.BOTTLENECK)
    what = f"classes:{head.classes}"
    return _part(PartKind.AVERAGE, network, tape, what, source=place, head=head)


def _tape(network: ScalePermutedArchitecture, size: int, channels: int) -> Tape:
    return Tape.of((channels, size, size), network.activation)


def _tape_at(network: ScalePermutedArchitecture, place: Place) -> Tape:
    return _tape(network, _size(network, place[0]), network.channels_of(*place))


def _blocks(
    tape: Tape, network: ScalePermutedArchitecture, place: Place, *, stride: int = 1
) -> None:
    """A block and its repeats."""
    level, kind = place
    if network.mobile is not None:
        for stage in mobile_stage(network, level, stride=stride).unrolled(tape.channels):
            _mobile_block(tape, network, stage)
        return
    filters = network.filters_at(level)
    for _ in range(network.repeats):
        channels = tape.channels
        if kind is BlockKind.BOTTLENECK:
            tape.convolution(filters, 1)
            tape.convolution(filters, 3)
            tape.convolution(4 * filters, 1, activated=False)
        else:
            tape.convolution(filters, 3)
            tape.convolution(filters, 3, activated=False)
        if channels != tape.channels:
            tape.macs += channels * tape.elements
            tape.params += (channels + 2) * tape.channels
            tape.writes(1)
        tape.writes(1)
        tape.activation()


def _mobile_block(tape: Tape, network: ScalePermutedArchitecture, stage: Stage) -> None:
    layer = layer_of(stage, tape.size, tape.channels, network.activation)
    tape.macs += layer.macs
    tape.params += layer.params
    times = 3 if tape.is_swish else 1
    tape.channels = layer.hidden
    if layer.expansion > 1:
        tape.writes(times)
    tape.size = layer.out_size
    tape.writes(times)
    if layer.squeezed:  # the mean, what is squeezed, the gate before and after its sigmoid
        tape.written += 3 * layer.hidden + times * layer.squeezed
        tape.writes(1)
    tape.channels = layer.out_channels
    tape.writes(1 + layer.has_skip)


def mobile_stage(network: ScalePermutedArchitecture, level: int, *, stride: int = 1) -> Stage:
    """The MBConv blocks in the place of one of a mobile network."""
    assert network.mobile is not None
    return Stage(
        op=Op.MBCONV,
        kernel=network.mobile.kernel,
        stride=stride,
        expansion=network.mobile.expansion,
        filters=network.filters_at(level),
        repeats=network.repeats,
        se_ratio=network.mobile.se_ratio,
    )


def _part(
    kind: PartKind,
    network: ScalePermutedArchitecture,
    tape: Tape,
    what: str,
    *,
    source: Place | None = None,
    target: Place | None = None,
    head: Head | None = None,
    given: int | None = None,
) -> PermutedPart:
    """What a tape has counted; ``given`` where it gives more than the feature at hand."""
    channels, size, _ = tape.given
    out = tape.elements if given is None else given
    activation = "" if network.activation is Activation.RELU else f"-{network.activation.value}"
    shapes = f"input:{size}x{size}x{channels}-output:{tape.size}x{tape.size}x{tape.channels}"
    return PermutedPart(
        kind=kind,
        network=network,
        source=source,
        target=target,
        head=head,
        key=f"{kind}-{shapes}{'-' if what else ''}{what}{activation}",
        in_size=size,
        in_channels=channels,
        out_elements=out,
        hidden_elements=max(0, tape.written - out),
        macs=tape.macs,
        params=tape.params,
    )


def _block_text(network: ScalePermutedArchitecture, kind: BlockKind) -> str:
    mobile = kind.value if network.mobile is None else str(network.mobile).removesuffix("sep")
    return f"{mobile}x{network.repeats}"


def _size(network: ScalePermutedArchitecture, level: int) -> int:
    return -(-network.size // network.stride_at(level))


def _stem_places(network: ScalePermutedArchitecture) -> tuple[Place, Place]:
    own = BlockKind.BOTTLENECK if network.mobile is None else BlockKind.MBCONV
    first, second = network.stem_levels
    return (first, own), (second, own)
