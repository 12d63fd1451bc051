#!/usr/bin/python3 -IS
"""A stand-in for ``benchmark_model`` on loopback phones; it says so wherever it prints.

It takes the flags of TensorFlow Lite's tool (2.14.1's dialect), runs the file in LiteRT under
Python, and prints what that tool prints; each run also appends its raw times to ``ledger.jsonl``
beside this script. Where the phone's scenario or ``POCKETNAS_STANDIN_DIALECT`` says ``litert``, it
takes the flags of LiteRT's tool, and ends with its text and its result file. It is copied into
the phone, so it imports nothing of this project, and the interpreter starts isolated and without
``site`` because every session pays for its start.
"""

from __future__ import annotations

import os
import sys

PACKAGES = "/opt/pocketnas-runner"
SIMULATED = "/run/android"
"""Where the files of a simulated Android are; absent on a phone that follows no scenario."""
DIALECT_FILE = os.path.join(SIMULATED, "runner-dialect")
"""Written where the phone's scenario has a dialect of its own."""
CORE_SUFFICES = os.path.join(PACKAGES, ".numpy-core-suffices")
"""Written when the phone was built, after LiteRT was tried with numpy's core alone."""
sys.path.insert(0, PACKAGES)

import json  # noqa: E402 - the phone's packages come first
import math  # noqa: E402
import resource  # noqa: E402
import struct  # noqa: E402
import time  # noqa: E402

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Value = bool | int | float | str
    Flags = dict[str, Value]

FLAGS: tuple[tuple[str, Value, str, str], ...] = (
    ("num_runs", 50, "Min num runs", "expected number of runs, see also min_secs, max_secs"),
    ("min_secs", 1.0, "Min runs duration (seconds)", "minimum number of seconds to rerun for"),
    ("max_secs", 150.0, "Max runs duration (seconds)", "maximum number of seconds to rerun for"),
    ("run_delay", -1.0, "Inter-run delay (seconds)", "delay between runs in seconds"),
    ("num_threads", -1, "Num threads", "number of threads"),
    ("benchmark_name", "", "Benchmark name", "benchmark name"),
    ("output_prefix", "", "Output prefix", "benchmark output prefix"),
    ("warmup_runs", 1, "Min warmup runs", "minimum number of runs performed on initialization"),
    ("warmup_min_secs", 0.5, "Min warmup runs duration (seconds)", "minimum time of these runs"),
    ("verbose", False, "Log parameter values verbosely", "whether to log those not set as well"),
    ("dry_run", False, "Run w/o invoking kernels", "only load the model and allocate tensors"),
    (
        "report_peak_memory_footprint",
        False,
        "Report the peak memory footprint",
        "report the most memory held (by the stand-in, Python included)",
    ),
    ("graph", "", "Graph", "graph file name"),
    ("help", False, "Print out all supported flags", "print out all supported flags if true"),
)
"""Name, default, how the tool calls it when it repeats it, and what ``--help`` says."""

OWN_FLAGS: dict[str, tuple[tuple[str, Value, str, str], ...]] = {
    "tflite": (
        ("use_xnnpack", True, "Use xnnpack", "apply the XNNPACK delegate (LiteRT's own default)"),
    ),
    "litert": (("result_file_path", "", "Result file path", "where to write the result"),),
}
"""Of one dialect only."""

ONLY_DEFAULT: dict[str, dict[str, str]] = {
    "tflite": {
        "use_caching": "false",
        "allow_fp16": "false",
        "require_full_delegation": "false",
        "enable_op_profiling": "false",
    },
    "litert": {
        "use_cpu": "true",
        "use_gpu": "false",
        "use_npu": "false",
        "require_full_delegation": "false",
        "use_profiler": "false",
        "signature_to_run_for": "",
    },
}
"""Flags that are obeyed where they ask for nothing; any other value is left unconsumed."""

ECHO_FIRST = ("verbose",)
NO_GRAPH = "Please specify the name of your TF Lite input file with --graph"
NOT_A_MODEL = "The model is not a valid Flatbuffer buffer"


class Unhurried:
    """The pace of a phone that follows no scenario: each run takes as long as it takes."""

    thermal_status: int | None = None
    temperature_c: float | None = None
    clock_factor: float | None = None

    def keep(self, start_us: int) -> None:
        """Wait for nothing."""


