"""The configuration of a search: a TOML file, overridden by the command line."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from latency.load import AT_TARGET
from pocketnas.fleet import FleetEntry
from pocketnas.reward_settings import checked
from training.task import full_name
from workspace.errors import InputError

Positive = Annotated[int, Field(ge=1)]
PositiveTime = Annotated[float, Field(gt=0, allow_inf_nan=False)]

ANALYTIC = "analytic-standin"
"""The data set that is none: accuracies come from a formula, and every result says so."""

PREDICTS = ("table:", "predictor:", "hybrid:")
"""Latency sources that answer without a device's sessions, or not always with them. They know
networks of a space of their own, which is not made smaller to suit data."""


class SearchConfig(BaseModel):
    """Everything that decides what a search does; written into its run folder.

    A field left at None takes what the data set recommends. With a fleet, whose devices have
    sources and targets of their own, ``latency`` is empty and ``target_ms`` None; a reward that
    weighs no latency has no ``target_ms`` either.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    space: str = "mnasnet"
    space_options: dict[str, str] = Field(default_factory=dict)
    algorithm: str = "evolution"
    algorithm_options: dict[str, str] = Field(default_factory=dict)
    dataset: str = "digits"
    train_command: str = ""
    latency: str = "host"
    final_on: str = ""
    target_ms: PositiveTime | None = None
    target_macs: PositiveTime | None = None
    fleet: list[FleetEntry] = Field(default_factory=list)
    fleet_rule: Literal["worst", "weighted", "each"] = "worst"
    reward: Literal["soft", "hard", "macs", "training-aware"] = "soft"
    trials: Positive = 100
    objectives: list[str] = Field(default_factory=lambda: ["accuracy", "latency_ms"])
    constraints: list[str] = Field(default_factory=list)
    phases: list[str] = Field(default_factory=list)
    confirm: Annotated[int, Field(ge=0)] = 0
    stop_early: bool = False
    reduction: Annotated[int, Field(ge=2)] = 3
    rungs: Positive = 2
    warm_start: list[str] = Field(default_factory=list)
    seed: int = 0
    window: Positive = 4
    mode: Literal["ordered", "asynchronous"] = "ordered"
    size: Positive | None = None
    train_size: Positive | None = None
    classes: Positive | None = None
    samples: Positive | None = None
    batch: Positive | None = None
    learning_rate: PositiveTime | None = None
    train_deadline_s: PositiveTime = 3600.0
    threads: Positive = 1
    delegate: Literal["cpu", "gpu"] = "cpu"
    clock_tier: Literal["T1", "T2", "T3"] = "T3"
    phone_recovery: list[Literal["reboot", "power-cycle"]] = Field(default_factory=list)
    precision: Literal["fp32", "fp16", "int8"] = "fp32"
    preset: Literal["quick", "search", "final"] = "search"
    final_preset: Literal["quick", "search", "final"] = "final"
    skip_above: Annotated[float, Field(ge=1, allow_inf_nan=False)] | None = None
    exporter: str = "tflite"
    database: str = ""

    @model_validator(mode="before")
    @classmethod
    def _with_what_the_reward_needs(cls, settings: object) -> object:
        return checked(settings) if isinstance(settings, Mapping) else settings

    @field_validator("dataset")
    @classmethod
    def _found_from_any_folder(cls, dataset: str) -> str:
        return full_name(dataset)

    @property
    def sources(self) -> tuple[str, ...]:
        """What times candidates: the one source, or a fleet's."""
        return tuple(entry.latency for entry in self.fleet) or (self.latency,)

    @property
    def target(self) -> float:
        """What a reward is worked out with: milliseconds, or the load of a fleet."""
        return AT_TARGET if self.target_ms is None else self.target_ms

    @classmethod
    def load(cls, path: Path | None, overrides: Mapping[str, object]) -> SearchConfig:
        """The file's settings with ``overrides`` in their place; None in them means 'not given'.

        Raises:
            InputError: If the file cannot be read or is no TOML, or a setting is unknown or out
                of range; the text names it.
        """
        settings: dict[str, object] = {} if path is None else _read(path)
        for name, value in overrides.items():
            if isinstance(value, Mapping):
                before = settings.get(name, {})
                settings[name] = {**(before if isinstance(before, dict) else {}), **value}
            elif value is not None:
                settings[name] = value
        try:
            return cls.model_validate(settings)
        except ValidationError as error:
            raise InputError(_sentence(error, path)) from error

    def to_toml(self) -> str:
        """A TOML document from which ``load`` makes an equal configuration."""
        flat, tables = [], []
        unused = set() if self.fleet else {"fleet", "fleet_rule"}
        for name, value in self.model_dump(exclude_none=True, exclude=unused).items():
            if isinstance(value, dict):
                tables.append(_table(f"[{name}]", value))
            elif name == "fleet":
                tables += [_table(f"[[{name}]]", entry) for entry in value]
            else:
                flat.append(f"{name} = {json.dumps(value)}")
        return "\n".join([*flat, *tables]) + "\n"


def _table(heading: str, values: Mapping[str, object]) -> str:
    lines = [f"{json.dumps(key)} = {json.dumps(item)}" for key, item in values.items()]
    return "\n".join([f"\n{heading}", *lines])


def options_from(texts: list[str], flag: str) -> dict[str, str]:
    """Parse repeated ``NAME=VALUE`` options.

    >>> options_from(["size=32", "base=mnasnet_a1"], "--space-option")
    {'size': '32', 'base': 'mnasnet_a1'}

    Raises:
        InputError: If one has no ``=``.
    """
    options = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            msg = f"{flag} takes NAME=VALUE, got {text!r}"
            raise InputError(msg)
        options[name] = value
    return options


def _read(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        msg = f"the configuration {str(path)!r} cannot be read: {error}"
        raise InputError(msg) from error
    except tomllib.TOMLDecodeError as error:
        msg = f"the configuration {str(path)!r} is no TOML: {error}"
        raise InputError(msg) from error


def _sentence(error: ValidationError, path: Path | None) -> str:
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"])
    where = f" in {path}" if path else ""
    model: type[BaseModel] = SearchConfig
    match first["loc"]:
        case ("fleet", int(place), *rest):
            name, model = ".".join(map(str, rest)), FleetEntry
            where = f" of device {place + 1} of the fleet{where}"
    match first["type"]:
        case "value_error":
            return f"{path}: {first['ctx']['error']}" if path else str(first["ctx"]["error"])
        case "missing":
            return f"setting {name!r} is missing{where}"
        case "extra_forbidden":
            known = ", ".join(model.model_fields)
            return f"unknown setting {name!r}{where}; there are {known}"
    return f"setting {name!r}{where}: {first['msg'].lower()}, got {first['input']!r}"
