"""Where the spaces of six or seven blocks halve the image."""

from __future__ import annotations

from enum import StrEnum


class Strides(StrEnum):
    """Which of two sets of strides a space has.

    ``published`` halves five times, for images of about 224 pixels. ``small`` halves three times,
    in the stem and in blocks 2 and 6, for 28 to 64 pixels: 28 become 14, 7 and 4, as 224 become
    7. Against the stem at full size and a stride in block 3 instead, 8 networks of ``mnasnet``
    (28 pixels, width 0.35) trained 1.4 to 2.4 times, at the median 1.7 times, as fast in fp32 on
    one x86 thread at batch 64: a ratio within one run.
    """

    PUBLISHED = "published"
    SMALL = "small"

    @property
    def stem(self) -> int:
        """Of the first convolution."""
        return 2

    @property
    def blocks(self) -> tuple[int, ...]:
        """Of the first layer of each block; EfficientNetV2's space has the first six."""
        if self is Strides.PUBLISHED:
            return (1, 2, 2, 2, 1, 2, 1)
        return (1, 2, 1, 1, 1, 2, 1)
