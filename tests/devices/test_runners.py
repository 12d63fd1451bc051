import re
import struct
from pathlib import Path

import pytest

from devices.device import Delegate, RunSettings
from devices.phone_cache import FOLDER
from devices.runner_output import statistics_of
from devices.runners import (
    Dialect,
    GpuPrecision,
    RequestIgnoredError,
    UnreadableOutputError,
    arguments,
    dialect_of,
    parse,
    profile_arguments,
    stand_in_of,
)

DATA = Path(__file__).parent / "data"
GRAPH = "--graph=models/a1_nhwc.tflite"
ASKED = (GRAPH, "--num_runs=30", "--num_threads=1", "--warmup_runs=5")
"""What the recorded case ``t1`` was given."""


def recorded(case):
    return (DATA / f"{case}.stdout").read_text(), (DATA / f"{case}.stderr").read_text()


PLAIN = recorded("plain")[0]
T1 = recorded("t1")[0]


def read(stdout, *, asked=(), stderr=""):
    return parse(Dialect.TFLITE, asked, stdout, stderr)


@pytest.mark.parametrize(
    ("case", "asked", "count", "mean_ms", "first_ms", "init_ms", "footprint_mb"),
    [
        ("plain", (GRAPH,), 50, 33.4331, 41.917, 0.847, 40.1289),
        ("t1", ASKED, 30, 34.0586, 43.346, 0.887, 40.1914),
        ("onerun", (GRAPH, "--num_runs=1", "--min_secs=0"), 1, 40.678, None, 0.663, 40.125),
        ("unknownflag", (GRAPH, "--num_runs=2"), 2, 31.737, 39.001, 0.65, 40.125),
    ],
)
def test_recorded_output_is_read_exactly(
    case, asked, count, mean_ms, first_ms, init_ms, footprint_mb
):
    parsed = parse(Dialect.TFLITE, asked, *recorded(case))
    assert parsed.summary.count == count
    assert parsed.summary.mean_ms == pytest.approx(mean_ms, rel=1e-12)
    assert parsed.summary.median_ms is None
    assert (parsed.first_ms, parsed.init_ms) == (first_ms, init_ms)
    assert (parsed.peak_memory_mb, parsed.footprint_mb) == (None, footprint_mb)


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("dryrun", "nothing was timed"),
        ("missing", "says that it failed"),
        ("truncated", "says that it failed"),
        ("badflagvalue", "says that it failed"),
    ],
)
def test_output_without_timed_runs_gives_no_number(case, reason):
    with pytest.raises(UnreadableOutputError, match=reason):
        parse(Dialect.TFLITE, (), *recorded(case))
    with pytest.raises(UnreadableOutputError):
        read(recorded(case)[0])


def test_a_runner_killed_after_its_warm_up_gives_no_number():
    end = PLAIN.index("INFO: Running benchmark for at least 50")
    with pytest.raises(UnreadableOutputError, match="got 1 lines"):
        read(PLAIN[:end])


def test_output_that_ends_in_the_middle_of_its_last_line_gives_no_number():
    with pytest.raises(UnreadableOutputError, match="ends in the middle"):
        read(PLAIN[:-3])


def test_a_terminals_line_ends_are_read():
    assert read(PLAIN.replace("\n", "\r\n"), asked=(GRAPH,)) == read(PLAIN, asked=(GRAPH,))


CREATED = "INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n"


@pytest.mark.parametrize("line", range(len(PLAIN.splitlines())))
def test_a_message_of_the_runtime_between_any_two_lines_changes_nothing(line):
    lines = PLAIN.splitlines(keepends=True)
    assert read("".join([*lines[:line], CREATED, *lines[line:]])) == read(PLAIN)


@pytest.mark.parametrize(
    ("flag", "wrong", "told"),
    [
        ("--num_runs=30", "--num_runs=50", "30"),
        ("--num_threads=1", "--num_threads=4", "'1'"),
        ("--warmup_runs=5", "--warmup_runs=10", "5"),
        (GRAPH, "--graph=models/other.tflite", "models/a1_nhwc.tflite"),
        ("--num_threads=1", "--min_secs=1", "does not repeat"),
    ],
)
def test_a_run_that_did_something_else_than_was_asked_is_refused(flag, wrong, told):
    asked = tuple(wrong if each == flag else each for each in ASKED)
    assert read(T1, asked=ASKED).summary.count == 30
    with pytest.raises(UnreadableOutputError, match=re.escape(told)):
        read(T1, asked=asked)


