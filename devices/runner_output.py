"""What ``benchmark_model`` prints, read into figures that agree with each other, or refused.

Both dialects share the part up to the second statistics line: the parameters repeated, what each
phase is going to do, and its statistics in microseconds, an average in six digits. Lines are
looked for in the whole output; whoever fetches it bounds it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from devices.device import RunSummary

NUMBER = r"[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?"
"""As a C++ stream prints it: six digits, from 1e6 on in scientific notation."""

SIX_DIGITS = 6e-6
"""How far, relatively, a figure printed in six digits is from the true one, at most."""

OVERHEAD_US = 1000.0
"""Between two runs, of filling inputs and reading clocks: what the runs' sum may lack."""


class UnreadableOutputError(ValueError):
    """The program's output gives no number that can be trusted: the same call may go well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """One statistics line; microseconds. Without runs, ``count`` is 0 and so is the rest."""

    count: int = 0
    first: float = 0.0
    min: float = 0.0
    max: float = 0.0
    avg: float = 0.0
    std: float = 0.0
    median: float | None = None
    p95: float | None = None

    def summary(self) -> RunSummary:
        """As the contract between platform and devices has it, in ms."""
        return RunSummary(
            count=self.count,
            mean_ms=self.avg / 1e3,
            min_ms=self.min / 1e3,
            max_ms=self.max / 1e3,
            std_ms=self.std / 1e3,
            median_ms=None if self.median is None else self.median / 1e3,
            p95_ms=None if self.p95 is None else self.p95 / 1e3,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Warm-up or timed runs: what was to be done, and what was.

    Attributes:
        runs: At least this many …
        least_s: … and at least this long …
        most_s: … but no run starts after this.
        statistics: What came of it.
        spaced: Whether an empty line follows the statistics.
        line: Number of the statistics line.
    """

    runs: int
    least_s: float
    most_s: float
    statistics: Statistics
    spaced: bool = True
    line: int = 0


def lines_of(text: str) -> list[str]:
    r"""The lines without their ends; a terminal's ``\r\n`` is an end as well.

    Raises:
        UnreadableOutputError: If the last line has no end: it is cut.
    """
    lines = text.split("\n")
    if lines.pop().strip():
        msg = f"the output ends in the middle of a line: {text[-200:]!r}"
        raise UnreadableOutputError(msg)
    return [line.rstrip("\r") for line in lines]


_ANNOUNCED = "INFO: Running benchmark for at least "
_ANNOUNCEMENT = re.compile(
    rf"{_ANNOUNCED}(?P<runs>[0-9]+) iterations and at least (?P<least>-?{NUMBER}) seconds but "
    rf"terminate if exceeding (?P<most>{NUMBER}) seconds\."
)
_TOLD = "INFO: count="


def phases(lines: Sequence[str]) -> tuple[Phase, Phase]:
    """The warm-up and the timed runs, in this order and each once.

    Raises:
        UnreadableOutputError: If something is missing, out of order, or cannot be true.
    """
    told, announced = starting(lines, _TOLD), starting(lines, _ANNOUNCED)
    if len(told) != 2 or len(announced) != 2:
        msg = (
            f"expected the warm-up's statistics and the timed runs', got {len(told)} lines "
            f"after {len(announced)} announcements"
        )
        raise UnreadableOutputError(msg)
    if not announced[0] < told[0] < announced[1] < told[1]:
        msg = "the lines of warm-up and timed runs are out of order"
        raise UnreadableOutputError(msg)
    warm_up, timed = (_phase(lines, *where) for where in zip(announced, told, strict=True))
    if warm_up.spaced != timed.spaced:
        msg = "the end of a statistics line is lost"
        raise UnreadableOutputError(msg)
    both = (warm_up.statistics, timed.statistics)
    if all(each.min < each.max for each in both) and len({s.median is None for s in both}) != 1:
        msg = "one statistics line has percentiles, the other has not"
        raise UnreadableOutputError(msg)
    check_plausible(warm_up)
    check_plausible(timed)
    return warm_up, timed


def starting(lines: Sequence[str], begin: str) -> list[int]:
    """Numbers of the lines that begin so."""
    return [number for number, line in enumerate(lines) if line.startswith(begin)]


def _phase(lines: Sequence[str], announced: int, told: int) -> Phase:
    match = _ANNOUNCEMENT.fullmatch(lines[announced])
    if not match:
        raise UnreadableOutputError(garbled(lines[announced]))
    return Phase(
        runs=int(match["runs"]),
        least_s=float(match["least"]),
        most_s=float(match["most"]),
        statistics=statistics_of(lines[told].removeprefix("INFO: ")),
        spaced=_spaced(lines[told + 1 :]),
        line=told,
    )


