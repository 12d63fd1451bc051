"""Whether ``benchmark_model`` did what it was asked: the parameters it repeats, its delegates."""

from __future__ import annotations

import re
from collections.abc import Sequence

from devices.runner_output import UnreadableOutputError

REPEATED = {
    "num_runs": "Min num runs",
    "min_secs": "Min runs duration (seconds)",
    "max_secs": "Max runs duration (seconds)",
    "num_threads": "Num threads",
    "warmup_runs": "Min warmup runs",
    "warmup_min_secs": "Min warmup runs duration (seconds)",
    "dry_run": "Run w/o invoking kernels",
    "report_peak_memory_footprint": "Report the peak memory footprint",
    "graph": "Graph",
    "use_gpu": "Use gpu",
    "use_xnnpack": "Use xnnpack",
}
"""A flag, and how TensorFlow Lite's tool calls it when it repeats its value."""

_UNCONSUMED = "WARN: Unconsumed cmdline flags:"
_PARTIAL = re.compile(r"Replacing (\d+) out of (\d+) node\(s\) with delegate(?: \(([^)]*)\))?")
_APPLIED = re.compile(r"Explicitly applied GPU delegate, and .* will be (\w+) executed")
_NOT_APPLIED = re.compile(
    r"Though GPU delegate is explicitly applied, the model graph will not be executed"
    r"|GPU acceleration is unsupported on this platform"
)


class RequestIgnoredError(ValueError):
    """The program did not do what was asked of it, and will not the next time."""


def values_of(asked: Sequence[str]) -> dict[str, str]:
    """Flag and value of each ``--flag=value``."""
    pairs = (flag.removeprefix("--").partition("=") for flag in asked)
    return {name: value for name, _, value in pairs}


def check_consumed(asked: Sequence[str], lines: Sequence[str]) -> None:
    """Whether every flag that asks for something was understood.

    Raises:
        RequestIgnoredError: If one was not; a flag that switches something off may be.
    """
    unknown = {
        word.partition("=")[0]
        for line in lines
        if line.startswith(_UNCONSUMED)
        for word in line.removeprefix(_UNCONSUMED).split()
    }
    ignored = [f for f in asked if f.partition("=")[0] in unknown and not f.endswith("=false")]
    if ignored:
        msg = f"benchmark_model ignored {', '.join(ignored)}: this build lacks it"
        raise RequestIgnoredError(msg)


def check_repeated(asked: Sequence[str], lines: Sequence[str], *, every: bool) -> None:
    """Whether the values that it repeats are those that it was given.

    Args:
        asked: The flags it was given.
        lines: What it printed.
        every: Whether each that has a name in ``REPEATED`` has to be there.

    Raises:
        UnreadableOutputError: If one is another, or missing: command or output were garbled.
    """
    told: dict[str, set[str]] = {}
    for line in lines:
        if line.startswith("INFO: ") and line.endswith("]"):
            label, separator, value = line[len("INFO: ") : -1].partition(": [")
            if separator:
                told.setdefault(label, set()).add(value)
    for name, value in values_of(asked).items():
        label = REPEATED.get(name, "")
        heard = told.get(label, set())
        if not label or (not heard and (value == "false" or not every)):
            continue
        if len(heard) != 1 or not _equal(value, next(iter(heard))):
            what = f"says {', '.join(sorted(heard))!r} for it" if heard else "does not repeat it"
            msg = f"--{name}={value} was asked for, and benchmark_model {what}"
            raise UnreadableOutputError(msg)


def _equal(asked: str, told: str) -> bool:
    if asked in ("true", "false"):
        return told == str(int(asked == "true"))
    try:
        return float(f"{float(asked):.6g}") == float(told)
    except ValueError:
        return asked == told


def check_graph(asked: Sequence[str], lines: Sequence[str]) -> None:
    """Whether the model that was loaded is the one that was asked for.

    Raises:
        UnreadableOutputError: If none was, or another.
    """
    graph = values_of(asked).get("graph")
    loaded = [line[len(_LOADED) :] for line in lines if line.startswith(_LOADED)]
    if len(loaded) != 1 or (graph is not None and loaded[0] != graph):
        msg = f"the model {graph or ''!r} was asked for, and {loaded or 'none'} was loaded"
        raise UnreadableOutputError(msg)


_LOADED = "INFO: Loaded model "


def check_delegate(asked: Sequence[str], lines: Sequence[str], *, proof: bool) -> None:
    """Whether the GPU, where it was asked for, took the whole graph.

    What XNNPACK leaves to the other kernels of the CPU is no error.

    Args:
        asked: The flags it was given.
        lines: What it printed, on both of its streams.
        proof: Whether it has to say so.

    Raises:
        RequestIgnoredError: If it took a part or nothing.
        UnreadableOutputError: If nothing is said of it and it should be.
    """
    if values_of(asked).get("use_gpu") != "true":
        return
    complete = False
    for line in lines:
        if _NOT_APPLIED.search(line):
            msg = f"the GPU took nothing of the model: {line.removeprefix('INFO: ')[:200]}"
            raise RequestIgnoredError(msg)
        complete |= _took_all(line)
    if proof and not complete:
        msg = "benchmark_model does not say that the GPU took the model"
        raise UnreadableOutputError(msg)


def _took_all(line: str) -> bool:
    """Whether the line says that the GPU took all of the graph; one of another delegate's not."""
    taken, applied = _PARTIAL.search(line), _APPLIED.search(line)
    if taken and "xnnpack" not in (taken[3] or "").lower():
        if taken[1] != taken[2]:
            msg = f"the GPU took only {taken[1]} of the model's {taken[2]} operators"
            raise RequestIgnoredError(msg)
        return True
    if applied and applied[1] != "completely":
        msg = f"the GPU took only a part of the model: {line.removeprefix('INFO: ')[:200]}"
        raise RequestIgnoredError(msg)
    return applied is not None


def check_ended_well(lines: Sequence[str]) -> None:
    """Whether the tool itself, or the runtime, says that something went wrong.

    Raises:
        UnreadableOutputError: If the tool says that it failed.
        RequestIgnoredError: If the runtime cannot tell its processor, which makes it slow.
    """
    for line in lines:
        if line.startswith("ERROR: Benchmarking failed"):
            msg = "benchmark_model says that it failed"
            raise UnreadableOutputError(msg)
        if line.startswith("Error in cpuinfo:"):
            msg = (
                f"the runtime cannot tell the processor, and is many times slower so: {line[:200]}"
            )
            raise RequestIgnoredError(msg)