def test_times_are_compared_as_the_tool_rounds_them():
    text = T1.replace("at least 1 seconds", "at least 0.333333 seconds").replace(
        "INFO: Num threads", "INFO: Min runs duration (seconds): [0.333333]\nINFO: Num threads"
    )
    asked = (*ASKED, "--min_secs=0.3333333333")
    with pytest.raises(UnreadableOutputError, match="more than"):
        read(text.replace("count=30 ", "count=40 "), asked=asked)
    assert read(text, asked=asked).summary.count == 30


def test_an_ignored_flag_matters_only_where_it_asked_for_something():
    stdout, stderr = recorded("unknownflag")
    for flag in ("--use_gpu=true", "--use_xnnpack=true"):
        with pytest.raises(RequestIgnoredError, match=f"ignored {flag}: this build lacks it"):
            parse(Dialect.TFLITE, (GRAPH, flag), stdout, stderr)
    assert parse(Dialect.TFLITE, (GRAPH, "--use_gpu=false"), stdout, stderr).summary.count == 2
    assert parse(Dialect.TFLITE, (GRAPH, "--use_g=1"), stdout, stderr).summary.count == 2


def test_a_warning_that_was_lost_does_not_hide_an_ignored_flag():
    stdout = re.sub("WARN: .*\n", "", recorded("unknownflag")[0])
    with pytest.raises(UnreadableOutputError, match="use_xnnpack=true was asked for"):
        read(stdout, asked=(GRAPH, "--use_xnnpack=true"))


GPU = """INFO: STARTING!
INFO: Log parameter values verbosely: [0]
INFO: Graph: [m.tflite]
INFO: Use gpu: [1]
INFO: Loaded model m.tflite
INFO: Created TensorFlow Lite delegate for GPU.
INFO: GPU delegate created.
VERBOSE: Replacing 64 out of 64 node(s) with delegate (TfLiteGpuDelegateV2) node, yielding 1 \
partitions for subgraph 0.
INFO: Explicitly applied GPU delegate, and the model graph will be completely executed by the \
delegate.
INFO: The input model file size (MB): 4.2761
INFO: Initialized session in 1361.24ms.
INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if \
exceeding 150 seconds.
INFO: count=5 first=125113 curr=112537 min=111758 max=125113 avg=115344 std=4959 p5=111758 \
median=112912 p95=125113

INFO: Running benchmark for at least 50 iterations and at least 1 seconds but terminate if \
exceeding 150 seconds.
INFO: count=50 first=119614 curr=115889 min=111842 max=119614 avg=115246 std=1329 p5=112107 \
median=115350 p95=116620

INFO: Inference timings in us: Init: 1361242, First inference: 125113, Warmup (avg): 115344, \
Inference (avg): 115246
INFO: Memory footprint delta from the start of the tool (MB): init=98.0977 overall=99.2031
"""
"""After outputs of newer versions that others published, statistics lines verbatim."""
ON_GPU = ("--graph=m.tflite", "--use_gpu=true")


def test_percentiles_of_newer_versions_are_read():
    summary = read(GPU, asked=ON_GPU).summary
    assert (summary.median_ms, summary.p95_ms, summary.mean_ms) == (115.350, 116.620, 115.246)


def test_percentiles_on_one_of_two_lines_only_are_a_cut_line():
    cut = GPU.replace(" p5=112107 median=115350 p95=116620", "")
    with pytest.raises(UnreadableOutputError, match="one statistics line has percentiles"):
        read(cut, asked=ON_GPU)


PROOFS = [
    line for line in GPU.splitlines(keepends=True) if "Replacing" in line or "Explic" in line
]


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("Replacing 64 out", "Replacing 40 out", "only 40 of the model's 64 operators"),
        ("completely", "partially", "only a part of the model"),
        (PROOFS[1], "INFO: GPU acceleration is unsupported on this platform.\n", "took nothing"),
        (
            PROOFS[1],
            "INFO: Though GPU delegate is explicitly applied, the model graph will not be "
            "executed by the delegate.\n",
            "took nothing",
        ),
    ],
)
def test_a_gpu_that_took_less_than_the_whole_graph_is_an_error(old, new, reason):
    assert old in GPU
    with pytest.raises(RequestIgnoredError, match=reason):
        read(GPU.replace(old, new), asked=ON_GPU)
    with pytest.raises(RequestIgnoredError, match=reason):
        read(GPU.replace(old, ""), asked=ON_GPU, stderr=GPU.replace(old, new))


