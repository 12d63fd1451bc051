"""Which anchor is to find which thing, as torchvision's ``Matcher`` says it for its RetinaNet."""

from __future__ import annotations

import torch
from torch import Tensor

FOUND, MISSED = 0.5, 0.4
"""Overlap from which on an anchor is to find a thing, and below which it is to find nothing; what
is in between counts for neither (Lin et al. 2017, arXiv 1708.02002, section 4)."""

BACKGROUND, IGNORED = -1, -2
"""In place of a class."""


def overlaps(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union `[A, B]` of boxes `[A, 4]` and `[B, 4]`; 0 for two without area."""
    shared = torch.ones(len(first), len(second), dtype=first.dtype, device=first.device)
    for axis in (0, 1):
        low = torch.maximum(first[:, None, axis], second[None, :, axis])
        high = torch.minimum(first[:, None, axis + 2], second[None, :, axis + 2])
        shared = shared * (high - low).clamp(min=0)
    whole = _areas(first)[:, None] + _areas(second) - shared
    return torch.where(whole > 0, shared / whole, 0.0)


def matched(anchors: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """For each anchor the class `[A]` int64 it is to find, and what else is told of its thing.

    The class is ``BACKGROUND`` for nothing and ``IGNORED`` for what does not count. The anchors
    that overlap a thing most are to find one in any case, however little it is.

    Args:
        anchors: `[A, 4]`.
        targets: `[M, 5 + K]`: class, left, top, right, bottom, and whatever else; what has a class
            below 0 is no thing.

    Returns:
        Classes, and rows `[A, 4 + K]` of ``targets`` without them: the box comes first.
    """
    is_thing = targets[:, 0] >= 0
    overlap = torch.where(is_thing, overlaps(anchors, targets[:, 1:5]), -1.0)
    best, which = overlap.max(dim=1)
    most = overlap.max(dim=0).values
    is_nearest = ((overlap == most) & (most > 0)).any(dim=1)
    classes = targets[which, 0].long()
    unsure = torch.where(best < MISSED, BACKGROUND, IGNORED)
    return torch.where((best >= FOUND) | is_nearest, classes, unsure), targets[which, 1:]


def _areas(boxes: Tensor) -> Tensor:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
