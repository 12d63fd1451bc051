"""The values of a study as rows of its tables, and back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from controller.algorithm import (
    Evaluated,
    Failed,
    FailureKind,
    Goal,
    Objective,
    Outcome,
    Proposal,
    Skipped,
    Stopped,
)
from controller.candidate import Candidate, OutcomeKind
from controller.found_latency import FoundLatency
from controller.learning_curves import Expected
from controller.objectives import ObjectiveName, value_of
from search_space.architecture import Architecture
from search_space.decisions import point_from_json
from training.executor import TrainingResult
from training.job_document import looks_from_json, looks_to_json

Row = Mapping[str, Any]
"""A row by the names of its columns, which the schema types."""


def key_digest(key: str) -> str:
    """What an index finds the key of a network by: its SHA-256."""
    return hashlib.sha256(key.encode()).hexdigest()


def proposal_row(proposal: Proposal, architecture: Architecture | None) -> dict[str, object]:
    """A proposal, with its architecture where its point has one."""
    key = "" if architecture is None else architecture.key
    return {
        "index": proposal.index,
        "point": json.dumps(proposal.point),
        "parents": json.dumps(proposal.parents),
        "note": json.dumps(dict(proposal.note), sort_keys=True),
        "key": key,
        "key_sha256": key_digest(key) if key else "",
        "architecture": "" if architecture is None else json.dumps(architecture.to_json()),
    }


def proposal_from(row: Row) -> Proposal:
    """What ``proposal_row`` made."""
    return Proposal(
        index=row["index"],
        point=point_from_json(json.loads(row["point"])),
        parents=tuple(json.loads(row["parents"])),
        note=json.loads(row["note"]),
    )


def latency_row(found: FoundLatency) -> dict[str, object]:
    """A latency."""
    row = {name: getattr(found, name) for name in FoundLatency.__slots__}
    return {
        **row,
        "measurement": json.dumps(found.measurement),
        "labels": json.dumps(found.labels),
    }


def latency_from(row: Row, prefix: str) -> FoundLatency | None:
    """What ``latency_row`` made, its columns named with ``prefix``; None where there is none."""
    if row[prefix + "latency_ms"] is None:
        return None
    fields = {name: row[prefix + name] for name in FoundLatency.__slots__}
    fields["measurement"] = json.loads(fields["measurement"])
    fields["labels"] = tuple(json.loads(fields["labels"]))
    return FoundLatency(**fields)


def training_row(result: TrainingResult) -> dict[str, object]:
    """What a training gave."""
    return {
        "accuracy": result.accuracy,
        "samples": result.samples,
        "seconds": result.seconds,
        "feedback": json.dumps({name: list(values) for name, values in result.feedback.items()}),
        "stand_in": result.stand_in,
        "looks": json.dumps(looks_to_json(result.looks)),
        "stopped": int(result.stopped),
    }


def training_from(row: Row, prefix: str) -> TrainingResult | None:
    """What ``training_row`` made, its columns named with ``prefix``; None where there is none."""
    if row[prefix + "accuracy"] is None:
        return None
    feedback = json.loads(row[prefix + "feedback"])
    return TrainingResult(
        accuracy=row[prefix + "accuracy"],
        samples=row[prefix + "samples"],
        seconds=row[prefix + "seconds"],
        feedback={name: tuple(values) for name, values in feedback.items()},
        stand_in=row[prefix + "stand_in"],
        looks=looks_from_json(json.loads(row[prefix + "looks"])),
        stopped=bool(row[prefix + "stopped"]),
    )


def outcome_row(outcome: Outcome) -> dict[str, object]:
    """What became of a proposal; its figures have rows of their own."""
    kind, failure, reward, text = OutcomeKind.EVALUATED, "", None, ""
    expected, deviation = None, None
    objectives: list[list[object]] = []
    match outcome:
        case Evaluated():
            reward, objectives = outcome.reward, _told(outcome.objectives)
        case Stopped():
            kind, reward = OutcomeKind.STOPPED, outcome.reward
            expected = value_of(outcome.objectives, ObjectiveName.ACCURACY)
            deviation = outcome.deviation
            objectives = _told(outcome.objectives)
        case Skipped():
            kind, reward = OutcomeKind.SKIPPED, outcome.bound
        case Failed():
            kind, failure, text = OutcomeKind.FAILED, outcome.kind.value, outcome.text
    return {
        "index": outcome.proposal.index,
        "kind": kind.value,
        "failure": failure,
        "reward": reward,
        "expected": expected,
        "deviation": deviation,
        "objectives": json.dumps(objectives),
        "text": text,
    }


def _told(objectives: Sequence[Objective]) -> list[list[object]]:
    return [[one.name, one.value, one.goal.value] for one in objectives]


def objectives_from(text: str | None) -> tuple[Objective, ...]:
    """Objectives that ``outcome_row`` kept; none where there is no outcome, or an old one."""
    return tuple(
        Objective(name=name, value=value, goal=Goal(goal))
        for name, value, goal in json.loads(text or "[]")
    )


def candidate_from(row: Row) -> Candidate:
    """A proposal joined with its rows of other tables, their columns named with a prefix.

    ``l_`` the latency, ``f_`` the last latency, ``t_`` the training, ``o_`` the outcome.
    """
    kind, failure, text = row["o_kind"], row["o_failure"], row["architecture"]
    return Candidate(
        proposal=proposal_from(row),
        asked_after=row["asked_after"],
        key=row["key"],
        document=json.loads(text) if text else None,
        latency=latency_from(row, "l_"),
        final=latency_from(row, "f_"),
        training=training_from(row, "t_"),
        told=row["o_told"],
        kind=OutcomeKind(kind) if kind else None,
        failure=FailureKind(failure) if failure else None,
        reward=row["o_reward"],
        expected=_expected_from(row),
        objectives=objectives_from(row["o_objectives"]),
        text=row["o_text"] or "",
        same_as=row["o_same_as"],
    )


def _expected_from(row: Row) -> Expected | None:
    accuracy, deviation = row["o_expected"], row["o_deviation"]
    return None if accuracy is None else Expected(accuracy=accuracy, deviation=deviation)