def test_a_gpu_of_which_nothing_is_said_is_not_believed():
    silent = GPU.replace(PROOFS[0], "").replace(PROOFS[1], "")
    with pytest.raises(UnreadableOutputError, match="does not say that the GPU took the model"):
        read(silent, asked=ON_GPU)
    assert read(silent, asked=("--graph=m.tflite",)).summary.count == 50


def test_what_xnnpack_leaves_to_other_kernels_is_no_error():
    line = "INFO: Replacing 40 out of 64 node(s) with delegate (TfLiteXNNPackDelegate) node\n"
    assert read(PLAIN, stderr=line).summary.count == 50
    assert read(GPU, asked=ON_GPU, stderr=line).summary.count == 50


def test_a_runtime_that_cannot_tell_its_processor_gives_no_number():
    line = "Error in cpuinfo: failed to parse the list of possible processors\n"
    with pytest.raises(RequestIgnoredError, match="cannot tell the processor"):
        read(PLAIN, stderr=line)


def with_line(line, average):
    text = re.sub(r"count=50 .*", line, PLAIN)
    return re.sub(r"Inference \(avg\): .*", f"Inference (avg): {average}", text)


def test_scientific_notation_is_read():
    line = "count=50 first=2261010 curr=2261010 min=2261000 max=2261020 avg=2.26101e+06 std=6"
    assert read(with_line(line, "2.26101e+06")).summary.mean_ms == pytest.approx(2261.01)
    with pytest.raises(UnreadableOutputError, match=r"average is 2\.26101e\+06 us in one line"):
        read(with_line(line, "2.26102e+06"))


@pytest.mark.parametrize("tail", ["", " p5=33431 median=33431 p95=33431"])
def test_runs_that_are_all_the_same_are_read(tail):
    summary = read(with_line(f"count=50 curr=33431(all same){tail}", "33431")).summary
    assert (summary.count, summary.min_ms, summary.max_ms) == (50, 33.431, 33.431)
    assert (summary.mean_ms, summary.std_ms) == (33.431, 0)
    assert summary.median_ms == (33.431 if tail else None)


def test_a_run_of_under_a_microsecond_is_a_minimum_of_zero():
    found = statistics_of("count=35161 first=26 curr=1 min=0 max=63 avg=1.02497 std=0")
    assert (found.min, found.avg, found.max) == (0.0, 1.02497, 63.0)
    with pytest.raises(UnreadableOutputError):
        statistics_of("count=35161 first=26 curr=1 min=0 max=63 avg=0 std=0")


def test_tables_of_the_profiler_are_not_taken_for_statistics():
    table = "Timings (microseconds): count=50 first=1 curr=1 min=1 max=1 avg=1 std=0\n"
    name = "x/y;" * 200
    assert read(f"{PLAIN}{table}\tCONV_2D\t0.1\t{name}\n{table}") == read(PLAIN)


def test_megabytes_before_and_after_the_figures_lose_nothing():
    noise = "INFO: something that the runtime says again and again\n" * 60_000
    begin, rest = PLAIN[: len("INFO: STARTING!\n")], PLAIN[len("INFO: STARTING!\n") :]
    assert read(f"{begin}{noise}{rest}{noise}", stderr=noise) == read(PLAIN)


@pytest.mark.parametrize(
    "line",
    [
        "count=2 first=449059 curr=324822 min=324822 max=449059 avg=386940 std=62118",
        "count=31 first=397353 curr=312297 min=195528 max=400049 avg=323375 std=47537",
        "count=50 first=392063 curr=392613 min=390939 max=416049 avg=392865 std=3443",
        "count=50 first=591245 curr=917186 min=502355 max=2270688 avg=699438 std=325425 "
        "p5=502674 median=576856 p95=1373207",
        "count=1 curr=905463 p5=905463 median=905463 p95=905463",
        "count=50 first=106022 curr=105780 min=105416 max=106528 avg=105784 std=260 p5=105485 "
        "median=105718 p95=106281",
    ],
)
def test_statistics_that_others_published_are_possible(line):
    assert statistics_of(line).count == int(line.split()[0].removeprefix("count="))


