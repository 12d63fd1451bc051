"""Trains one network on one task, to the same last bit every time on the CPU."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import AveragedModel
from torch.utils import deterministic

from training.executor import Arithmetic, Look, Rung, Schedule, TrainingError, TrainingResult
from training.task import Examples, Split, Task
from workspace.files import write_whole

WARMUP = 0.1
"""Share of the steps over which the learning rate rises."""

STATISTICS_BATCHES = 8
"""Batches from which batch norms take their statistics after training."""

EVALUATION_BATCH = 250

LEAST_LOOKED_AT = 500
"""Validation images of the cheapest look at a training under way."""

AVERAGED = 8
"""Of the weights that are looked at: about the last tenth of the steps so far counts (eta of
Shamir and Zhang 2013, "Stochastic gradient descent for non-smooth optimization", section 3)."""


class Trainer:
    """Fits networks on the GPU where there is one, else on the CPU.

    The optimizer is AdamW with decoupled weight decay on weights alone: of what was tried it gets
    furthest in the few hundred steps of a proxy task. After training, batch norms take their
    statistics anew as plain averages over some batches ("precise BN", Wu and Johnson 2021, arXiv
    2105.07576): their running averages, at MnasNet's momentum of 0.99, need thousands of steps.

    Args:
        device: Torch's name; None for ``cuda`` where there is one, else ``cpu``.
    """

    def __init__(self, device: str | None = None) -> None:
        self._channels: int | None = None
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
            schedule: How much, and how.
            size: Input size in pixels.
            seed: Fixes the order of examples, their augmentation, and dropout.
            channels: That the network takes; grey images are repeated to as many.
            checkpoint: Where the trained weights go, as safetensors, unless it is stopped early;
                None for nowhere.
            rungs: Where it is looked at on the way, the fewest samples first; those beyond the
                schedule are left out.

        Raises:
            TrainingError: If the loss, or an output on the validation split, is not finite.
            OperationError: If the data is not there.
        """
        started = time.monotonic()
        self._channels = channels
        with _deterministic(seed):
            module.to(self._device).to(memory_format=torch.channels_last)
            examples = task.examples(Split.TRAIN, size)
            before = [rung for rung in rungs if rung.samples < schedule.samples]
            seen, looks = self._train(module, task, schedule, examples, seed, before, size)
            stopped = bool(looks) and looks[-1].accuracy < before[len(looks) - 1].least
            if stopped:
                accuracy = looks[-1].accuracy
            else:
                self._take_statistics(module, schedule, examples, seed)
                accuracy = self.evaluate(module, task, size=size, split=Split.VALIDATION)
        if checkpoint is not None and not stopped:
            state = {name: value.contiguous().cpu() for name, value in module.state_dict().items()}
            write_whole(checkpoint, save(state))
        return TrainingResult(
            accuracy=accuracy,
            samples=seen,
            seconds=time.monotonic() - started,
            looks=tuple(looks),
            stopped=stopped,
        )

    def evaluate(self, module: nn.Module, task: Task, *, size: int, split: Split) -> float:
        """The task's metric over a whole split.

        Raises:
            TrainingError: If an output is not finite.
        """
        examples = task.examples(split, size)
        return self._metric(module, task, examples, torch.arange(len(examples)), split)

    def _glance(self, module: nn.Module, task: Task, seen: int, size: int) -> float:
        """The task's metric over a part of the validation split."""
        examples = task.examples(Split.VALIDATION, size)
        order = torch.randperm(len(examples), generator=torch.Generator().manual_seed(0))
        chosen = order[: max(LEAST_LOOKED_AT, seen // 2)]
        return self._metric(module, task, examples, chosen, Split.VALIDATION)

    @torch.no_grad()
    def _metric(
        self, module: nn.Module, task: Task, examples: Examples, chosen: Tensor, split: Split
    ) -> float:
        module.eval()
        outputs, targets = [], []
        for indices in chosen.split(EVALUATION_BATCH):
            inputs, target = self._batch(examples, indices, None)
            outputs.append(module(*inputs).float().cpu())
            targets.append(target.cpu())
        scores = torch.cat(outputs)
        if not scores.isfinite().all():
            msg = f"outputs on the {split} split are not finite: the training diverged"
            raise TrainingError(msg)
        return task.metric(scores, torch.cat(targets))

    def _train(
        self,
        module: nn.Module,
        task: Task,
        schedule: Schedule,
        examples: Examples,
        seed: int,
        rungs: Sequence[Rung],
        size: int,
    ) -> tuple[int, list[Look]]:
        """How many images the module has seen, and what looks showed; it is trained in place."""
        seen, looks, left = 0, list[Look](), deque(rungs)
        average = AveragedModel(module, avg_fn=_towards) if left else None
        for seen in self._steps(module, task, schedule, examples, seed):
            if not left or average is None:
                continue
            average.update_parameters(module)
            if seen >= left[0].samples:
                self._take_statistics(average.module, schedule, examples, seed)
                accuracy = self._glance(average.module, task, seen, size)
                looks.append(Look(samples=seen, accuracy=accuracy))
                if accuracy < left.popleft().least:
                    break
        return seen, looks

    def _steps(
        self, module: nn.Module, task: Task, schedule: Schedule, examples: Examples, seed: int
    ) -> Iterator[int]:
        """Train the module in place; after each step, how many images it has seen."""
        batch = min(schedule.batch, len(examples))
        steps, rest = divmod(schedule.samples, batch)
        steps += rest > 1 or steps == 0  # one image alone has no batch statistics
        optimizer = torch.optim.AdamW(_groups(module, schedule), lr=schedule.learning_rate)
        rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps))
        generator = torch.Generator().manual_seed(seed)
        module.train()
        left = schedule.samples
        for step, indices in zip(
            range(steps), _order(len(examples), batch, generator), strict=False
        ):
            inputs, targets = self._batch(examples, indices[:left], generator)
            left -= len(targets)
            with self._arithmetic(schedule):
                loss = task.loss(
                    module(*inputs), targets, label_smoothing=schedule.label_smoothing
                )
            if not torch.isfinite(loss):
                msg = f"the loss is {loss.item()} at step {step + 1} of {steps}: it diverged"
                raise TrainingError(msg)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            rate.step()
            yield schedule.samples - left

    @torch.no_grad()
    def _take_statistics(
        self, module: nn.Module, schedule: Schedule, examples: Examples, seed: int
    ) -> None:
        norms = [part for part in module.modules() if isinstance(part, _BatchNorm)]
        momenta = [norm.momentum for norm in norms]
        module.eval()  # no dropout: only the norms behave as in training
        for norm in norms:
            norm.train()
            norm.reset_running_stats()
            norm.momentum = None  # a cumulative average
        generator = torch.Generator().manual_seed(seed + 1)
        order = _order(len(examples), max(schedule.batch, 64), generator)
        for _, indices in zip(range(STATISTICS_BATCHES), order, strict=False):
            inputs, _ = self._batch(examples, indices, None)
            module(*inputs)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum

    def _batch(
        self, examples: Examples, indices: Tensor, generator: torch.Generator | None
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        inputs, targets = examples.batch(indices, generator)
        if self._channels is not None:
            inputs = tuple(_with_channels(value, self._channels) for value in inputs)
        moved = tuple(value.to(self._device, non_blocking=True) for value in inputs)
        return moved, targets.to(self._device, non_blocking=True)

    @contextmanager
    def _arithmetic(self, schedule: Schedule) -> Iterator[None]:
        with torch.autocast(
            self._device.type,
            dtype=torch.bfloat16,
            enabled=schedule.arithmetic is Arithmetic.BF16,
        ):
            yield


def _towards(average: Tensor, weight: Tensor, steps: Tensor | int) -> Tensor:
    """The average of a weight over one step more, the later ones counting more."""
    return average.lerp(weight, (AVERAGED + 1) / (steps + AVERAGED + 1))


def _with_channels(images: Tensor, channels: int) -> Tensor:
    """Grey images `[N, 1, H, W]` with their one channel repeated; others as they are."""
    if images.ndim == 4 and images.shape[1] == 1 and channels > 1:
        return images.repeat(1, channels, 1, 1)
    return images


def _order(count: int, batch: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Batches of indices, each epoch in an order of its own; a last short batch is left out."""
    batch = min(batch, count)
    while True:
        order = torch.randperm(count, generator=generator)
        yield from order[: count - count % batch].split(batch)


def _rate(step: int, steps: int) -> float:
    """Linear up, then half a cosine down to 0 (Loshchilov and Hutter 2017, arXiv 1608.03983)."""
    warmup = max(1, round(WARMUP * steps))
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def _groups(module: nn.Module, schedule: Schedule) -> list[dict[str, object]]:
    """Weights, which decay, and batch norms and biases, which do not."""
    weights = [p for p in module.parameters() if p.requires_grad and p.ndim > 1]
    others = [p for p in module.parameters() if p.requires_grad and p.ndim <= 1]
    return [
        {"params": weights, "weight_decay": schedule.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]


_FILLED = "fill_uninitialized_memory"
"""An attribute of ``torch.utils.deterministic`` that its types do not know."""


@contextmanager
def _deterministic(seed: int) -> Iterator[None]:
    """Torch's global generator and algorithms fixed for a while, then as before."""
    before = torch.are_deterministic_algorithms_enabled()
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    filled = getattr(deterministic, _FILLED)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(mode=True, warn_only=True)
        setattr(deterministic, _FILLED, False)  # to find bugs with; an eighth slower
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(mode=before, warn_only=warned)
            setattr(deterministic, _FILLED, filled)
