"""Compound scaling of scale-permuted networks, which have no stages: what depth and width mean."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from search_space.spinenet import ScalePermutedArchitecture

if TYPE_CHECKING:
    from search_space.scaling import Factors, Rounding


def scaled_permuted(
    network: ScalePermutedArchitecture, factors: Factors, rounding: Rounding, *, fixed_ends: bool
) -> ScalePermutedArchitecture:
    """A network with more repeats of each block, more filters, and a larger image.

    SpineNet's own ways to be scaled (section 3.3): depth is its repeats, width its filter scale
    with the filters of endpoints and heads, resolution its image. The stem keeps its filters, the
    heads their number of convolutions.

    Args:
        network: Whose blocks and connections stay.
        factors: By what; those that are 1 change nothing.
        rounding: To whole numbers.
        fixed_ends: Whether endpoints and heads keep their filters.

    Raises:
        InputError: If filters would be 0, the filter scale is beyond what a network may have, or
            the image is smaller than the stride of the deepest level.
    """
    found = network
    if factors.depth != 1:
        found = replace(found, repeats=rounding.depth(network.repeats, factors.depth))
    if factors.width != 1:
        found = replace(found, filter_scale=round(network.filter_scale * factors.width, 6))
        if not fixed_ends:
            found = replace(
                found,
                endpoint_filters=rounding.width(network.endpoint_filters, factors.width),
                head_filters=rounding.width(network.head_filters, factors.width),
            )
    if factors.resolution != 1:
        found = found.at(rounding.size(network.size, factors.resolution))
    return found
