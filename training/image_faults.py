"""Which images cannot be read, and of what size the others are.

Each is decoded once, and again only when it has changed.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from training.known_files import Fact, Looking, facts_of
from workspace.errors import OperationError

if TYPE_CHECKING:
    from PIL import Image as Pillow

Sizes = tuple[tuple[int, int], ...]
"""Width and height of an image as it lies in its file; upright too, where it lies on its side."""

MANY = 5000
"""Images of which one is told that they are looked through: some seconds."""

VERSION = 2
"""Of what is found: since 2 sizes too."""

_ORIENTATION, _ON_ITS_SIDE = 0x0112, (5, 6, 7, 8)
"""A tag of EXIF, and its values."""


def faults_of(root: Path, paths: Sequence[str]) -> dict[str, str]:
    """Why each image cannot be read that cannot, by its path below ``root``.

    Raises:
        OperationError: If Pillow is not installed.
    """
    return {path: why for path, why in sizes_of(root, paths).items() if isinstance(why, str)}


def sizes_of(root: Path, paths: Sequence[str]) -> dict[str, Sizes | str]:
    """The sizes of each image, or why it cannot be read, by its path below ``root``.

    Raises:
        OperationError: If Pillow is not installed.
    """
    looking = Looking(what="images", folder="folders", many=MANY, look=look_at, version=VERSION)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of images that are large, or say odd things
        found = facts_of(root, paths, looking)
    return {
        path: _sizes(fact) if isinstance(fact, tuple) else str(fact)
        for path, fact in found.items()
    }


def look_at(path: Path) -> Fact:
    """Why an image cannot be read; of others the numbers of their sizes.

    Raises:
        OperationError: If Pillow is not installed.
    """
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        msg = "images in files need Pillow: pip install 'pocketnas[train]'"
        raise OperationError(msg) from error
    try:
        with Image.open(path) as image:
            width, height = image.size
            image.draft("RGB", (1, 1))  # a JPEG at an eighth: all of it is read even so
            image.load()
            upright = (height, width) if _lies_on_its_side(image) else ()
    except Exception as error:  # noqa: BLE001 - Pillow raises what its many formats raise
        return str(error).replace(str(path), path.name) or type(error).__name__
    return (width, height, *upright)


def _lies_on_its_side(image: Pillow.Image) -> bool:
    """Whether EXIF data that can be read say so."""
    try:
        return image.getexif().get(_ORIENTATION) in _ON_ITS_SIDE
    except Exception:  # noqa: BLE001 - as above
        return False


def _sizes(numbers: tuple[int, ...]) -> Sizes:
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))