def pace_of_the_phone() -> Unhurried:
    """How fast the phone's cores are: by its scenario, where it follows one (``pace.py``)."""
    if not os.path.exists(f"{SIMULATED}/pace.py"):
        return Unhurried()
    from importlib import import_module

    sys.path.append(SIMULATED)
    pace: Unhurried = import_module("pace").Pace()
    return pace


class BenchmarkFailedError(Exception):
    """Ends the run with exit code 1; its lines go to stderr."""


def main(argv: list[str]) -> int:
    """Run once, as the tool would; the exit code."""
    say("INFO: STARTING!")
    say(f"INFO: {stand_in()}")
    try:
        flags, given, unconsumed = parse(argv)
        if unconsumed:
            say(f"WARN: Unconsumed cmdline flags: {' '.join(unconsumed)}")
        echo(flags, given)
        benchmark(flags, argv[1:])
    except BenchmarkFailedError as error:
        for line in (*error.args, "Benchmarking failed."):
            sys.stderr.write(f"ERROR: {line}\n")
        return 1
    return 0


def stand_in() -> str:
    """The sentence that says what this is."""
    python = ".".join(map(str, sys.version_info[:3]))
    return (
        f"POCKETNAS STAND-IN: benchmark_model stand-in, LiteRT {litert_version()} "
        f"under Python {python}, not Google's binary"
    )


def litert_version() -> str:
    """The runtime's version, read from its package without importing it."""
    for folder in sys.path:
        try:
            with open(os.path.join(folder, "ai_edge_litert", "__init__.py")) as file:
                return file.readline().split('"')[1]
        except (OSError, IndexError):
            continue
    return "unknown"


def dialect() -> str:
    """``tflite`` or ``litert``: by the environment, else by the phone's scenario."""
    asked = os.environ.get("POCKETNAS_STANDIN_DIALECT", "")
    if not asked and os.path.exists(DIALECT_FILE):
        with open(DIALECT_FILE) as file:
            asked = file.read().strip()
    return asked if asked in OWN_FLAGS else "tflite"


def flags_here() -> tuple[tuple[str, Value, str, str], ...]:
    """Those of the dialect."""
    return (*FLAGS, *OWN_FLAGS[dialect()])


def say(line: str) -> None:
    """Print a line at once: who is killed in mid-run has said what went before."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


# --- the command line ---------------------------------------------------------------------------


def parse(argv: list[str]) -> tuple[Flags, set[str], list[str]]:
    """The flags, the names of those given, and what no flag took.

    Raises:
        BenchmarkFailedError: With the usage, if a value is bad or help is asked for.
    """
    flags: Flags = {name: default for name, default, _, _ in flags_here()}
    harmless = ONLY_DEFAULT[dialect()]
    given: set[str] = set()
    unconsumed: list[str] = []
    for argument in argv[1:]:
        name, equals, text = argument.removeprefix("--").partition("=")
        if argument == "--help":
            flags["help"] = True
        elif not argument.startswith("--") or not equals or name not in flags:
            if not (argument.startswith("--") and harmless.get(name) == text):
                unconsumed.append(argument)
        else:
            try:
                flags[name] = read(text, flags[name])
            except ValueError:
                failure = f"Failed to parse flag '{name}' against argv '{argument}'"
                raise BenchmarkFailedError(failure, usage(argv[0])) from None
            given.add(name)
    if flags["help"]:
        raise BenchmarkFailedError(usage(argv[0]))
    return flags, given, unconsumed


def read(text: str, default: Value) -> Value:
    """``text`` as a value of ``default``'s type; ValueError if it is none."""
    if isinstance(default, bool):
        if text not in ("true", "false"):
            raise ValueError(text)
        return text == "true"
    return type(default)(text)


def usage(program: str) -> str:
    """What the tool says of itself."""
    lines = [stand_in(), f"usage: {program} <flags>", "Flags:"]
    for name, default, _, text in flags_here():
        lines.append(f"\t{f'--{name}={shown(default)}':<48}\t{kind(default)}\toptional\t{text}")
    for name, value in ONLY_DEFAULT[dialect()].items():
        lines.append(
            f"\t{f'--{name}={value}':<48}\tbool\toptional\tno other value in this stand-in"
        )
    return "\n".join(lines) + "\n"


