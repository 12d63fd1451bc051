"""Pictures of networks, of every family that has one."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from pocketnas.drawing import Picture, to_png, to_svg
from workspace.errors import InputError, OperationError
from workspace.files import write_whole

if TYPE_CHECKING:
    from search_space.architecture import Architecture


def picture_of(architecture: Architecture) -> Picture | None:
    """The network's picture; None of a chain, which is its list of layers."""
    from search_space.assemblenet import MultiStreamArchitecture
    from search_space.spinenet import ScalePermutedArchitecture

    if isinstance(architecture, ScalePermutedArchitecture):
        from pocketnas.permuted_picture import picture_of as permuted

        return permuted(architecture)
    if isinstance(architecture, MultiStreamArchitecture):
        from pocketnas.stream_picture import picture_of as streams

        return streams(architecture)
    return None


def write_picture(architecture: Architecture, path: Path) -> None:
    """Draw a network into a file.

    Raises:
        InputError: If its family has no picture, or the file is no .svg or .png.
        OperationError: If matplotlib is needed and not installed, or the file cannot be written.
    """
    picture = picture_of(architecture)
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
