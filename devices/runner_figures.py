"""The figures of one run, from what ``benchmark_model`` repeats at its end, in either dialect."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from devices.benchmark_result import BenchmarkResult
from devices.device import RunSummary
from devices.runner_echo import check_graph, values_of
from devices.runner_output import (
    NUMBER,
    SIX_DIGITS,
    Phase,
    Statistics,
    UnreadableOutputError,
    check_plausible,
    garbled,
    phases,
    six_digits,
    starting,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """What one run of the program told.

    Attributes:
        summary: Of the timed runs.
        first_ms: The first inference; None where there was no warm-up.
        init_ms: Loading the model; None where it is not told.
        peak_memory_mb: The most memory that its monitor saw; None where it was not asked for.
        footprint_mb: How much the most memory held grew since its start, which it tells unasked;
            None where it does not.
    """

    summary: RunSummary
    first_ms: float | None
    init_ms: float | None
    peak_memory_mb: float | None
    footprint_mb: float | None = None


def _asked_phases(asked: Sequence[str], lines: Sequence[str]) -> tuple[Phase, Phase]:
    """Both phases, if they did what was asked and there were timed runs."""
    warm_up, timed = phases(lines)
    values = values_of(asked)
    for phase, runs, least in (
        (warm_up, "warmup_runs", "warmup_min_secs"),
        (timed, "num_runs", "min_secs"),
    ):
        told = {runs: phase.runs, least: phase.least_s}
        for name in told.keys() & values.keys():
            if six_digits(float(values[name])) != told[name]:
                msg = f"--{name}={values[name]} was asked for, {told[name]:g} was done"
                raise UnreadableOutputError(msg)
    if timed.statistics.count == 0:
        msg = "nothing was timed: count=0"
        raise UnreadableOutputError(msg)
    return warm_up, timed


_SUMMARY = "INFO: Inference timings in us: "
_TFLITE_SUMMARY = re.compile(
    rf"{_SUMMARY}Init: (?P<init>{NUMBER}), First inference: (?P<first>{NUMBER}), "
    rf"Warmup \(avg\): (?P<warmup>{NUMBER}), Inference \(avg\): (?P<avg>{NUMBER})"
)
_SESSION = re.compile(rf"INFO: Initialized session in (?P<init>{NUMBER})ms\.")
_FOOTPRINT = re.compile(
    rf"INFO: Memory footprint delta from the start of the tool \(MB\): init={NUMBER} "
    rf"overall=(?P<mb>{NUMBER})"
)
_PEAK = re.compile(
    rf"INFO: Overall peak memory footprint \(MB\) via periodic monitoring: (?P<mb>{NUMBER})"
)


def read_tflite(asked: Sequence[str], lines: Sequence[str]) -> Parsed:
    """TensorFlow Lite's: a summary that repeats what the lines before it say."""
    check_graph(asked, lines)
    warm_up, timed = _asked_phases(asked, lines)
    found = starting(lines, _SUMMARY)
    if len(found) != 1 or found[0] < timed.line:
        msg = f"expected one line 'Inference timings in us' at the end, got {len(found)}"
        raise UnreadableOutputError(msg)
    match = _TFLITE_SUMMARY.fullmatch(lines[found[0]])
    if not match:
        raise UnreadableOutputError(garbled(lines[found[0]]))
    summary = {name: float(text) for name, text in match.groupdict().items()}
    init_us = _single(lines[: found[0]], _SESSION, "init") * 1e3
    for name, mine, repeated in (
        ("initialisation", six_digits(init_us), six_digits(summary["init"])),
        ("first inference", warm_up.statistics.first, summary["first"]),
        ("warm-up's average", six_digits(warm_up.statistics.avg), summary["warmup"]),
        ("average", six_digits(timed.statistics.avg), summary["avg"]),
    ):
        if mine != repeated:
            msg = f"the {name} is {mine:g} us in one line, {repeated:g} us in another"
            raise UnreadableOutputError(msg)
    end = lines[found[0] :]
    return Parsed(
        summary=timed.statistics.summary(),
        first_ms=summary["first"] / 1e3 or None,
        init_ms=summary["init"] / 1e3,
        peak_memory_mb=_optional(end, _PEAK, "mb"),
        footprint_mb=_optional(end, _FOOTPRINT, "mb"),
    )


def _optional(lines: Sequence[str], pattern: re.Pattern[str], group: str) -> float | None:
    """The one figure that ``pattern`` finds in a whole line; None if there is none."""
    found = [float(match[group]) for line in lines if (match := pattern.fullmatch(line))]
    if len(found) > 1:
        msg = f"{len(found)} lines instead of one tell {pattern.pattern[:40]!r}"
        raise UnreadableOutputError(msg)
    return found[0] if found else None


