"""The process that runs a model on this computer: warms up, times, and prints one JSON object.

Started by ``devices.host`` for every session, with its settings as one JSON argument.
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
    runs = list(_timed(interpreter.invoke, settings["timed_runs"], settings["timed_min_s"]))
    result = {
        "runs_ms": runs,
        "first_ms": (warmup or runs)[0],
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
