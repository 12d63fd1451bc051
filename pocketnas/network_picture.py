"""Pictures of networks, of every family that has one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from pocketnas.drawing import Picture, to_png, to_svg
from search_space.guidance import Edge, Told, checked_weights
from workspace.errors import InputError, OperationError
from workspace.files import write_whole

if TYPE_CHECKING:
    from search_space.architecture import Architecture


def picture_of(architecture: Architecture, told: Told | None = None) -> Picture | None:
    """The network's picture; None of a chain, which is its list of layers.

    Args:
        architecture: What is drawn.
        told: What its training told of its connections' weights. One that told none, or not one
            for each, as a training command may, is no other than no training.
    """
    from search_space.assemblenet import MultiStreamArchitecture
    from search_space.spinenet import ScalePermutedArchitecture

    if isinstance(architecture, ScalePermutedArchitecture):
        from pocketnas.permuted_picture import picture_of as permuted

        return permuted(architecture, _fitting(told, architecture.gated_edges))
    if isinstance(architecture, MultiStreamArchitecture):
        from pocketnas.stream_picture import picture_of as streams

        return streams(architecture, _fitting(told, architecture.graph.gates))
    return None


def _fitting(told: Told | None, gated: Mapping[str, Sequence[Edge]]) -> Told | None:
    """The weights of a network's connections; None where they are not known of all."""
    if told is None:
        return None
    try:
        return checked_weights(told, {name: len(edges) for name, edges in gated.items()})
    except InputError:
        return None


def write_picture(architecture: Architecture, path: Path, told: Told | None = None) -> None:
    """Draw a network into a file; see ``picture_of``.

    Raises:
        InputError: If its family has no picture, or the file is no .svg or .png.
        OperationError: If matplotlib is needed and not installed, or the file cannot be written.
    """
    picture = picture_of(architecture, told)
    if picture is None:
        msg = (
            "only scale-permuted networks and those of several streams are drawn, "
            f"this one is of family {architecture.family}"
        )
        raise InputError(msg)
    if path.suffix not in (".svg", ".png"):
        msg = f"a network is drawn into a file that ends in .svg or .png, got {str(path)!r}"
        raise InputError(msg)
    if path.suffix == ".png" and find_spec("matplotlib") is None:
        msg = "a .png needs matplotlib, which is not installed: pip install 'pocketnas[train]'"
        raise OperationError(msg)
    is_svg = path.suffix == ".svg"
    content = f"{to_svg(picture)}\n".encode() if is_svg else to_png(picture)
    try:
        write_whole(path, content)
    except OSError as error:
        msg = f"the picture {str(path)!r} cannot be written: {error.strerror or error}"
        raise OperationError(msg) from error
