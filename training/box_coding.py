"""Boxes as what a detector gives of them: steps from anchors, as torchvision's ``BoxCoder``.

Boxes are left, top, right, bottom; a code is how far the middle lies from the anchor's, in widths
and heights of the anchor, and the logarithms of width and height in anchors (Girshick et al. 2014,
arXiv 1311.2524, appendix C).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

LARGEST = math.log(1000 / 16)
"""Of a logarithm that is decoded: an untrained detector's boxes must not overflow."""


def encoded(boxes: Tensor, anchors: Tensor) -> Tensor:
    """The codes `[…, 4]` of boxes `[…, 4]` from anchors `[…, 4]`."""
    middles, sides = _parts(boxes)
    places, units = _parts(anchors)
    return torch.cat(((middles - places) / units, (sides / units).log()), dim=-1)


def decoded(codes: Tensor, anchors: Tensor) -> Tensor:
    """The boxes `[…, 4]` that codes `[…, 4]` mean from anchors `[…, 4]`."""
    places, units = _parts(anchors)
    middles = places + codes[..., :2] * units
    halves = codes[..., 2:].clamp(max=LARGEST).exp() * units / 2
    return torch.cat((middles - halves, middles + halves), dim=-1)


def _parts(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Middles and sides, `[…, 2]` each."""
    return (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