@pytest.mark.parametrize(
    "figure",
    [
        "count=49",
        "count=70",
        "min=41221",
        "max=33433",
        "avg=31221.1",
        "avg=34769.1",
        "std=69",
        "std=6910",
        "first=42733",
        "curr=3411",
    ],
)
def test_figures_that_cannot_all_be_true_are_refused(figure):
    start = PLAIN.index("count=50")
    name, _, _ = figure.partition("=")
    changed = re.sub(rf"\b{name}=[0-9.]+", figure, PLAIN[start:], count=1)
    average = changed.partition("avg=")[2].split()[0]
    changed = re.sub(r"Inference \(avg\): .*", f"Inference (avg): {average}", changed)
    assert changed != PLAIN[start:]
    with pytest.raises(UnreadableOutputError):
        read(PLAIN[:start] + changed)


REPEATED = ["Init: 847", "First inference: 41917", "Warmup (avg): 32983.9", "33433.1\n"]
"""Of the summary; the lines before it say the same."""


@pytest.mark.parametrize("figure", [*REPEATED, "in 0.847ms", "first=41917", "avg=32983.9"])
def test_a_digit_changed_in_a_figure_that_is_repeated_is_refused(figure):
    assert PLAIN.count(figure) == 1
    where = PLAIN.index(figure)
    tried = 0
    for offset in [n for n, letter in enumerate(figure) if letter.isdigit()]:
        for digit in set("0123456789") - {figure[offset]}:
            at = where + offset
            with pytest.raises(UnreadableOutputError):
                read(PLAIN[:at] + digit + PLAIN[at + 1 :])
            tried += 1
    assert tried >= 27


def test_the_dialects_are_told_apart_by_their_help():
    assert dialect_of(recorded("badflagvalue")[1]) is Dialect.TFLITE
    assert dialect_of("\t--use_xnnpack=false") is Dialect.TFLITE
    assert dialect_of("--result_file_path=\n--use_cpu=true") is Dialect.LITERT
    with pytest.raises(UnreadableOutputError, match="not benchmark_model's"):
        dialect_of("usage: ls")


def test_a_stand_in_is_known_by_what_it_prints():
    text = "INFO: STARTING!\nINFO: POCKETNAS STAND-IN: a stand-in, not the real one\n"
    assert stand_in_of(text) == "a stand-in, not the real one"
    assert stand_in_of(PLAIN) == ""


CPU_SETTINGS = RunSettings(threads=2, timed_min_s=0.25)
GPU_SETTINGS = RunSettings(delegate=Delegate.GPU)


def test_each_dialect_gets_its_own_flags_for_the_cpu():
    tflite = arguments(Dialect.TFLITE, "m.tflite", CPU_SETTINGS, result_file="r.pb")
    litert = arguments(Dialect.LITERT, "m.tflite", CPU_SETTINGS, result_file="r.pb")
    assert {"--num_threads=2", "--min_secs=0.25", "--graph=m.tflite"} <= set(tflite) & set(litert)
    assert set(tflite) - set(litert) == {"--use_xnnpack=true"}
    assert set(litert) - set(tflite) == {"--use_cpu=true", "--result_file_path=r.pb"}


@pytest.mark.parametrize(
    ("dialect", "precision", "flags"),
    [
        (Dialect.TFLITE, GpuPrecision.AUTO, {"--require_full_delegation=true"}),
        (
            Dialect.TFLITE,
            GpuPrecision.FP32,
            {"--require_full_delegation=true", "--gpu_precision_loss_allowed=false"},
        ),
        (
            Dialect.LITERT,
            GpuPrecision.FP16,
            {"--require_full_delegation=true", "--use_cpu=false", "--gpu-precision=fp16"},
        ),
    ],
)
def test_the_gpu_is_asked_for_alone(dialect, precision, flags):
    made = set(arguments(dialect, "m", GPU_SETTINGS, gpu_precision=precision))
    assert {f for f in made if "gpu" in f or "cpu" in f or "full" in f} == flags | {
        "--use_gpu=true"
    }


def test_litert_is_never_asked_for_the_cpu_and_full_delegation_at_once():
    made = arguments(Dialect.LITERT, "m", CPU_SETTINGS)
    assert not any("require_full_delegation" in flag for flag in made)


