"""Evaluates a network on the splits of a task."""

from __future__ import annotations

from itertools import zip_longest

import torch
from torch import Tensor, nn

from training.evaluation import Evaluation, judged
from training.executor import TrainingError
from training.feed import Feed
from training.task import Split, Task

BATCH = 250

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
        outputs, targets = list[Tensor](), list[Tensor]()
        parts = chosen[:some].split(BATCH)
        for indices, coming in zip_longest(parts, parts[1:]):
            inputs, target = self._feed.batch(examples, indices, None)
            if coming is not None:
                self._feed.expect(examples, coming)
            outputs.append(module(*inputs).float())
            targets.append(target)
        scores = torch.cat(outputs).cpu()
        if not scores.isfinite().all():
            msg = f"outputs on the {split} split are not finite: the training diverged"
            raise TrainingError(msg)
        return judged(scores, torch.cat(targets).cpu(), self._task, split)
