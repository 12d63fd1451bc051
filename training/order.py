"""The order in which a training sees its examples, and where in it the training is."""

from __future__ import annotations

import torch
from torch import Generator, Tensor


class Order:
    """Indices of examples, each epoch in an order of its own.

    What is left of an epoch and makes no whole batch is left out.

    Args:
        count: How many examples there are.
        generator: Draws the orders; others may draw from it in between.
    """

    def __init__(self, count: int, generator: Generator) -> None:
        self._count = count
        self._generator = generator
        self._before = generator.get_state()
        self._order = torch.empty(0, dtype=torch.long)
        self._position = 0

    def take(self, batch: int) -> Tensor:
        """The next ``batch`` indices, or all of an epoch if that is fewer."""
        batch = min(batch, self._count)
        if self._position + batch > len(self._order):
            self._begin_epoch()
        self._position += batch
        return self._order[self._position - batch : self._position]

    def coming(self, batch: int, batches: int) -> tuple[Tensor, ...]:
        """The indices of some batches to come, as far as this epoch's order has them."""
        left = self._order[self._position : self._position + batch * batches]
        return tuple(part for part in left.split(batch) if len(part) == batch)

    @property
    def position(self) -> int:
        """Indices of this epoch that were taken."""
        return self._position

    @property
    def before(self) -> Tensor:
        """The generator's state before it drew this epoch's order, uint8."""
        return self._before

    def go_to(self, before: Tensor, position: int) -> None:
        """Be where another order of as many examples was; the generator is left as it is."""
        now = self._generator.get_state()
        self._generator.set_state(before)
        self._begin_epoch()
        self._position = position
        self._generator.set_state(now)

    def _begin_epoch(self) -> None:
        self._before = self._generator.get_state()
        self._order = torch.randperm(self._count, generator=self._generator)
        self._position = 0