@pytest.mark.parametrize("dialect", Dialect)
def test_profilers_and_memory_monitors_are_off_unless_asked_for(dialect):
    plain = arguments(dialect, "m", CPU_SETTINGS)
    assert not any("profil" in flag or "memory" in flag for flag in plain)
    watched = arguments(dialect, "m", CPU_SETTINGS, peak_memory=True)
    assert set(watched) - set(plain) == {"--report_peak_memory_footprint=true"}
    profiled = profile_arguments(dialect, "m", CPU_SETTINGS, output_file="p.csv")
    assert set(profiled) - set(plain) == (
        {"--use_profiler=true"}
        if dialect is Dialect.LITERT
        else {"--enable_op_profiling=true", "--profiling_output_csv_file=p.csv"}
    )


WATCHED = "--report_peak_memory_footprint=true"
PEAK = "INFO: Overall peak memory footprint (MB) via periodic monitoring: 52.25\n"


def test_the_peak_of_memory_is_told_where_it_was_watched():
    text = PLAIN.replace(
        "INFO: Graph", "INFO: Report the peak memory footprint: [1]\nINFO: Graph", 1
    )
    assert read(text + PEAK, asked=(GRAPH, WATCHED)).peak_memory_mb == 52.25
    with pytest.raises(UnreadableOutputError, match="peak memory was asked for"):
        read(text, asked=(GRAPH, WATCHED))


LITERT_STDOUT = PLAIN[: PLAIN.index("INFO: Inference timings")]
PREFIX = "INFO: [benchmark_litert_model.h:60] "
LITERT_STDERR = f"""{PREFIX}
========== BENCHMARK RESULTS ==========
{PREFIX}Model initialization: 12.34 ms
{PREFIX}Warmup (first):       41.92 ms
{PREFIX}Warmup (avg):         32.98 ms (16 runs)
{PREFIX}Inference (avg):      33.43 ms (50 runs)
{PREFIX}Inference (min):      31.22 ms
{PREFIX}Inference (max):      34.77 ms
{PREFIX}Inference (std):      0.69
{PREFIX}
Memory Usage:
{PREFIX}Init footprint:       5.49 MB
{PREFIX}Overall footprint:    40.13 MB
{PREFIX}Peak memory:          48.50 MB
"""
"""Written after LiteRT's sources, around recorded statistics lines: that tool was not run."""


def read_litert(stdout=LITERT_STDOUT, stderr=LITERT_STDERR, result=b"", asked=()):
    return parse(Dialect.LITERT, asked, stdout, stderr, result)


def test_litert_text_is_read_with_and_without_its_loggers_prefix():
    for stderr in (LITERT_STDERR, LITERT_STDERR.replace(PREFIX, "")):
        parsed = read_litert(stderr=stderr)
        assert parsed.summary == read(PLAIN).summary
        assert (parsed.first_ms, parsed.init_ms) == (41.92, 12.34)
        assert (parsed.peak_memory_mb, parsed.footprint_mb) == (48.5, 40.13)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("33.43 ms (50", "33.45 ms (50"),
        ("(50 runs)", "(51 runs)"),
        ("(16 runs)", "(61 runs)"),
        ("41.92", "41.29"),
        ("32.98", "32.89"),
        ("31.22", "31.32"),
        ("34.77", "34.67"),
        ("0.69", "0.96"),
        ("(first)", "(firs"),
        ("Inference (avg):      33.43 ms (50 runs)", "x"),
    ],
)
def test_litert_text_has_to_agree_with_the_statistics_lines(old, new):
    assert LITERT_STDERR.count(old) == 1
    with pytest.raises(UnreadableOutputError):
        read_litert(stderr=LITERT_STDERR.replace(old, new))


def test_litert_that_was_killed_after_its_warm_up_gives_no_number():
    end = PLAIN.index("INFO: Running benchmark for at least 50")
    with pytest.raises(UnreadableOutputError):
        read_litert(stdout=PLAIN[:end], stderr="")


def message(*fields):
    out = b""
    for number, value in fields:
        if isinstance(value, bytes):
            out += bytes([number << 3 | 2, len(value)]) + value
        elif isinstance(value, float):
            out += bytes([number << 3 | 5]) + struct.pack("<f", value)
        else:
            out += bytes([number << 3]) + varint(value)
    return out


def varint(value):
    out = b""
    while value > 0x7F:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def result_of(figures, runs=50):
    return message(
        (1, b"name"),
        (2, message(*enumerate(figures, start=1))),
        (3, message((1, 5624), (2, 41092), (3, 48.5))),
        (4, message((1, 20.5), (2, runs), (3, 16))),
    )


