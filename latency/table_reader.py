"""Reads the text form of tables (see ``latency.table_text``), and refuses what is none."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import fields
from typing import Any, cast

import yaml

from latency.heads import CLASSIFIER
from latency.table import (
    RESERVED,
    Condition,
    Correction,
    Entry,
    Known,
    LatencyTable,
    Validation,
    variance_of,
)
from latency.table_text import VERSION
from workspace.errors import InputError

_HEADER_FIELDS = (
    "version",
    "entries",
    "space",
    "classes",
    "head",
    "made_by",
    "conditions",
    "unknown",
    "labels",
    "correction",
    "validations",
)
_ENTRY_FIELDS = frozenset(
    {"median", "mad", "mean", "var", "count", "sessions", "date", "raw", "known"}
)


def from_text(content: bytes, name: str, what: str) -> LatencyTable:
    """The table in the content of a YAML file.

    Args:
        content: All of it.
        name: Of the table.
        what: The file in words, for errors.

    Raises:
        InputError: If it is no table, is cut off or of a newer version; the text names what is
            wrong.
    """
    try:
        document = yaml.load(content, Loader=_Loader)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        msg = f"{what} is no YAML: {' '.join(str(error).split())}"
        raise InputError(msg) from error
    if not isinstance(document, dict) or not document:
        msg = f"{what} must map keys of layers to count, mean and var"
        raise InputError(msg)
    header = _header(document.pop(RESERVED, {"version": 1}), what)
    entries = {_key(key, what): _entry(key, value, what) for key, value in document.items()}
    told = header.get("entries", len(entries))
    if told != len(entries) or not entries:
        msg = f"{what} has {len(entries)} entries where it says {told}: it is cut off or damaged"
        raise InputError(msg)
    if not content.endswith(b"\n"):
        msg = f"{what} does not end with a line break: it is cut off, or its last line wants one"
        raise InputError(msg)
    return _table(header, entries, name, what)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """A safe loader that refuses what YAML would silently drop: a key that comes twice.

    Dates stay text.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002
        """See yaml."""
        made: dict[Hashable, Any] = super().construct_mapping(node, deep=deep)
        if len(made) != len(node.value):
            names = [str(key.value) for key, _ in node.value]
            doubled = sorted({name for name in names if names.count(name) > 1})
            msg = f"keys that come twice: {', '.join(doubled)}"
            raise yaml.constructor.ConstructorError(None, None, msg, node.start_mark)
        return made


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in each if tag != "tag:yaml.org,2002:timestamp"]
    for first, each in _Loader.yaml_implicit_resolvers.items()
}


def _header(header: object, what: str) -> dict[str, Any]:
    if not isinstance(header, dict) or type(header.get("version")) is not int:
        msg = f"{what} has a {RESERVED!r} entry without a version: {header!r}"
        raise InputError(msg)
    if header["version"] > VERSION:
        msg = (
            f"{what} was written by a newer version (form {header['version']}); "
            f"this one knows forms up to {VERSION}: update pocketnas to read it"
        )
        raise InputError(msg)
    unknown = sorted(str(name) for name in header if name not in _HEADER_FIELDS)
    if unknown:
        msg = f"{what} has {unknown[0]!r} in {RESERVED!r}; there are {', '.join(_HEADER_FIELDS)}"
        raise InputError(msg)
    if header["version"] > 1 and type(header.get("entries")) is not int:
        msg = f"{what} does not say how many entries it has: it is damaged"
        raise InputError(msg)
    return cast("dict[str, Any]", header)


def _table(
    header: Mapping[str, Any], entries: Mapping[str, Entry], name: str, what: str
) -> LatencyTable:
    try:
        return LatencyTable(
            name=name,
            entries=entries,
            conditions=_conditions(header.get("conditions", {})),
            unknown=_texts(header.get("unknown", [])),
            space=_text(header.get("space", "")),
            classes=_whole(header.get("classes", 0)),
            head=_text(header.get("head", CLASSIFIER)),
            made_by=_text(header.get("made_by", "")),
            labels=_texts(header.get("labels", [])),
            correction=_correction(header.get("correction", {})),
            validations=tuple(map(_validation, _list(header.get("validations", [])))),
        )
    except (TypeError, ValueError, KeyError) as error:
        msg = f"{what} has a damaged {RESERVED!r} entry: {error}"
        raise InputError(msg) from error


