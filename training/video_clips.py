"""Clips out of files of videos."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from training.clip_frames import span_of, uniform_starts
from training.pictures import Box, central_box, cropped, random_boxes
from training.prefetch import Budget, Prefetch
from training.video_frames import central_clips, shrunken_frames

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Generator, Tensor

    Array = NDArray[np.uint8]

AHEAD = 16
"""Videos at most that are decoded before they are asked for."""

CROP = 0.875
"""Side of the square in the middle that is evaluated, as a share of the shorter side: 224 of 256
pixels, as in EfficientNet's code."""


class VideoClips:
    """One split of videos at one size; an ``Examples``.

    Args:
        paths: Of the files.
        labels: Of each.
        lengths: Of each, in frames.
        size: Pixels a side that networks see.
        frames: Of a clip.
        strides: From frame to frame of a clip, of each video.
        views: Clips of a video that are taken where nothing is drawn.
        is_whole: Whether videos are decoded whole, for clips from anywhere, drawn or in the
            middle; else only what ``views`` need.
        classes: Of videos with several labels; None for one label each.
        decoding: A pool of threads.
        cropping: Another one.
        budget: Of what is kept of decoded videos.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        labels: Sequence[tuple[int, ...]],
        lengths: Sequence[int],
        size: int,
        *,
        frames: int,
        strides: Sequence[int],
        views: int,
        is_whole: bool,
        classes: int | None,
        decoding: ThreadPoolExecutor,
        cropping: ThreadPoolExecutor,
        budget: Budget,
    ) -> None:
        self._paths, self._lengths, self._strides = paths, lengths, strides
        self._size, self._length, self._views, self._is_whole = size, frames, views, is_whole
        self._labels = _targets(labels, classes)
        self._cropping = cropping
        self._ahead = Prefetch(self._decoded, pool=decoding, budget=budget, ahead=AHEAD)
        self.frames = frames * views

    def __len__(self) -> int:
        """How many videos there are."""
        return len(self._labels)

    def expect(self, indices: Tensor) -> None:
        """Begin to decode what will be asked for next."""
        self._ahead.expect(indices.tolist())

    def batch(
        self, indices: Tensor, generator: Generator | None
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Clips `[N * views, 3, T, size, size]` in `[-1, 1]`, those of one video side by side.

        Targets are of N videos. With a generator there is one clip of each.
        """
        import numpy as np
        import torch

        arrays = self._ahead.take(indices.tolist())
        if self._is_whole:
            squares = np.stack(self._cut(arrays, generator))
        else:
            squares = np.concatenate(arrays)
        pixels = torch.from_numpy(squares).permute(0, 4, 1, 2, 3)
        clips = pixels.float().div_(127.5).sub_(1).contiguous()
        return (clips,), self._labels[indices]

    def _decoded(self, number: int) -> Array:
        """A whole video `[F, H, W, 3]`, or its views `[V, T, size, size, 3]`."""
        path, stride = self._paths[number], self._strides[number]
        if self._is_whole:
            return shrunken_frames(path, self._size, stride=stride)
        slack = self._lengths[number] - span_of(self._length, stride)
        starts = uniform_starts(slack, self._views)
        steps = range(0, span_of(self._length, stride), stride)
        return central_clips(path, starts, steps, self._size, CROP)

    def _cut(self, videos: Sequence[Array], generator: Generator | None) -> list[Array]:
        """A clip `[T, size, size, 3]` of each, drawn or in the middle of space and time."""
        import torch

        count, slacks = len(videos), [len(video) - self._length for video in videos]
        if generator is None:
            starts = [uniform_starts(slack, 1)[0] for slack in slacks]
            boxes = [central_box(video.shape[2], video.shape[1], CROP) for video in videos]
        else:
            drawn = torch.rand(count, generator=generator).tolist()
            starts = [int(share * (slack + 1)) for share, slack in zip(drawn, slacks, strict=True)]
            boxes = random_boxes([video.shape[1:] for video in videos], generator)
        clips = [
            video[start : start + self._length]
            for video, start in zip(videos, starts, strict=True)
        ]
        return list(self._cropping.map(partial(_square, size=self._size), clips, boxes))


def _square(clip: Array, box: Box, *, size: int) -> Array:
    """The same box of every frame `[T, H, W, 3]`, as `[T, size, size, 3]`."""
    import numpy as np

    return np.stack([cropped(frame, box, size, mirrored=False) for frame in clip])


def _targets(labels: Sequence[tuple[int, ...]], classes: int | None) -> Tensor:
    """`[N]` int64, or of several labels `[N, classes]` float32."""
    import torch

    if classes is None:
        return torch.tensor([label for (label,) in labels])
    made = torch.zeros(len(labels), classes)
    for row, places in zip(made, labels, strict=True):
        row[list(places)] = 1.0
    return made
