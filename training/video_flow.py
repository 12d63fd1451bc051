"""Optical flow that somebody has computed of videos, in files of NumPy beside them.

``run/a.mp4`` has it in ``run/a.flow.npy``: `[F, 2, H, W]` float16 or float32. Its frame i says how
far each pixel of the video's frame i goes until the next one, to the right and down, in pixels of
this file. It is of whole frames as they are shown, in any H and W. F is the number of the video's
frames, or one less: the last frame has the flow of the one before then. Files are mapped into
memory, so that only the frames of a clip are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.pictures import Box
from training.video_frames import LONGEST
from training.video_seconds import cut_name, parted
from workspace.errors import OperationError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_KINDS = ("float16", "float32")


def flow_file(path: Path) -> Path:
    """Where the flow of a video is; of some seconds of a file under the name of a cut.

    >>> flow_file(Path("a.mp4")).name, flow_file(Path("a.mp4#t=5,15")).name
    ('a.flow.npy', 'a_000005_000015.flow.npy')
    """
    file, seconds = parted(path)
    name = file.stem if seconds is None else cut_name(file.stem, seconds)
    return file.with_name(f"{name}.flow.npy")


def flow_fault(path: Path, length: int) -> str:
    """Why a video has no flow that can be used; empty if it has.

    Args:
        path: Of the video.
        length: Of it, in frames.
    """
    file = flow_file(path)
    if not file.is_file():
        return f"{file.name} is not there"
    try:
        flow = _mapped(file)
    except (OSError, ValueError, EOFError) as error:
        return f"{file.name} cannot be read: {error}"
    if str(flow.dtype) not in _KINDS or flow.ndim != 4 or flow.shape[1] != 2 or not flow.size:
        shape = ", ".join(map(str, flow.shape))
        return f"{file.name} is [{shape}] {flow.dtype}"
    if len(flow) < length - 1 or len(flow) > length < LONGEST:
        return f"{file.name} is of {len(flow)} frames, the video has {length}"
    return ""


def flow_raster(path: Path) -> tuple[int, int]:
    """H and W of the flow of a video.

    Raises:
        OperationError: If it cannot be read.
    """
    height, width = _opened(path).shape[2:]
    return height, width


def flow_clip(
    path: Path, numbers: Sequence[int], box: Box, raster: tuple[int, int], size: int
) -> NDArray[np.float32]:
    """A box of the flow of some frames `[2, T, size, size]`, in its own pixels.

    It says how far each goes until the next frame that is taken, as if it went on as it does.

    Args:
        path: Of the video.
        numbers: Of the frames, equally far apart.
        box: In pixels of ``raster``.
        raster: Height and width of the frames that the box is of.
        size: Pixels a side that the box becomes.

    Raises:
        OperationError: If it cannot be read.
    """
    import numpy as np
    from PIL import Image

    flow = _opened(path)
    stride = numbers[1] - numbers[0] if len(numbers) > 1 else 1
    down, right = (own / other for own, other in zip(flow.shape[2:], raster, strict=True))
    left, top, far, low = (
        place * scale for place, scale in zip(box, (right, down) * 2, strict=True)
    )
    scales = stride * size / (far - left), stride * size / (low - top)
    made = np.empty((2, len(numbers), size, size), dtype=np.float32)
    for time, number in enumerate(numbers):
        for axis, scale in enumerate(scales):
            plane = np.asarray(flow[min(number, len(flow) - 1), axis], dtype=np.float32)
            cut = Image.fromarray(plane).resize(
                (size, size), Image.Resampling.BILINEAR, (left, top, far, low)
            )
            made[axis, time] = np.asarray(cut) * scale
    return made


def _opened(path: Path) -> NDArray[Any]:
    try:
        return _mapped(flow_file(path))
    except (OSError, ValueError, EOFError) as error:
        file = str(flow_file(path))
        msg = f"the flow {file!r} could be read before and cannot be any more: {error}"
        raise OperationError(msg) from error


def _mapped(file: Path) -> NDArray[Any]:
    import numpy as np

    found: NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
    return found