FIGURES = (33.4331, 31.221, 34.77, 0.691, 33.25, 31.5, 34.5, 12.0, 41.917, 32.9839)
RESULT = result_of(FIGURES)


@pytest.mark.parametrize("stdout", [LITERT_STDOUT, LITERT_STDOUT[:300] + "\n", ""])
def test_the_result_file_of_litert_is_preferred_and_read_in_full(stdout):
    parsed = read_litert(stdout=stdout, stderr="", result=RESULT)
    summary = parsed.summary
    assert (summary.median_ms, summary.p95_ms) == (33.25, 34.5)
    assert summary.mean_ms == pytest.approx(33.4331, rel=1e-7)
    assert (summary.count, parsed.peak_memory_mb) == (50, 48.5)
    assert parsed.first_ms == pytest.approx(41.917, rel=1e-7)
    assert parsed.footprint_mb == pytest.approx(40.1289, rel=1e-5)


@pytest.mark.parametrize("length", range(1, len(RESULT)))
def test_a_result_file_that_was_cut_gives_no_number(length):
    with pytest.raises(UnreadableOutputError):
        read_litert(result=RESULT[:length])


@pytest.mark.parametrize(
    ("number", "value"),
    [
        (0, 35.0),
        (1, 33.3),
        (2, 33.0),
        (3, 9.0),
        (4, 20.0),
        (5, 33.3),
        (6, 36.0),
        (7, float("nan")),
    ],
)
def test_a_result_file_whose_figures_contradict_each_other_gives_no_number(number, value):
    changed = tuple(value if n == number else each for n, each in enumerate(FIGURES))
    with pytest.raises(UnreadableOutputError, match="contradict"):
        read_litert(stdout="", stderr="", result=result_of(changed))


def test_a_result_file_has_to_agree_with_the_text_and_the_request():
    with pytest.raises(UnreadableOutputError, match="the text"):
        read_litert(result=result_of((33.4431, *FIGURES[1:])))
    with pytest.raises(UnreadableOutputError, match="the text"):
        read_litert(result=result_of(FIGURES, runs=49))
    with pytest.raises(UnreadableOutputError, match="instead of 100"):
        read_litert(stdout="", stderr="", result=RESULT, asked=("--num_runs=100",))


def test_a_flag_that_litert_ignored_is_an_error_there_too():
    warned = "WARN: Unconsumed cmdline flags: --gpu-precision=fp32\n" + LITERT_STDOUT
    with pytest.raises(RequestIgnoredError, match="--gpu-precision=fp32"):
        read_litert(stdout=warned, result=RESULT, asked=("--gpu-precision=fp32",))
    assert read_litert(stdout=warned, result=RESULT).summary.count == 50


@pytest.mark.loopback
def test_what_a_loopback_phone_prints_is_read_or_refused(loopback_phones, tiny_model, request):
    from devices.testing import file_of
    from devices.transport import open_transport

    (phone,) = loopback_phones(1)
    transport = open_transport(f"adb:{phone.serial}", phone.serial)
    request.addfinalizer(transport.close)
    graph, program = f"{FOLDER}/m.tflite", f"{FOLDER}/benchmark_model"
    transport.push(tiny_model, graph, file_of(tiny_model).sha256, 20)
    quick = RunSettings(warmup_runs=2, warmup_min_s=0.05, timed_runs=20, timed_min_s=0.1)
    asked = arguments(Dialect.TFLITE, graph, quick)
    for flags in (asked, (*asked, WATCHED)):
        done = transport.shell((program, *flags), 30)
        assert done.exit_code == 0, done.stderr
        parsed = parse(Dialect.TFLITE, flags, done.stdout, done.stderr)
        assert parsed.summary.count >= 20
        assert parsed.summary.count * parsed.summary.mean_ms < 1000
        assert (parsed.peak_memory_mb is not None) == (WATCHED in flags)
    for settings in (quick, GPU_SETTINGS):
        flags = profile_arguments(Dialect.TFLITE, graph, settings, output_file="/data/local/tmp/p")
        done = transport.shell((program, *flags), 30)
        with pytest.raises(RequestIgnoredError, match="this build lacks it"):
            parse(Dialect.TFLITE, flags, done.stdout, done.stderr)
