"""One training shared by several processes, each with its part of every batch."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The processes of a training, as each of them sees it.

    Attributes:
        rank: Of this process, from 0 on.
        size: How many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether it is this process that writes."""
        return self.rank == 0

    @property
    def least(self) -> int:
        """Images without which there is no step: batch statistics need two."""
        return max(2, self.size)

    def part(self, indices: Tensor) -> Tensor:
        """What this process has of a batch."""
        return indices[self.rank :: self.size]


ALONE = World()
