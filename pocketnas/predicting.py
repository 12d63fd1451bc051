"""What ``pocketnas predictor`` does, once its options are read."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from latency.accuracy import Accuracy
from latency.correction import short
from latency.device_prior import DevicePrior
from latency.heads import kind_of
from latency.predictor import Predictions, Predictor
from latency.predictor_design import first_choice, next_choice
from latency.predictor_file import PredictorRecord, load, path_of, write
from latency.signatures import parts_of
from latency.source import NetworkSubject
from latency.table import Validation
from latency.table_plan import random_networks
from latency.table_validation import DRIFT_LIMIT, require_conditions
from pocketnas.measured_networks import MeasuredNetwork, from_csv, measure
from pocketnas.other_devices import Asked, candidates, prior_of
from pocketnas.table_building import devices, space_of, space_text
from search_space.space import create
from workspace.errors import InputError, OperationError
from workspace.files import write_whole
from workspace.home import require_name

if TYPE_CHECKING:
    from latency.source import SourceSettings
    from latency.table import Condition

CONFIDENCE = 0.9
"""Of the intervals that a validation checks."""

LEAST_INSIDE = 0.75
"""Share of these intervals that must hold what is measured."""

_BATCH = 8
_LEAST_UNSEEN = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """Networks as a predictor and a device have them.

    Attributes:
        predictions: By the predictor.
        measured_ms: By the device.
        accuracy: Of the first against the second.
        bias: Median of measured over predicted, less 1.
    """

    predictions: Predictions
    measured_ms: tuple[float, ...]
    accuracy: Accuracy
    bias: float

    @property
    def alarm(self) -> str:
        """Why the predictor is not to be used as it is; empty if it may be."""
        inside = self.accuracy.interval_coverage or 0.0
        if abs(self.bias) > max(DRIFT_LIMIT, self.accuracy.median_error / 2):
            return (
                f"the device takes {self.bias:+.1%} against the predictor: measure more networks "
                "('pocketnas predictor suggest' says which) or fit it anew"
            )
        if inside < LEAST_INSIDE:
            return (
                f"only {inside:.0%} of the {CONFIDENCE:.0%} intervals hold what was measured: "
                "measure more networks ('pocketnas predictor suggest' says which)"
            )
        return ""


def fit(
    name: str,
    asked: Asked,
    measured: str | Path,
    settings: SourceSettings,
    *,
    force: bool,
    say: Callable[[str], None],
) -> PredictorRecord:
    """Fit a predictor to a device, and keep it in ``POCKETNAS_HOME/predictors``.

    Args:
        name: Of the predictor.
        asked: What is to be predicted, and from which other devices.
        measured: A source, on which networks chosen by the design are measured; or a CSV file of
            networks that were.
        settings: Of the source.
        force: Whether one of that name may be replaced.
        say: Is told what goes on.

    Raises:
        InputError: If anything asked for does not fit, or there is one of that name.
        OperationError: If too few networks could be measured.
    """
    require_name(name, "a predictor")
    path = path_of(name)
    if path.exists() and not force:
        msg = f"the predictor {name!r} is there already ({path}): say --force or another name"
        raise InputError(msg)
    space, head = create(asked.space, asked.options), asked.head
    subjects = candidates(space, head, asked.seed)
    prior = prior_of(asked.others, space, head, subjects, say)
    if isinstance(measured, Path):
        found = from_csv(measured, head)
    else:
        networks = [parts_of(each.architecture, head) for each in subjects]
        chosen = [subjects[place] for place in first_choice(prior, networks, asked.samples)]
        found = _measured(measured, settings, chosen, say)
    record = PredictorRecord(
        name=f"predictor:{name}",
        predictor=Predictor.of(prior, [each.measurement for each in found]),
        space=space_text(asked.space, asked.options),
        classes=head.classes,
        head=kind_of(head),
        conditions=_conditions(found),
        networks=tuple(short(each.key) for each in found),
        labels=_labels(prior),
    )
    write(record, path)
    return record


def check(
    name: str,
    measured: str | Path,
    settings: SourceSettings,
    *,
    networks: int,
    seed: int | None,
    say: Callable[[str], None],
) -> tuple[PredictorRecord, Checked]:
    """Hold a predictor against networks that it was not fitted to, and note how far it was off.

    Raises:
        InputError: If the device is under other conditions, or the networks are too few.
        OperationError: If too few could be measured.
    """
    name = name.removeprefix("predictor:")
    record = load(name)
    head = record.head_of()
    if isinstance(measured, Path):
        found = from_csv(measured, head)
    else:
        number = 1000 + len(record.validations) if seed is None else seed
        drawn = random_networks(
            space_of(record.space), head, networks + len(record.networks), seed=number
        )
        unseen = [each for each in drawn if short(each.architecture.key) not in record.networks]
        found = _measured(measured, settings, unseen[:networks], say)
    for each in found:
        require_conditions(record.name, record.conditions, each.conditions)
    unseen_found = [each for each in found if short(each.key) not in record.networks]
    if len(unseen_found) < _LEAST_UNSEEN:
        msg = (
            f"a validation needs at least {_LEAST_UNSEEN} networks that {record.name} was not "
            f"fitted to, got {len(unseen_found)} among {len(found)}"
        )
        raise InputError(msg)
    checked = compare(record.predictor, unseen_found)
    record = _noted(record, checked, [short(each.key) for each in unseen_found])
    path = path_of(name) if path_of(name).is_file() else Path(name)
    write(record, path)
    return record, checked


def compare(predictor: Predictor, networks: Sequence[MeasuredNetwork]) -> Checked:
    """A predictor against measured networks.

    Raises:
        InputError: If there are fewer than two.
    """
    predictions = predictor.predict([each.measurement.parts for each in networks], CONFIDENCE)
    measured = tuple(each.measurement.latency_ms for each in networks)
    accuracy = Accuracy.of(
        predictions.latency_ms, measured, low_ms=predictions.low_ms, high_ms=predictions.high_ms
    )
    ratios = [
        mine / float(theirs) for mine, theirs in zip(measured, predictions.latency_ms, strict=True)
    ]
    return Checked(
        predictions=predictions,
        measured_ms=measured,
        accuracy=accuracy,
        bias=statistics.median(ratios) - 1,
    )


def suggest_first(
    asked: Asked, count: int, say: Callable[[str], None]
) -> tuple[NetworkSubject, ...]:
    """The networks to measure first on a device of which nothing is known.

    Raises:
        InputError: If anything asked for does not fit.
    """
    space, head = create(asked.space, asked.options), asked.head
    subjects = candidates(space, head, asked.seed)
    prior = prior_of(asked.others, space, head, subjects, say)
    networks = [parts_of(each.architecture, head) for each in subjects]
    return tuple(subjects[place] for place in first_choice(prior, networks, count))


def suggest_next(
    name: str, count: int, seed: int
) -> tuple[tuple[NetworkSubject, ...], Predictions]:
    """The networks that would teach a predictor most, and what it takes them to take.

    Raises:
        InputError: If there is no such predictor.
    """
    record = load(name.removeprefix("predictor:"))
    head = record.head_of()
    subjects = [
        each
        for each in candidates(space_of(record.space), head, seed)
        if short(each.architecture.key) not in record.networks
    ]
    networks = [parts_of(each.architecture, head) for each in subjects]
    chosen = next_choice(record.predictor, networks, count)
    predictions = record.predictor.predict([networks[place] for place in chosen], CONFIDENCE)
    return tuple(subjects[place] for place in chosen), predictions


def keep_networks(subjects: Sequence[NetworkSubject], folder: Path) -> list[Path]:
    """Write architectures as JSON files, so that other commands can take them.

    Raises:
        OperationError: If the folder cannot be written.
    """
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number, subject in enumerate(subjects, 1):
            path = folder / f"{number:02d}.json"
            write_whole(path, json.dumps(subject.architecture.to_json(), indent=1).encode())
            paths.append(path)
    except OSError as error:
        msg = f"{str(folder)!r} cannot be written: {error.strerror or error}"
        raise OperationError(msg) from error
    return paths


def _measured(
    on: str,
    settings: SourceSettings,
    subjects: Sequence[NetworkSubject],
    say: Callable[[str], None],
) -> list[MeasuredNetwork]:
    """Those that could be measured.

    Raises:
        OperationError: If fewer than half could.
    """
    found, failures = [], []
    with devices(on, settings) as source:
        for one in measure(source, subjects, "search", _BATCH * source.lanes):
            if isinstance(one, str):
                failures.append(one)
                say(f"no latency: {one}")
                continue
            found.append(one)
            say(f"{len(found)} of {len(subjects)}: {one.measurement.latency_ms:.4g} ms")
    if len(found) < max(len(subjects) / 2, 1):
        msg = f"only {len(found)} of {len(subjects)} networks could be measured: {failures[-1]}"
        raise OperationError(msg)
    return found


def _conditions(found: Sequence[MeasuredNetwork]) -> dict[str, Condition]:
    """Of all that was measured; the units by name where there are several."""
    conditions = dict(found[0].conditions)
    units = {str(each.conditions["unit"]) for each in found if "unit" in each.conditions}
    if units:
        conditions["unit"] = " ".join(sorted(units))
    return conditions


def _labels(prior: DevicePrior) -> tuple[str, ...]:
    if prior.names:
        return (f"from {len(prior.names)} other devices: {', '.join(prior.names)}",)
    return ("from no other device: intervals are wide",)


def _noted(record: PredictorRecord, checked: Checked, networks: Sequence[str]) -> PredictorRecord:
    told = asdict(checked.accuracy) | {"bias": checked.bias}
    numbers = {name: float(value) for name, value in told.items() if value is not None}
    assert all(map(math.isfinite, numbers.values()))
    validation = Validation(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        numbers=numbers,
        additivity_error=checked.accuracy.median_error,
        networks=tuple(networks),
    )
    return replace(record, validations=(*record.validations, validation))
