"""Clips in memory on a ground without ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from training.clip_frames import span_of, stride_of, uniform_starts

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Generator, Tensor


class GeneratedClips:
    """One split of clips at one size; an ``Examples``.

    Training sees them rolled, each by any number of pixels up and to the side, which changes
    nothing on a ground without ends, and begins anywhere in them; nothing is mirrored, since a
    mirrored motion is another one.

    Args:
        clips: `[N, T, H, W]` uint8, grey, of as many rows as columns; None where networks see the
            flow alone.
        labels: `[N]` int64.
        size: Pixels a side that networks see.
        frames: That they see, at most T.
        channels: To which grey is repeated.
        flow: `[N, T, 2, H, W]` uint8, right and down until the next frame, in steps from 128; None
            for none.
        flow_step: Pixels of a clip that a step of the flow is.
    """

    def __init__(
        self,
        clips: NDArray[np.uint8] | None,
        labels: NDArray[np.int64],
        size: int,
        *,
        frames: int,
        channels: int = 1,
        flow: NDArray[np.uint8] | None = None,
        flow_step: float = 1.0,
    ) -> None:
        import torch

        first = flow if clips is None else clips
        if first is None:
            msg = "there are neither clips nor flow"
            raise ValueError(msg)
        self._clips = None if clips is None else torch.from_numpy(clips)
        self._flow = None if flow is None else torch.from_numpy(flow)
        self._labels = torch.from_numpy(labels).long()
        self._size, self._channels, self._flow_step = size, channels, flow_step
        self.frames = frames
        length, self._side = first.shape[1], first.shape[-1]
        self._stride = stride_of(length, frames, length)
        self._slack = length - span_of(frames, self._stride)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._labels)

    def batch(
        self, indices: Tensor, generator: Generator | None
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Clips `[N, C, T, size, size]`, flow where wanted, labels `[N]`; see ``Examples``."""
        import torch

        count, side = len(indices), self._side
        (middle,) = uniform_starts(self._slack, 1)
        begins, rolled = torch.full((count,), middle), torch.zeros(2, count, dtype=torch.long)
        if generator is not None:
            begins = torch.randint(0, self._slack + 1, (count,), generator=generator)
            rolled = torch.randint(0, side, (2, count), generator=generator)
        steps = torch.arange(self.frames) * self._stride
        times = begins[:, None] + steps

        def cut(source: Tensor) -> Tensor:
            """`[N, T, …, H, W]`, resized."""
            chosen = _rolled(source[indices[:, None], times], rolled)
            return _resized(chosen.float(), self._size)

        inputs = []
        if self._clips is not None:
            clips = cut(self._clips).div_(127.5).sub_(1).unsqueeze(1)
            inputs.append(clips.repeat(1, self._channels, 1, 1, 1))
        if self._flow is not None:
            pixels = self._flow_step * self._stride * self._size / side
            inputs.append(cut(self._flow).sub_(128).mul_(pixels).transpose(1, 2).contiguous())
        return tuple(inputs), self._labels[indices]


def _rolled(clips: Tensor, by: Tensor) -> Tensor:
    """Clips `[N, T, …, S, S]`, each rolled down and to the right by its own pixels `[2, N]`."""
    import torch

    side, places = clips.shape[-1], torch.arange(clips.shape[-1])
    middle = (1,) * (clips.ndim - 3)
    for axis, pixels in zip((-2, -1), by, strict=True):
        source = (places - pixels[:, None]) % side
        shape = (len(clips), *middle, *((side, 1) if axis == -2 else (1, side)))
        clips = clips.gather(axis, source.reshape(shape).expand(clips.shape))
    return clips


def _resized(clips: Tensor, size: int) -> Tensor:
    """`[…, S, S]` to `[…, size, size]`, bilinear, averaged where it gets smaller."""
    from torch.nn import functional

    if clips.shape[-1] == size:
        return clips
    flat = clips.reshape(-1, 1, *clips.shape[-2:])
    made = functional.interpolate(
        flat, size=(size, size), mode="bilinear", align_corners=False, antialias=True
    )
    return made.reshape(*clips.shape[:-2], size, size)
