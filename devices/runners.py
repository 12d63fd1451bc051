"""``benchmark_model``: its command lines and what it prints, in both of its dialects.

TensorFlow Lite's dialect was run and recorded (2.14.1); LiteRT's was read in its sources. Neither
gives single runs. A number is taken only from a run that ended well and whose figures agree.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum

from devices.device import Delegate, RunSettings
from devices.runner_echo import RequestIgnoredError as RequestIgnoredError
from devices.runner_echo import (
    check_consumed,
    check_delegate,
    check_ended_well,
    check_repeated,
    values_of,
)
from devices.runner_figures import Parsed as Parsed
from devices.runner_figures import read_litert, read_result, read_tflite
from devices.runner_output import UnreadableOutputError as UnreadableOutputError
from devices.runner_output import lines_of

STAND_IN = re.compile(r"^INFO: POCKETNAS STAND-IN: (?P<sentence>.+)$", re.MULTILINE)
"""What a program prints that is not the real one."""


class Dialect(StrEnum):
    """Which of the two programs of that name it is."""

    TFLITE = "tflite"
    LITERT = "litert"


class GpuPrecision(StrEnum):
    """In what a GPU may compute."""

    AUTO = "auto"
    """As the program does by default; most GPUs compute in halves then."""
    FP16 = "fp16"
    FP32 = "fp32"


def dialect_of(help_text: str) -> Dialect:
    """Told apart by flags that only one has.

    Raises:
        UnreadableOutputError: If it is the help of neither, or cannot be told.
    """
    tflite = "--enable_op_profiling=" in help_text or "--use_xnnpack" in help_text
    litert = "--result_file_path" in help_text or "--signature_to_run_for" in help_text
    if tflite and not ("--result_file_path" in help_text and "--use_cpu" in help_text):
        return Dialect.TFLITE
    if litert:
        return Dialect.LITERT
    msg = f"--help is not benchmark_model's: {help_text[:200]!r}"
    raise UnreadableOutputError(msg)


def stand_in_of(output: str) -> str:
    """The sentence by which a stand-in says that it is one; empty for the real program."""
    found = STAND_IN.search(output)
    return found["sentence"].strip() if found else ""


def arguments(
    dialect: Dialect,
    model: str,
    settings: RunSettings,
    *,
    result_file: str = "",
    gpu_precision: GpuPrecision = GpuPrecision.AUTO,
    peak_memory: bool = False,
) -> tuple[str, ...]:
    """The flags of one run.

    Args:
        dialect: Of the program.
        model: Where it lies on the device.
        settings: How to run it.
        result_file: Where LiteRT's dialect writes its result; TensorFlow Lite's has none.
        gpu_precision: For the delegate ``gpu``.
        peak_memory: Whether to watch the memory, which takes time of the runs': such a session
            gives no latency.
    """
    flags = [
        f"--graph={model}",
        f"--num_threads={settings.threads}",
        f"--num_runs={settings.timed_runs}",
        f"--min_secs={settings.timed_min_s:g}",
        f"--warmup_runs={settings.warmup_runs}",
        f"--warmup_min_secs={settings.warmup_min_s:g}",
        *_delegate_flags(dialect, settings.delegate, gpu_precision),
    ]
    if result_file and dialect is Dialect.LITERT:
        flags.append(f"--result_file_path={result_file}")
    if peak_memory:
        flags.append("--report_peak_memory_footprint=true")
    return tuple(flags)


def _delegate_flags(
    dialect: Dialect, delegate: Delegate, precision: GpuPrecision
) -> tuple[str, ...]:
    """What computes, and that nothing else may where it is the GPU.

    LiteRT's tool adds the CPU unless it is told otherwise, and aborts if it is given both the CPU
    and ``--require_full_delegation``.
    """
    match dialect, delegate:
        case Dialect.TFLITE, Delegate.CPU:
            return ("--use_xnnpack=true",)
        case Dialect.LITERT, Delegate.CPU:
            return ("--use_cpu=true",)
        case Dialect.TFLITE, Delegate.GPU:
            loss = {
                GpuPrecision.AUTO: (),
                GpuPrecision.FP16: ("--gpu_precision_loss_allowed=true",),
                GpuPrecision.FP32: ("--gpu_precision_loss_allowed=false",),
            }[precision]
            return ("--use_gpu=true", "--require_full_delegation=true", *loss)
        case _:
            exact = () if precision is GpuPrecision.AUTO else (f"--gpu-precision={precision}",)
            return ("--use_gpu=true", "--use_cpu=false", "--require_full_delegation=true", *exact)


def profile_arguments(
    dialect: Dialect, model: str, settings: RunSettings, *, output_file: str
) -> tuple[str, ...]:
    """The flags of a session that times every operator, and so gives no latency of the whole.

    TensorFlow Lite's tool writes its table as CSV to ``output_file`` (read by ``op_profile``);
    LiteRT's has no such file, and prints its own.
    """
    flags = arguments(dialect, model, settings)
    match dialect:
        case Dialect.TFLITE:
            csv = f"--profiling_output_csv_file={output_file}"
            return (*flags, "--enable_op_profiling=true", csv)
        case Dialect.LITERT:
            return (*flags, "--use_profiler=true")


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
    said, complained = lines_of(stdout), stderr.replace("\r\n", "\n").split("\n")
    both = (*said, *complained)
    check_consumed(asked, both)
    check_ended_well(both)
    tflite = dialect is Dialect.TFLITE
    check_delegate(asked, both, proof=tflite)
    check_repeated(asked, both, every=tflite)
    if tflite:
        parsed = read_tflite(asked, said)
    elif result:
        parsed = read_result(asked, result, both)
    else:
        parsed = read_litert(asked, both)
    wanted = values_of(asked).get("report_peak_memory_footprint") == "true"
    if wanted and parsed.peak_memory_mb is None:
        msg = "the peak memory was asked for and is not told"
        raise UnreadableOutputError(msg)
    return parsed
