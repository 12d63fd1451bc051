"""The stand-in for benchmark_model, run on this computer, beside what the real tool printed."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from importlib.util import module_from_spec, spec_from_file_location

import pytest

from devices.device import RunSettings
from devices.loopback.root import STAND_IN_PROGRAM
from devices.runners import Dialect, arguments, dialect_of, parse, stand_in_of

STATISTICS = re.compile(
    r"count=\d+ first=\d+ curr=\d+ min=\d+ max=\d+ avg=[\d.e+]+ std=\d+"
    r"|count=\d+ curr=\d+\(all same\)"
)
QUICK = ("--num_runs=5", "--min_secs=0", "--warmup_runs=2", "--warmup_min_secs=0")


@pytest.fixture
def stand_in(tmp_path):
    program = tmp_path / "benchmark_model"
    shutil.copyfile(STAND_IN_PROGRAM, program)

    def run(*flags: str, dialect: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, program.name, *flags],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "POCKETNAS_STANDIN_DIALECT": dialect},
        )

    return run


@pytest.fixture(scope="module")
def module():
    spec = spec_from_file_location("standin", STAND_IN_PROGRAM)
    assert spec
    assert spec.loader
    before = list(sys.path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.path[:] = before
    return module


def test_prints_the_lines_of_the_real_tool_in_their_order(stand_in, tiny_model):
    done = stand_in(f"--graph={tiny_model}", "--num_threads=1", *QUICK)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "INFO: STARTING!"
    assert lines[1].startswith("INFO: POCKETNAS STAND-IN: benchmark_model stand-in, LiteRT ")
    assert version("ai-edge-litert") in lines[1]
    assert lines[2:8] == [
        "INFO: Log parameter values verbosely: [0]",
        "INFO: Min num runs: [5]",
        "INFO: Min runs duration (seconds): [0]",
        "INFO: Num threads: [1]",
        "INFO: Min warmup runs: [2]",
        "INFO: Min warmup runs duration (seconds): [0]",
    ]
    assert lines[8] == f"INFO: Graph: [{tiny_model}]"
    assert lines[9] == "INFO: #threads used for CPU inference: [1]"
    assert lines[10] == f"INFO: Loaded model {tiny_model}"
    assert (
        lines[11]
        == f"INFO: The input model file size (MB): {len(tiny_model.read_bytes()) / 1e6:.6g}"
    )
    assert re.fullmatch(r"INFO: Initialized session in [\d.]+ms\.", lines[12])
    assert lines[13] == (
        "INFO: Running benchmark for at least 2 iterations and at least 0 seconds but terminate "
        "if exceeding 150 seconds."
    )
    assert STATISTICS.fullmatch(lines[14].removeprefix("INFO: "))
    assert lines[14].startswith("INFO: count=2 ")
    assert lines[15] == ""
    assert lines[17].startswith("INFO: count=5 ")
    assert lines[19].startswith("INFO: Inference timings in us: Init: ")
    assert lines[-1].startswith("INFO: Memory footprint delta from the start of the tool (MB): ")


def test_its_ledger_has_the_raw_times_behind_the_summary(stand_in, tiny_model, tmp_path):
    done = stand_in(f"--graph={tiny_model}", *QUICK)
    (line,) = (tmp_path / "ledger.jsonl").read_text().splitlines()
    entry = json.loads(line)
    assert entry["sha256"] == hashlib.sha256(tiny_model.read_bytes()).hexdigest()
    assert entry["arguments"] == [f"--graph={tiny_model}", *QUICK]
    times = entry["timed_us"]
    assert len(times) == 5
    assert len(entry["warmup_us"]) == 2
    assert f"curr={times[-1]}" in done.stdout.split("INFO: count=5 ")[1].splitlines()[0]
    mean = f"{sum(times) / 5:.6g}"
    assert done.stdout.count(f"Inference (avg): {mean}\n") == 1


def test_runs_at_least_as_often_and_as_long_as_asked(stand_in, tiny_model, tmp_path):
    stand_in(f"--graph={tiny_model}", *QUICK[:1], "--min_secs=0.3", *QUICK[2:])
    entry = json.loads((tmp_path / "ledger.jsonl").read_text())
    assert len(entry["timed_us"]) > 5
    assert 0.1 < sum(entry["timed_us"]) / 1e6 < 3
    stand_in(f"--graph={tiny_model}", "--num_runs=1000000", "--max_secs=0.2", *QUICK[2:])
    entry = json.loads((tmp_path / "ledger.jsonl").read_text().splitlines()[-1])
    assert 0 < len(entry["timed_us"]) < 1_000_000


def test_a_dry_run_loads_and_counts_nothing(stand_in, tiny_model):
    done = stand_in(f"--graph={tiny_model}", "--dry_run=true")
    assert done.stdout.count("INFO: count=0\n") == 2
    assert "at least 0 iterations and at least -1 seconds" in done.stdout
    assert "First inference: 0, Warmup (avg): 0, Inference (avg): 0\n" in done.stdout
    assert done.returncode == 0


def test_a_flag_it_has_not_is_named_and_the_run_goes_on(stand_in, tiny_model):
    flags = ("--no_such_flag=1", "--use_gpu=true", "--enable_op_profiling=true")
    done = stand_in(f"--graph={tiny_model}", *QUICK, *flags, "--allow_fp16=false")
    assert f"WARN: Unconsumed cmdline flags: {' '.join(flags)}\n" in done.stdout
    assert "INFO: count=5 " in done.stdout
    assert done.returncode == 0


def test_without_xnnpack_the_delegate_is_not_created(stand_in, tiny_model):
    created = "Created TensorFlow Lite XNNPACK delegate"
    assert created in stand_in(f"--graph={tiny_model}", *QUICK, "--use_xnnpack=true").stderr
    assert created not in stand_in(f"--graph={tiny_model}", *QUICK, "--use_xnnpack=false").stderr


def test_the_most_memory_is_told_when_asked_for(stand_in, tiny_model):
    done = stand_in(f"--graph={tiny_model}", *QUICK, "--report_peak_memory_footprint=true")
    peak_mb = done.stdout.partition("Overall peak memory footprint (MB) via periodic monitoring: ")
    assert 10 < float(peak_mb[2]) < 1000


@pytest.mark.parametrize("case", ["missing", "truncated", "text"])
def test_a_file_that_cannot_be_loaded_fails_as_recorded(stand_in, tiny_model, tmp_path, case):
    graph = tmp_path / "models" / f"{case}.tflite"
    graph.parent.mkdir()
    if case == "truncated":
        graph.write_bytes(tiny_model.read_bytes()[:5000])
    elif case == "text":
        graph.write_text("this is no model file\n" * 20)
    done = stand_in(f"--graph={graph}")
    assert done.returncode == 1
    reason = {
        "missing": f"ERROR: Could not open '{graph}'.\nERROR: The model allocation is null/empty\n"
    }.get(case, "ERROR: The model is not a valid Flatbuffer buffer\n")
    assert done.stderr == (
        f"{reason}ERROR: Failed to load model {graph}\nERROR: Benchmarking failed.\n"
    )
    assert "INFO: count=" not in done.stdout


@pytest.mark.parametrize(
    "flag", ["--num_runs=abc", "--min_secs=", "--dry_run=1", "--num_threads=1.5"]
)
def test_a_bad_value_gets_the_usage(stand_in, flag):
    name = flag.removeprefix("--").partition("=")[0]
    done = stand_in(flag)
    assert done.returncode == 1
    first, _, rest = done.stderr.partition("\n")
    assert first == f"ERROR: Failed to parse flag '{name}' against argv '{flag}'"
    assert "usage: benchmark_model <flags>\nFlags:\n" in rest
    assert rest.endswith("\nERROR: Benchmarking failed.\n")


@pytest.mark.parametrize("flag", ["--help", "--help=true"])
def test_its_help_says_what_it_is_and_which_dialect_it_has(stand_in, flag):
    done = stand_in(flag)
    assert done.returncode == 1
    assert done.stderr.startswith("ERROR: POCKETNAS STAND-IN: benchmark_model stand-in, LiteRT ")
    assert dialect_of(done.stderr) is Dialect.TFLITE
    assert "\t--num_runs=50                                   \tint32\toptional\t" in done.stderr
    assert "\t--warmup_min_secs=0.5 " in done.stderr


def test_what_it_prints_is_read_like_the_real_tool(stand_in, tiny_model, tmp_path):
    settings = RunSettings(warmup_runs=3, warmup_min_s=0, timed_runs=20, timed_min_s=0)
    asked = arguments(Dialect.TFLITE, str(tiny_model), settings)
    done = stand_in(*asked)
    parsed = parse(Dialect.TFLITE, asked, done.stdout, done.stderr)
    entry = json.loads((tmp_path / "ledger.jsonl").read_text())
    assert parsed.summary.count == 20
    assert parsed.summary.min_ms == min(entry["timed_us"]) / 1e3
    assert parsed.summary.mean_ms == pytest.approx(sum(entry["timed_us"]) / 20e3, rel=1e-5)
    assert parsed.first_ms == entry["warmup_us"][0] / 1e3
    assert "not Google's binary" in stand_in_of(done.stdout)


@pytest.mark.parametrize("warmup_runs", [0, 3])
def test_litert_dialect_ends_with_its_own_text_and_result_file(
    stand_in, tiny_model, tmp_path, warmup_runs
):
    settings = RunSettings(warmup_runs=warmup_runs, warmup_min_s=0, timed_runs=20, timed_min_s=0)
    asked = arguments(Dialect.LITERT, str(tiny_model), settings, result_file="result.pb")
    done = stand_in(*asked, dialect="litert")
    assert done.returncode == 0, done.stderr
    assert "Inference timings in us" not in done.stdout
    content = (tmp_path / "result.pb").read_bytes()
    entry = json.loads((tmp_path / "ledger.jsonl").read_text())
    exact = parse(Dialect.LITERT, asked, done.stdout, done.stderr, content)
    mean_ms = sum(entry["timed_us"]) / 20e3
    assert exact.summary.count == 20
    assert exact.summary.mean_ms == pytest.approx(mean_ms, rel=1e-6)
    median_ms, p95_ms = exact.summary.median_ms, exact.summary.p95_ms
    assert median_ms is not None
    assert p95_ms is not None
    assert exact.summary.min_ms <= median_ms <= p95_ms
    assert (exact.first_ms is None) == (warmup_runs == 0)
    if warmup_runs:
        text = parse(Dialect.LITERT, asked, done.stdout, done.stderr)
        assert text.summary.mean_ms == pytest.approx(mean_ms, rel=1e-5)
        assert text.summary.median_ms is None


def test_litert_dialects_help_and_flags_are_its_own(stand_in, tiny_model):
    said = stand_in("--help", dialect="litert").stderr
    assert dialect_of(said) is Dialect.LITERT
    assert "--result_file_path=" in said
    done = stand_in(f"--graph={tiny_model}", *QUICK, "--use_xnnpack=true", dialect="litert")
    assert "WARN: Unconsumed cmdline flags: --use_xnnpack=true\n" in done.stdout


@pytest.mark.parametrize(
    ("times", "line"),
    [
        ([], "count=0"),
        ([40678], "count=1 curr=40678"),
        ([7, 7, 7], "count=3 curr=7(all same)"),
        ([32683, 30791], "count=2 first=32683 curr=30791 min=30791 max=32683 avg=31737 std=946"),
        (
            [2261008, 2261010],
            "count=2 first=2261008 curr=2261010 min=2261008 max=2261010 avg=2.26101e+06 std=1",
        ),
    ],
)
def test_statistics_have_the_formats_that_were_recorded(module, times, line):
    assert module.statistics_line(times) == line


def test_an_operator_that_fails_ends_the_run_without_a_result(module, capsys):
    def fail() -> None:
        msg = "RESHAPE failed\n to prepare"
        raise RuntimeError(msg)

    flags = {"max_secs": 1.0, "run_delay": -1.0}
    with pytest.raises(module.BenchmarkFailedError, match="RESHAPE failed to prepare"):
        module.repeat(fail, 5, 0.0, flags)
    assert "INFO: count=1 curr=" in capsys.readouterr().out


def test_is_executable_as_it_lies_on_the_phone():
    first = STAND_IN_PROGRAM.read_text().partition("\n")[0]
    assert first == "#!/usr/bin/python3 -IS"
