import re
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.device import Delegate, RunSettings
from devices.runners import (
    Dialect,
    RequestIgnoredError,
    UnreadableOutputError,
    arguments,
    dialect_of,
    parse,
    stand_in_of,
)

DATA = Path(__file__).parent / "data"
ASKED = ("--graph=model.tflite", "--num_threads=1", "--num_runs=50")


def recorded(case):
    return (DATA / f"{case}.stdout").read_text(), (DATA / f"{case}.stderr").read_text()


PLAIN = recorded("plain")[0]


@pytest.mark.parametrize(
    ("case", "count", "mean_ms", "first_ms", "init_ms"),
    [
        ("plain", 50, 33.4331, 41.917, 0.847),
        ("t1", 30, 34.0586, 43.346, 0.887),
        ("onerun", 1, 40.678, None, 0.663),
        ("unknownflag", 2, 31.737, 39.001, 0.65),
    ],
)
def test_recorded_output_is_read_exactly(case, count, mean_ms, first_ms, init_ms):
    parsed = parse(Dialect.TFLITE, ASKED, *recorded(case))
    assert parsed.summary.count == count
    assert parsed.summary.mean_ms == pytest.approx(mean_ms, rel=1e-9)
    assert parsed.summary.median_ms is None
    assert (parsed.first_ms, parsed.init_ms) == (first_ms, init_ms)


@pytest.mark.parametrize("case", ["dryrun", "missing", "truncated", "badflagvalue"])
def test_output_without_timed_runs_gives_no_number(case):
    with pytest.raises(UnreadableOutputError):
        parse(Dialect.TFLITE, ASKED, *recorded(case))


def test_a_runner_killed_after_its_warm_up_gives_no_number():
    end = PLAIN.index("INFO: Running benchmark for at least 50")
    with pytest.raises(UnreadableOutputError, match="got 1 lines"):
        parse(Dialect.TFLITE, ASKED, PLAIN[:end], "")


def test_an_ignored_flag_matters_only_where_it_was_asked_for():
    stdout, stderr = recorded("unknownflag")
    with pytest.raises(RequestIgnoredError, match="--use_gpu=true"):
        parse(Dialect.TFLITE, (*ASKED, "--use_gpu=true"), stdout, stderr)


def test_a_gpu_that_took_part_of_the_graph_is_an_error():
    line = "INFO: Replacing 40 out of 64 node(s) with delegate (TfLiteGpuDelegateV2) node\n"
    with pytest.raises(RequestIgnoredError, match="40 of the model's 64"):
        parse(Dialect.TFLITE, (*ASKED, "--use_gpu=true"), PLAIN, line)
    assert parse(Dialect.TFLITE, ASKED, PLAIN, line).summary.count == 50


def with_line(line, average):
    text = re.sub(r"count=50 .*", line, PLAIN)
    return re.sub(r"Inference \(avg\): .*", f"Inference (avg): {average}", text)


def test_scientific_notation_is_read():
    line = "count=50 first=2261010 curr=2261010 min=2261000 max=2261020 avg=2.26101e+06 std=6"
    parsed = parse(Dialect.TFLITE, ASKED, with_line(line, "2.26101e+06"), "")
    assert parsed.summary.mean_ms == pytest.approx(2261.01)


def test_percentiles_of_newer_versions_are_read():
    line = "count=50 first=30 curr=31 min=29 max=40 avg=32 std=2 p5=30 median=31 p95=38"
    parsed = parse(Dialect.TFLITE, ASKED, with_line(line, "32"), "")
    assert (parsed.summary.median_ms, parsed.summary.p95_ms) == (0.031, 0.038)


def test_runs_that_are_all_the_same_are_read():
    parsed = parse(Dialect.TFLITE, ASKED, with_line("count=50 curr=31(all same)", "31"), "")
    assert (parsed.summary.min_ms, parsed.summary.max_ms, parsed.summary.std_ms) == (
        0.031,
        0.031,
        0,
    )


def test_tables_of_the_profiler_are_not_taken_for_statistics():
    table = "Timings (microseconds): count=50 first=1 curr=1 min=1 max=1 avg=1 std=0\n"
    assert parse(Dialect.TFLITE, ASKED, PLAIN + table, "").summary.count == 50


@pytest.mark.parametrize("figure", ["min=31221", "max=34770", "avg=33433.1", "first=32733"])
def test_figures_that_cannot_all_be_true_are_refused(figure):
    name = figure.partition("=")[0]
    start = PLAIN.index("count=50")
    changed = PLAIN[:start] + PLAIN[start:].replace(figure, f"{name}=99999", 1)
    if name == "max":
        changed = PLAIN[:start] + PLAIN[start:].replace(figure, "max=3", 1)
    with pytest.raises(UnreadableOutputError):
        parse(Dialect.TFLITE, ASKED, changed, "")


