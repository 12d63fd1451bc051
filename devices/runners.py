"""``benchmark_model``: its command lines and what it prints, in both of its dialects.

TensorFlow Lite's dialect was run and recorded (2.14.1); LiteRT's was read in its sources. Neither
gives single runs. A number is taken only from a run that ended well and whose figures agree.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from devices.benchmark_result import BenchmarkResult
from devices.device import Delegate, RunSettings, RunSummary

KEPT = 200_000
"""Characters of each stream that are looked at: a failing operator can write megabytes."""

STAND_IN = re.compile(r"^INFO: POCKETNAS STAND-IN: (?P<sentence>.+)$", re.MULTILINE)
"""What a program prints that is not the real one."""


class Dialect(StrEnum):
    """Which of the two programs of that name it is."""

    TFLITE = "tflite"
    LITERT = "litert"


class UnreadableOutputError(ValueError):
    """The program's output gives no number that can be trusted: the same call may go well."""


class RequestIgnoredError(ValueError):
    """The program did not do what was asked of it, and will not the next time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """What one run of the program told.

    Attributes:
        summary: Of the timed runs.
        first_ms: The first inference; None where it is not told.
        init_ms: Loading the model; None where it is not told.
        peak_memory_mb: None where it is not told.
    """

    summary: RunSummary
    first_ms: float | None
    init_ms: float | None
    peak_memory_mb: float | None


def dialect_of(help_text: str) -> Dialect:
    """Told apart by flags that only one has.

    Raises:
        UnreadableOutputError: If it is the help of neither.
    """
    if "--use_xnnpack" in help_text or "--enable_op_profiling" in help_text:
        return Dialect.TFLITE
    if "--result_file_path" in help_text or "--signature_to_run_for" in help_text:
        return Dialect.LITERT
    msg = f"--help is not benchmark_model's: {help_text[:200]!r}"
    raise UnreadableOutputError(msg)


def stand_in_of(output: str) -> str:
    """The sentence by which a stand-in says that it is one; empty for the real program."""
    found = STAND_IN.search(output)
    return found["sentence"].strip() if found else ""


def arguments(
    dialect: Dialect, model: str, settings: RunSettings, *, result_file: str = ""
) -> tuple[str, ...]:
    """The flags of one run; ``result_file`` is where LiteRT's dialect writes its result."""
    common = (
        f"--graph={model}",
        f"--num_threads={settings.threads}",
        f"--num_runs={settings.timed_runs}",
        f"--min_secs={settings.timed_min_s:g}",
        f"--warmup_runs={settings.warmup_runs}",
        f"--warmup_min_secs={settings.warmup_min_s:g}",
    )
    gpu = settings.delegate is Delegate.GPU
    match dialect:
        case Dialect.TFLITE:
            return (*common, "--use_gpu=true") if gpu else (*common, "--use_xnnpack=true")
        case Dialect.LITERT:
            where = (f"--result_file_path={result_file}",) if result_file else ()
            return (*common, "--use_gpu=true" if gpu else "--use_cpu=true", *where)


def parse(
    dialect: Dialect, asked: Sequence[str], stdout: str, stderr: str, result: bytes = b""
) -> Parsed:
    """The figures of a run that ended with exit code 0.

    Args:
        dialect: Of the program.
        asked: The flags it was given.
        stdout: What it printed.
        stderr: What it complained.
        result: The result file of LiteRT's dialect, where there is one.

    Raises:
        RequestIgnoredError: If it ignored a flag, or a delegate took only part of the graph.
        UnreadableOutputError: If figures are missing, cut off, or contradict each other.
    """
    stdout, stderr = stdout[:KEPT], stderr[:KEPT]
    _check_flags(asked, stdout + "\n" + stderr)
    if result:
        return _from_result(result)
    text = _text_of(dialect, stdout, stderr)
    runs = _timed_line(text)
    if dialect is Dialect.TFLITE:
        return _with_tflite_summary(runs, text)
    return _with_litert_summary(runs, stderr)


def _check_flags(asked: Sequence[str], text: str) -> None:
    for line in re.findall(r"^WARN: Unconsumed cmdline flags: (.*)$", text, re.MULTILINE):
        ignored = [flag for flag in asked if flag.split("=")[0] in line]
        if ignored:
            msg = f"benchmark_model ignored {', '.join(ignored)}: this build lacks it"
            raise RequestIgnoredError(msg)
    partial = re.search(r"Replacing (\d+) out of (\d+) node\(s\) with delegate", text)
    if partial and partial[1] != partial[2] and any(flag == "--use_gpu=true" for flag in asked):
        msg = f"the GPU took only {partial[1]} of the model's {partial[2]} operators"
        raise RequestIgnoredError(msg)


def _text_of(dialect: Dialect, stdout: str, stderr: str) -> str:
    return stdout if dialect is Dialect.TFLITE else f"{stdout}\n{stderr}"


_NUMBER = r"[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?"
_MANY = re.compile(
    rf"count=(?P<count>[0-9]+) first=(?P<first>{_NUMBER}) curr=(?P<curr>{_NUMBER}) "
    rf"min=(?P<min>{_NUMBER}) max=(?P<max>{_NUMBER}) avg=(?P<avg>{_NUMBER}) std=(?P<std>{_NUMBER})"
    rf"(?: p5=(?P<p5>{_NUMBER}) median=(?P<median>{_NUMBER}) p95=(?P<p95>{_NUMBER}))?"
)
_SAME = re.compile(rf"count=(?P<count>[0-9]+) curr=(?P<curr>{_NUMBER})(?:\(all same\))?")


