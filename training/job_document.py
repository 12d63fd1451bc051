"""Training jobs and their results as JSON, to cross from one process to another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from search_space.architecture import from_json
from training.executor import Arithmetic, Schedule, TrainingJob, TrainingResult


def job_to_json(job: TrainingJob) -> dict[str, Any]:
    """A document from which ``job_from_json`` makes an equal job."""
    schedule = job.schedule
    return {
        "id": job.id,
        "architecture": job.architecture.to_json(),
        "task": job.task,
        "schedule": {
            "samples": schedule.samples,
            "batch": schedule.batch,
            "learning_rate": schedule.learning_rate,
            "weight_decay": schedule.weight_decay,
            "label_smoothing": schedule.label_smoothing,
            "arithmetic": schedule.arithmetic.value,
        },
        "seed": job.seed,
        "deadline_s": job.deadline_s,
        "checkpoint": job.checkpoint,
    }


def job_from_json(document: Mapping[str, Any]) -> TrainingJob:
    """What ``job_to_json`` was given."""
    schedule = dict(document["schedule"])
    schedule["arithmetic"] = Arithmetic(schedule["arithmetic"])
    return TrainingJob(
        id=document["id"],
        architecture=from_json(document["architecture"]),
        task=document["task"],
        schedule=Schedule(**schedule),
        seed=document["seed"],
        deadline_s=document["deadline_s"],
        checkpoint=document["checkpoint"],
    )


def result_to_json(result: TrainingResult) -> dict[str, Any]:
    """A document from which ``result_from_json`` makes an equal result."""
    return {
        "accuracy": result.accuracy,
        "samples": result.samples,
        "seconds": result.seconds,
        "feedback": {name: list(values) for name, values in result.feedback.items()},
        "stand_in": result.stand_in,
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
    return TrainingResult(
        accuracy=float(document["accuracy"]),
        samples=int(document["samples"]),
        seconds=float(document["seconds"]),
        feedback=feedback,
        stand_in=str(document.get("stand_in", "")),
    )