def kind(value: Value) -> str:
    """The tool's word for a value's type."""
    return {bool: "bool", int: "int32", float: "float", str: "string"}[type(value)]


def shown(value: Value) -> str:
    """A value as on the command line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return cpp(value) if isinstance(value, int | float) else value


def cpp(number: float) -> str:
    """A number as a C++ stream prints it: integers whole, others with six digits."""
    return str(number) if isinstance(number, int) else f"{number:.6g}"


def echo(flags: Flags, given: set[str]) -> None:
    """Repeat the parameters: those given, or all of them."""
    for name, _, label, _ in sorted(flags_here(), key=lambda flag: flag[0] not in ECHO_FIRST):
        if name in ECHO_FIRST or name in given or flags["verbose"]:
            value = flags[name]
            text = str(int(value)) if isinstance(value, bool) else shown(value)
            say(f"INFO: {label}: [{text}]")
    if "num_threads" in given:
        say(f"INFO: #threads used for CPU inference: [{flags['num_threads']}]")


# --- the run ------------------------------------------------------------------------------------


def benchmark(flags: Flags, arguments: list[str]) -> None:
    """Load the file, warm up, time, report.

    Raises:
        BenchmarkFailedError: If the file cannot be loaded or an operator fails.
    """
    graph = str(flags["graph"])
    if not graph:
        raise BenchmarkFailedError(NO_GRAPH)
    content = readable(graph)
    numpy_core = import_numpy_core()
    from ai_edge_litert import interpreter as litert

    started_at = now_text()
    memory_kb = peak_kb()
    started_us = now_us()
    interpreter = load(litert, graph, flags)
    init_us = now_us() - started_us
    init_kb = peak_kb() - memory_kb
    say(f"INFO: Loaded model {graph}")
    say(f"INFO: The input model file size (MB): {cpp(len(content) / 1e6)}")
    say(f"INFO: Initialized session in {cpp(init_us / 1e3)}ms.")
    invoke = prepare(interpreter, numpy_core)
    dry = bool(flags["dry_run"])
    pace = pace_of_the_phone()
    warmup, timed = (
        repeat(invoke, 0 if dry else runs, -1.0 if dry else least_s, flags, pace)
        for runs, least_s in (
            (flags["warmup_runs"], flags["warmup_min_secs"]),
            (flags["num_runs"], flags["min_secs"]),
        )
    )
    overall_kb = peak_kb() - memory_kb
    if dialect() == "litert":
        report_litert(flags, init_us, warmup, timed, init_kb, overall_kb)
    else:
        report(flags, init_us, warmup, timed, init_kb / 1024, overall_kb / 1024)
    keep(graph, content, arguments, init_us, warmup, timed, pace, started_at)


def readable(graph: str) -> bytes:
    """The file's bytes, once it is sure to be a model file."""
    failure = f"Failed to load model {graph}"
    try:
        with open(graph, "rb") as file:
            content = file.read()
    except OSError:
        opened = f"Could not open '{graph}'."
        raise BenchmarkFailedError(opened, "The model allocation is null/empty", failure) from None
    if content[4:8] != b"TFL3":
        raise BenchmarkFailedError(NOT_A_MODEL, failure)
    return content


def load(litert: Any, graph: str, flags: Flags) -> Any:  # noqa: ANN401 - LiteRT has no types
    """An interpreter with its tensors allocated, delegates applied."""
    threads = int(flags["num_threads"])
    kinds = litert.OpResolverType
    resolver = (
        kinds.AUTO if flags.get("use_xnnpack", True) else kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    )
    try:
        interpreter = litert.Interpreter(
            model_path=graph,
            num_threads=threads if threads > 0 else None,
            experimental_op_resolver_type=resolver,
        )
    except (RuntimeError, ValueError) as error:
        reason = NOT_A_MODEL if "flatbuffer" in str(error).lower() else one_line(error)
        raise BenchmarkFailedError(reason, f"Failed to load model {graph}") from None
    try:
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise BenchmarkFailedError(one_line(error), "Failed to allocate tensors!") from None
    return interpreter