def _timed_line(text: str) -> RunSummary:
    """The second of the two statistics lines: the first is the warm-up's."""
    lines = re.findall(r"^INFO: (count=.*)$", text, re.MULTILINE)
    if len(lines) != 2:
        msg = f"expected the warm-up's statistics and the timed runs', got {len(lines)} lines"
        raise UnreadableOutputError(msg)
    return _statistics(lines[1].strip())


def _statistics(line: str) -> RunSummary:
    many, same = _MANY.fullmatch(line), _SAME.fullmatch(line)
    if many:
        values = {name: float(text) for name, text in many.groupdict().items() if text}
        return _checked(values, line)
    if same:
        count, us = int(same["count"]), float(same["curr"])
        if count < 1 or us <= 0 or (count > 1) is not line.endswith("(all same)"):
            raise UnreadableOutputError(_garbled(line))
        return RunSummary(
            count=count,
            mean_ms=us / 1e3,
            min_ms=us / 1e3,
            max_ms=us / 1e3,
            std_ms=0.0,
            median_ms=None,  # as in lines with a spread: the two statistics are never mixed
        )
    raise UnreadableOutputError(_garbled(line))


def _checked(values: dict[str, float], line: str) -> RunSummary:
    """The line's figures, if they can all be true at once; the average has six digits."""
    low, high, slack = values["min"], values["max"], 1.0 + 1e-5 * values["max"]
    inside = all(low <= values[name] <= high for name in ("first", "curr"))
    average_inside = low - slack <= values["avg"] <= high + slack
    middle = [values[name] for name in ("p5", "median", "p95") if name in values]
    ordered = middle == sorted(middle) and all(low <= value <= high for value in middle)
    spread_possible = values["std"] <= (high - low) / 2 * 1.5 + slack
    if not (inside and average_inside and ordered and spread_possible and low > 0):
        raise UnreadableOutputError(_garbled(line))
    if values["count"] < 2:
        raise UnreadableOutputError(_garbled(line))
    return RunSummary(
        count=int(values["count"]),
        mean_ms=values["avg"] / 1e3,
        min_ms=low / 1e3,
        max_ms=high / 1e3,
        std_ms=values["std"] / 1e3,
        median_ms=values["median"] / 1e3 if "median" in values else None,
        p95_ms=values["p95"] / 1e3 if "p95" in values else None,
    )


_TFLITE_SUMMARY = re.compile(
    rf"^INFO: Inference timings in us: Init: (?P<init>{_NUMBER}), "
    rf"First inference: (?P<first>{_NUMBER}), Warmup \(avg\): (?P<warmup>{_NUMBER}), "
    rf"Inference \(avg\): (?P<avg>{_NUMBER})$",
    re.MULTILINE,
)
_TFLITE_MEMORY = re.compile(
    rf"^INFO: Memory footprint delta .*overall=(?P<overall>{_NUMBER})$", re.MULTILINE
)


def _with_tflite_summary(runs: RunSummary, text: str) -> Parsed:
    found = _TFLITE_SUMMARY.findall(text)
    if len(found) != 1:
        msg = f"expected one line 'Inference timings in us', got {len(found)}"
        raise UnreadableOutputError(msg)
    init, first, _, average = (float(value) for value in found[0])
    if not math.isclose(average / 1e3, runs.mean_ms, rel_tol=1e-5):
        msg = f"the average is {runs.mean_ms * 1e3:g} us in one line, {average:g} us in another"
        raise UnreadableOutputError(msg)
    memory = _TFLITE_MEMORY.search(text)
    return Parsed(
        summary=runs,
        first_ms=first / 1e3 if first else None,
        init_ms=init / 1e3,
        peak_memory_mb=float(memory["overall"]) if memory else None,
    )


def _with_litert_summary(runs: RunSummary, stderr: str) -> Parsed:
    """LiteRT's own text, rounded to 0.01 ms, which the statistics line has to agree with."""
    average = re.findall(
        rf"^.*Inference \(avg\): ({_NUMBER}) ms \(([0-9]+) runs\)$", stderr, re.MULTILINE
    )
    if len(average) != 1:
        msg = f"expected one line 'Inference (avg)', got {len(average)}"
        raise UnreadableOutputError(msg)
    mean_ms, count = float(average[0][0]), int(average[0][1])
    if abs(mean_ms - runs.mean_ms) > 0.0051 + 1e-5 * mean_ms or count != runs.count:
        msg = f"{count} runs of {mean_ms} ms in one line, {runs} in another"
        raise UnreadableOutputError(msg)
    return Parsed(
        summary=runs,
        first_ms=_figure(stderr, r"Warmup \(first\)", "ms"),
        init_ms=_figure(stderr, "Model initialization", "ms"),
        peak_memory_mb=_figure(stderr, "Peak memory", "MB")
        or _figure(stderr, "Overall footprint", "MB"),
    )


def _figure(text: str, name: str, unit: str) -> float | None:
    found = re.search(rf"{name}: ({_NUMBER}) {unit}", text)
    return float(found[1]) if found else None


def _from_result(content: bytes) -> Parsed:
    try:
        result = BenchmarkResult.parse(content)
    except ValueError as error:
        msg = f"the result file cannot be read: {error}"
        raise UnreadableOutputError(msg) from error
    figures = (result.min_ms, result.median_ms, result.avg_ms, result.max_ms)
    if not all(math.isfinite(value) and value > 0 for value in figures) or not (
        result.min_ms <= result.median_ms <= result.max_ms
        and result.min_ms * 0.999 <= result.avg_ms <= result.max_ms * 1.001
    ):
        msg = f"the result file's figures contradict each other: {result}"
        raise UnreadableOutputError(msg)
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
    )


def _garbled(line: str) -> str:
    return f"the statistics line is cut or garbled: {line[:300]!r}"
