"""Peak memory of activations: which live at once, in the order of execution."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One operator at work.

    Attributes:
        read: Activations it reads.
        made: Activations it makes.
        in_place: Whether it writes over what it reads, if nobody reads that later.
    """

    read: tuple[int, ...]
    made: tuple[int, ...] = ()
    in_place: bool = False


def peak(
    order: Sequence[Execution],
    sizes: Sequence[int],
    inputs: Collection[int],
    results: Collection[int],
) -> int:
    """The largest sum of sizes that live at once.

    An activation lives from the operator that makes it to the last that reads it.

    >>> order = [Execution(read=(0,), made=(1,)), Execution(read=(1,), made=(2,))]
    >>> peak(order, sizes=[3, 5, 1], inputs=[0], results=[2])
    8

    Args:
        order: Operators as they run.
        sizes: Of each activation.
        inputs: Activations that are there at the start.
        results: Activations that live to the end.
    """
    last = {i: at for at, step in enumerate(order) for i in (*step.read, *step.made)}
    living = set(inputs)
    most = sum(sizes[i] for i in living)
    for at, step in enumerate(order):
        ending = {i for i in (*step.read, *step.made) if last[i] == at}.difference(results)
        if step.in_place and ending.intersection(step.read):
            living -= ending
        living |= set(step.made)
        most = max(most, sum(sizes[i] for i in living))
        living -= ending
    return most
