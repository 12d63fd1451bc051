"""The numbers of the proposals that an algorithm made, and which of them have been told."""

from __future__ import annotations

from collections.abc import Sequence

from controller.algorithm import Outcome


class Ledger:
    """Holds the rules of ``SearchAlgorithm`` that are the same in every algorithm.

    One byte a proposal: an algorithm that must know more finds it in ``Outcome.proposal``.
    """

    def __init__(self) -> None:
        self._told = bytearray()

    def issue(self, count: int) -> range:
        """The indices of the next ``count`` proposals.

        Raises:
            ValueError: If ``count`` is less than 1.
        """
        if count < 1:
            msg = f"an algorithm is asked for at least 1 proposal, got {count}"
            raise ValueError(msg)
        first = len(self._told)
        self._told.extend(bytes(count))
        return range(first, first + count)

    def check(self, outcomes: Sequence[Outcome]) -> None:
        """Do nothing if ``outcomes`` can be told.

        Raises:
            ValueError: If a proposal was never made here, or has been told before.
        """
        indices = [outcome.proposal.index for outcome in outcomes]
        for index in indices:
            if not 0 <= index < len(self._told):
                msg = f"proposal {index} was never asked of this algorithm"
                raise ValueError(msg)
            if self._told[index] or indices.count(index) > 1:
                msg = f"the outcome of proposal {index} was told before"
                raise ValueError(msg)

    def settle(self, outcomes: Sequence[Outcome]) -> None:
        """Note that ``outcomes`` are told; nothing is noted if one of them cannot be.

        Raises:
            ValueError: See ``check``.
        """
        self.check(outcomes)
        for outcome in outcomes:
            self._told[outcome.proposal.index] = True
