"""Evaluates a network on the splits of a task."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

import torch
from torch import Tensor, nn

from training.batch_bound import bounded
from training.evaluation import Evaluation, judged, judged_predictions
from training.executor import TrainingError
from training.feed import Feed
from training.task import Examples, Outputs, Predicting, Split, Task

BATCH = 250
"""Images at once, as far as ``batch_bound.MOST_PIXELS`` goes."""

BATCH_PIXELS = 64 * 128**2
"""Of a batch of images whose outputs are maps, or of clips."""

LEAST_LOOKED_AT = 500
"""Validation images of the cheapest look at a training under way."""


class Evaluator:
    """Evaluates networks for one task at one size.

    Args:
        task: Gives data, loss and metric.
        feed: Brings the data to where the networks are.
        size: Input size in pixels.
    """

    def __init__(self, task: Task, feed: Feed, size: int) -> None:
        self._task, self._feed, self._size = task, feed, size

    def whole(self, module: nn.Module, split: Split) -> Evaluation:
        """A network on a whole split; it is in eval mode then.

        Raises:
            TrainingError: If an output is not finite.
        """
        return self._on(module, split, None)

    def glance(self, module: nn.Module, seen: int) -> Evaluation:
        """A network on a part of the validation split, the same one whenever it is as large.

        Args:
            module: In eval mode then.
            seen: Training images until now; half as many are looked at.

        Raises:
            TrainingError: If an output is not finite.
        """
        return self._on(module, Split.VALIDATION, max(LEAST_LOOKED_AT, seen // 2))

    @torch.no_grad()
    def _on(self, module: nn.Module, split: Split, some: int | None) -> Evaluation:
        examples = self._task.examples(split, self._size)
        chosen = torch.arange(len(examples))
        if some is not None:
            chosen = torch.randperm(len(examples), generator=torch.Generator().manual_seed(0))
        module.eval()
        task = self._task
        if isinstance(task, Predicting):
            return self._predicted(module, examples, chosen[:some], split, task)
        outputs, targets = list[Tensor](), list[Tensor]()
        batch = bounded(BATCH, examples, self._size)
        for output, target in self._batches(module, examples, chosen[:some], batch):
            outputs.append(output.float())
            targets.append(target)
        scores = torch.cat(outputs).cpu()
        _require_finite((scores,), split)
        return judged(scores, torch.cat(targets).cpu(), self._task, split)

    def _predicted(
        self,
        module: nn.Module,
        examples: Examples,
        chosen: Tensor,
        split: Split,
        task: Predicting,
    ) -> Evaluation:
        """By predictions that are made of each batch, and the mean of the batches' losses."""
        found, targets, loss = list[Tensor](), list[Tensor](), 0.0
        batch = bounded(BATCH, examples, self._size, pixels=BATCH_PIXELS)
        for output, target in self._batches(module, examples, chosen, batch):
            _require_finite(output if isinstance(output, tuple) else (output,), split)
            found.append(task.predictions(output, self._size).cpu())
            targets.append(target.cpu())
            cost = self._task.loss(output, target, label_smoothing=0.0)
            loss += float(cost) * len(target) / len(chosen)
        return judged_predictions(torch.cat(found), torch.cat(targets), task, split, loss=loss)

    def _batches(
        self, module: nn.Module, examples: Examples, chosen: Tensor, batch: int
    ) -> Iterator[tuple[Outputs, Tensor]]:
        """Outputs and targets, on the network's device."""
        parts = chosen.split(batch)
        for indices, coming in zip_longest(parts, parts[1:]):
            inputs, target = self._feed.batch(examples, indices, None)
            if coming is not None:
                self._feed.expect(examples, coming)
            yield module(*inputs), target


def _require_finite(outputs: tuple[Tensor, ...], split: Split) -> None:
    if not all(bool(output.isfinite().all()) for output in outputs):
        msg = f"outputs on the {split} split are not finite: the training diverged"
        raise TrainingError(msg)
