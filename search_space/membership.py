"""Whether a network has all that a space of chains leaves no choice about."""

from __future__ import annotations

from dataclasses import replace

from search_space.architecture import Architecture
from search_space.chain import ChainArchitecture, Skip
from workspace.errors import InputError

_FRAME = (
    "size",
    "channels",
    "stem",
    "head_filters",
    "activation",
    "dropout",
    "stochastic_depth",
)


def check_frame(
    architecture: Architecture, member: ChainArchitecture, space: str
) -> ChainArchitecture:
    """``architecture``, if all but its stages is as in ``member``.

    Raises:
        InputError: If it is not, with what differs.
    """
    if not isinstance(architecture, ChainArchitecture):
        msg = f"not in the space {space!r}: its family is {architecture.family}, not chain"
        raise InputError(msg)
    for name in _FRAME:
        wanted, found = getattr(member, name), getattr(architecture, name)
        if wanted != found:
            msg = f"not in the space {space!r}: its {name} is {found}, not {wanted}"
            raise InputError(msg)
    return architecture


def no_place(space: str, chain: ChainArchitecture, position: int) -> InputError:
    """The error that layer ``position``, from 0, cannot be there; or that more should follow."""
    layers = chain.unrolled()
    if position == len(layers):
        return InputError(f"not in the space {space!r}: layers are missing after its last")
    found = layers[position]
    channels = layers[position - 1].filters if position else chain.stem.filters
    if found.skip is Skip.NONE and not found.keeps_shape(channels):
        found = replace(found, skip=Skip.IDENTITY)  # nothing could go around it
    layer = f"layer {position + 1} ({found})"
    return InputError(
        f"not in the space {space!r}: its {layer} has no place after those before it"
    )
