"""Problems whose every answer is known: a file of choices and what each was found to give.

Such a file is a CSV with a column ``choices`` of digits, one an option of each decision, and one
column a metric, e.g. ``choices,accuracy,cost``. Every combination of the options that occur has
one line. (What NAS-Bench-101, Ying et al. 2019, arXiv 1902.09635, calls a tabular benchmark.)
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from controller.algorithm import Goal, Objective
from search_space.decisions import Choice, Decisions, DecisionSpace, Point
from workspace.errors import InputError
from workspace.numbers import finite

CHOICES = "choices"
"""The column of points."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TabularProblem:
    """A space of which every point is known.

    Attributes:
        name: Of the file, for people.
        points: The space; its choices are called ``d0``, ``d1``, …
        metrics: Of every point in the order of ``number``, finite.
    """

    name: str
    points: DecisionSpace
    metrics: Mapping[str, tuple[float, ...]]

    @property
    def count(self) -> int:
        """Number of points."""
        return self.points.count

    def number(self, point: Point) -> int:
        """The place of a point: its digits as one number, the last the fastest.

        Raises:
            InputError: If it is not in the space.
        """
        place = 0
        for digit, count in zip(
            self.points.checked(point), self.points.option_counts, strict=True
        ):
            place = place * count + digit
        return place

    def value(self, point: Point, metric: str) -> float:
        """What a point gives.

        Raises:
            InputError: If it is not in the space, or there is no such metric.
        """
        return self.column(metric)[self.number(point)]

    def column(self, metric: str) -> tuple[float, ...]:
        """A metric of every point.

        Raises:
            InputError: If there is none of that name.
        """
        if metric not in self.metrics:
            msg = f"{self.name} has no column {metric!r}; it has {', '.join(self.metrics)}"
            raise InputError(msg)
        return self.metrics[metric]

    def objectives(self, point: Point, metrics: Sequence[str]) -> tuple[Objective, ...]:
        """Columns of a point as the objectives of an outcome: all but accuracy are to be small.

        Raises:
            InputError: If it is not in the space, or there is no such metric.
        """
        return tuple(
            Objective(
                name=metric,
                value=self.value(point, metric),
                goal=Goal.MAXIMIZE if metric == "accuracy" else Goal.MINIMIZE,
            )
            for metric in metrics
        )

    @classmethod
    def read(cls, path: Path) -> TabularProblem:
        """A file, packed by gzip if it ends in ``.gz``.

        Raises:
            InputError: If it cannot be read or is no such file; names the line, or the first
                point that is missing.
        """
        columns, rows = _rows(path)
        found: dict[Decisions, tuple[int, list[float]]] = {}
        for line, cells in rows:
            point, values = _line(columns, cells, f"{str(path)!r}, line {line}")
            if point in found:
                msg = f"{str(path)!r}, line {line}: the point is on line {found[point][0]} already"
                raise InputError(msg)
            found[point] = line, values
        points = _space(list(found), path)
        missing = next((p for p in _all(points) if p not in found), None)
        if missing is not None:
            digits = "".join(map(str, missing))
            msg = (
                f"{str(path)!r} lacks the point {digits}: {points.count} combinations are "
                f"possible, {len(found)} are there"
            )
            raise InputError(msg)
        names = [name for name in columns if name != CHOICES]
        ordered = [found[point][1] for point in _all(points)]
        return cls(
            name=path.name,
            points=points,
            metrics=dict(zip(names, map(tuple, zip(*ordered, strict=True)), strict=True)),
        )


def _rows(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Names of columns, and cells with their line."""
    try:
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode("utf-8-sig")
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        columns = [cell.strip() for cell in next(reader, [])]
        rows = [(reader.line_num, cells) for cells in reader if cells]
    except (OSError, EOFError, zlib.error) as error:
        msg = f"{str(path)!r} cannot be read: {getattr(error, 'strerror', None) or error}"
        raise InputError(msg) from error
    except (UnicodeDecodeError, csv.Error) as error:
        msg = f"{str(path)!r} is no CSV: {error}"
        raise InputError(msg) from error
    twice = [name for name in columns if columns.count(name) > 1]
    if CHOICES not in columns or len(columns) < 2 or twice:
        fault = f"{twice[0]!r} comes twice" if twice else "it needs 'choices' and a metric"
        msg = f"{str(path)!r}, line 1: {fault}; the columns are {', '.join(columns) or 'none'}"
        raise InputError(msg)
    if not rows:
        msg = f"{str(path)!r} has no points"
        raise InputError(msg)
    return columns, rows


def _line(
    columns: Sequence[str], cells: Sequence[str], where: str
) -> tuple[Decisions, list[float]]:
    if len(cells) != len(columns):
        msg = f"{where}: {len(cells)} cells where line 1 has {len(columns)}"
        raise InputError(msg)
    point: Decisions = ()
    values = []
    for name, cell in zip(columns, map(str.strip, cells), strict=True):
        if name == CHOICES:
            if not (cell.isascii() and cell.isdecimal()):
                msg = f"{where}: choices are digits, got {cell!r}"
                raise InputError(msg)
            point = tuple(map(int, cell))
        else:
            values.append(finite(cell, f"{where}: {name}"))
    return point, values


def _space(points: Sequence[Decisions], path: Path) -> DecisionSpace:
    """The digits that occur, each an option."""
    lengths = sorted({len(point) for point in points})
    if len(lengths) > 1:
        msg = f"{str(path)!r}: points have {lengths[0]} to {lengths[-1]} digits, not all as many"
        raise InputError(msg)
    counts = [max(digits) + 1 for digits in zip(*points, strict=True)]
    return DecisionSpace(
        choices=tuple(
            Choice(name=f"d{place}", options=tuple(map(str, range(count))))
            for place, count in enumerate(counts)
        )
    )


def _all(points: DecisionSpace) -> product[Decisions]:
    """All points in order of their numbers."""
    return product(*map(range, points.option_counts))