LINES = PLAIN.splitlines(keepends=True)
ORIGINAL = parse(Dialect.TFLITE, ASKED, PLAIN, "")


@settings(max_examples=400, deadline=None, derandomize=True)
@given(st.data())
def test_output_that_was_cut_or_shuffled_gives_the_same_number_or_none(data):
    lines = list(LINES)
    for _ in range(data.draw(st.integers(1, 4))):
        if not lines:
            break
        index = data.draw(st.integers(0, len(lines) - 1))
        match data.draw(st.sampled_from(["cut", "lose", "double", "swap"])):
            case "cut":
                lines[index] = lines[index][: data.draw(st.integers(0, len(lines[index])))]
            case "lose":
                del lines[index]
            case "double":
                lines.insert(index, lines[index])
            case "swap":
                other = data.draw(st.integers(0, len(lines) - 1))
                lines[index], lines[other] = lines[other], lines[index]
    try:
        parsed = parse(Dialect.TFLITE, ASKED, "".join(lines), "")
    except UnreadableOutputError:
        return
    assert parsed.summary == ORIGINAL.summary


def test_the_dialects_are_told_apart_by_their_help():
    assert dialect_of("\t--use_xnnpack=false") is Dialect.TFLITE
    assert dialect_of("--result_file_path=\n--use_cpu=true") is Dialect.LITERT
    with pytest.raises(UnreadableOutputError, match="not benchmark_model's"):
        dialect_of("usage: ls")


def test_a_stand_in_is_known_by_what_it_prints():
    text = "INFO: STARTING!\nINFO: POCKETNAS STAND-IN: a stand-in, not the real one\n"
    assert stand_in_of(text) == "a stand-in, not the real one"
    assert stand_in_of(PLAIN) == ""


def test_each_dialect_gets_its_own_flags():
    gpu = RunSettings(delegate=Delegate.GPU, threads=2, timed_min_s=0.25)
    tflite = arguments(Dialect.TFLITE, "m.tflite", gpu)
    litert = arguments(Dialect.LITERT, "m.tflite", RunSettings(), result_file="r.pb")
    assert "--use_gpu=true" in tflite
    assert {"--num_threads=2", "--min_secs=0.25", "--graph=m.tflite"} <= set(tflite)
    assert {"--use_cpu=true", "--result_file_path=r.pb"} <= set(litert)
    assert not any("xnnpack" in flag for flag in litert)


LITERT_TEXT = """Model initialization: 12.34 ms
Warmup (first): 40.10 ms
Warmup (avg): 34.00 ms (15 runs)
Inference (avg): 33.43 ms (50 runs)
Inference (min): 31.22 ms
Peak memory: 48.50 MB
"""


def test_litert_text_is_read_and_has_to_agree_with_the_statistics_line():
    parsed = parse(Dialect.LITERT, ASKED, PLAIN, LITERT_TEXT)
    assert parsed.summary.mean_ms == pytest.approx(33.4331)
    assert (parsed.first_ms, parsed.init_ms, parsed.peak_memory_mb) == (40.10, 12.34, 48.5)
    with pytest.raises(UnreadableOutputError):
        parse(Dialect.LITERT, ASKED, PLAIN, LITERT_TEXT.replace("33.43", "35.43"))


def message(*fields):
    out = b""
    for number, value in fields:
        if isinstance(value, bytes):
            out += bytes([number << 3 | 2, len(value)]) + value
        elif isinstance(value, float):
            out += bytes([number << 3 | 5]) + struct.pack("<f", value)
        else:
            out += bytes([number << 3, value])
    return out


FIGURES = (33.5, 31.0, 36.0, 0.5, 33.25, 31.5, 35.5, 12.0, 40.0, 34.0)
RESULT = message(
    (1, b"name"),
    (2, message(*enumerate(FIGURES, start=1))),
    (3, message((1, 5), (3, 48.5))),
    (4, message((1, 20.5), (2, 50), (3, 15))),
)


def test_the_result_file_of_litert_is_preferred_and_read_in_full():
    parsed = parse(Dialect.LITERT, ASKED, PLAIN, "", RESULT)
    assert (parsed.summary.median_ms, parsed.summary.p95_ms) == (33.25, 35.5)
    assert (parsed.summary.count, parsed.first_ms, parsed.peak_memory_mb) == (50, 40.0, 48.5)


@pytest.mark.parametrize("length", range(1, len(RESULT), 7))
def test_a_result_file_that_was_cut_gives_no_number(length):
    with pytest.raises(UnreadableOutputError):
        parse(Dialect.LITERT, ASKED, PLAIN, "", RESULT[:length])
