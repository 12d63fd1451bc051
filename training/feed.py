"""Brings examples to the device that trains, with as many channels as the network takes."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from training.task import Examples


class Feed:
    """Gives batches on one device.

    Args:
        device: Where they go.
        channels: Of the network's images, to which grey ones are repeated; None for as they are.
    """

    def __init__(self, device: torch.device, channels: int | None = None) -> None:
        self.device = device
        self._channels = channels

    def batch(
        self, examples: Examples, indices: Tensor, generator: Generator | None
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """See ``Examples.batch``."""
        inputs, targets = examples.batch(indices, generator)
        if self._channels is not None:
            inputs = tuple(_with_channels(value, self._channels) for value in inputs)
        moved = tuple(value.to(self.device, non_blocking=True) for value in inputs)
        return moved, targets.to(self.device, non_blocking=True)

    def prepare(self, examples: Examples) -> None:
        """Let examples that will be trained on make their batches faster; see ``Examples``."""
        prepare = getattr(examples, "prepare", None)
        if prepare is not None:
            prepare()

    def expect(self, examples: Examples, indices: Tensor) -> None:
        """Let examples that can read ahead begin with what comes next; see ``Examples``."""
        expect = getattr(examples, "expect", None)
        if expect is not None and len(indices):
            expect(indices)


def _with_channels(images: Tensor, channels: int) -> Tensor:
    """Grey images `[N, 1, H, W]` with their one channel repeated; others as they are."""
    if images.ndim == 4 and images.shape[1] == 1 and channels > 1:
        return images.repeat(1, channels, 1, 1)
    return images
