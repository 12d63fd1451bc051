"""Predictors as files: versioned JSON that people can read, and that is fitted anew when read.

A file holds what other devices told (their weights, in units of a typical network) and the
measurements of its own device; never anything that could be computed from these.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from latency.device_prior import DevicePrior
from latency.evidence import Basis, Measurement
from latency.heads import CLASSIFIER, of_kind, require_kind
from latency.predictor import Predictor
from latency.signatures import Parts, Signature
from latency.spread import Spread
from latency.table import Condition, Validation
from search_space.architecture import Head
from workspace.errors import InputError, OperationError
from workspace.files import write_whole
from workspace.home import home

VERSION = 2
"""Of the form; predictors of classifiers are written in form 1, which knew no other head."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PredictorRecord:
    """A predictor and all that has to be known of it.

    Attributes:
        name: As the command line names it, e.g. ``"predictor:lab-phone"``.
        predictor: Fitted.
        space: The space it was made for, as text.
        classes: Of its networks' heads.
        head: Kind of these heads, of ``latency.heads``.
        conditions: Its device was measured under.
        networks: Keys of the networks it was fitted on, shortened to 16 digits.
        labels: What has to be said of it.
        validations: Oldest first.
    """

    name: str
    predictor: Predictor
    space: str
    classes: int
    conditions: Mapping[str, Condition]
    networks: tuple[str, ...]
    labels: tuple[str, ...] = ()
    validations: tuple[Validation, ...] = ()
    head: str = CLASSIFIER

    def __post_init__(self) -> None:
        require_kind(self.head)

    def head_of(self) -> Head:
        """What its networks end in."""
        return of_kind(self.head, self.classes)


def path_of(name: str) -> Path:
    """Where a predictor of that name is kept on this computer."""
    return home() / "predictors" / f"{name}.json"


def load(text: str) -> PredictorRecord:
    """The predictor that ``text`` names, the part after ``predictor:`` of a source.

    Args:
        text: The name of a file in ``POCKETNAS_HOME/predictors``, or a path.

    Raises:
        InputError: If there is none, or it is damaged; the text says what is wrong.
    """
    for path in (path_of(text), Path(text)):
        if text and _is_file(path):
            return read(path, text)
    folder = home() / "predictors"
    known = sorted(path.stem for path in folder.glob("*.json")) if folder.is_dir() else []
    there = f"there is {', '.join(known)}" if known else "there is none yet"
    msg = f"no predictor {text!r}; {there}: 'pocketnas predictor fit' makes one"
    raise InputError(msg)


def read(path: Path, name: str) -> PredictorRecord:
    """The predictor in a file.

    Raises:
        InputError: If it cannot be read, is none, is cut off, or of a newer version.
    """
    what = f"the predictor {str(path)!r}"
    try:
        document = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except OSError as error:
        msg = f"{what} cannot be read: {error}"
        raise InputError(msg) from error
    except ValueError as error:
        msg = f"{what} is no whole JSON: it is cut off or damaged ({error})"
        raise InputError(msg) from error
    version = document.get("pocketnas_predictor") if isinstance(document, dict) else None
    if type(version) is not int:
        msg = f"{what} is no predictor: it has no 'pocketnas_predictor' with a version"
        raise InputError(msg)
    if version > VERSION:
        msg = (
            f"{what} was written by a newer version (form {version}); this one knows forms up to "
            f"{VERSION}: update pocketnas to read it"
        )
        raise InputError(msg)
    try:
        return _record(document, f"predictor:{name}")
    except InputError as error:
        msg = f"{what}: {error}"
        raise InputError(msg) from error
    except (KeyError, TypeError, ValueError, IndexError) as error:
        msg = f"{what} is damaged ({type(error).__name__}: {error})"
        raise InputError(msg) from error


def write(record: PredictorRecord, path: Path) -> None:
    """Write a predictor, whole or not at all; the same one gives the same text.

    Raises:
        OperationError: If the file cannot be written.
    """
    text = json.dumps(_document(record), indent=1)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, f"{text}\n".encode())
    except OSError as error:
        reason = error.strerror or str(error)
        msg = f"the predictor {str(path)!r} cannot be written ({reason})"
        raise OperationError(msg) from error


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False