def import_numpy_core(*, alone: bool | None = None) -> Any:  # noqa: ANN401 - a module of numpy's
    """The core of numpy, which is all that LiteRT needs.

    The rest of numpy takes longer to import than everything else here together (0.12 s of 0.23 s),
    and each session starts a process; so where it is known to work, the rest stays away.
    """
    if os.path.exists(CORE_SUFFICES) if alone is None else alone:
        for name in ("numpy", "numpy._core"):
            package = type(sys)(name)
            package.__path__ = [os.path.join(PACKAGES, *name.split("."))]
            sys.modules[name] = package
    from importlib import import_module

    return import_module("numpy._core._multiarray_umath")


def prepare(interpreter: Any, numpy_core: Any) -> Callable[[], None]:  # noqa: ANN401 - as above
    """Fill the inputs as the tool does, floats in [-0.5, 0.5]; what to time."""
    import hashlib

    for detail in interpreter.get_input_details():
        dtype = numpy_core.dtype(detail["dtype"])
        if dtype.kind not in "fiub":
            failure = f"Unsupported input type {dtype} of '{detail['name']}'"
            raise BenchmarkFailedError(failure)
        shape = [int(size) for size in detail["shape"]]
        noise = numpy_core.frombuffer(
            hashlib.shake_128(b"input").digest(math.prod(shape)), dtype="u1"
        )
        values = noise / 255 - 0.5 if dtype.kind == "f" else noise % 100
        interpreter.set_tensor(detail["index"], values.astype(dtype).reshape(shape))
    invoke: Callable[[], None] = interpreter.invoke
    return invoke


def repeat(
    invoke: Callable[[], None],
    runs: Value,
    least_s: Value,
    flags: Flags,
    pace: Unhurried | None = None,
) -> list[int]:
    """Run at least so often and so long; each run's time in microseconds."""
    least_s, most_s, delay_s = float(least_s), float(flags["max_secs"]), float(flags["run_delay"])
    say(
        f"INFO: Running benchmark for at least {runs} iterations and at least {cpp(least_s)} "
        f"seconds but terminate if exceeding {cpp(most_s)} seconds."
    )
    pace = pace or Unhurried()
    times: list[int] = []
    failure = None
    begin = now = now_us()
    while (len(times) < int(runs) or now < begin + least_s * 1e6) and now <= begin + most_s * 1e6:
        start = now_us()
        try:
            invoke()
        except RuntimeError as error:
            failure = one_line(error)
        pace.keep(start)
        times.append(now_us() - start)
        if delay_s > 0:
            time.sleep(delay_s)
        if failure:
            break
        now = now_us()
    say(f"INFO: {statistics_line(times)}\n")
    if failure:
        raise BenchmarkFailedError(failure)
    return times


def statistics_line(times: list[int]) -> str:
    """The tool's summary of ``times`` in microseconds; the deviation is cut to an integer."""
    if not times:
        return "count=0"
    if min(times) == max(times):
        return f"count={len(times)} curr={times[-1]}" + ("(all same)" if len(times) > 1 else "")
    return (
        f"count={len(times)} first={times[0]} curr={times[-1]} min={min(times)} max={max(times)} "
        f"avg={cpp(mean_of(times))} std={int(deviation_of(times))}"
    )


def report(
    flags: Flags,
    init_us: int,
    warmup: list[int],
    timed: list[int],
    init_mb: float,
    overall_mb: float,
) -> None:
    """The lines at the end."""
    warm, inference = (cpp(mean_of(t)) if t else "0" for t in (warmup, timed))
    first = warmup[0] if warmup else 0
    say(
        f"INFO: Inference timings in us: Init: {init_us}, First inference: {first}, "
        f"Warmup (avg): {warm}, Inference (avg): {inference}"
    )
    say(
        "INFO: Note: as the benchmark tool itself affects memory footprint, the following is only "
        "APPROXIMATE to the actual memory footprint of the model at runtime. Take the information "
        "at your discretion."
    )
    say(
        "INFO: Memory footprint delta from the start of the tool (MB): "
        f"init={cpp(init_mb)} overall={cpp(overall_mb)}"
    )
    if flags["report_peak_memory_footprint"]:
        peak_mb = cpp(peak_kb() / 1024)
        say(f"INFO: Overall peak memory footprint (MB) via periodic monitoring: {peak_mb}")


