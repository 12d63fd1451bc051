"""Tasks out of files of videos: ``videos:PATH``, a folder a class, and ``video-list:PATH``."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property, lru_cache
from typing import TYPE_CHECKING

from training.clip_frames import stride_of
from training.clip_settings import ClipSettings
from training.prefetch import Budget, threads
from training.schedule import Schedule
from training.task import VIDEOS, Examples, Proxy, Split
from training.video import ClipInputs, VideoClassification, inputs_of
from training.video_clips import VideoClips
from training.video_list import list_videos
from training.video_listing import VideoListing, list_video_classes

if TYPE_CHECKING:
    from search_space.architecture import InputSpec

FRAMES = 16
"""Of a clip, of a network that nobody has asked yet."""

KEPT = 4
"""Splits at a size whose decoded videos are kept for when they are asked for again."""

_FRAMES_ALONE = ClipInputs(frames=FRAMES, channels=3, has_frames=True, has_flow=False)
_USUAL = ClipSettings()


class VideoFiles(VideoClassification):
    """Videos in files; a ``Task``.

    Training sees a random crop of a random clip of each, evaluation the square in the middle of
    clips that are spread over it. Nothing is mirrored: to the left is often another class than to
    the right. Threads decode, as many as torch has, and what is decoded is kept as far as a
    quarter of the memory that is free goes. Networks that take optical flow are given what lies
    beside the videos (``training.video_flow``), of the same frames and box.

    Args:
        listing: What there is.
        name: As the command line has it.
        settings: How clips are taken.
        inputs: What networks take.
    """

    def __init__(
        self,
        listing: VideoListing,
        name: str,
        settings: ClipSettings = _USUAL,
        inputs: ClipInputs = _FRAMES_ALONE,
    ) -> None:
        self.name, self.labels, self.classes = name, listing.classes, len(listing.classes)
        self.is_multi_label = listing.is_multi_label
        self.views, self.frames = settings.views, inputs.frames
        self.channels, self.has_flow = inputs.channels, inputs.has_flow
        self._listing, self._settings, self._inputs = listing, settings, inputs
        self._kept = lru_cache(maxsize=KEPT)(self._made)

    @property
    def proxy(self) -> Proxy:
        """Two epochs, of at most 8,000 videos, at 64 pixels."""
        count = len(self._listing.splits[Split.TRAIN])
        return Proxy(
            size=64,
            schedule=Schedule(samples=min(2 * count, 8_000), batch=16, learning_rate=0.01),
            space_options={
                "channels": "3",
                "frames": str(FRAMES),
                "width": "0.25",
                "repeats": "2,2,2,2",
            },
        )

    def seen_by(self, inputs: tuple[InputSpec, ...]) -> VideoFiles:
        """See ``training.task.Shaped``; a video that is too short or lacks flow is named."""
        return self._of(inputs_of(inputs, self.name, channels=3, flow=True))

    @lru_cache(maxsize=KEPT)  # noqa: B019 - a process has one task of a name
    def _of(self, inputs: ClipInputs) -> VideoFiles:
        """The same for each time that networks with these inputs ask, with what it keeps."""
        self._listing.require_length(inputs.frames)
        if inputs.has_flow:
            self._listing.require_flow()
        return VideoFiles(self._listing, self.name, self._settings, inputs)

    @cached_property
    def digest(self) -> str:
        """See ``Task``."""
        return self._listing.digest

    def examples(self, split: Split, size: int) -> Examples:
        """See ``Task.examples``.

        Raises:
            InputError: If a video is too short.
        """
        self._listing.require_length(self.frames)
        return self._kept(split, size)

    def _made(self, split: Split, size: int) -> VideoClips:
        videos = self._listing.splits[split]
        return VideoClips(
            [self._listing.root / video.path for video in videos],
            [video.labels for video in videos],
            [video.length for video in videos],
            size,
            inputs=self._inputs,
            strides=[
                stride_of(video.length, self.frames, self._settings.stride) for video in videos
            ],
            views=1 if split is Split.TRAIN else self.views,
            is_whole=split is Split.TRAIN,
            classes=self.classes if self.is_multi_label else None,
            decoding=self._decoding,
            cropping=self._cropping,
            budget=self._budget,
        )

    @cached_property
    def _decoding(self) -> ThreadPoolExecutor:
        return threads("decoding")

    @cached_property
    def _cropping(self) -> ThreadPoolExecutor:
        return threads("cropping")  # of its own: what is decoded ahead would stand in its way

    @cached_property
    def _budget(self) -> Budget:
        return Budget.of_free_memory()


@cache
def open_videos(name: str) -> VideoFiles:
    """The task called ``videos:PATH`` or ``video-list:PATH``; a process looks through it once.

    Args:
        name: With the whole path, and perhaps how clips are taken.

    Raises:
        InputError: If it is no data set; see ``list_video_classes`` and ``list_videos``.
        OperationError: If PyAV is not installed.
    """
    form, _, path = name.partition(":")
    lists = list_video_classes if f"{form}:" == VIDEOS else list_videos
    place, settings = ClipSettings.parse(path)
    return VideoFiles(lists(place), name, settings)