def _document(record: PredictorRecord) -> dict[str, object]:
    prior = record.predictor.prior
    index = prior.basis.index
    return {
        "pocketnas_predictor": 1 if record.head == CLASSIFIER else VERSION,
        "space": record.space,
        "classes": record.classes,
        **({} if record.head == CLASSIFIER else {"head": record.head}),
        "conditions": dict(record.conditions),
        "labels": list(record.labels),
        "networks": list(record.networks),
        "validations": [asdict(each) for each in record.validations],
        "spread": asdict(prior.spread),
        "parts": [asdict(part) for part in prior.basis.parts],
        "typical": prior.basis.typical.tolist(),
        "devices": dict(zip(prior.names, prior.weights.tolist(), strict=True)),
        "unsure": prior.unsure.tolist(),
        "shared": prior.shared.tolist(),
        "known": sorted(index[key] for key in prior.known if key in index),
        "measurements": [
            {
                "parts": [index[part.key] for part in each.parts],
                "latency_ms": each.latency_ms,
                "variance_ms2": each.variance_ms2,
                "whole": each.whole,
            }
            for each in record.predictor.measurements
        ],
    }


def _record(document: Mapping[str, Any], name: str) -> PredictorRecord:
    parts = tuple(Signature(**each) for each in document["parts"])
    return PredictorRecord(
        name=name,
        predictor=Predictor.of(
            _prior(document, parts),
            [_measurement(each, parts) for each in document["measurements"]],
        ),
        space=str(document["space"]),
        classes=int(document["classes"]),
        head=str(document.get("head", CLASSIFIER)),
        conditions=cast("Mapping[str, Condition]", dict(document["conditions"])),
        networks=tuple(map(str, document["networks"])),
        labels=tuple(map(str, document["labels"])),
        validations=tuple(_validation(each) for each in document["validations"]),
    )


def _prior(document: Mapping[str, Any], parts: Parts) -> DevicePrior:
    import numpy as np

    devices: Mapping[str, list[float]] = document["devices"]
    width = len(parts) + 1
    weights = np.array(list(devices.values()), np.float64).reshape(len(devices), width)
    unsure = np.array(document["unsure"], np.float64).reshape(width)
    typical = np.array(document["typical"], np.float64).reshape(width)
    shared = np.array(document["shared"], np.float64).reshape(-1, width)
    if not all(np.isfinite(values).all() for values in (weights, unsure, typical, shared)):
        msg = "weights, variances and counts must be finite"
        raise InputError(msg)
    if (unsure < 0).any() or (typical < 0).any():  # a weight that whole networks leave open may be
        msg = "variances and counts must not be negative"
        raise InputError(msg)
    return DevicePrior(
        basis=Basis.from_parts(parts, typical),
        names=tuple(devices),
        weights=weights,
        unsure=unsure,
        shared=shared,
        known=frozenset(parts[place].key for place in document["known"]),
        spread=Spread(**_numbers(document["spread"])),
    )


def _measurement(document: Mapping[str, Any], parts: Parts) -> Measurement:
    return Measurement(
        parts=tuple(parts[place] for place in document["parts"]),
        latency_ms=float(document["latency_ms"]),
        variance_ms2=float(document["variance_ms2"]),
        whole=bool(document["whole"]),
    )


def _validation(document: Mapping[str, Any]) -> Validation:
    return Validation(
        date=str(document["date"]),
        numbers=_numbers(document["numbers"]),
        additivity_error=float(document["additivity_error"]),
        networks=tuple(map(str, document["networks"])),
    )


def _numbers(document: Mapping[str, Any]) -> dict[str, float]:
    found = {str(name): float(value) for name, value in document.items()}
    if not all(map(math.isfinite, found.values())):
        msg = f"numbers must be finite, got {found}"
        raise InputError(msg)
    return found


def _refuse(constant: str) -> float:
    msg = f"{constant} is no number that a predictor may have"
    raise ValueError(msg)