def _spaced(after: Sequence[str]) -> bool:
    """Whether an empty line comes before the tool's next; the runtime's may come in between."""
    for line in after:
        if line == "" or line.startswith((_ANNOUNCED, "INFO: Inference timings")):
            return line == ""
    return False


def check_plausible(phase: Phase) -> None:
    """Whether so many runs can have been: fewer or more than the tool would have done cannot.

    Raises:
        UnreadableOutputError: If not.
    """
    done = phase.statistics
    took_us = done.count * done.avg
    filled = (took_us + done.count * OVERHEAD_US) / 1e6
    if done.count < phase.runs and filled < 0.5 * phase.most_s:
        msg = f"{done.count} runs were made instead of {phase.runs}"
    elif filled < 0.5 * min(phase.least_s, phase.most_s):
        msg = f"{done.count} runs of {done.avg:g} us do not take {phase.least_s:g} s"
    elif done.count > phase.runs and (took_us * 0.999 - done.max) / 1e6 > max(0.0, phase.least_s):
        msg = f"{done.count} runs of {done.avg:g} us are more than {phase.least_s:g} s take"
    else:
        return
    raise UnreadableOutputError(msg)


_PERCENTILES = rf"(?: p5=(?P<p5>{NUMBER}) median=(?P<median>{NUMBER}) p95=(?P<p95>{NUMBER}))?"
_SPREAD = re.compile(
    rf"count=(?P<count>[0-9]+) first=(?P<first>{NUMBER}) curr=(?P<curr>{NUMBER}) "
    rf"min=(?P<min>{NUMBER}) max=(?P<max>{NUMBER}) avg=(?P<avg>{NUMBER}) std=(?P<std>{NUMBER})"
    rf"{_PERCENTILES}"
)
_SAME = re.compile(
    rf"count=(?P<count>[0-9]+) curr=(?P<curr>{NUMBER})(?P<same>\(all same\))?{_PERCENTILES}"
)


def statistics_of(line: str) -> Statistics:
    """The figures of ``count=…``.

    Raises:
        UnreadableOutputError: If it is cut or garbled, or its figures cannot all be true.
    """
    if line.strip() == "count=0":
        return Statistics()
    spread, same = _SPREAD.fullmatch(line), _SAME.fullmatch(line)
    match = spread or same
    if not match:
        raise UnreadableOutputError(garbled(line))
    values = {
        name: float(text) for name, text in match.groupdict().items() if text and name != "same"
    }
    good = _possible(values) if spread else _alike(values, named=bool(match["same"]))
    if not good:
        raise UnreadableOutputError(garbled(line))
    current = values["curr"]
    return Statistics(
        count=int(values["count"]),
        first=values.get("first", current),
        min=values.get("min", current),
        max=values.get("max", current),
        avg=values.get("avg", current),
        std=values.get("std", 0.0),
        median=values.get("median"),
        p95=values.get("p95"),
    )


def _alike(values: Mapping[str, float], *, named: bool) -> bool:
    """Of a line without a spread: one run, or several that took equally long and are called so."""
    rest = [values[name] for name in ("p5", "median", "p95") if name in values]
    current = values["curr"]
    many = values["count"] > 1
    return values["count"] >= 1 and current > 0 and many is named and {current}.issuperset(rest)


def _possible(values: Mapping[str, float]) -> bool:
    """Whether there are runs that give all of these figures.

    The deviation has a least value, since the extremes are among the runs, and a greatest one
    (Bhatia and Davis, 2000: the variance is at most (max - mean)(mean - min)).
    """
    count, low, high, mean = (values[name] for name in ("count", "min", "max", "avg"))
    if count < 2 or not 0 <= low < high or mean == 0:  # whole microseconds: 0 is under one
        return False
    slack = SIX_DIGITS * mean
    if not all(low <= values[name] <= high for name in ("first", "curr")):
        return False
    middle = [values[name] for name in ("p5", "median", "p95") if name in values]
    if middle != sorted(middle) or not all(low <= value <= high for value in middle):
        return False
    others = count - 1
    if not (low * others + high) / count - slack <= mean <= (high * others + low) / count + slack:
        return False
    least = math.sqrt(((mean - low) ** 2 + (high - mean) ** 2) / count)
    most = math.sqrt(max(0.0, (high - mean + slack) * (mean - low + slack)) * count / others)
    return least * 0.999 - slack - 1 <= values["std"] <= most * 1.001 + slack + 1


def six_digits(value: float) -> float:
    """As the tool would print it: two figures that are one are equal after this."""
    return float(f"{value:.6g}")


def garbled(line: str) -> str:
    """What is wrong with it, and the begin of it."""
    what = "statistics line" if "count=" in line else "line"
    return f"the {what} is cut or garbled: {line[:300]!r}"