def _conditions(value: object) -> dict[str, Condition]:
    conditions = _mapping(value)
    wrong = [name for name, each in conditions.items() if not _is_condition(each)]
    if wrong:
        msg = f"a condition is text or whole numbers, {wrong[0]!r} is {conditions[wrong[0]]!r}"
        raise TypeError(msg)
    return conditions


def _is_condition(value: object) -> bool:
    if isinstance(value, list):
        return all(type(each) is int for each in value)
    return isinstance(value, str | int)


def _correction(value: object) -> Correction:
    told = _mapping(value, Correction)
    return Correction(
        scale=_number(told.get("scale", 1.0)),
        constant_ms=_number(told.get("constant_ms", 0.0)),
        terms_ms=_numbers(told.get("terms_ms", {})),
        residual_share=_number(told.get("residual_share", 0.0)),
        networks=_texts(told.get("networks", [])),
    )


def _validation(value: object) -> Validation:
    told = _mapping(value, Validation)
    return Validation(
        date=_text(told["date"]),
        numbers=_numbers(told["numbers"]),
        additivity_error=_number(told["additivity_error"]),
        networks=_texts(told.get("networks", [])),
    )


def _key(key: object, what: str) -> str:
    if not isinstance(key, str):
        msg = f"{what} has a key that is no text: {key!r}"
        raise InputError(msg)
    return key


def _entry(key: object, value: object, what: str) -> Entry:
    told = value if isinstance(value, dict) else {}
    try:
        return _ours(told) if "median" in told else _theirs(told)
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        needs = "median, mad, count" if "median" in told else "count, mean and var"
        msg = f"{what}: entry {key!r} needs {needs}, got {value!r} ({error})"
        raise InputError(msg) from error


def _ours(told: Mapping[str, Any]) -> Entry:
    mad_ms = _number(told["mad"])
    variance_ms2 = _number(told["var"]) if "var" in told else variance_of(mad_ms)
    return Entry(
        ms=_number(told["median"]), variance_ms2=variance_ms2, mad_ms=mad_ms, **_more(told)
    )


def _theirs(told: Mapping[str, Any]) -> Entry:
    return Entry(ms=_number(told["mean"]), variance_ms2=_number(told["var"]), **_more(told))


def _more(told: Mapping[str, Any]) -> dict[str, Any]:
    """What both forms may have."""
    either = {"mean"} if "median" in told else {"mad"}
    unknown = sorted(str(name) for name in told if name not in _ENTRY_FIELDS - either)
    if unknown:
        msg = f"{unknown[0]!r} is no part of it"
        raise ValueError(msg)
    return {
        "count": told["count"],
        "sessions": told.get("sessions", 0),
        "date": _text(told.get("date", "")),
        "raw": _texts(told.get("raw", [])),
        "known": Known(told.get("known", Known.MEASURED)),
    }


def _mapping(value: object, kind: type[Correction | Validation] | None = None) -> dict[str, Any]:
    """A mapping of names, which are those of ``kind`` where one is given."""
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        msg = f"{value!r} does not map names"
        raise TypeError(msg)
    unknown = sorted(value.keys() - {each.name for each in fields(kind)}) if kind else []
    if unknown:
        msg = f"{unknown[0]!r} is no part of a {kind.__name__.lower() if kind else ''}"
        raise ValueError(msg)
    return value


def _numbers(value: object) -> dict[str, float]:
    return {name: _number(each) for name, each in _mapping(value).items()}


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        msg = f"{value!r} is no number"
        raise TypeError(msg)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        msg = f"{number!r} is not finite"
        raise ValueError(msg)
    return number


def _whole(value: object) -> int:
    if type(value) is not int:
        msg = f"{value!r} is no whole number"
        raise TypeError(msg)
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        msg = f"{value!r} is no text"
        raise TypeError(msg)
    return value


def _texts(values: object) -> tuple[str, ...]:
    return tuple(map(_text, _list(values)))


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        msg = f"{value!r} is no list"
        raise TypeError(msg)
    return value
