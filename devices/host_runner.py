"""The process that runs a model on this computer: warms up, times, and prints one JSON object.

Started by ``devices.host`` for every session, with its settings as one JSON argument.

Between two runs it times a fixed bit of computing. Where that takes longer than it ever did on an
idle core, someone else computes on the same core: another program, or another virtual machine on
its sibling thread, which no counter here shows. Runs beside such a moment are a third slower; they
are left out as long as enough others can be had in time.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

MAX_S = 150.0
"""After which timing ends even if there are too few runs, as benchmark_model does."""

PROBE = range(4000)
"""What is summed between two runs: some 50 microseconds."""

QUIET = 1.15
"""Times the best probe, up to which a core is idle but for us; a busy sibling doubles it."""

LONGER = 8.0
"""Times what the runs take anyway that are spent on finding enough quiet ones …"""

HOPELESS = 0.03
"""… unless fewer than this share of the runs were quiet after twice that."""


def main() -> None:
    """Run the file that the first argument names, as it says; exit code 1 if it cannot be."""
    settings = json.loads(sys.argv[1])
    if settings["cores"]:
        os.sched_setaffinity(0, settings["cores"])
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    started = time.perf_counter_ns()
    try:
        interpreter = Interpreter(model_path=settings["path"], num_threads=settings["threads"])
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
    init_ms = (time.perf_counter_ns() - started) / 1e6
    rng = np.random.Generator(np.random.PCG64(0))
    for spec in interpreter.get_input_details():
        if np.issubdtype(spec["dtype"], np.floating):
            value = rng.random(spec["shape"]).astype(spec["dtype"])
        else:
            value = rng.integers(0, 100, spec["shape"]).astype(spec["dtype"])
        interpreter.set_tensor(spec["index"], value)
    warmup = list(_timed(interpreter.invoke, settings["warmup_runs"], settings["warmup_min_s"]))
    timed = _Timed(interpreter.invoke, settings["best_probe_us"])
    timed.run(settings["timed_runs"], settings["timed_min_s"])
    result = {
        "runs_ms": timed.runs_ms(settings["timed_runs"]),
        "quiet_share": timed.quiet_share,
        "best_probe_us": timed.best_probe_us,
        "first_ms": (warmup or timed.all_ms)[0],
        "init_ms": init_ms,
        "peak_memory_mb": _peak_memory_mb(),
    }
    sys.stdout.write(json.dumps(result) + "\n")


def _peak_memory_mb() -> float:
    """Of this program alone: what getrusage says on Linux may be that of whoever started it."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (each for each in status.read_text().splitlines() if each.startswith("VmHWM"))
        return int(line.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # bytes on macOS


class _Timed:
    """Runs with a probe before and after each.

    Args:
        invoke: One run.
        best_probe_us: The best probe that this computer ever had; infinite if none is known.
    """

    def __init__(self, invoke: Callable[[], object], best_probe_us: float) -> None:
        self._invoke = invoke
        self._known_us = best_probe_us
        self.all_ms: list[float] = []
        self._probes_us: list[float] = []

    @property
    def best_probe_us(self) -> float:
        """The best one, here or before; the second best here, since one may be a clock's error."""
        seen = sorted(self._probes_us)[:2]
        return min(self._known_us, seen[-1])

    @property
    def quiet_share(self) -> float:
        """Of all runs."""
        return len(self._quiet_ms()) / len(self.all_ms)

    def runs_ms(self, wanted: int) -> list[float]:
        """The quiet runs if they are as many as wanted, else all."""
        quiet = self._quiet_ms()
        return quiet if len(quiet) >= wanted else self.all_ms

    def run(self, runs: int, seconds: float) -> None:
        """Run at least so often and so long, and longer where quiet runs are rare."""
        started, needed_s, looked = time.perf_counter_ns(), 0.0, 0
        self._probes_us = [_probe_us() for _ in range(5)][-1:]
        while True:
            elapsed_s = (time.perf_counter_ns() - started) / 1e9
            if not needed_s and len(self.all_ms) >= runs and elapsed_s >= seconds:
                needed_s = max(elapsed_s, 1e-3)
            if elapsed_s > MAX_S or elapsed_s > LONGER * needed_s > 0:
                return
            if needed_s and len(self.all_ms) >= looked:  # counting costs more than a short run
                looked = len(self.all_ms) + max(1, len(self.all_ms) // 16)
                quiet = len(self._quiet_ms())
                hopeless = elapsed_s > 2 * needed_s and quiet < HOPELESS * len(self.all_ms)
                if quiet >= runs or hopeless:
                    return
            before = time.perf_counter_ns()
            self._invoke()
            self.all_ms.append((time.perf_counter_ns() - before) / 1e6)
            self._probes_us.append(_probe_us())

    def _quiet_ms(self) -> list[float]:
        limit_us = QUIET * self.best_probe_us
        return [
            run
            for run, before, after in zip(
                self.all_ms, self._probes_us, self._probes_us[1:], strict=False
            )
            if before <= limit_us and after <= limit_us
        ]


def _probe_us() -> float:
    started = time.perf_counter_ns()
    sum(PROBE)
    return (time.perf_counter_ns() - started) / 1e3


def _timed(invoke: Callable[[], object], runs: int, seconds: float) -> Iterator[float]:
    """Milliseconds of each call, until there are enough of them and enough time has passed."""
    count = 0
    started = time.perf_counter_ns()
    while True:
        elapsed_s = (time.perf_counter_ns() - started) / 1e9
        if (count >= runs and elapsed_s >= seconds) or elapsed_s > MAX_S:
            return
        before = time.perf_counter_ns()
        invoke()
        yield (time.perf_counter_ns() - before) / 1e6
        count += 1


if __name__ == "__main__":
    main()
