"""The Pareto front: what no other outcome beats in every objective."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from controller.algorithm import Evaluated, Goal, Objective


class Front:
    """The outcomes that none of those added is at least as good as, in every objective.

    Of outcomes that are equal in every objective, the first one added stays. An ``add`` costs time
    in proportion to the front, not to all that was added.
    """

    def __init__(self, outcomes: Iterable[Evaluated] = ()) -> None:
        self._members: list[Evaluated] = []
        for outcome in outcomes:
            self.add(outcome)

    def __len__(self) -> int:
        return len(self._members)

    @property
    def members(self) -> tuple[Evaluated, ...]:
        """In the order added."""
        return tuple(self._members)

    def add(self, outcome: Evaluated) -> bool:
        """Whether ``outcome`` is on the front now; what it is better than leaves.

        Raises:
            ValueError: If it has other objectives than those added before.
        """
        if any(as_good(member.objectives, outcome.objectives) for member in self._members):
            return False
        self._members = [
            member
            for member in self._members
            if not as_good(outcome.objectives, member.objectives)
        ]
        self._members.append(outcome)
        return True


def as_good(first: Sequence[Objective], second: Sequence[Objective]) -> bool:
    """Whether ``first`` is no worse than ``second`` in any objective.

    >>> accurate = Objective(name="accuracy", value=0.7, goal=Goal.MAXIMIZE)
    >>> slow = Objective(name="latency_ms", value=80.0, goal=Goal.MINIMIZE)
    >>> fast = Objective(name="latency_ms", value=75.0, goal=Goal.MINIMIZE)
    >>> as_good((accurate, fast), (accurate, slow)), as_good((accurate, slow), (accurate, fast))
    (True, False)

    Raises:
        ValueError: If they are not the same objectives in the same order.
    """
    if [(one.name, one.goal) for one in first] != [(one.name, one.goal) for one in second]:
        msg = f"outcomes with different objectives cannot be compared: {first} and {second}"
        raise ValueError(msg)
    return all(
        mine.value >= other.value if mine.goal is Goal.MAXIMIZE else mine.value <= other.value
        for mine, other in zip(first, second, strict=True)
    )
