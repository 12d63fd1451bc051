"""What ``pocketnas table`` tells of tables, and how it makes and writes them."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from latency.table import Correction, Entry, LatencyTable, merged
from latency.table_coverage import Coverage
from latency.table_file import known_names, load, new_path, read, write
from workspace.errors import InputError, OperationError
from workspace.files import write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping

    from exporters.graph import Graph
    from latency.signatures import Parts
    from latency.table_diff import Moved, TableDiff
    from latency.table_export import ExportForm

Facts = dict[str, object]
Member = TypeVar("Member", bound=StrEnum)


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A table that was imported.

    Attributes:
        table: As it stands in the file.
        path: Of the file.
        imported: Entries that came.
        merged: Whether others were there.
    """

    table: LatencyTable
    path: Path
    imported: int
    merged: bool


def table_of(text: str) -> LatencyTable:
    """The table called ``text``, with ``table:`` before it or without.

    Raises:
        InputError: If there is none, or it is damaged.
    """
    return load(text.removeprefix("table:"))


def form_of(kind: type[Member], text: str) -> Member:
    """The form of that name.

    Raises:
        InputError: If there is none.
    """
    try:
        return kind(text)
    except ValueError:
        msg = f"unknown form {text!r}; there are {', '.join(kind)}"
        raise InputError(msg) from None


def listed() -> list[Facts]:
    """All tables by name, each with what it is, or what is wrong with it."""
    return [_listed(name) for name in known_names()]


def _listed(name: str) -> Facts:
    try:
        table = load(name)
    except InputError as error:
        return {"name": name, "problem": str(error)}
    return {
        "name": name,
        "entries": len(table.entries),
        "predicted": table.predicted,
        "device_model": table.conditions.get("device_model"),
        "space": table.space,
        "validated": None if not table.validations else table.validations[-1].date,
        "problem": "",
    }


def facts_of(table: LatencyTable, largest: int) -> Facts:
    """All that a table says, and its ``largest`` largest entries."""
    told = table.correction != Correction()
    by_ms = sorted(table.entries.items(), key=lambda item: -item[1].ms)
    return {
        "table": table.name,
        "entries": len(table.entries),
        "measured": len(table.entries) - table.predicted,
        "predicted": table.predicted,
        "space": table.space,
        "classes": table.classes,
        "head": table.head,
        "made_by": table.made_by,
        "conditions": dict(table.conditions),
        "unknown": list(table.unknown),
        "labels": list(table.labels),
        "correction": asdict(table.correction) if told else None,
        "validations": [asdict(each) for each in table.validations],
        "largest": [_entry(key, entry) for key, entry in by_ms[:largest]],
    }


def _entry(key: str, entry: Entry) -> Facts:
    return {"key": key, **asdict(entry)}


def coverage_of(
    table: LatencyTable, space: str, options: Mapping[str, str], classes: int | None
) -> Facts:
    """How much of a space a table covers.

    Args:
        table: Any.
        space: As ``pocketnas search`` takes it.
        options: Of the space.
        classes: Of its networks' heads, which are of the table's kind; None for the table's, or
            1000.

    Raises:
        InputError: If there is no such space, or no table has keys for its networks.
    """
    from search_space import space as spaces

    made = spaces.create(space, options)
    head = table.head_of(classes)
    return {
        "space": made.name,
        "classes": head.classes,
        "head": table.head,
        **asdict(Coverage.of(table, made, head)),
    }


def network_of(text: str, *, size: int | None, classes: int | None) -> tuple[Graph, Parts]:
    """Graph and parts of the network that ARCH means.

    Raises:
        InputError: If there is none, or tables have no keys for it.
        OperationError: If torch is not installed.
    """
    from controller.counted_figures import example_inputs
    from latency.signatures import parts_of
    from pocketnas.networks import resolve

    found = resolve(text, size=size, classes=classes)
    parts = parts_of(found.architecture, found.head)
    inputs = example_inputs(found.architecture)
    from exporters.trace import to_graph

    return to_graph(found.architecture.build(found.head), inputs), parts


def place_for(name: str, *, merge: bool, force: bool) -> Path:
    """Where an imported table goes.

    Raises:
        InputError: If it cannot be called so, or is there and is not to be changed.
    """
    if merge and force:
        msg = "--merge keeps what is there, --force replaces it: give one of them"
        raise InputError(msg)
    path = new_path(name)
    if path.exists() and not merge and not force:
        msg = f"the table {name!r} is there already ({path}): say --merge, --force or another name"
        raise InputError(msg)
    return path


def keep(table: LatencyTable, path: Path, *, merge: bool) -> Written:
    """Write an imported table, with the entries that are there if ``merge``.

    Raises:
        InputError: If what is there is damaged.
        OperationError: If what is there is under other conditions, or cannot be written.
    """
    beside = merge and path.exists()
    whole = merged(read(path, path.stem), table) if beside else table
    write(whole, path)
    return Written(table=whole, path=path, imported=len(table.entries), merged=beside)


def write_export(table: LatencyTable, path: Path, form: ExportForm, *, lossy: bool) -> None:
    """Write a table as a form of others.

    Raises:
        InputError: If the form would say what is not so.
        OperationError: If the file cannot be written.
    """
    from latency.table_export import exported

    content = exported(table, form, lossy=lossy).encode()
    try:
        write_whole(path, content)
    except OSError as error:
        msg = f"{str(path)!r} cannot be written: {error.strerror or error}"
        raise OperationError(msg) from error


def diff_facts(diff: TableDiff, count: int) -> Facts:
    """What ``pocketnas table diff --json`` prints, with ``count`` of the largest movers."""
    return {
        "conditions": dict(diff.conditions),
        "only_first": list(diff.only_first),
        "only_second": list(diff.only_second),
        "common": len(diff.common),
        "median_ratio": diff.median_ratio,
        "mad_log_ratio": diff.mad_log_ratio,
        "spearman": diff.spearman,
        "by_ratio": [_moved(each) for each in diff.by_ratio(count)],
        "by_ms": [_moved(each) for each in diff.by_ms(count)],
    }


def _moved(moved: Moved) -> Facts:
    ratio = math.exp(moved.log_ratio) if math.isfinite(moved.log_ratio) else None
    return {
        "key": moved.key,
        "first_ms": moved.first_ms,
        "second_ms": moved.second_ms,
        "ratio": ratio,
    }
