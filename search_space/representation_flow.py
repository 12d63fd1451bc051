"""Optical flow inside a network (Piergiovanni and Ryoo, "Representation Flow", CVPR 2019).

TV-L1 (Zach et al., DAGM 2007) unrolled, on grey frames, with the constants of AssembleNet's code
and without trainable numbers. Differences are slices and padding, so it has no multiply-adds.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

THETA, LAMBDA, TAU = 0.3, 0.15, 0.25
"""Coupling, weight of the data, step of the dual variable."""

_FLAT = 2e-3
"""Added to the square of a slope, which is 1/36 and more between brightnesses of 8 bits.

The published 1e-12 is lost in files (ONNX optimizers take it for 0, halves have no such number),
and what is flat is then divided by 0. With this one the inverse fits half precision, and flow of
videos of 8 bits differs by less than 1e-4 pixels.
"""

_LEAST_CONTRAST = 4e-3
"""Range of a clip below which it is stretched as if it had that: one that is flat has none."""

_TINY = 1e-12
"""Under a root, which then has a slope at 0; nothing is divided by it."""

_BRIGHTNESS = 255.0


class RepresentationFlow(nn.Module):
    """The motion from each frame to the next, in pixels across and down.

    Frames are first stretched to brightness from 0 to 255, each clip by itself (the published
    code stretches a batch as one, so that what is beside a clip changes its flow).

    Args:
        iterations: Of the solver.

    Attributes:
        stays_float: What exporters ask: numbers of 8 bits are too coarse for the solver.
    """

    stays_float = True

    def __init__(self, iterations: int) -> None:
        super().__init__()
        self.iterations = iterations

    def forward(self, clip: Tensor) -> Tensor:
        """`[N, C, T, H, W]` to `[N, 2, T, H, W]`; the last frame has that of the one before."""
        grey = _stretched(clip.mean(1, keepdim=True))
        before, after = grey[:, :, :-1], grey[:, :, 1:]
        across = 0.5 * (_from_right(after) - _from_left(after))
        down = 0.5 * (_from_below(after) - _from_above(after))
        steepness = across * across + down * down + _FLAT
        changes = after - before
        # The data term moves against the slope, by at most LAMBDA * THETA times it.
        limit = LAMBDA * THETA
        sharpness = (3 / limit) / steepness
        u, v = changes * 0.0, changes * 0.0
        duals = (u, u, v, v)
        for _ in range(self.iterations):
            rest = changes + across * u + down * v
            move = functional.relu6(rest * sharpness + 3.0) * (limit / 3) - limit
            u = u - move * across + THETA * _divergence(duals[0], duals[1])
            v = v - move * down + THETA * _divergence(duals[2], duals[3])
            duals = (*_dual(u, duals[0], duals[1]), *_dual(v, duals[2], duals[3]))
        flow = torch.cat((u, v), 1)
        return torch.cat((flow, flow[:, :, -1:]), 2)


def _stretched(grey: Tensor) -> Tensor:
    """`[N, 1, T, H, W]` with brightness from 0 to 255 in each clip."""
    low, high = -_largest(-grey), _largest(grey)
    contrast = functional.relu(high - low - _LEAST_CONTRAST) + _LEAST_CONTRAST
    return (grey - low) * (_BRIGHTNESS / contrast)


def _largest(grey: Tensor) -> Tensor:
    """`[N, 1, T, H, W]` to the largest number of each clip, `[N, 1, 1, 1, 1]`; as pools."""
    frames, rows, columns = grey.shape[2], grey.shape[3], grey.shape[4]
    below = grey.reshape(grey.shape[0], 1, frames * rows, columns)
    of_frames = functional.max_pool2d(below, (rows, columns), (rows, columns))
    of_clips = functional.max_pool2d(of_frames, (frames, 1), (frames, 1))
    return of_clips.reshape(grey.shape[0], 1, 1, 1, 1)


def _dual(flow: Tensor, across: Tensor, down: Tensor) -> tuple[Tensor, Tensor]:
    """The dual variables of one component of the flow, after a step."""
    slope_across, slope_down = _from_right(flow) - flow, _from_below(flow) - flow
    step = TAU / THETA
    length = (slope_across * slope_across + slope_down * slope_down + _TINY).sqrt()
    scale = step * length + 1.0
    return (across + step * slope_across) / scale, (down + step * slope_down) / scale


def _divergence(across: Tensor, down: Tensor) -> Tensor:
    """Of dual variables, the last column's and row's being 0."""
    inside_across = functional.pad(across[:, :, :, :, :-1], (0, 1, 0, 0))
    inside_down = functional.pad(down[:, :, :, :-1], (0, 0, 0, 1))
    return inside_across - _from_left(inside_across) + (inside_down - _from_above(inside_down))


def _from_left(clip: Tensor) -> Tensor:
    """What is one pixel to the left of each pixel; 0 at the edge."""
    return functional.pad(clip[:, :, :, :, :-1], (1, 0, 0, 0))


def _from_right(clip: Tensor) -> Tensor:
    return functional.pad(clip[:, :, :, :, 1:], (0, 1, 0, 0))


def _from_above(clip: Tensor) -> Tensor:
    return functional.pad(clip[:, :, :, :-1], (0, 0, 1, 0))


def _from_below(clip: Tensor) -> Tensor:
    return functional.pad(clip[:, :, :, 1:], (0, 0, 0, 1))
