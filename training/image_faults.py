"""Which images cannot be read: each is decoded once, and again only when it has changed."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from training.known_files import Looking, facts_of
from workspace.errors import OperationError

MANY = 5000
"""Images of which one is told that they are looked through: some seconds."""


def faults_of(root: Path, paths: Sequence[str]) -> dict[str, str]:
    """Why each image cannot be read that cannot, by its path below ``root``.

    Raises:
        OperationError: If Pillow is not installed.
    """
    looking = Looking(what="images", folder="folders", many=MANY, look=fault_of)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of images that are large, or say odd things
        found = facts_of(root, paths, looking)
    return {path: str(why) for path, why in found.items() if why}


def fault_of(path: Path) -> str:
    """Why an image cannot be read; empty if it can.

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
            image.draft("RGB", (1, 1))  # a JPEG at an eighth: all of it is read even so
            image.load()
    except Exception as error:  # noqa: BLE001 - Pillow raises what its many formats raise
        return str(error).replace(str(path), path.name) or type(error).__name__
    return ""
