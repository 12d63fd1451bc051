"""Brings a fresh algorithm to where a stored search was, by making the same calls of it."""

from __future__ import annotations

from dataclasses import dataclass

from controller.algorithm import SearchAlgorithm
from controller.study import Study
from workspace.errors import OperationError


class ReplayError(OperationError):
    """The algorithm does not propose again what it proposed when the search ran."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayReport:
    """What was replayed.

    Attributes:
        proposals: How many were proposed again, all as stored.
        outcomes: How many were told again.
    """

    proposals: int
    outcomes: int


def replay(study: Study, algorithm: SearchAlgorithm) -> ReplayReport:
    """Make all calls that are stored in ``study``.

    Args:
        study: Of the search.
        algorithm: Fresh, with the settings and the seed of the search.

    Raises:
        ReplayError: If it proposes something else; the text names the first difference.
    """
    order = study.told_order()
    asked = 0
    for told in range(len(order) + 1):
        asked = _ask(study, algorithm, asked, told)
        if told < len(order):
            outcome = study.candidate(order[told]).outcome
            if outcome is None:
                msg = f"the outcome of trial {order[told]} is stored in part only"
                raise ReplayError(msg)
            algorithm.tell([outcome])
    return ReplayReport(proposals=asked, outcomes=len(order))


def _ask(study: Study, algorithm: SearchAlgorithm, asked: int, told: int) -> int:
    """Ask again for what was asked after ``told`` outcomes; how many were asked by then."""
    for stored in study.candidates(first=asked):
        if stored.asked_after != told:
            break
        (again,) = algorithm.ask(1)
        if again != stored.proposal:
            msg = (
                f"trial {stored.index} is proposed otherwise than when the search ran: "
                f"{again.point} and not {stored.proposal.point}; was another version of this "
                "program, or of a library, at work?"
            )
            raise ReplayError(msg)
        asked += 1
    return asked
