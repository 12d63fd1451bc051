"""Measurements as JSON documents and back, to the last bit."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import TypedDict, TypeVar, cast

from devices.device import (
    ClockTier,
    Delegate,
    DeviceInfo,
    DeviceState,
    RawRuns,
    RunnerInfo,
    RunRecord,
    RunSummary,
    Setup,
)
from exporters.artifact import Precision
from latency.measurement import (
    Conditions,
    LatencyMeasurement,
    MeasurementProtocol,
    Statistic,
)

Made = TypeVar("Made")


class DocumentError(ValueError):
    """Text that is no such document."""


def conditions_to_text(conditions: Conditions) -> str:
    """``conditions.flat()`` as canonical JSON."""
    return json.dumps(conditions.flat(), sort_keys=True)


def conditions_from_text(text: str) -> Conditions:
    """What ``conditions_to_text`` was given.

    Raises:
        DocumentError: If it is no such text.
    """
    return _read(text, _conditions)


def protocol_to_text(protocol: MeasurementProtocol) -> str:
    """A JSON object with the fields of ``protocol``."""
    return json.dumps(asdict(protocol), sort_keys=True)


def protocol_from_text(text: str) -> MeasurementProtocol:
    """What ``protocol_to_text`` was given.

    Raises:
        DocumentError: If it is no such text.
    """
    return _read(text, lambda fields: MeasurementProtocol(**fields))


class Extra(TypedDict):
    """Fields of a measurement that older versions do not have."""

    drift: tuple[float, ...]
    labels: tuple[str, ...]


def extra_to_text(measurement: LatencyMeasurement) -> str:
    """Drift and labels of ``measurement``, where it has some."""
    found = {"drift": list(measurement.drift), "labels": list(measurement.labels)}
    return json.dumps({name: value for name, value in found.items() if value}, sort_keys=True)


def extra_from_text(text: str) -> Extra:
    """What ``extra_to_text`` told.

    Raises:
        DocumentError: If it is no such text.
    """
    return _read(text, _extra)


def _extra(fields: Mapping[str, object]) -> Extra:
    drift = cast("list[float]", fields.get("drift", []))
    labels = cast("list[str]", fields.get("labels", []))
    return Extra(drift=tuple(map(float, drift)), labels=tuple(map(_text, labels)))


def record_to_text(record: RunRecord) -> str:
    """A JSON object; the samples are ``runs_ms`` where single runs are known, else ``summary``."""
    samples = record.samples
    if isinstance(samples, RawRuns):
        timed: dict[str, object] = {"runs_ms": list(samples.runs_ms)}
    else:
        timed = {"summary": asdict(samples)}
    document = {
        **timed,
        "first_ms": record.first_ms,
        "init_ms": record.init_ms,
        "peak_memory_mb": record.peak_memory_mb,
        "before": asdict(record.before),
        "after": asdict(record.after),
        "started_at": record.started_at.isoformat(),
        "energy_mj": record.energy_mj,
        "others_cores": record.others_cores,
        "quiet_share": record.quiet_share,
    }
    return json.dumps(document, sort_keys=True)


def record_from_text(text: str) -> RunRecord:
    """What ``record_to_text`` was given.

    Raises:
        DocumentError: If it is no such text.
    """
    return _read(text, _record)


def _read(text: str, make: Callable[..., Made]) -> Made:
    try:
        fields = json.loads(text)
        if not isinstance(fields, dict):
            msg = f"a JSON object was expected, got {text[:200]!r}"
            raise DocumentError(msg)
        return make(fields)
    except (KeyError, TypeError, ValueError) as error:
        msg = f"not a document of a measurement ({error}): {text[:200]!r}"
        raise DocumentError(msg) from error


def _conditions(fields: Mapping[str, object]) -> Conditions:
    left = dict(fields)
    info = DeviceInfo(
        model=_text(left.pop("device_model")),
        core_khz=_integers(left.pop("core_khz")),
        ram_mb=_integer(left.pop("ram_mb")),
        stand_in=_text(left.pop("device_stand_in")),
        on_this_computer=_boolean(left.pop("on_this_computer")),
        **{name: _text(left.pop(name)) for name in ("unit", "soc", "abi", "build", "kernel")},
    )
    runner = RunnerInfo(
        name=_text(left.pop("runner")),
        **{
            name: _text(left.pop(f"runner_{name}"))
            for name in ("dialect", "version", "sha256", "stand_in")
        },
    )
    setup = Setup(
        info=info,
        runner=runner,
        threads=_integer(left.pop("threads")),
        cores=_integers(left.pop("cores")),
        delegate=Delegate(_text(left.pop("delegate"))),
        clock_tier=ClockTier(_text(left.pop("clock_tier"))),
        gives_single_runs=_boolean(left.pop("gives_single_runs")),
        clock_khz=_integer(left.pop("clock_khz", 0)),
    )
    precision = Precision(_text(left.pop("precision")))
    statistic = Statistic(_text(left.pop("statistic")))
    if left:
        msg = f"unknown conditions {sorted(left)}"
        raise ValueError(msg)
    return Conditions(setup=setup, precision=precision, statistic=statistic)


def _record(fields: Mapping[str, object]) -> RunRecord:
    if "runs_ms" in fields:
        runs = cast("list[float]", fields["runs_ms"])
        samples: RawRuns | RunSummary = RawRuns(runs_ms=tuple(runs))
    else:
        samples = RunSummary(**cast("dict[str, float]", fields["summary"]))  # type: ignore[arg-type]
    return RunRecord(
        samples=samples,
        first_ms=cast("float | None", fields["first_ms"]),
        init_ms=cast("float | None", fields["init_ms"]),
        peak_memory_mb=cast("float | None", fields["peak_memory_mb"]),
        before=_state(cast("dict[str, object]", fields["before"])),
        after=_state(cast("dict[str, object]", fields["after"])),
        started_at=datetime.fromisoformat(_text(fields["started_at"])),
        energy_mj=cast("float | None", fields.get("energy_mj")),
        others_cores=cast("float | None", fields.get("others_cores")),
        quiet_share=cast("float | None", fields.get("quiet_share")),
    )


def _state(fields: Mapping[str, object]) -> DeviceState:
    lists = {
        name: tuple(map(_untied, cast("list[object]", value)))
        for name, value in fields.items()
        if isinstance(value, list)
    }
    return DeviceState(**{**fields, **lists})  # type: ignore[arg-type]


def _untied(value: object) -> object:
    """Tuples for the lists that JSON makes of them."""
    return tuple(value) if isinstance(value, list) else value


def _text(value: object) -> str:
    if not isinstance(value, str):
        msg = f"text was expected, got {value!r}"
        raise TypeError(msg)
    return value


def _integer(value: object) -> int:
    if type(value) is not int:
        msg = f"a whole number was expected, got {value!r}"
        raise TypeError(msg)
    return value


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        msg = f"true or false was expected, got {value!r}"
        raise TypeError(msg)
    return value


def _integers(value: object) -> tuple[int, ...]:
    if not isinstance(value, list):
        msg = f"a list was expected, got {value!r}"
        raise TypeError(msg)
    return tuple(_integer(item) for item in value)
