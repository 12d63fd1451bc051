"""Networks of streams over clips: their trainings, and one stream at a given cost."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from benchmarks.comparison.trainings import Job, Trained
from controller.counted_figures import cost_of
from search_space.architecture import Head
from search_space.assemblenet import MultiStreamArchitecture
from search_space.stream_graph import LEVELS, StemKind, StreamGraph, StreamNode, StreamStem
from training.executor import TrainingError

if TYPE_CHECKING:
    from torch import nn

    from training.executor import TrainingResult
    from training.task import Task
    from training.trainer import Trainer

_STEP = 1.02
"""From one width of a single stream to the next that is tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """A network of streams; a ``networks.Network``.

    Attributes:
        name: Among the others.
        architecture: What it is.
    """

    name: str
    architecture: MultiStreamArchitecture

    @property
    def key(self) -> str:
        """The architecture's."""
        return self.architecture.key

    def build(self, head: Head, seed: int) -> nn.Module:
        """Untrained, with weights drawn from the network and the seed; scores `[N, classes]`."""
        from search_space.assemblenet_network import draw_stream_weights

        module = self.architecture.build(head)
        draw_stream_weights(module, f"{self.key}/{seed}")
        return module


def searched(job: Job) -> TrainingResult:
    """Train a network of a search: validation accuracy, and what it learned of its connections.

    Raises:
        TrainingError: If it diverges.
    """
    _, _, _, result = _fit(job)
    return result


def retrained(job: Job) -> Trained:
    """Train a network that was chosen, and see the test split once; see ``trainings.fitted``."""
    from training.task import Split

    try:
        trainer, module, task, result = _fit(job)
        test = trainer.evaluate(module, task, size=job.size, split=Split.TEST)
    except TrainingError as error:
        return Trained(validation=0.0, test=0.0, seconds=0.0, failure=str(error))
    return Trained(validation=result.accuracy, test=test, seconds=result.seconds)


def single_stream(frame: MultiStreamArchitecture, head: Head, macs: float) -> Streams:
    """A network with one stream over frames, one node a level, nearest to so many multiply-adds.

    Each node reads the one before, and widths are AssembleNet's of all streams together, times
    one number.

    Args:
        frame: A network whose size, frames, repeats, strides and kernels it has.
        head: What it ends in.
        macs: For one clip.
    """
    made = list(_wider(frame))

    def cost(network: MultiStreamArchitecture) -> int:
        return cost_of(network, head).macs

    place = bisect_left(made, macs, key=cost)  # wider ones have more, or as many
    around = made[max(0, place - 1) : place + 1]
    best = min(around, key=lambda network: abs(cost(network) - macs))
    return Streams(name="single_stream", architecture=best)


def _wider(frame: MultiStreamArchitecture) -> Iterator[MultiStreamArchitecture]:
    """Single streams, each as wide as the one before or a little wider."""
    width, before = 1 / 64, None
    while width <= 4:
        nodes = tuple(
            StreamNode(level=level, inputs=(level,), filters=_times(width, filters))
            for level, filters in zip(range(LEVELS), (128, 256, 512, 512), strict=True)
        )
        network = replace(
            frame,
            graph=StreamGraph(stems=(StreamStem(kind=StemKind.RGB),), nodes=nodes),
            inner=tuple(_times(width, inner) for inner in (64, 128, 256, 512)),
            stem=replace(frame.stem, filters=_times(width, 128)),
        )
        if network != before:
            yield network
        width, before = width * _STEP, network


def _times(width: float, filters: int) -> int:
    return max(1, round(width * filters))


def _fit(job: Job) -> tuple[Trainer, nn.Module, Task, TrainingResult]:
    """Train on one thread of the CPU."""
    import torch

    from training.task import create, seen_by
    from training.trainer import Trainer

    assert isinstance(job.network, Streams)
    torch.set_num_threads(1)
    inputs = job.network.architecture.inputs
    task, trainer = seen_by(create(job.task), inputs), Trainer("cpu")
    module = job.network.build(task.head, job.seed)
    channels = inputs[0].shape[0]
    result = trainer.fit(
        module, task, job.schedule, size=job.size, seed=job.seed, channels=channels
    )
    return trainer, module, task, result
