"""The named spaces of networks of streams and their options."""

from __future__ import annotations

from collections.abc import Mapping

from search_space.assemblenet import (
    Attention,
    FlowSource,
    FramePooling,
    ModuleKind,
    MultiStreamArchitecture,
    StreamStemLayers,
)
from search_space.assemblenet_networks import DEPTHS, LITE_INNER, LITE_STEM
from search_space.assemblenet_space import AssembleNetSpace
from search_space.options import OptionReader
from search_space.stream_graph import LEVELS, StemKind, StreamGraph, StreamNode, StreamStem
from search_space.stream_points import SHARES
from search_space.strides import Strides
from workspace.errors import InputError

OPTIONS = (
    "size",
    "frames",
    "channels",
    "strides",
    "width",
    "repeats",
    "stems",
    "nodes",
    "dilations",
    "flow",
    "flow_iterations",
    "attention",
    "pooling",
    "dropout",
)
"""Of all spaces of networks of streams."""

_STEMS = ("rgb", "rgb", "flow", "flow")
_DILATIONS = (1, 2, 4, 8)


def assemblenet(options: Mapping[str, str]) -> AssembleNetSpace:
    """AssembleNet's space: two streams over frames and two over flow, up to 5 nodes a level.

    >>> space = assemblenet({"stems": "rgb", "nodes": "1", "dilations": "1"})
    >>> space.count == (2**1 - 1) * (2**2 - 1) * (2**3 - 1) * (2**4 - 1)
    True

    Args:
        options: ``OPTIONS``: ``stems`` and ``dilations`` are lists with commas, ``repeats`` too,
            residual modules by level.

    Raises:
        InputError: If an option is unknown or out of range.
    """
    reader = OptionReader(options, "assemblenet", OPTIONS)
    return _space("assemblenet", reader, ModuleKind.BOTTLENECK)


def assemblenet_mobile(options: Mapping[str, str]) -> AssembleNetSpace:
    """The mobile family's: inverted bottlenecks, the widths of the published "lite" network."""
    reader = OptionReader(options, "assemblenet_mobile", OPTIONS)
    return _space("assemblenet_mobile", reader, ModuleKind.INVERTED)


def _space(name: str, reader: OptionReader, module: ModuleKind) -> AssembleNetSpace:
    is_mobile = module is ModuleKind.INVERTED
    repeats = (3, 5, 11, 7) if is_mobile else DEPTHS[50]
    inner = LITE_INNER if is_mobile else (64, 128, 256, 512)
    frames = reader.integer("frames", 32, low=1, high=1024)
    width = reader.number("width", 1.0, low=1 / 32, high=16)
    frame = MultiStreamArchitecture(
        size=reader.integer("size", 224, low=1, high=4096),
        frames=frames,
        channels=reader.integer("channels", 3, low=1, high=64),
        graph=_simplest(_stems(reader)),
        repeats=reader.integers("repeats", repeats, low=1, high=99),
        inner=tuple(_scaled(each, width, 1) for each in inner),
        strides=(2, 2, 2, 2) if is_mobile else (1, 2, 2, 2),
        stem=_stem(reader, width, is_mobile=is_mobile),
        module=module,
        attention=reader.member("attention", Attention.NONE),
        flow=reader.member("flow", FlowSource.COMPUTED),
        flow_iterations=reader.integer(
            "flow_iterations", 20 if is_mobile else 40, low=1, high=1000
        ),
        head_filters=tuple(_scaled(each, width, 1) for each in ((432, 2048) if is_mobile else ())),
        pooling=reader.member("pooling", FramePooling.MEAN),
        dropout=reader.rate("dropout", 0.0),
    )
    filters = (24, 96, 136, 192) if is_mobile else (128, 256, 512, 512)
    fitting = tuple(each for each in _DILATIONS if each < max(frames, 2))
    dilations = reader.integers("dilations", fitting, low=1, high=1023)
    if max(dilations) >= max(frames, 2):
        msg = (
            f"a temporal dilation of {max(dilations)} needs clips of at least "
            f"{max(dilations) + 1} frames, got {frames}"
        )
        raise InputError(msg)
    return AssembleNetSpace(
        name=name,
        frame=frame,
        filters=tuple(_scaled(each, width, SHARES) for each in filters),
        nodes=reader.integer("nodes", 5, low=1, high=SHARES),
        dilations=tuple(sorted(set(dilations))),
    )


def _stem(reader: OptionReader, width: float, *, is_mobile: bool) -> StreamStemLayers:
    """Small strides are half those of the published stems, and in mobile networks none."""
    base = LITE_STEM if is_mobile else StreamStemLayers()
    strides = reader.member("strides", Strides.PUBLISHED)
    reduction = base.reduction if strides is Strides.PUBLISHED else base.reduction // 2
    return StreamStemLayers(
        filters=_scaled(base.filters, width, 1),
        kernel=base.kernel if strides is Strides.PUBLISHED else 3,
        temporal_kernel=base.temporal_kernel,
        reduction=reduction,
    )


def _stems(reader: OptionReader) -> tuple[StemKind, ...]:
    names = reader.texts("stems", _STEMS)
    for name in names:
        if name not in list(StemKind):
            msg = f"stems of a space are {', '.join(StemKind)}, got {name!r}"
            raise InputError(msg)
    return tuple(map(StemKind, names))


def _simplest(kinds: tuple[StemKind, ...]) -> StreamGraph:
    """A graph of those stems, with a node a level that reads all that is there."""
    stems = tuple(StreamStem(kind=kind) for kind in kinds)
    nodes = (
        StreamNode(level=level, inputs=tuple(range(len(stems) + level)), filters=1)
        for level in range(LEVELS)
    )
    return StreamGraph(stems=stems, nodes=tuple(nodes))


def _scaled(filters: int, width: float, multiple: int) -> int:
    """``filters`` times ``width`` as a multiple, at least one."""
    return max(1, round(filters * width / multiple)) * multiple
