"""How long the stages of a comparison will take on this computer, and how long they have taken."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from benchmarks.comparison.log import Log
from latency.presets import preset

if TYPE_CHECKING:
    from torch import Tensor, nn

    from training.detection import ObjectDetection
    from training.task import Outputs

EVALUATED = 20_000 / 3
"""Validation and test split in training images: forward alone takes about a third."""

_SCENES = 16
"""Of a training step."""

_START_S = 0.3
"""Of a session's process, with its share of the sentinel's."""


class Hours:
    """Wall-clock time of all runs on one log, noted as they go, so that a killed run counts too.

    Args:
        log: Where it is kept.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._began = time.monotonic()
        self._name = f"{time.time():.3f}"
        self.note()

    @property
    def here(self) -> float:
        """Of this run so far."""
        return (time.monotonic() - self._began) / 3600

    @property
    def total(self) -> float:
        """Of all runs so far."""
        self.note()
        found = (self._log.find(name) for name in self._log.keys)
        return sum(float(str(facts["hours"])) for facts in found if facts)

    def note(self) -> None:
        """Keep how long this run has taken so far."""
        self._log.add(self._name, {"hours": round(self.here, 5)})


def timing_s(name: str) -> float:
    """What the sessions of one network take, about, with process starts and the sentinel."""
    protocol = preset(name)
    sessions = (protocol.sessions_min + protocol.sessions_max) / 2
    return sessions * (protocol.warmup_min_s + protocol.timed_min_s + _START_S)


def seconds_a_sample(module: nn.Module, size: int) -> float:
    """CPU time of training on one thread, from the fastest of three steps of 64 grey images.

    Args:
        module: Any classifier; changed by the steps.
        size: Of the images, in pixels.
    """
    import torch

    images = torch.zeros(64, 1, size, size).contiguous(memory_format=torch.channels_last)
    return seconds_of(module.to(memory_format=torch.channels_last), images)


def seconds_of(module: nn.Module, *batch: Tensor) -> float:
    """CPU time of training on an example on one thread, from the fastest of three steps.

    Args:
        module: Any classifier; changed by the steps.
        batch: All its inputs, each of as many examples.
    """
    import torch
    from torch.nn import functional

    labels = torch.zeros(len(batch[0]), dtype=torch.long)
    step = _step(module, batch, lambda out: functional.cross_entropy(out, labels))
    return min(step() for _ in range(3)) / len(batch[0])


def seconds_a_scene(module: nn.Module, task: ObjectDetection, size: int) -> float:
    """The same of a detector, in steps of 16 grey images with two things each.

    Args:
        module: Ends in the task's head; changed by the steps.
        task: Whose loss it is.
        size: Of the images, in pixels.
    """
    step = _scene_step(module, task, size)
    return min(step() for _ in range(3)) / _SCENES


def step_ratio(
    module: nn.Module, other: nn.Module, task: ObjectDetection, size: int, steps: int = 12
) -> float:
    """CPU time of a training step of a detector, as a part of another's.

    Steps are made in turn, so that both meet what else this computer does: the median counts.

    Args:
        module: Ends in the task's head; changed by the steps.
        other: The same.
        task: Whose loss it is.
        size: Of the images, in pixels.
        steps: Of each.
    """
    first, second = (_scene_step(each, task, size) for each in (module, other))
    return statistics.median(first() / second() for _ in range(steps))


def _scene_step(module: nn.Module, task: ObjectDetection, size: int) -> Callable[[], float]:
    import torch

    things = torch.tensor([[0.0, 0.1, 0.1, 0.5, 0.4], [1.0, 0.3, 0.5, 0.9, 0.9]])
    targets = (things * torch.tensor([1.0, size, size, size, size])).expand(_SCENES, -1, -1)
    images = torch.zeros(_SCENES, 1, size, size).contiguous(memory_format=torch.channels_last)
    return _step(
        module.to(memory_format=torch.channels_last),
        (images,),
        lambda out: task.loss(out, targets, label_smoothing=0.0),
    )


def _step(
    module: nn.Module, batch: tuple[Tensor, ...], loss: Callable[[Outputs], Tensor]
) -> Callable[[], float]:
    """Makes a training step and gives its CPU time; one that does not count was made."""
    import torch

    torch.set_num_threads(1)
    module = module.train()
    optimizer = torch.optim.AdamW(module.parameters())

    def step() -> float:
        began = time.process_time()
        optimizer.zero_grad()
        loss(module(*batch)).backward()
        optimizer.step()
        return time.process_time() - began

    step()
    return step
