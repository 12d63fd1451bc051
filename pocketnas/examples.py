"""What a network is trained on, in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from search_space.architecture import Architecture

_CLIP = 4
"""Axes of a clip, batch left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """What one is called, and several."""

    one: str
    many: str


IMAGES = Examples(one="image", many="images")
CLIPS = Examples(one="clip", many="clips")
OF_BOTH = Examples(one="example", many="examples")


def examples_of(*networks: Architecture) -> Examples:
    """What networks are trained on; of some that take images and some that take clips, neither."""
    kinds = {_takes_clips(network) for network in networks}
    if len(kinds) > 1:
        return OF_BOTH
    return CLIPS if True in kinds else IMAGES


def _takes_clips(network: Architecture) -> bool:
    shapes: Iterable[tuple[int, ...]] = (spec.shape for spec in network.inputs)
    return any(len(shape) == _CLIP for shape in shapes)
