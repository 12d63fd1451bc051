"""The steps of a training, stage after stage, and its whole state between any two of them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from search_space.architecture import Detector
from training.augmentation import augmented
from training.averages import WeightAverage
from training.box_augmentation import augmented_boxes
from training.distributed import ALONE, World
from training.executor import TrainingError
from training.feed import Feed
from training.order import Order
from training.possible import jittered, require_fitting, require_shares
from training.progress import Step
from training.rates import rate
from training.saved import Saved
from training.schedule import Schedule
from training.stages import Regularization, TrainingStage
from training.stepper import Stepper
from training.task import Examples, Split, Task

AHEAD = 4
"""Batches that examples may read ahead."""

READ_EVERY = 25
"""Steps after which losses are read from a GPU, which until then need not be waited for."""


class Loop:
    """A training under way.

    Weights, optimizer, average and learning rate go on from stage to stage; image size, batch and
    regularization change. A stage begins with the first step after its time has come, so steps
    never are of two stages.

    Args:
        module: On the feed's device; trained in place.
        task: Gives examples and loss.
        schedule: How much, and how.
        size: Input size in pixels where the schedule has no stages.
        seed: Of order and augmentation.
        feed: Brings examples.
        world: The processes that share each batch.

    Raises:
        InputError: If a stage would mix or distort what the task does not let it, or has fewer
            images in a batch than there are processes, or labels of boxes would be smoothed, or
            images scaled that the task does not scale.
    """

    def __init__(
        self,
        module: nn.Module,
        task: Task,
        schedule: Schedule,
        *,
        size: int,
        seed: int,
        feed: Feed,
        world: World = ALONE,
    ) -> None:
        self._module, self._task, self.schedule = module, task, schedule
        self.feed, self.world, self._seed = feed, world, seed
        self._parts = schedule.parts(size)
        require_fitting(task, schedule, self._parts)
        require_shares(self._parts, world.size)
        self._stage, self._examples = -1, self._made_examples(self._parts[0].size)
        feed.prepare(self._examples)
        self._size, self._others = self._parts[0].size, dict[int, Examples]()
        self._stepper = Stepper(module, task, schedule, world)
        self._generator = torch.Generator().manual_seed(seed)
        self._drawing = self._generator if world.size == 1 else torch.Generator()
        self._order = Order(len(self._examples), self._generator)
        self._dropout = {part: part.p for part in module.modules() if isinstance(part, nn.Dropout)}
        self._unread: list[Tensor] = []
        self.step, self.seen, self.steps = 0, 0, self._counted()
        self.seconds = 0.0

    @property
    def average(self) -> WeightAverage | None:
        """Of the weights; None if the schedule has none."""
        return self._stepper.average

    @property
    def latest(self) -> nn.Module:
        """The network that would be evaluated now: the average where there is one."""
        return self._module if self.average is None else self.average.network

    @property
    def stage(self) -> int:
        """Place of the stage of the next step."""
        ends = (part.until * self.schedule.samples for part in self._parts)
        return sum(self.seen >= end for end in list(ends)[:-1])

    @property
    def part(self) -> TrainingStage:
        """The stage of the next step, with its batch."""
        return self._parts[self.stage]

    def examples_at(self, size: int) -> Examples:
        """The training split at a size; the last other one than the stage's is kept."""
        if size == self._size:
            return self._examples
        if size not in self._others:
            self._others = {size: self._made_examples(size)}
        return self._others[size]

    def _made_examples(self, size: int) -> Examples:
        """The training split, scaled as the schedule says where it says anything."""
        examples = self._task.examples(Split.TRAIN, size)
        if not self.schedule.jitter:
            return examples
        return jittered(examples, self.schedule.jitter, self._task.name)

    def run(self) -> Iterator[Step]:
        """Train to the end, one step at a time.

        Raises:
            TrainingError: If the loss is not finite.
        """
        self._module.train()
        samples = self.schedule.samples
        try:
            while (left := samples - self.seen) >= self.world.least or not self.step:
                began = time.monotonic()
                stage, part = self.stage, self.part
                self._enter(stage, part)
                learning_rate = self.schedule.learning_rate * rate(
                    self.schedule, seen=self.seen, batch=self._batch(part), epoch=self._epoch
                )
                indices = self._order.take(self._batch(part))[:left]
                self._unread.append(self._stepped(indices, part, learning_rate))
                self.step, self.seen = self.step + 1, self.seen + len(indices)
                loss = self._read()
                self.seconds += time.monotonic() - began
                yield Step(
                    number=self.step,
                    steps=self.steps,
                    seen=self.seen,
                    images=len(indices),
                    samples=samples,
                    stage=stage,
                    part=part,
                    learning_rate=learning_rate,
                    loss=loss,
                    seconds=self.seconds,
                    done=self._pixels(self.seen) / self._pixels(samples),
                )
        finally:
            for dropout, probability in self._dropout.items():
                dropout.p = probability

    def saved(self) -> Saved:
        """All of the state between two steps."""
        steps = self._stepper.saved()
        tensors = {
            **steps.tensors,
            "random.epoch": self._order.before,
            "random.order": self._generator.get_state(),
            "random.torch": torch.get_rng_state(),
        }
        if self.feed.device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(self.feed.device)
        return Saved(
            tensors=tensors,
            facts={
                **steps.facts,
                "step": self.step,
                "seen": self.seen,
                "seconds": self.seconds,
                "position": self._order.position,
            },
        )

    def go_on_from(self, saved: Saved) -> None:
        """Be where another loop of the same training was."""
        tensors, facts = saved.tensors, saved.facts
        self._stepper.go_on_from(saved)
        self._order.go_to(tensors["random.epoch"], int(str(facts["position"])))
        self._generator.set_state(tensors["random.order"])
        torch.set_rng_state(tensors["random.torch"])
        if "random.cuda" in tensors and self.feed.device.type == "cuda":
            torch.cuda.set_rng_state(tensors["random.cuda"], self.feed.device)
        self.step, self.seen = int(str(facts["step"])), int(str(facts["seen"]))
        self.seconds = float(str(facts["seconds"]))

    @property
    def _epoch(self) -> int:
        return len(self._examples)

    def _batch(self, part: TrainingStage) -> int:
        assert part.batch is not None
        return min(part.batch, self._epoch)

    def _counted(self) -> int:
        """Steps of the whole training."""
        count, seen, samples = 0, 0, self.schedule.samples
        for part in self._parts:
            batch = self._batch(part)
            whole = (samples - seen) // batch
            steps = max(0, math.ceil((part.until * samples - seen) / batch))
            count, seen = count + min(steps, whole), seen + min(steps, whole) * batch
            if steps > whole:
                return count + (samples - seen >= self.world.least or count == 0)
        return count

    def _pixels(self, seen: int) -> float:
        """Of so many images from the beginning on."""
        total, start = 0.0, 0.0
        for part in self._parts:
            end = part.until * self.schedule.samples
            total += max(0.0, min(seen, end) - start) * part.size**2
            start = end
        return total

    def _enter(self, stage: int, part: TrainingStage) -> None:
        """Have the size and the regularization of a stage, unless they are there."""
        if stage == self._stage:
            return
        self._examples, self._stage = self.examples_at(part.size), stage
        self._size = part.size
        self.feed.prepare(self._examples)
        for dropout, own in self._dropout.items():
            chosen = part.regularization.dropout
            dropout.p = own if chosen is None else chosen

    def _stepped(self, indices: Tensor, part: TrainingStage, learning_rate: float) -> Tensor:
        """One step on some examples; this process's part of the loss."""
        mine = self.world.part(indices)
        self._draw_anew()
        inputs, targets = self.feed.batch(self._examples, mine, self._drawing)
        coming = self._order.coming(self._batch(part), AHEAD)
        if coming:  # they are read while this step is done
            ours = torch.cat([self.world.part(indices) for indices in coming])
            self.feed.expect(self._examples, ours)
        if part.regularization.changes_images:
            inputs, targets = self._mixed(inputs, targets, part.regularization)
        share = len(mine) / len(indices)
        return self._stepper.step(inputs, targets, rate=learning_rate, share=share)

    def _draw_anew(self) -> None:
        """Where there are several processes, let each draw by seed, step and rank."""
        if self.world.size > 1:
            seed = self.world.seed(self._seed, self.step)
            self._drawing.manual_seed(seed)
            torch.manual_seed(seed)

    def _mixed(
        self, inputs: tuple[Tensor, ...], targets: Tensor, strength: Regularization
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """A batch after what the stage asks for."""
        (images,) = inputs
        head, preprocessing = self._task.head, getattr(self._task, "preprocessing", None)
        if isinstance(head, Detector):
            images, targets = augmented_boxes(
                images,
                targets,
                strength=strength,
                preprocessing=preprocessing,
                generator=self._drawing,
            )
        else:
            images, targets = augmented(
                images,
                targets,
                strength=strength,
                classes=head.classes,
                preprocessing=preprocessing,
                generator=self._drawing,
            )
        return (images,), targets

    def _read(self) -> float | None:
        """The mean of the losses since the last reading, if it is time for one."""
        is_end = self.schedule.samples - self.seen < self.world.least
        if self.feed.device.type != "cpu" and len(self._unread) < READ_EVERY and not is_end:
            return None
        losses = self.world.summed(torch.stack(self._unread).float()).tolist()
        self._unread.clear()
        for place, loss in enumerate(losses):
            if not math.isfinite(loss):
                step = self.step - len(losses) + 1 + place
                msg = f"the loss is {loss} at step {step} of {self.steps}: it diverged"
                raise TrainingError(msg)
        return math.fsum(losses) / len(losses)
