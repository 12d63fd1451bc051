"""Schedules as JSON; fields that came later are left out where they say nothing new."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from training.schedule import Arithmetic, Decay, OptimizerName, Schedule, StageBatch
from training.stages import Regularization, TrainingStage

_NAMES = {
    "arithmetic": Arithmetic,
    "optimizer": OptimizerName,
    "decay": Decay,
    "stage_batch": StageBatch,
}
"""Fields that hold one of several names."""

_FACTORS = frozenset(("drops", "jitter"))
"""Fields that hold several numbers."""


def schedule_to_json(schedule: Schedule) -> dict[str, Any]:
    """A document from which ``schedule_from_json`` makes an equal schedule."""
    document: dict[str, Any] = {
        item.name: getattr(schedule, item.name)
        for item in fields(schedule)
        if item.name in Schedule.FIRST_FIELDS or getattr(schedule, item.name) != item.default
    }
    for name in _NAMES.keys() & document.keys():
        document[name] = document[name].value
    for name in _FACTORS & document.keys():
        document[name] = list(document[name])
    if schedule.stages:
        document["stages"] = [stage_to_json(stage) for stage in schedule.stages]
    return document


def schedule_from_json(document: Mapping[str, Any]) -> Schedule:
    """What ``schedule_to_json`` was given.

    Raises:
        ValueError: If a value is none of its field's.
        TypeError: If there is no such field.
    """
    values = dict(document)
    for name in _NAMES.keys() & values.keys():
        values[name] = _NAMES[name](values[name])
    for name in _FACTORS & values.keys():
        values[name] = tuple(values[name])
    values["stages"] = tuple(stage_from_json(stage) for stage in values.get("stages", ()))
    return Schedule(**values)


def stage_to_json(stage: TrainingStage) -> dict[str, Any]:
    """A document from which ``stage_from_json`` makes an equal stage."""
    strength = stage.regularization
    values = {
        "until": stage.until,
        "size": stage.size,
        "batch": stage.batch,
        "dropout": strength.dropout,
        "randaugment": strength.randaugment,
        "mixup": strength.mixup,
        "cutmix": strength.cutmix,
    }
    return {name: value for name, value in values.items() if value is not None}


def stage_from_json(document: Mapping[str, Any]) -> TrainingStage:
    """What ``stage_to_json`` was given.

    Raises:
        ValueError: If a value is none of its field's.
        TypeError: If there is no such field.
    """
    values = dict(document)
    own = {name: values.pop(name) for name in ("until", "size", "batch") if name in values}
    return TrainingStage(**own, regularization=Regularization(**values))