def report_litert(
    flags: Flags,
    init_us: int,
    warmup: list[int],
    timed: list[int],
    init_kb: int,
    overall_kb: int,
) -> None:
    """The text at the end of LiteRT's tool, and its result file where one is asked for."""
    lines = [f"Model initialization: {init_us / 1e3:.2f} ms"]
    if warmup:
        lines += [
            f"Warmup (first): {warmup[0] / 1e3:.2f} ms",
            f"Warmup (avg): {mean_of(warmup) / 1e3:.2f} ms ({len(warmup)} runs)",
        ]
    if timed:
        lines += [
            f"Inference (avg): {mean_of(timed) / 1e3:.2f} ms ({len(timed)} runs)",
            f"Inference (min): {min(timed) / 1e3:.2f} ms",
            f"Inference (max): {max(timed) / 1e3:.2f} ms",
            f"Inference (std): {deviation_of(timed) / 1e3:.2f}",
        ]
    lines += [
        f"Init footprint: {init_kb / 1024:.2f} MB",
        f"Overall footprint: {overall_kb / 1024:.2f} MB",
    ]
    if flags["report_peak_memory_footprint"]:
        lines.append(f"Peak memory: {peak_kb() / 1024:.2f} MB")
    sys.stderr.write("".join(f"{line}\n" for line in lines))
    if flags["result_file_path"] and timed:
        with open(str(flags["result_file_path"]), "wb") as file:
            file.write(result_message(init_us, warmup, timed, init_kb, overall_kb))


def result_message(
    init_us: int, warmup: list[int], timed: list[int], init_kb: int, overall_kb: int
) -> bytes:
    """The proto2 message ``BenchmarkResult`` of LiteRT's tool."""
    ordered = sorted(timed)
    p5, median, p95 = (ordered[int(share * (len(ordered) - 1))] for share in (0.05, 0.5, 0.95))
    spread = (mean_of(timed), ordered[0], ordered[-1], deviation_of(timed), median, p5, p95)
    first, warm = (warmup[0], mean_of(warmup)) if warmup else (0, 0)
    latency = [each / 1e3 for each in (*spread, init_us, first, warm)]
    return (
        field(1, stand_in().encode())
        + field(2, b"".join(field(number, value) for number, value in enumerate(latency, 1)))
        + field(3, field(1, init_kb) + field(2, overall_kb))
        + field(4, field(2, len(timed)) + field(3, len(warmup)))
    )


def field(number: int, value: float | bytes) -> bytes:
    """A field of a message: a whole number, a float of 4 bytes, or what has a length."""
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 5) + struct.pack("<f", value)


def varint(value: int) -> bytes:
    """As protocol buffers write a number that is not negative."""
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*parts, value))


def mean_of(times: list[int]) -> float:
    """Their mean."""
    return sum(times) / len(times)


def deviation_of(times: list[int]) -> float:
    """Their standard deviation, as of all there are."""
    mean = mean_of(times)
    return math.sqrt(sum((each - mean) ** 2 for each in times) / len(times))


def keep(
    graph: str,
    content: bytes,
    arguments: list[str],
    init_us: int,
    warmup: list[int],
    timed: list[int],
    pace: Unhurried,
    started_at: str,
) -> None:
    """Append this run to the ledger, so that a stored session can be traced to its own run."""
    import hashlib

    line = {
        "pid": os.getpid(),
        "graph": graph,
        "sha256": hashlib.sha256(content).hexdigest(),
        "arguments": arguments,
        "init_us": init_us,
        "warmup_us": warmup,
        "timed_us": timed,
        "started_at": started_at,
        "thermal_status": pace.thermal_status,
        "clock_factor": pace.clock_factor,
        "temperature_c": pace.temperature_c,
    }
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ledger.jsonl")
    with open(path, "a") as file:
        file.write(json.dumps(line) + "\n")


def peak_kb() -> int:
    """The most memory this program has held so far; getrusage may tell that of its starter."""
    with open("/proc/self/status") as status:
        found = next((line for line in status if line.startswith("VmHWM")), "")
    return int(found.split()[1]) if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def now_text() -> str:
    """The time of day, ISO 8601 with the timezone."""
    now = time.time()
    return (
        time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1000):03d}+00:00"
    )


def now_us() -> int:
    """A clock that never goes back."""
    return time.perf_counter_ns() // 1000


def one_line(error: Exception) -> str:
    """What went wrong, without the line breaks of the runtime's messages."""
    return " ".join(str(error).split())


if __name__ == "__main__":
    sys.exit(main(sys.argv))
