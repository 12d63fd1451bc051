"""Where the spaces of seven blocks halve the image."""

from __future__ import annotations

from enum import StrEnum


class Strides(StrEnum):
    """Which of two sets of strides a space has.

    ``published`` halves five times, for images of about 224 pixels. ``small`` halves three times,
    in blocks 2, 3 and 6, for 28 to 64 pixels: a digit of 28 keeps 4 x 4 positions at the end, as
    a photograph of 224 keeps 7 x 7, and the wide layers of blocks 4 and 5 see 7 x 7.
    """

    PUBLISHED = "published"
    SMALL = "small"

    @property
    def stem(self) -> int:
        """Of the first convolution."""
        return 2 if self is Strides.PUBLISHED else 1

    @property
    def blocks(self) -> tuple[int, ...]:
        """Of the first layer of each of the seven blocks."""
        if self is Strides.PUBLISHED:
            return (1, 2, 2, 2, 1, 2, 1)
        return (1, 2, 2, 1, 1, 2, 1)
