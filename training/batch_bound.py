"""How many examples a network sees at once where nothing is learnt from them."""

from __future__ import annotations

from training.task import Examples, frames_of

MOST_PIXELS = 250 * 128**2
"""Of a batch: 250 images up to 128 pixels a side, 81 at 224, 17 at 480."""


def bounded(batch: int, examples: Examples, size: int, *, pixels: int | None = None) -> int:
    """As many of ``batch`` examples as fit, at least one.

    Args:
        batch: Examples.
        examples: Of images, or of clips, which are as many as they have frames.
        size: Pixels a side.
        pixels: Of all of them, at most; None for ``MOST_PIXELS``.
    """
    most = MOST_PIXELS if pixels is None else pixels
    return max(1, min(batch, most // (frames_of(examples) * size**2)))
