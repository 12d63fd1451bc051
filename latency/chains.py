"""Networks written by hand, of equal blocks in a row: so many per cent more, so much slower.

They need no torch, and their weights come from a hash, so that they are the same everywhere.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import TYPE_CHECKING

from devices.device import ModelFile
from exporters.graph import Convolution, Depthwise, Fused, Graph, Mean, Node, Operator, Padding

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Chain:
    """A network operator by operator, each after the one before.

    Args:
        name: What its weights are derived from.
        size: Of the image, in pixels.
        channels: Of the image.
    """

    def __init__(self, name: str, *, size: int, channels: int = 3) -> None:
        self._name = name
        self._shapes: list[tuple[int, ...]] = [(1, size, size, channels)]
        self._nodes: list[Node] = []

    def convolution(self, channels: int, *, kernel: int = 1, stride: int = 1) -> None:
        """A convolution to ``channels`` channels, and ReLU6."""
        _, height, _, inputs = self._shapes[-1]
        size, name = -(-height // stride), self._next()
        operator = Convolution(
            weights=_weights(name, (channels, kernel, kernel, inputs)),
            bias=_weights(f"{name}.bias", (channels,)),
            stride=(stride, stride),
            dilation=(1, 1),
            padding=Padding.SAME,
            fused=Fused.RELU6,
        )
        self._add(operator, (1, size, size, channels), name)

    def depthwise(self, *, kernel: int = 3, stride: int = 1) -> None:
        """A convolution of each channel apart, and ReLU6."""
        _, height, _, channels = self._shapes[-1]
        size, name = -(-height // stride), self._next()
        operator = Depthwise(
            weights=_weights(name, (1, kernel, kernel, channels)),
            bias=_weights(f"{name}.bias", (channels,)),
            multiplier=1,
            stride=(stride, stride),
            dilation=(1, 1),
            padding=Padding.SAME,
            fused=Fused.RELU6,
        )
        self._add(operator, (1, size, size, channels), name)

    def mean(self) -> None:
        """The mean of each channel."""
        self._add(Mean(axes=(1, 2), keep=True), (1, 1, 1, self._shapes[-1][3]), self._next())

    def file(self, folder: Path) -> ModelFile:
        """The network as a file in ``folder``, named by its content.

        Raises:
            ExportError: If it cannot be written.
        """
        from exporters.tflite import write

        folder.mkdir(parents=True, exist_ok=True)
        graph = Graph(
            shapes=tuple(self._shapes),
            nodes=tuple(self._nodes),
            inputs=(("image", 0),),
            outputs=(("scores", len(self._shapes) - 1),),
        )
        artifact = write(graph, folder)
        return ModelFile(path=artifact.path, sha256=artifact.sha256)

    def _next(self) -> str:
        return f"{self._name}/{len(self._nodes)}"

    def _add(self, operator: Operator, shape: tuple[int, ...], name: str) -> None:
        self._shapes.append(shape)
        last = len(self._shapes) - 1
        self._nodes.append(Node(operator=operator, inputs=(last - 1,), output=last, name=name))


def equal_blocks(
    folder: Path, *, blocks: int, channels: int, size: int, kernel: int = 3
) -> ModelFile:
    """A file of ``blocks`` equal blocks, each a depthwise convolution and a 1x1 one.

    Raises:
        ExportError: If it cannot be written.
    """
    chain = Chain(f"blocks-{channels}-{size}-{kernel}", size=size, channels=channels)
    for _ in range(blocks):
        chain.depthwise(kernel=kernel)
        chain.convolution(channels)
    return chain.file(folder)


def _weights(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Numbers around 0 whose spread is that of the fan-in's root, from a hash of ``name``."""
    import numpy as np

    count = math.prod(shape)
    noise = np.frombuffer(hashlib.shake_128(name.encode()).digest(count), np.uint8)
    fan_in = max(1, math.prod(shape[1:]))
    values = (noise.astype(np.float32) / 255 - 0.5) * np.float32(3.4 / math.sqrt(fan_in))
    return values.astype(np.float32).reshape(shape)
