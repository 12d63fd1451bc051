"""Counts what the layers of a part compute and write, one after the other; free of torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from search_space.chain import Activation


@dataclass(slots=True)
class Tape:
    """The feature at hand, and what was computed so far.

    Of a clip each frame counts: a layer over pixels does in each what it does in one.

    Attributes:
        size: Side of the feature at hand, in pixels.
        channels: Of it.
        frames: Of it; 1 of an image.
        is_swish: Whether an activation is two operators of its own: a gate and a product.
        given: Shape of the feature at the start, channels first, without a batch.
        macs: So far.
        params: So far.
        written: Numbers written so far.
    """

    size: int
    channels: int
    frames: int
    is_swish: bool
    given: tuple[int, ...]
    macs: int = 0
    params: int = 0
    written: int = 0

    @classmethod
    def of(cls, shape: tuple[int, ...], activation: Activation) -> Tape:
        """At the start.

        Args:
            shape: `[C, H, H]` of an image or `[C, T, H, H]` of a clip.
            activation: Of the network.
        """
        frames = math.prod(shape[1:-2])
        return cls(shape[-1], shape[0], frames, activation is Activation.SWISH, shape)

    @property
    def elements(self) -> int:
        """Of the feature at hand."""
        return self.frames * self.size**2 * self.channels

    def writes(self, times: int) -> None:
        """The feature at hand, so many times."""
        self.written += times * self.elements

    def activation(self) -> None:
        """Other ones than swish are part of what is before them."""
        self.writes(2 if self.is_swish else 0)

    def convolution(
        self, filters: int, kernel: int, *, stride: int = 1, activated: bool = True
    ) -> None:
        """Over pixels, with a batch norm."""
        weights = kernel**2 * self.channels * filters
        self.size, self.channels = -(-self.size // stride), filters
        self._normed(weights, activated=activated)

    def depthwise(self, kernel: int, *, stride: int) -> None:
        """Over pixels, with a batch norm and an activation."""
        self.size = -(-self.size // stride)
        self._normed(kernel**2 * self.channels, activated=True)

    def over_frames(self, filters: int, kernel: int, *, depthwise: bool = False) -> None:
        """Over frames, with a batch norm and an activation."""
        weights = kernel * (1 if depthwise else self.channels) * filters
        self.channels = filters
        self._normed(weights, activated=True)

    def net_convolution(self, filters: int, *, normed: bool, is_separable: bool) -> None:
        """3x3 with a bias, of a detector's nets; separable: of each channel, then 1x1."""
        weights = 9 * self.channels * (1 if is_separable else filters)
        if is_separable:
            self.writes(1)
            weights += self.channels * filters
        self.channels = filters
        self.macs += weights * self.size**2
        self.params += weights + filters * (3 if normed else 1)
        self.writes(1)

    def mixed(self, filters: int) -> None:
        """1x1 with neither bias nor batch norm."""
        weights = self.channels * filters
        self.channels = filters
        self.macs += weights * self.frames * self.size**2
        self.params += weights
        self.writes(1)

    def pool(self, stride: int) -> None:
        """Over pixels."""
        self.size = -(-self.size // stride)
        self.writes(1)

    def enlarged(self, size: int) -> None:
        """Rows, then columns, then what is cut."""
        self.written += self.size * size * self.channels
        self.size = size
        self.writes(1)

    def dense(self, outputs: int, *, bias: bool = True) -> None:
        """Of each frame's one pixel."""
        self.macs += self.channels * outputs * self.frames
        self.params += (self.channels + bias) * outputs
        self.channels = outputs
        self.writes(1)

    def _normed(self, weights: int, *, activated: bool) -> None:
        self.macs += weights * self.frames * self.size**2
        self.params += weights + 2 * self.channels
        self.writes(1)
        if activated:
            self.activation()
