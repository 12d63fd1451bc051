"""Brings a fresh algorithm to where a stored search was, by making the same calls of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from controller import versions
from controller.algorithm import Outcome, Proposal, SearchAlgorithm
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
    """Make all calls that are stored in ``study``: equal asks, and tells of one outcome each.

    Proposals that were asked for after the same number of tells were one ask.

    Args:
        study: Of the search.
        algorithm: Fresh, with the settings and the seed of the search.

    Raises:
        ReplayError: If it proposes something else; the text names the first difference.
    """
    outcomes = _outcomes(study)
    proposed = told = 0
    for after, batch in groupby(study.asked(), key=lambda asked: asked.after):
        for _ in range(after - told):
            algorithm.tell([_next(outcomes)])
            told += 1
        stored = [asked.proposal for asked in batch]
        _compare(algorithm.ask(len(stored)), stored, study)
        proposed += len(stored)
    for outcome in outcomes:
        algorithm.tell([outcome])
        told += 1
    return ReplayReport(proposals=proposed, outcomes=told)


def _outcomes(study: Study) -> Iterator[Outcome]:
    for candidate in study.told():
        outcome = candidate.outcome
        if outcome is None:
            msg = f"the outcome of trial {candidate.index} is stored without its figures"
            raise ReplayError(msg)
        yield outcome


def _next(outcomes: Iterator[Outcome]) -> Outcome:
    for outcome in outcomes:
        return outcome
    msg = "a proposal is stored that was asked for after more outcomes than are stored"
    raise ReplayError(msg)


def _compare(again: Sequence[Proposal], stored: Sequence[Proposal], study: Study) -> None:
    for new, old in zip(again, stored, strict=True):
        if new == old:
            continue
        changed = versions.differences(study.versions, versions.current())
        why = changed or "no version of a library has changed; was it set up otherwise?"
        msg = f"trial {old.index} was {_text(old)}, and is proposed as {_text(new)} now ({why})"
        raise ReplayError(msg)


def _text(proposal: Proposal) -> str:
    parts = [f"point {proposal.point}"]
    if proposal.parents:
        parts.append(f"parents {proposal.parents}")
    if proposal.note:
        parts.append(f"note {dict(proposal.note)}")
    return ", ".join(parts)
