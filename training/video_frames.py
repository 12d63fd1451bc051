"""Files of videos to arrays of bytes: decoded, turned upright, shrunk, all by PyAV.

A path may be of some seconds of a file; see ``training.video_seconds``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from fractions import Fraction
from itertools import dropwhile, islice, takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from training.pictures import central_box, cropped, room_for
from training.video_seconds import parted
from workspace.errors import OperationError

if TYPE_CHECKING:
    import av
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.uint8]

LONGEST = 2_000
"""Frames of a video that are read at most, from its beginning on: a minute and more. What is to be
learnt from is a clip of some seconds, as Kinetics' are."""


def require_pyav() -> None:
    """Do nothing if videos can be read.

    Raises:
        OperationError: If PyAV is not installed.
    """
    try:
        import av
    except ModuleNotFoundError as error:
        msg = "videos need PyAV: pip install 'pocketnas[video]'"
        raise OperationError(msg) from error
    del av


def length_of(path: Path) -> int | str:
    """How many frames a video has, at most ``LONGEST``; why it cannot be read if it cannot.

    Raises:
        OperationError: If PyAV is not installed.
    """
    require_pyav()
    try:
        count = sum(1 for _ in _frames(path))
    except Exception as error:  # noqa: BLE001 - FFmpeg's many formats fail in as many ways
        return str(error).replace(str(path), path.name) or type(error).__name__
    return count or "it has no frame"


def duration_of(path: Path) -> int:
    """How many seconds a file of a video says it takes, rounded; 0 if it does not say.

    Raises:
        OperationError: If PyAV is not installed.
    """
    require_pyav()
    import av

    try:
        with av.open(str(path)) as container:
            return round((container.duration or 0) / av.time_base)
    except (OSError, ValueError):
        return 0


def shrunken_frames(path: Path, size: int, count: int) -> Array:
    """The first frames of a video `[F, H, W, 3]`, with room for crops that become ``size``.

    Args:
        path: Of the file.
        size: In pixels.
        count: F, as many as it has.

    Raises:
        OperationError: If it cannot be read, or is shorter than it was.
    """
    return _read(path, size, range(count))


def central_clips(
    path: Path, starts: tuple[int, ...], steps: range, size: int, share: float
) -> Array:
    """Clips `[V, T, size, size, 3]` of the square in the middle of a video.

    Args:
        path: Of the file.
        starts: The first frame of each.
        steps: From there to each of its frames.
        size: In pixels.
        share: Of the shorter side, that the square has.

    Raises:
        OperationError: If it cannot be read, or is shorter than it was.
    """
    import numpy as np

    numbers = [[start + step for step in steps] for start in starts]
    wanted = sorted({number for clip in numbers for number in clip})
    frames = _read(path, size, wanted)
    box = central_box(frames.shape[2], frames.shape[1], share)
    squares = [cropped(frame, box, size, mirrored=False) for frame in frames]
    place = {number: index for index, number in enumerate(wanted)}
    return np.stack([[squares[place[number]] for number in clip] for clip in numbers])


def _read(path: Path, size: int, numbers: Collection[int]) -> Array:
    """Frames `[F, H, W, 3]` of those numbers."""
    import numpy as np

    chosen, last = set(numbers), max(numbers)
    try:
        frames = [
            _shrunken(frame, size)
            for number, frame in enumerate(islice(_frames(path), last + 1))
            if number in chosen
        ]
        found = np.stack(frames)
    except Exception as error:  # FFmpeg's many formats fail in as many ways
        msg = f"the video {str(path)!r} could be read before and cannot be any more: {error}"
        raise OperationError(msg) from error
    if len(found) < len(chosen):
        msg = f"the video {str(path)!r} had {last + 1} frames before and has fewer now"
        raise OperationError(msg)
    return found


def _frames(path: Path) -> Iterator[av.VideoFrame]:
    """Decoded frames in the order in which they are shown; one thread does it."""
    import av

    file, seconds = parted(path)
    with av.open(str(file)) as container:
        if not container.streams.video:
            msg = "it has no video stream"
            raise ValueError(msg)
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        frames = container.decode(stream)
        if seconds is not None:
            begin = Fraction(container.start_time or 0, av.time_base)
            start, end = (begin + second for second in seconds)
            container.seek(int(start * av.time_base))  # to a key frame before it
            late = dropwhile(lambda frame: frame.time < start, frames)
            frames = takewhile(lambda frame: frame.time < end, late)
        yield from islice(frames, LONGEST)


def _shrunken(frame: av.VideoFrame, size: int) -> Array:
    """`[H, W, 3]`, upright, its shorter side no longer than needed."""
    import numpy as np

    side = room_for(size)
    scale = min(1.0, side / min(frame.width, frame.height))
    width, height = (max(1, round(scale * length)) for length in (frame.width, frame.height))
    made = frame.reformat(width, height, format="rgb24", interpolation="AREA")
    pixels = made.to_ndarray().astype(np.uint8, copy=False)
    return np.ascontiguousarray(np.rot90(pixels, frame.rotation // 90))
