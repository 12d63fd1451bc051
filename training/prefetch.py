"""Arrays that threads make before they are asked for, and those that are kept, within bounds."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.uint8]


AHEAD = 512
"""Examples at most that are made before they are asked for."""

LARGEST_BYTES = 8 << 30
"""Of what is kept, however much memory is free."""


class Budget:
    """Bytes that several stores share.

    Args:
        limit_bytes: Of all together.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._left = limit_bytes
        self._lock = threading.Lock()

    @classmethod
    def of_free_memory(cls) -> Budget:
        """A quarter of what is free now, shared by the processes of a training on this machine."""
        import psutil

        processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # as torchrun says it
        share = psutil.virtual_memory().available // (4 * processes)
        return cls(min(share, LARGEST_BYTES))

    def take(self, count: int) -> bool:
        """Whether there were as many bytes left; they are taken then."""
        with self._lock:
            taken = count <= self._left
            self._left -= count if taken else 0
        return taken

    def give_back(self, count: int) -> None:
        """Have them for others again."""
        with self._lock:
            self._left += count


class Prefetch:
    """Arrays by number, each the same whenever and by whichever thread it is made.

    Those that fit into the budget are kept. What is kept is never given up for another: of a data
    set that is gone through again and again in another order, this finds the most. One thread
    asks.

    Args:
        make: Gives an array; run by the pool's threads.
        pool: Of threads.
        budget: Of what is kept; bytes go back to it with this object.
        ahead: Most arrays that wait to be asked for.
    """

    def __init__(
        self,
        make: Callable[[int], Array],
        *,
        pool: ThreadPoolExecutor,
        budget: Budget,
        ahead: int,
    ) -> None:
        self._make, self._pool, self._budget, self._ahead = make, pool, budget, ahead
        self._kept: dict[int, Array] = {}
        self._waiting: dict[int, Future[Array]] = {}
        self._taken = [0]  # in a list that outlives this object
        weakref.finalize(self, _give_back, budget, self._taken)

    def expect(self, numbers: Sequence[int]) -> None:
        """Begin to make what will be asked for next; what was expected before no longer is."""
        coming = [number for number in dict.fromkeys(numbers) if number not in self._kept]
        coming = coming[: self._ahead]
        for number in self._waiting.keys() - set(coming):
            self._waiting.pop(number).cancel()
        for number in coming:
            if number not in self._waiting:
                self._waiting[number] = self._pool.submit(self._make, number)

    def take(self, numbers: Sequence[int]) -> list[Array]:
        """The arrays, in this order, whichever is ready first.

        Raises:
            Exception: What making one raised.
        """
        for number in dict.fromkeys(numbers):
            if number not in self._kept and number not in self._waiting:
                self._waiting[number] = self._pool.submit(self._make, number)
        made: dict[int, Array] = {}
        for number in dict.fromkeys(numbers):
            kept = self._kept.get(number)
            made[number] = self._arrived(number) if kept is None else kept
        return [made[number] for number in numbers]

    def _arrived(self, number: int) -> Array:
        array = self._waiting.pop(number).result()
        if self._budget.take(array.nbytes):
            self._taken[0] += array.nbytes
            self._kept[number] = array
        return array


def threads(name: str) -> ThreadPoolExecutor:
    """A pool of as many threads as torch takes, called ``name``."""
    import torch

    return ThreadPoolExecutor(torch.get_num_threads(), thread_name_prefix=name)


def _give_back(budget: Budget, taken: list[int]) -> None:
    budget.give_back(taken[0])
