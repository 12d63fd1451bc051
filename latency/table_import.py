"""Tables that others made: what their files say becomes a table with a name and conditions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from latency.measurement import Statistic
from latency.table import Condition, Entry, Known, LatencyTable, differences
from latency.table_conditions import unknown_of
from latency.table_csv import from_csv
from latency.table_file import read
from latency.table_profile import LABEL, from_profile
from workspace.errors import InputError

if TYPE_CHECKING:
    from devices.op_profile import OperatorProfile
    from exporters.graph import Graph
    from latency.signatures import Parts


class ImportForm(StrEnum):
    """What a file is, that a table is made of."""

    POCKETNAS = "pocketnas"
    """A table of ours, of another computer."""
    PROXYLESS = "proxyless"
    """YAML as ProxylessNAS published it."""
    CSV = "csv"
    PROFILE = "profile"
    """What ``benchmark_model`` tells of operators."""


def import_table(
    path: Path,
    form: ImportForm,
    name: str,
    conditions: Mapping[str, Condition],
    profiled: tuple[Graph, Parts] | None = None,
) -> LatencyTable:
    """The table in a file of any form.

    Args:
        path: Of the file.
        form: Of the file.
        name: That the table gets, without ``table:``.
        conditions: It was measured under, beyond what the file says.
        profiled: Graph and parts of the network that a profile is of; for no other form.

    Raises:
        InputError: If the file is none of that form, or contradicts ``conditions``.
    """
    if profiled is not None and form is not ImportForm.PROFILE:
        msg = f"{str(path)!r}, of the form {form}, is of no one network"
        raise InputError(msg)
    return _under(_table(path, form, name, profiled), conditions, str(path))


def _table(
    path: Path, form: ImportForm, name: str, profiled: tuple[Graph, Parts] | None
) -> LatencyTable:
    match form:
        case ImportForm.POCKETNAS:
            return read(path, name)
        case ImportForm.PROXYLESS:
            return _proxyless(path, name)
        case ImportForm.CSV:
            return _csv(path, name)
        case ImportForm.PROFILE:
            return _profile(path, name, profiled)
    assert_never(form)


def _proxyless(path: Path, name: str) -> LatencyTable:
    table = read(path, name)
    medians = [key for key, entry in table.entries.items() if entry.mad_ms is not None]
    if medians:
        msg = (
            f"{str(path)!r}: {medians[0]!r} is a median, and the form proxyless has means only: "
            "take the form pocketnas"
        )
        raise InputError(msg)
    return _told(table, Statistic.MEAN)


def _profile(path: Path, name: str, profiled: tuple[Graph, Parts] | None) -> LatencyTable:
    if profiled is None:
        msg = f"{str(path)!r}: a profile tells nothing without the network that it was run on"
        raise InputError(msg)
    return _made(name, from_profile(_profile_in(path), *profiled), (LABEL,))


def _csv(path: Path, name: str) -> LatencyTable:
    entries = from_csv(_content(path), repr(str(path)))
    bare = sum(not entry.variance_ms2 for entry in entries.values())
    told = f"{bare} of {len(entries)} entries came without a spread, so intervals are too narrow"
    return _made(name, entries, (told,) if bare else ())


def _made(name: str, entries: Mapping[str, Entry], labels: tuple[str, ...]) -> LatencyTable:
    """A table that says which statistic its entries are, if they are all the same."""
    table = LatencyTable(name=f"table:{name}", entries=entries, labels=labels)
    means = {each.mad_ms is None for each in entries.values() if each.known is Known.MEASURED}
    if len(means) != 1:
        return table
    return _told(table, Statistic.MEAN if True in means else Statistic.MEDIAN)


def _told(table: LatencyTable, statistic: Statistic) -> LatencyTable:
    return replace(table, conditions={"statistic": statistic.value, **table.conditions})


def _under(table: LatencyTable, conditions: Mapping[str, Condition], path: str) -> LatencyTable:
    """The table with more conditions.

    Raises:
        InputError: If it has others; each is named.
    """
    found = differences(table.conditions, conditions)
    if found:
        named = "; ".join(f"{name}: {values}" for name, values in found.items())
        msg = f"{path!r} is of other conditions than those that were given ({named})"
        raise InputError(msg)
    both = {**table.conditions, **conditions}
    unknown = dict.fromkeys((*table.unknown, *unknown_of(both)))
    return replace(
        table, conditions=both, unknown=tuple(name for name in unknown if name not in both)
    )


def _profile_in(path: Path) -> OperatorProfile:
    from devices.op_profile import read_operator_profile
    from devices.runner_output import UnreadableOutputError

    try:
        return read_operator_profile(_content(path).decode())
    except (UnreadableOutputError, UnicodeDecodeError) as error:
        msg = (
            f"{str(path)!r} is no whole profile of operators ({error}): benchmark_model writes "
            "one with --enable_op_profiling=true --profiling_output_csv_file=FILE"
        )
        raise InputError(msg) from error


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        msg = f"{str(path)!r} cannot be read: {error}"
        raise InputError(msg) from error
