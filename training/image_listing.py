"""Which images a folder has, of which classes, in which split: see ``training.class_folders``."""

from __future__ import annotations

from pathlib import Path

from training.class_folders import Listing, Medium, list_classes
from training.image_faults import faults_of

ENDINGS = frozenset((".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"))
"""Of names of images, in any case; other files are none."""


def list_images(root: Path) -> Listing:
    """What the folder has; a warning names and counts images that cannot be read.

    Raises:
        InputError: If it cannot be read, or what it has is no data set.
        OperationError: If Pillow is not installed.
    """
    images = Medium(one="image", all="images", endings=ENDINGS, faults=faults_of)
    return list_classes(root, images)
