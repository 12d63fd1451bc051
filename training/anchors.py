"""The boxes that a detector starts from: nine at every place of five levels of a pyramid.

Sizes, their order and that of the places are those of torchvision's ``AnchorGenerator``. Its
anchors lie around the upper left corner of a cell; these lie around the middle, as in the code of
SpineNet (tensorflow/tpu, ``dataloader/anchor.py``): a level of a single cell would else look at a
corner of the image.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

LEVELS = (3, 4, 5, 6, 7)
"""Of the pyramid; a cell of level l is 2^l pixels wide."""

SCALES = tuple(2 ** (third / 3) for third in range(3))
RATIOS = (0.5, 1.0, 2.0)
"""Height by width (Lin et al. 2017, "Focal loss for dense object detection", section 4)."""

PER_PLACE = len(SCALES) * len(RATIOS)


def anchors_of(
    shapes: tuple[tuple[int, int], ...], base: float, device: torch.device | None = None
) -> tuple[Tensor, ...]:
    """Anchors of each level, `[H * W * 9, 4]` float32: left, top, right, bottom in pixels.

    Args:
        shapes: Rows and columns of each level's outputs.
        base: Side of the smallest square anchor of a level, as a multiple of its cells' (SpineNet:
            3, of its largest networks 4).
        device: Where they go.
    """
    return tuple(
        _of_level(level, shape, base, device) for level, shape in zip(LEVELS, shapes, strict=True)
    )


def cell_anchors(level: int, base: float) -> Tensor:
    """`[9, 4]` around the origin: of each ratio the three scales, in whole pixels."""
    sides = torch.tensor([base * 2**level * scale for scale in SCALES])
    tall = torch.tensor([math.sqrt(ratio) for ratio in RATIOS])
    widths, heights = ((f[:, None] * sides).flatten() for f in (1 / tall, tall))
    return (torch.stack((-widths, -heights, widths, heights), dim=1) / 2).round()


@lru_cache(maxsize=64)
def _of_level(
    level: int, shape: tuple[int, int], base: float, device: torch.device | None
) -> Tensor:
    rows, columns = ((torch.arange(count) + 0.5) * 2**level for count in shape)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    middles = torch.stack((x, y, x, y), dim=-1).reshape(-1, 1, 4)
    return (middles + cell_anchors(level, base)).reshape(-1, 4).to(device)
