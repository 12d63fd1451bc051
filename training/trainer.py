"""Trains one network on one task, to the same last bit every time on the CPU."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import save
from torch import nn
from torch.utils import deterministic

from training.checkpoint import Checkpoints
from training.course import Course
from training.distributed import ALONE, World, synchronised
from training.evaluation import Evaluation
from training.evaluator import Evaluator
from training.executor import Rung, TrainingResult
from training.feed import Feed
from training.gates import learned_gates
from training.loop import Loop
from training.possible import anchored
from training.progress import TrainingObserver, Unwatched
from training.schedule import Arithmetic, Schedule
from training.task import Split, Task
from workspace.errors import InputError, OperationError
from workspace.files import write_whole


class Trainer:
    """Fits networks on the GPU where there is one, else on the CPU.

    By default the optimizer is AdamW with decoupled weight decay on weights alone: of what was
    tried it gets furthest in the few hundred steps of a proxy task. After training, batch norms
    take their statistics anew (``training.batch_statistics``). What a network has learned of its
    connections is in the result's feedback (``training.gates``).

    Args:
        device: Torch's name; None for ``cuda`` where there is one, else ``cpu``.
        world: The processes that share each batch and are in touch; every one of them fits.
        exact: Whether a GPU gives the same bits every time too, which takes it time.
    """

    def __init__(
        self, device: str | None = None, *, world: World = ALONE, exact: bool = True
    ) -> None:
        self._channels: int | None = None
        self._world, self._exact = world, exact
        device = device or world.device
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))

    def fit(
        self,
        module: nn.Module,
        task: Task,
        schedule: Schedule,
        *,
        size: int,
        seed: int,
        channels: int | None = None,
        checkpoint: Path | None = None,
        rungs: Sequence[Rung] = (),
        observer: TrainingObserver | None = None,
        evaluate_every: int = 0,
        checkpoints: Checkpoints | None = None,
    ) -> TrainingResult:
        """Train ``module`` in place, and evaluate it on the validation split.

        A look at a rung takes half as many validation images as were trained on until then, at
        least ``LEAST_LOOKED_AT``, the same ones for every network, and changes nothing of what
        comes after it. It looks at an average of the latest weights, which the high learning rate
        of a training under way does not shake: of 14 networks of ``fashion-mbconv`` the accuracy
        after a third of the samples told the order in the end with a rank correlation of 0.94 so,
        and of 0.75 with the weights as they were.

        Args:
            module: With its untrained weights.
            task: Gives batches, loss and metric.
            schedule: How much, and how; the network can take the sizes of its stages. Its anchors
                hold; who examines the network afterwards gives a task that has them.
            size: Input size in pixels, at which it is evaluated.
            seed: Fixes the order of examples, their augmentation, and dropout.
            channels: That the network takes; grey images are repeated to as many.
            checkpoint: Where the trained weights go, as safetensors, unless it is stopped early;
                None for nowhere.
            rungs: Where it is looked at on the way, the fewest samples first; those beyond the
                schedule are left out.
            observer: Is told of it; None for nobody.
            evaluate_every: Training images between evaluations on the way, of which there is one
                at the end of a stage, too; they change nothing of what comes after; 0 for none.
            checkpoints: Where its state is kept, and where it goes on from, on the CPU as if it
                had never been cut off; None for nowhere, as with rungs.

        Raises:
            InputError: If this device cannot do the schedule's arithmetic, or the checkpoints are
                of another training.
            TrainingError: If the loss, or an output on the validation split, is not finite.
            OperationError: If the data is not there, or nothing to compile with.
        """
        started, is_cpu = time.monotonic(), self._device.type == "cpu"
        self.require_possible(schedule)
        task = anchored(task, schedule.anchor)
        self._channels = channels
        feed = Feed(self._device, channels)
        with _seeded(seed, self._device, exact=self._exact or is_cpu):
            _channels_last(module.to(self._device))
            before = [rung for rung in rungs if rung.samples < schedule.samples]
            with synchronised(module, self._world):
                loop = Loop(
                    module, task, schedule, size=size, seed=seed, feed=feed, world=self._world
                )
                course = Course(
                    loop,
                    Evaluator(task, feed, size),
                    observer or Unwatched(),
                    size=size,
                    seed=seed,
                    evaluate_every=evaluate_every,
                    checkpoints=None if rungs else checkpoints,
                )
                looks = course.run(module, before)
            stopped = bool(looks) and looks[-1].accuracy < before[len(looks) - 1].least
            evaluation = None if stopped else course.end(module)
        if checkpoint is not None and not stopped and self._world.is_first:
            save_weights(module, checkpoint)
        return TrainingResult(
            accuracy=looks[-1].accuracy if evaluation is None else evaluation.accuracy,
            samples=loop.seen,
            seconds=time.monotonic() - started,
            feedback=learned_gates(module),
            looks=tuple(looks),
            stopped=stopped,
            evaluation=evaluation,
        )

    def evaluate(self, module: nn.Module, task: Task, *, size: int, split: Split) -> float:
        """The task's metric over a whole split.

        Raises:
            TrainingError: If an output is not finite.
        """
        return self.examine(module, task, size=size, split=split).accuracy

    def examine(self, module: nn.Module, task: Task, *, size: int, split: Split) -> Evaluation:
        """What a network is worth on a whole split; it is in eval mode then.

        Raises:
            TrainingError: If an output is not finite.
        """
        return Evaluator(task, Feed(self._device, self._channels), size).whole(module, split)

    def require_possible(self, schedule: Schedule) -> None:
        """Do nothing if this machine can train as the schedule says.

        Raises:
            InputError: If its arithmetic is not this device's.
            OperationError: If there is nothing to compile with.
        """
        if schedule.arithmetic is Arithmetic.FP16 and self._device.type == "cpu":
            msg = "fp16 needs a GPU, and this trains on the CPU: take fp32 or bf16"
            raise InputError(msg)
        compilers = (os.environ.get("CXX", ""), "g++", "clang++")
        if schedule.compiled and not any(shutil.which(name) for name in compilers if name):
            msg = "torch.compile needs a C++ compiler, and there is none: apt-get install g++"
            raise OperationError(msg)


def save_weights(module: nn.Module, path: Path) -> None:
    """Write what ``module`` keeps as safetensors, whole or not at all."""
    state = {name: value.contiguous().cpu() for name, value in module.state_dict().items()}
    write_whole(path, save(state))


def _channels_last(module: nn.Module) -> None:
    """Lay out weights of two and of three dimensions with channels last, which is faster."""
    for part in module.modules():
        for value in (*part.parameters(recurse=False), *part.buffers(recurse=False)):
            if value.ndim in _LAYOUTS:
                # ``contiguous`` would leave the strides of a stem for grey images as they are.
                value.data = value.data.to(memory_format=_LAYOUTS[value.ndim])


_LAYOUTS = {4: torch.channels_last, 5: torch.channels_last_3d}

_FILLED = "fill_uninitialized_memory"
"""An attribute of ``torch.utils.deterministic`` that its types do not know."""


@contextmanager
def _seeded(seed: int, device: torch.device, *, exact: bool) -> Iterator[None]:
    """Torch's global generator and algorithms fixed for a while, then as before.

    Args:
        seed: Of the generators, of the CPU and of the device.
        device: That trains.
        exact: Whether only algorithms that give the same bits every time are taken; else those
            that turn out to be the fastest.
    """
    before = torch.are_deterministic_algorithms_enabled()
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    devices = [] if device.type == "cpu" else [device]
    filled, tried = getattr(deterministic, _FILLED), torch.backends.cudnn.benchmark
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(mode=exact, warn_only=True)
        setattr(deterministic, _FILLED, False)  # to find bugs with; an eighth slower
        torch.backends.cudnn.benchmark = tried if exact else True
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(mode=before, warn_only=warned)
            setattr(deterministic, _FILLED, filled)
            torch.backends.cudnn.benchmark = tried
