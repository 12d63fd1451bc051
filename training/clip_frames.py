"""Which frames of a video a clip has."""

from __future__ import annotations


def stride_of(length: int, frames: int, most: int) -> int:
    """Every how many frames one is taken: as many as ``most``, or as go into the video.

    >>> stride_of(100, 16, 2), stride_of(31, 16, 2), stride_of(30, 16, 2)
    (2, 2, 1)

    Args:
        length: Of the video, in frames; not below ``frames``.
        frames: Of the clip.
        most: The largest that is wanted.
    """
    return min(most, (length - 1) // (frames - 1)) if frames > 1 else 1


def span_of(frames: int, stride: int) -> int:
    """How many frames of the video a clip goes over.

    >>> span_of(16, 2)
    31
    """
    return (frames - 1) * stride + 1


def uniform_starts(slack: int, views: int) -> tuple[int, ...]:
    """Where clips begin that are spread over a video; a single one in the middle.

    >>> uniform_starts(20, 1), uniform_starts(20, 3), uniform_starts(0, 2)
    ((10,), (0, 10, 20), (0, 0))

    Args:
        slack: The last frame that a clip can begin with.
        views: How many clips.
    """
    if views == 1:
        return (slack // 2,)
    return tuple(round(place * slack / (views - 1)) for place in range(views))
