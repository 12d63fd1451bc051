"""What a run tells of the phases of its search: as JSON, as text, and in a report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from controller.candidate import Candidate, OutcomeKind
from controller.phased import phase_of


def phase_facts(trials: Iterable[Candidate]) -> list[dict[str, Any]]:
    """Each phase in turn, with its own best trial by the reward; none without phases.

    Args:
        trials: Of a run, by index. Those evaluated again at its end are of no phase.
    """
    facts = []
    for name, group in groupby(trials, key=lambda one: phase_of(one.proposal)):
        own = list(group)
        told = [one for one in own if one.kind is OutcomeKind.EVALUATED]
        best = max(told, key=lambda one: one.reward or 0.0, default=None)
        begun = own[0].proposal
        facts.append(
            {
                "name": name,
                "first": begun.index,
                "trials": len(own),
                "from": begun.parents[0] if begun.parents else None,
                "best": None if best is None else best.index,
                "reward": None if best is None else best.reward,
            }
        )
    return [one for one in facts if one["name"]]


def told_of_phases(run: Mapping[str, Any]) -> list[str]:
    """A sentence a phase."""
    sentences = []
    for phase in run["phases"]:
        last = phase["first"] + phase["trials"] - 1
        text = f"phase {phase['name']}: trials {phase['first']} to {last}"
        if phase["from"] is not None:
            text += f", from trial {phase['from']}"
        if phase["best"] is not None:
            text += f"; its best is trial {phase['best']}, reward {phase['reward']:.4f}"
        sentences.append(text)
    return sentences


def phase_columns(run: Mapping[str, Any]) -> tuple[str, ...]:
    """The heading of a trial's phase; nothing without phases."""
    return ("phase",) if run["phases"] else ()


def phase_cells(run: Mapping[str, Any], index: int) -> tuple[str, ...]:
    """The phase of a trial; nothing without phases."""
    return (run["trials"][index]["phase"] or "-",) if run["phases"] else ()


def beginnings(run: Mapping[str, Any]) -> Sequence[tuple[float, str]]:
    """Where phases begin on an axis of trials, with their names."""
    return [(phase["first"] - 0.5, phase["name"]) for phase in run["phases"]]
