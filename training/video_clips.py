"""Clips out of files of videos."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from training.clip_frames import span_of, uniform_starts
from training.pictures import Box, central_box, cropped, random_boxes
from training.prefetch import Budget, Prefetch
from training.video import ClipInputs
from training.video_flow import flow_clip, flow_raster
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What a clip has of a video.

    Attributes:
        video: Its number.
        start: The first frame.
        raster: Height and width of its frames, as far as they were shrunk.
        box: Of every frame, in pixels of ``raster``.
    """

    video: int
    start: int
    raster: tuple[int, int]
    box: Box


class VideoClips:
    """One split of videos at one size; an ``Examples``.

    Args:
        paths: Of the files.
        labels: Of each.
        lengths: Of each, in frames.
        size: Pixels a side that networks see.
        inputs: Of networks: frames, and optical flow beside them or alone.
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
        inputs: ClipInputs,
        strides: Sequence[int],
        views: int,
        is_whole: bool,
        classes: int | None,
        decoding: ThreadPoolExecutor,
        cropping: ThreadPoolExecutor,
        budget: Budget,
    ) -> None:
        self._paths, self._lengths, self._strides = paths, lengths, strides
        self._inputs, self._size, self._views, self._is_whole = inputs, size, views, is_whole
        self._labels = _targets(labels, classes)
        self._cropping = cropping
        self._ahead = Prefetch(self._decoded, pool=decoding, budget=budget, ahead=AHEAD)
        self.frames = inputs.frames * views

    def __len__(self) -> int:
        """How many videos there are."""
        return len(self._labels)

    def expect(self, indices: Tensor) -> None:
        """Begin to decode what will be asked for next."""
        if self._inputs.has_frames:
            self._ahead.expect(indices.tolist())

    def batch(
        self, indices: Tensor, generator: Generator | None
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Clips `[N * views, 3, T, size, size]` in `[-1, 1]`, those of one video side by side.

        Optical flow `[N * views, 2, T, size, size]` comes after them where networks take it.
        Targets are of N videos. With a generator there is one clip of each.
        """
        import numpy as np
        import torch

        numbers, inputs = indices.tolist(), []
        videos = self._ahead.take(numbers) if self._inputs.has_frames else []
        cuts = self._cuts(numbers, videos, generator)
        if self._inputs.has_frames:
            pixels = torch.from_numpy(self._squares(videos, cuts)).permute(0, 4, 1, 2, 3)
            inputs.append(pixels.float().div_(127.5).sub_(1).contiguous())
        if self._inputs.has_flow:
            flows = self._cropping.map(self._flow, cuts)
            inputs.append(torch.from_numpy(np.stack(list(flows))))
        return tuple(inputs), self._labels[indices]

    def _decoded(self, number: int) -> Array:
        """A whole video `[F, H, W, 3]`, or its views `[V, T, size, size, 3]`."""
        path = self._paths[number]
        if self._is_whole:
            return shrunken_frames(path, self._size, self._lengths[number])
        starts = uniform_starts(self._slack(number), self._views)
        return central_clips(path, starts, self._steps(number), self._size, CROP)

    def _steps(self, number: int) -> range:
        """From the first frame of a clip of a video to each of its frames."""
        stride = self._strides[number]
        return range(0, span_of(self._inputs.frames, stride), stride)

    def _slack(self, number: int) -> int:
        """The last frame of a video that a clip can begin with."""
        return self._lengths[number] - span_of(self._inputs.frames, self._strides[number])

    def _cuts(
        self, numbers: Sequence[int], videos: Sequence[Array], generator: Generator | None
    ) -> list[Cut]:
        """A clip of each video that is drawn, or the middle of those that are spread over it."""
        import torch

        if self._is_whole and self._inputs.has_frames:
            rasters = [(video.shape[1], video.shape[2]) for video in videos]
        elif self._inputs.has_flow:
            rasters = [flow_raster(self._paths[number]) for number in numbers]
        else:
            return []  # views were cut as they were decoded
        if generator is None or not self._is_whole:
            return [
                Cut(video=number, start=start, raster=raster, box=central_box(*raster[::-1], CROP))
                for number, raster in zip(numbers, rasters, strict=True)
                for start in uniform_starts(self._slack(number), self._views)
            ]
        shares = torch.rand(len(numbers), generator=generator).tolist()
        starts = [
            int(share * (self._slack(number) + 1))
            for share, number in zip(shares, numbers, strict=True)
        ]
        boxes = random_boxes([*rasters], generator)
        drawn = zip(numbers, starts, rasters, boxes, strict=True)
        return [
            Cut(video=number, start=start, raster=raster, box=box)
            for number, start, raster, box in drawn
        ]

    def _squares(self, videos: Sequence[Array], cuts: Sequence[Cut]) -> Array:
        """`[N * views, T, size, size, 3]`."""
        import numpy as np

        if not self._is_whole:
            return np.concatenate(videos)
        return np.stack(list(self._cropping.map(self._square, videos, cuts)))

    def _square(self, video: Array, cut: Cut) -> Array:
        """The same box of some frames of `[F, H, W, 3]`, as `[T, size, size, 3]`."""
        import numpy as np

        frames = (video[cut.start + step] for step in self._steps(cut.video))
        return np.stack([cropped(frame, cut.box, self._size, mirrored=False) for frame in frames])

    def _flow(self, cut: Cut) -> NDArray[np.float32]:
        """The flow of the same frames and box, `[2, T, size, size]`."""
        numbers = [cut.start + step for step in self._steps(cut.video)]
        return flow_clip(self._paths[cut.video], numbers, cut.box, cut.raster, self._size)


def _targets(labels: Sequence[tuple[int, ...]], classes: int | None) -> Tensor:
    """`[N]` int64, or of several labels `[N, classes]` float32."""
    import torch

    if classes is None:
        return torch.tensor([label for (label,) in labels])
    made = torch.zeros(len(labels), classes)
    for row, places in zip(made, labels, strict=True):
        row[list(places)] = 1.0
    return made
