"""Training jobs and their results as JSON, to cross from one process to another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from search_space.architecture import from_json
from training.evaluation import Evaluation
from training.executor import Look, Rung, TrainingJob, TrainingResult
from training.schedule_document import schedule_from_json, schedule_to_json


def job_to_json(job: TrainingJob) -> dict[str, Any]:
    """A document from which ``job_from_json`` makes an equal job."""
    return {
        "id": job.id,
        "architecture": job.architecture.to_json(),
        "task": job.task,
        "schedule": schedule_to_json(job.schedule),
        "seed": job.seed,
        "deadline_s": job.deadline_s,
        "checkpoint": job.checkpoint,
        "rungs": [{"samples": rung.samples, "least": rung.least} for rung in job.rungs],
    }


def job_from_json(document: Mapping[str, Any]) -> TrainingJob:
    """What ``job_to_json`` was given."""
    return TrainingJob(
        id=document["id"],
        architecture=from_json(document["architecture"]),
        task=document["task"],
        schedule=schedule_from_json(document["schedule"]),
        seed=document["seed"],
        deadline_s=document["deadline_s"],
        checkpoint=document["checkpoint"],
        rungs=tuple(Rung(**rung) for rung in document["rungs"]),
    )


def result_to_json(result: TrainingResult) -> dict[str, Any]:
    """A document from which ``result_from_json`` makes an equal result."""
    return {
        "accuracy": result.accuracy,
        "samples": result.samples,
        "seconds": result.seconds,
        "feedback": {name: list(values) for name, values in result.feedback.items()},
        "stand_in": result.stand_in,
        "looks": looks_to_json(result.looks),
        "stopped": result.stopped,
        **({} if result.evaluation is None else {"evaluation": result.evaluation.to_json()}),
    }


def result_from_json(document: Mapping[str, Any]) -> TrainingResult:
    """What ``result_to_json`` was given.

    Raises:
        ValueError: If a number is not what it should be.
        KeyError: If one is missing.
    """
    feedback = {
        str(name): tuple(float(value) for value in values)
        for name, values in dict(document.get("feedback", {})).items()
    }
    judged = document.get("evaluation")
    return TrainingResult(
        accuracy=float(document["accuracy"]),
        samples=int(document["samples"]),
        seconds=float(document["seconds"]),
        feedback=feedback,
        stand_in=str(document.get("stand_in", "")),
        looks=looks_from_json(document.get("looks", [])),
        stopped=bool(document.get("stopped", False)),
        evaluation=None if judged is None else Evaluation.from_json(judged),
    )


def looks_to_json(looks: Sequence[Look]) -> list[dict[str, Any]]:
    """What ``looks_from_json`` makes equal looks from."""
    return [{"samples": look.samples, "accuracy": look.accuracy} for look in looks]


def looks_from_json(documents: Sequence[Mapping[str, Any]]) -> tuple[Look, ...]:
    """What ``looks_to_json`` was given.

    Raises:
        ValueError: If a number is none.
        KeyError: If one is missing.
    """
    return tuple(
        Look(samples=int(each["samples"]), accuracy=float(each["accuracy"])) for each in documents
    )
