"""Stages of a training from a TOML file: one by one, or from where to where they grow."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from training.progressive import Growth, Rule, grown
from training.stages import Regularization, TrainingStage, check_covered
from workspace.errors import InputError


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Strength(_Table):
    dropout: float | None = None
    randaugment: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0

    def value(self) -> Regularization:
        return Regularization(
            dropout=self.dropout,
            randaugment=self.randaugment,
            mixup=self.mixup,
            cutmix=self.cutmix,
        )


class _Stage(_Strength):
    until: float
    size: int
    batch: int | None = None

    def stage(self) -> TrainingStage:
        return TrainingStage(
            until=self.until, size=self.size, batch=self.batch, regularization=self.value()
        )


class _Extreme(_Strength):
    size: int


class _Growth(_Table):
    rule: Literal["paper", "code"]
    stages: int = 4
    start: _Extreme
    end: _Extreme

    def grown(self) -> tuple[TrainingStage, ...]:
        growth = Growth(
            start=self.start.size,
            end=self.end.size,
            weakest=self.start.value(),
            strongest=self.end.value(),
            stages=self.stages,
        )
        return grown(Rule(self.rule), growth)


class _Document(_Table):
    version: Literal[1]
    stages: list[_Stage] | None = None
    growth: _Growth | None = None


def read_stages(path: Path) -> tuple[TrainingStage, ...]:
    """The stages in a file of the form that the README of this folder has.

    Raises:
        InputError: If it cannot be read, is no TOML or of another version, a key is unknown or
            missing or its value wrong, or its stages do not cover the training.
    """
    document = _parsed(path)
    if (document.stages is None) == (document.growth is None):
        both = "both" if document.growth else "neither"
        msg = f"{path}: stages stand either in [[stages]] or in [growth], got {both}"
        raise InputError(msg)
    stages = []
    try:
        if document.growth is not None:
            return document.growth.grown()
        for each in document.stages or ():
            stages.append(each.stage())
    except InputError as error:
        where = "the growth" if document.growth else f"stage {len(stages) + 1}"
        msg = f"{path}: {where}: {error}"
        raise InputError(msg) from error
    try:
        check_covered(stages)
    except InputError as error:
        msg = f"{path}: {error}"
        raise InputError(msg) from error
    return tuple(stages)


def _parsed(path: Path) -> _Document:
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        msg = f"the stages {str(path)!r} cannot be read: {error}"
        raise InputError(msg) from error
    except tomllib.TOMLDecodeError as error:
        msg = f"the stages {str(path)!r} are no TOML: {error}"
        raise InputError(msg) from error
    try:
        return _Document.model_validate(content)
    except ValidationError as error:
        raise InputError(_sentence(error, path)) from error


def _sentence(error: ValidationError, path: Path) -> str:
    """What is wrong first, and where."""
    first = error.errors()[0]
    model: type[BaseModel] = _Document
    match first["loc"]:
        case ("stages", int(place), *rest):
            where, model = f"{path}: stage {place + 1}", _Stage
        case ("growth", "start" | "end" as end, *rest):
            where, model = f"{path}: {end} of the growth", _Extreme
        case ("growth", *rest):
            where, model = f"{path}: the growth", _Growth
        case (*rest,):
            where = str(path)
    name = ".".join(map(str, rest))
    match first["type"]:
        case "missing":
            return f"{where} lacks {name!r}"
        case "extra_forbidden":
            return (
                f"{where} has the unknown key {name!r}; there are {', '.join(model.model_fields)}"
            )
        case "model_type":
            return f"{where}: {name or 'it'} must be a table, got {first['input']!r}"
    said = first["msg"].lower().removeprefix("input ")
    return f"{where}: {name!r} {said}, got {first['input']!r}" if name else f"{where} {said}"