def _single(lines: Sequence[str], pattern: re.Pattern[str], group: str) -> float:
    value = _optional(lines, pattern, group)
    if value is None:
        msg = f"no line tells {pattern.pattern[:40]!r}"
        raise UnreadableOutputError(msg)
    return value


def _named(name: str, unit: str) -> re.Pattern[str]:
    """A line of LiteRT's own text, whatever its logger puts before it."""
    return re.compile(rf"(?:.*\s)?{re.escape(name)}:\s+(?P<value>{NUMBER}){unit}")


_MS = " ms"
_RUNS = r" ms \((?P<runs>[0-9]+) runs\)"
_CLOSE_MS = 0.0051
"""Half of the last digit of LiteRT's own text."""


def read_litert(asked: Sequence[str], lines: Sequence[str]) -> Parsed:
    """LiteRT's own text, rounded to 0.01 ms, which the statistics lines have to agree with."""
    warm_up, timed = _asked_phases(asked, lines)
    before, after = warm_up.statistics, timed.statistics
    _agrees(lines, "Warmup (avg)", _RUNS, before.avg, count=before.count)
    first_ms = _agrees(lines, "Warmup (first)", _MS, before.first)
    _agrees(lines, "Inference (avg)", _RUNS, after.avg, count=after.count)
    for name, value_us in (("min", after.min), ("max", after.max), ("std", after.std)):
        _agrees(lines, f"Inference ({name})", "(?: ms)?", value_us, needed=False)
    return Parsed(
        summary=after.summary(),
        first_ms=first_ms or None,
        init_ms=_single(lines, _named("Model initialization", _MS), "value"),
        peak_memory_mb=_optional(lines, _named("Peak memory", " MB"), "value"),
        footprint_mb=_optional(lines, _named("Overall footprint", " MB"), "value"),
    )


def _agrees(
    lines: Sequence[str], name: str, unit: str, us: float, *, count: int = -1, needed: bool = True
) -> float:
    """The figure of that name, if the statistics line says the same."""
    pattern = _named(name, unit)
    value = _optional(lines, pattern, "value")
    runs = _optional(lines, pattern, "runs") if count >= 0 else -1
    if value is None and needed:
        msg = f"no line tells {name!r}"
        raise UnreadableOutputError(msg)
    if value is not None and (
        abs(value - us / 1e3) > _CLOSE_MS + SIX_DIGITS * value or runs not in (count, -1)
    ):
        msg = f"{name} is {value} ms of {runs} runs in one line, {us / 1e3:g} ms in another"
        raise UnreadableOutputError(msg)
    return value or 0.0


def read_result(asked: Sequence[str], content: bytes, lines: Sequence[str]) -> Parsed:
    """The result file, in full precision; the text, where it can be read, has to agree."""
    try:
        result = BenchmarkResult.parse(content)
    except ValueError as error:
        msg = f"the result file cannot be read: {error}"
        raise UnreadableOutputError(msg) from error
    told = _told(lines)
    if told and not _same(result, told):
        msg = f"the result file says {result}, the text {told}"
        raise UnreadableOutputError(msg)
    _check_enough(asked, result)
    return Parsed(
        summary=RunSummary(
            count=result.num_runs,
            mean_ms=result.avg_ms,
            min_ms=result.min_ms,
            max_ms=result.max_ms,
            std_ms=result.stddev_ms,
            median_ms=result.median_ms,
            p95_ms=result.p95_ms,
        ),
        first_ms=result.first_inference_ms or None,
        init_ms=result.init_ms,
        peak_memory_mb=result.peak_mem_mb or None,
        footprint_mb=result.overall_footprint_kb / 1024 or None,
    )


def _told(lines: Sequence[str]) -> Statistics | None:
    try:
        return phases(lines)[1].statistics
    except UnreadableOutputError:
        return None


def _same(result: BenchmarkResult, told: Statistics) -> bool:
    pairs = (
        (result.avg_ms, told.avg),
        (result.min_ms, told.min),
        (result.max_ms, told.max),
    )
    close = all(math.isclose(ms, us / 1e3, rel_tol=2 * SIX_DIGITS) for ms, us in pairs)
    return close and result.num_runs == told.count


def _check_enough(asked: Sequence[str], result: BenchmarkResult) -> None:
    """Whether so many runs can have been; what was not asked for is as the tool has it."""
    values = values_of(asked)
    phase = Phase(
        runs=int(values.get("num_runs", "50")),
        least_s=float(values.get("min_secs", "1")),
        most_s=float(values.get("max_secs", "150")),
        statistics=Statistics(
            count=result.num_runs, avg=result.avg_ms * 1e3, max=result.max_ms * 1e3
        ),
    )
    check_plausible(phase)
