"""Does the trainer keep up with a bare loop of forward, backward and step?

A random network of ``mnasnet`` at the widths for small images, on Fashion-MNIST in memory (another
with ``--dataset``). The trainer does all that it does in ``pocketnas train``: draws the order,
gathers and augments batches, sets the rate, checks and logs losses, keeps checkpoints. The bare
loop has its batches ready on the device, the same network, optimizer, memory layout and batch, and
none of torch's deterministic algorithms. Blocks of steps of both alternate within one training, so
that what else this computer does disturbs both alike.

Keys: ``ratio``, the median over pairs of neighbouring blocks of the trainer's images a second over
the bare loop's, with a bootstrap interval of 90 % (``ratio_low``, ``ratio_high``);
``trainer_images_per_s`` and ``bare_images_per_s``, medians; ``target``, what the ratio should be
at least; ``cpu_ratio``, the same of the CPU time of the process, which other work disturbs less;
``setup``, what was run.

Run: ``python benchmarks/train_throughput.py [--quick]``; one JSON object comes last on stdout.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from search_space.space import create as create_space
from training.checkpoint import Checkpoints, Identity
from training.evaluation import Evaluation
from training.feed import Feed
from training.progress import Step
from training.schedule import Schedule
from training.stages import TrainingStage
from training.task import Split, Task, create
from training.trainer import Trainer
from training.training_log import TrainingLog

TARGET = 0.95
READY = 32
"""Batches that the bare loop goes through again and again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What is run.

    Attributes:
        dataset: Name of the task.
        size: Of the images, in pixels.
        batch: Images a step.
        block: Steps of a block.
        pairs: Blocks of each, after one of each to warm up.
    """

    dataset: str
    size: int
    batch: int
    block: int
    pairs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """A time, or how long something took.

    Attributes:
        wall_s: By the clock.
        cpu_s: Of the process's threads.
    """

    wall_s: float
    cpu_s: float

    def __sub__(self, other: Clock) -> Clock:
        return Clock(wall_s=self.wall_s - other.wall_s, cpu_s=self.cpu_s - other.cpu_s)


class Bare:
    """Forward, backward and step, over batches that are ready."""

    def __init__(self, module: nn.Module, task: Task, setup: Setup, device: torch.device) -> None:
        self._module = module.to(device).to(memory_format=torch.channels_last).train()
        self._optimizer = torch.optim.AdamW(module.parameters(), lr=1e-3)
        examples, feed = task.examples(Split.TRAIN, setup.size), Feed(device)
        self._batches: list[tuple[Tensor, Tensor]] = []
        for first in range(READY):
            indices = torch.arange(setup.batch) + first * setup.batch
            (images,), labels = feed.batch(examples, indices % len(examples), None)
            self._batches.append((images.clone(), labels))
        self._place = 0

    def run(self, steps: int) -> None:
        """Do so many steps."""
        for _ in range(steps):
            images, labels = self._batches[self._place % READY]
            self._place += 1
            loss = functional.cross_entropy(self._module(images), labels)
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self._optimizer.step()


class Alternating:
    """A ``TrainingObserver`` that runs and times the bare loop between blocks of the training."""

    def __init__(self, bare: Bare, log: TrainingLog, setup: Setup, device: torch.device) -> None:
        self._bare, self._log, self._setup, self._device = bare, log, setup, device
        self._since: Clock | None = None
        self.trainer: list[Clock] = []
        self.bare: list[Clock] = []

    def on_stage(self, stage: int, part: TrainingStage, seen: int) -> None:
        """See ``TrainingObserver.on_stage``."""
        self._log.on_stage(stage, part, seen)

    def on_evaluation(self, evaluation: Evaluation, seen: int) -> None:
        """See ``TrainingObserver.on_evaluation``."""
        self._log.on_evaluation(evaluation, seen)

    def on_step(self, step: Step) -> None:
        """See ``TrainingObserver.on_step``."""
        self._log.on_step(step)
        if step.number % self._setup.block:
            return
        since, now = self._since, self._now()
        torch.use_deterministic_algorithms(mode=False)
        self._bare.run(self._setup.block)
        torch.use_deterministic_algorithms(mode=True, warn_only=True)
        self._since = self._now()
        if since is not None:  # the first block of each warms up
            self.trainer.append(now - since)
            self.bare.append(self._since - now)

    def _now(self) -> Clock:
        if self._device.type == "cuda":
            torch.cuda.synchronize()
        return Clock(wall_s=time.perf_counter(), cpu_s=time.process_time())


def measured(setup: Setup, folder: Path) -> dict[str, object]:
    """The keys of the result."""
    trainer, task = Trainer(), create(setup.dataset)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    options = {**task.proxy.space_options, "size": str(setup.size)}
    space = create_space("mnasnet", options)
    architecture = space.decode(space.points.sample(random.Random(0)))
    images = setup.batch * setup.block * (setup.pairs + 1)
    schedule = Schedule(samples=images, batch=setup.batch, learning_rate=1e-3)
    bare = Bare(architecture.build(task.head), task, setup, device)
    module = architecture.build(task.head)
    alternating = Alternating(bare, TrainingLog(folder / "log.jsonl"), setup, device)
    identity = Identity(
        architecture=architecture.key, task=setup.dataset, schedule=schedule, seed=0
    )
    trainer.fit(
        module,
        task,
        schedule,
        size=setup.size,
        seed=0,
        observer=alternating,
        checkpoints=Checkpoints(folder / "checkpoints", identity),
    )
    a_block = setup.batch * setup.block
    pairs = list(zip(alternating.trainer, alternating.bare, strict=True))
    ratios = [bare.wall_s / ours.wall_s for ours, bare in pairs]
    low, high = interval(ratios)
    return {
        "ratio": statistics.median(ratios),
        "ratio_low": low,
        "ratio_high": high,
        "cpu_ratio": statistics.median(bare.cpu_s / ours.cpu_s for ours, bare in pairs),
        "target": TARGET,
        "trainer_images_per_s": statistics.median(a_block / ours.wall_s for ours, _ in pairs),
        "bare_images_per_s": statistics.median(a_block / bare.wall_s for _, bare in pairs),
        "setup": {
            "network": architecture.key,
            "dataset": setup.dataset,
            "size": setup.size,
            "batch": setup.batch,
            "block": setup.block,
            "pairs": len(pairs),
            "device": device.type,
            "threads": torch.get_num_threads(),
        },
    }


def interval(ratios: Sequence[float], draws: int = 2000) -> tuple[float, float]:
    """90 % of the medians of resampled ratios."""
    rng = np.random.default_rng(0)
    medians = np.median(rng.choice(list(ratios), (draws, len(ratios))), axis=1)
    low, high = np.quantile(medians, (0.05, 0.95))
    return float(low), float(high)


def main() -> None:
    """Run it as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="8 pairs unless --pairs is given")
    parser.add_argument("--dataset", default="fashion-mnist", help="(fashion-mnist)")
    parser.add_argument("--size", type=int, default=28, help="of the images, in pixels (28)")
    parser.add_argument("--batch", type=int, default=64, help="images a step (64)")
    parser.add_argument("--block", type=int, default=10, help="steps of a block (10)")
    parser.add_argument("--pairs", type=int, help="blocks of each (40)")
    given = parser.parse_args()
    setup = Setup(
        dataset=given.dataset,
        size=given.size,
        batch=given.batch,
        block=given.block,
        pairs=given.pairs or (8 if given.quick else 40),
    )
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measured(setup, Path(folder))))


if __name__ == "__main__":
    main()
