"""Whether a network has all that a space of chains leaves no choice about."""

from __future__ import annotations

from search_space.architecture import Architecture
from search_space.chain import ChainArchitecture, Stage
from workspace.errors import InputError

_FRAME = ("size", "channels", "stem", "head_filters", "activation", "dropout")


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


def no_place(space: str, layers: tuple[Stage, ...], position: int) -> InputError:
    """The error that layer ``position``, from 0, cannot be there; or that more should follow."""
    if position == len(layers):
        return InputError(f"not in the space {space!r}: layers are missing after its last")
    layer = f"layer {position + 1} ({layers[position]})"
    return InputError(
        f"not in the space {space!r}: its {layer} has no place after those before it"
    )
