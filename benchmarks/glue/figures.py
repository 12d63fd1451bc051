"""What the passes of ``against_glue.py`` show, and the lines of a file that hold code."""

from __future__ import annotations

import ast
import io
import math
import tokenize
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median
from typing import TypeVar

from benchmarks.repeatability import changed
from latency.interval import interval_of_ratio

Got = TypeVar("Got")

PARTS, POCKETNAS = "glue", "pocketnas"
WAYS = {PARTS: "by_parts.py", POCKETNAS: "by_pocketnas.py"}
"""Their names in the figures, and their files in ``glue/``."""

APART = 1.03
"""Pairs whose latencies are closer than this factor are not counted."""

WRONG = 0.10
"""How far from its undisturbed median a latency is called wrong."""

TOLD_APART = 0.90
"""Confidence of the interval of a ratio."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One way, once over its candidates.

    Attributes:
        latencies_ms: Of each candidate; None where it failed.
        sessions_ms: The sessions of each behind it; empty where the way has none.
        total_s: By the clock.
        parts_s: Of it, in ``convert``, ``push`` and ``run``.
        in_runs_s: Of it, in runs of models, by the phone's ledger.
        starts: Of the phone's tool that ended well.
        faults: That struck.
        unstable: Latencies whose way says so itself.
    """

    latencies_ms: tuple[float | None, ...]
    sessions_ms: tuple[tuple[float, ...], ...]
    total_s: float
    parts_s: dict[str, float]
    in_runs_s: float
    starts: int
    faults: int
    unstable: int


def pairs_apart(passes: Sequence[Pass]) -> list[tuple[int, int]]:
    """Pairs at least ``APART`` by the geometric mean of all passes, which all have both."""
    columns = list(zip(*(each.latencies_ms for each in passes), strict=True))
    known = {
        index: math.prod(latency for latency in column if latency) ** (1 / len(column))
        for index, column in enumerate(columns)
        if None not in column
    }
    return [
        (one, other)
        for one, other in combinations(known, 2)
        if max(known[one], known[other]) >= APART * min(known[one], known[other])
    ]


def flips(pairs: Sequence[tuple[int, int]], first: Pass, second: Pass) -> int:
    """How many of the pairs, whose latencies are all known, are in another order in ``second``."""

    def of(each: Pass) -> list[list[float]]:
        values = [math.nan if latency is None else latency for latency in each.latencies_ms]
        return [[values[one], values[other]] for one, other in pairs]

    return changed(of(first), of(second))


def told_apart(pairs: Sequence[tuple[int, int]], each: Pass) -> set[tuple[int, int]]:
    """Those of the pairs whose sessions differ by more than their noise."""
    return {
        (one, other)
        for one, other in pairs
        if interval_of_ratio(each.sessions_ms[one], each.sessions_ms[other], TOLD_APART).separated
    }


def off(latencies_ms: Sequence[float | None], references_ms: Sequence[float | None]) -> int:
    """How many are further than ``WRONG`` from their reference, where both are there."""
    return sum(
        abs(latency / reference - 1) > WRONG
        for latency, reference in zip(latencies_ms, references_ms, strict=True)
        if latency and reference
    )


def middle(passes: Sequence[Pass], count: int) -> list[float | None]:
    """The median of the first ``count`` candidates over some passes; None where there is none."""
    columns = list(zip(*(each.latencies_ms[:count] for each in passes), strict=True))
    known = [[latency for latency in column if latency] for column in columns]
    return [median(each) if each else None for each in known]


def split(found: Pass) -> dict[str, float]:
    """Seconds a candidate by part, and starts of the phone's tool a candidate."""
    count = len(found.latencies_ms)
    parts_s = {f"{name}_s": found.parts_s.get(name, 0.0) for name in ("convert", "push", "run")}
    amounts = {
        **parts_s,
        "other_s": found.total_s - sum(parts_s.values()),
        "in_runs_s": found.in_runs_s,
        "overhead_s": found.total_s - found.in_runs_s,
        "tool_starts": found.starts,
    }
    return {name: round(amount / count, 3) for name, amount in amounts.items()}


def figures(calm: dict[str, list[Pass]], disturbed: dict[str, Pass]) -> dict[str, object]:
    """What all passes show, by way."""
    pairs = pairs_apart([each for way in WAYS for each in calm[way]])
    apart = [told_apart(pairs, each) for each in calm[POCKETNAS]]
    sure = [pair for pair in pairs if all(pair in each for each in apart)]
    lost = {way: sum(each is None for each in disturbed[way].latencies_ms) for way in WAYS}
    wrong = {
        way: off(disturbed[way].latencies_ms, middle(calm[way], len(disturbed[way].latencies_ms)))
        for way in WAYS
    }
    count = len(calm[PARTS][0].latencies_ms)
    return {
        "candidates": count,
        "s_per_candidate": by_way(lambda way: round(calm[way][0].total_s / count, 2)),
        "s_per_candidate_second_pass": by_way(lambda way: round(calm[way][1].total_s / count, 2)),
        "split": by_way(lambda way: split(calm[way][0])),
        "flips": by_way(lambda way: flips(pairs, *calm[way])),
        "pairs": len(pairs),
        "pairs_closer": math.comb(count, 2) - len(pairs),
        "pocketnas_undecided": len(pairs) - len(sure),
        "pocketnas_flips_of_decided": flips(sure, *calm[POCKETNAS]),
        "pocketnas_unstable": [each.unstable for each in calm[POCKETNAS]],
        "failures": by_way(lambda way: lost[way] + wrong[way]),
        "failures_of": len(disturbed[PARTS].latencies_ms),
        "lost": lost,
        "wrong": wrong,
        "faults": by_way(lambda way: disturbed[way].faults),
        "lost_undisturbed": by_way(
            lambda way: sum(each.latencies_ms.count(None) for each in calm[way])
        ),
        "latencies_ms": by_way(lambda way: [_rounded(each) for each in calm[way]]),
        "off_undisturbed": by_way(
            lambda way: off(calm[way][1].latencies_ms, calm[way][0].latencies_ms)
        ),
    }


def _rounded(found: Pass) -> list[float | None]:
    return [None if each is None else round(each, 4) for each in found.latencies_ms]


def by_way(figure: Callable[[str], Got]) -> dict[str, Got]:
    """A figure of each way."""
    return {way: figure(way) for way in WAYS}


def code_lines(text: str) -> int:
    """Lines of a Python file that hold code: not blank, no comment, no docstring."""
    held: set[int] = set()
    layout = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in (*layout, tokenize.ENDMARKER):
            held.update(range(token.start[0], token.end[0] + 1))
    return len(held - _docstrings(ast.parse(text)))


def _docstrings(tree: ast.Module) -> set[int]:
    """The lines of all docstrings; attributes' too."""
    return {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
