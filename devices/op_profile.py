"""The time of every operator of a model, from the CSV that TensorFlow Lite's tool writes.

The file holds several tables one after another (what happened at the start, then the runs; in the
order of running, by time, by kind); only the one of the runs in their order is read, and the one
of a delegate's inside where there is one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from devices.runner_output import NUMBER, UnreadableOutputError

_RUNS = "Operator-wise Profiling Info for Regular Benchmark Runs:"
_INSIDE = "Delegate internal:"
_TABLE = "============================== Run Order =============================="
_HEAD = re.compile(
    r"node type, (?P<start>start, )?first, avg_ms, %, cdf%, mem KB, times called, name"
)
_NODES = re.compile(r"(?P<count>\d+) nodes observed")


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorTime:
    """One row.

    Attributes:
        name: Of its output tensors, and its number, as the tool gives them.
        type: E.g. ``"CONV_2D"``, or the delegate that took it.
        avg_ms: Of one call.
        percent: Of the time of all.
        calls: In one run of the model.
    """

    name: str
    type: str
    avg_ms: float
    percent: float
    calls: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorProfile:
    """Where a model's time goes.

    Attributes:
        operators: In the order of running; what a delegate took is one of them.
        inside_delegate: What the delegate says of its own; empty where it says nothing.
    """

    operators: tuple[OperatorTime, ...]
    inside_delegate: tuple[OperatorTime, ...] = ()


def read_operator_profile(text: str) -> OperatorProfile:
    """The rows of a whole file.

    Raises:
        UnreadableOutputError: If it is cut, or a row is garbled, or the shares do not add up.
    """
    lines = text.replace("\r\n", "\n").split("\n")[:-1]
    begins = [number for number, line in enumerate(lines) if line.endswith(_RUNS)]
    if len(begins) != 1:
        msg = f"expected one profile of the runs, got {len(begins)}"
        raise UnreadableOutputError(msg)
    runs = lines[begins[0] :]
    inside = next((n for n, line in enumerate(runs) if line.startswith(_INSIDE)), len(runs))
    operators = _rows(runs[:inside])
    delegate = _rows(runs[inside:]) if inside < len(runs) else ()
    return OperatorProfile(operators=operators, inside_delegate=delegate)


def _rows(lines: Sequence[str]) -> tuple[OperatorTime, ...]:
    """Of the first table in the order of running, which an empty line ends."""
    tables = [number for number, line in enumerate(lines) if line.endswith(_TABLE)]
    after = lines[tables[0] + 1 :] if tables else []
    head = _HEAD.fullmatch(after[0].strip()) if after else None
    if not head:
        msg = "the table of the operators in their order is missing, or of an unknown form"
        raise UnreadableOutputError(msg)
    body = after[1:]
    if "" not in body:
        msg = "the table of the operators is cut"
        raise UnreadableOutputError(msg)
    pattern = _row(with_start=head["start"] is not None)
    rows = tuple(_operator(pattern, line) for line in body[: body.index("")])
    _check(rows, body)
    return rows


def _row(*, with_start: bool) -> re.Pattern[str]:
    start = rf"{NUMBER}, " if with_start else ""
    return re.compile(
        rf"(?P<type>.+?), {start}(?P<first>{NUMBER}), (?P<avg>{NUMBER}), (?P<percent>{NUMBER})%, "
        rf"(?P<cdf>{NUMBER})%, {NUMBER}, (?P<calls>[0-9]+), (?P<name>.*)"
    )


def _operator(pattern: re.Pattern[str], line: str) -> OperatorTime:
    match = pattern.fullmatch(line)
    if not match:
        msg = f"a row of the profile is cut or garbled: {line[:300]!r}"
        raise UnreadableOutputError(msg)
    return OperatorTime(
        name=match["name"].replace("\t", ","),  # the tool's own escape of a comma
        type=match["type"].strip(),
        avg_ms=float(match["avg"]),
        percent=float(match["percent"]),
        calls=int(match["calls"]),
    )


def _check(rows: Sequence[OperatorTime], body: Sequence[str]) -> None:
    """Whether no row is lost: the shares add up, and there are as many as the tool counted."""
    total = sum(row.percent for row in rows)
    if not rows or not math.isclose(total, 100, abs_tol=0.05):
        msg = f"the shares of the {len(rows)} operators add up to {total:g} %"
        raise UnreadableOutputError(msg)
    counted = next((match for line in body if (match := _NODES.fullmatch(line.strip()))), None)
    if counted and int(counted["count"]) != len(rows):
        msg = f"{len(rows)} operators are listed, {counted['count']} were observed"
        raise UnreadableOutputError(msg)
