"""Compound scaling of networks of several streams: what depth and width mean in a graph."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from search_space.assemblenet import MultiStreamArchitecture
from search_space.stream_graph import LEVELS
from search_space.widths import whole_width

if TYPE_CHECKING:
    from search_space.scaling import Factors, Rounding


def scaled_streams(
    network: MultiStreamArchitecture, factors: Factors, rounding: Rounding, *, fixed_ends: bool
) -> MultiStreamArchitecture:
    """A network with more residual modules a node, more filters, and larger frames.

    Depth multiplies the modules of each level, as AssembleNet's depths from 26 to 101 do; width
    the filters of nodes, inside of their modules, of stems and of the head's convolutions, each to
    the nearest whole number whatever ``rounding`` says, as ``width`` of the spaces does: the
    family's widths are no multiples of 8. Graph, gates and temporal dilations stay, and so do the
    frames of a clip, which are the data's.

    Args:
        network: Whose graph stays.
        factors: By what; those that are 1 change nothing.
        rounding: Of modules and pixels to whole numbers.
        fixed_ends: Whether stems and the head's convolutions keep their filters, and the first and
            the last level their modules.

    Raises:
        InputError: If filters would be 0, or the frames are smaller than the network's strides
            ask for.
    """
    found = network
    if factors.depth != 1:
        ends = (0, LEVELS - 1) if fixed_ends else ()
        repeats = tuple(
            each if level in ends else rounding.depth(each, factors.depth)
            for level, each in enumerate(network.repeats)
        )
        found = replace(found, repeats=repeats)
    if factors.width != 1:
        found = _wider(found, factors.width, fixed_ends=fixed_ends)
    if factors.resolution != 1:
        found = found.at(rounding.size(network.size, factors.resolution))
    return found


def _wider(
    network: MultiStreamArchitecture, factor: float, *, fixed_ends: bool
) -> MultiStreamArchitecture:
    def wider(filters: int) -> int:
        return whole_width(filters, factor)

    graph, stem, head = network.graph, network.stem, network.head_filters
    nodes = tuple(replace(node, filters=wider(node.filters)) for node in graph.nodes)
    return replace(
        network,
        graph=replace(graph, nodes=nodes),
        inner=tuple(map(wider, network.inner)),
        stem=stem if fixed_ends else replace(stem, filters=wider(stem.filters)),
        head_filters=head if fixed_ends else tuple(map(wider, head)),
    )
