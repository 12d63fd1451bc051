import sys
from dataclasses import replace

import psutil
import pytest

from training.command_executor import PLACEHOLDERS, CommandExecutor, asked_by
from training.executor import Rung, TrainingError, TrainingTimeoutError
from training.testing import ExecutorContract
from workspace.errors import InputError

TRAIN = """
import argparse, json
parser = argparse.ArgumentParser()
for name in ("arch", "out", "seed", "size"):
    parser.add_argument("--" + name)
options = parser.parse_args()
document = json.load(open(options.arch))
assert document["family"] == "chain" and options.size == "16"
result = {"accuracy": 0.25, "samples": 7, "feedback": {"gates": [0.5, 1]}}
json.dump(result, open(options.out, "w"))
"""


STOP = """
import argparse, json
parser = argparse.ArgumentParser()
for name in ("arch", "out", "rungs"):
    parser.add_argument("--" + name)
options = parser.parse_args()
looks, result = [], {"accuracy": 0.9}
for rung in filter(None, options.rungs.split(",")):
    samples, least = rung.split(":")
    looks.append({"samples": int(samples), "accuracy": 0.5})
    if 0.5 < float(least):
        result = {"accuracy": 0.5, "samples": int(samples), "stopped": True}
        break
json.dump({**result, "looks": looks}, open(options.out, "w"))
"""


@pytest.fixture
def made():
    executors = []

    def make(command):
        executors.append(CommandExecutor(command))
        return executors[-1]

    yield make
    for executor in executors:
        executor.close()


@pytest.fixture
def command(tmp_path):
    script = tmp_path / "train it.py"
    script.write_text(TRAIN)
    options = "--arch {arch} --out {result} --seed {seed} --size {size}"
    return f"{sys.executable} '{script}' {options}"


class TestCommandExecutor(ExecutorContract):
    @pytest.fixture
    def executor(self, made, command):
        return made(command)


class TestCommandExecutorThatStopsEarly(ExecutorContract):
    @pytest.fixture
    def executor(self, made, tmp_path):
        script = tmp_path / "stop.py"
        script.write_text(STOP)
        return made(
            f"{sys.executable} {script} --arch {{arch}} --out {{result}} --rungs {{rungs}}"
        )


def test_only_a_command_that_asks_for_rungs_stops_early(made):
    assert made("true {arch} {result} {rungs}").stops_early
    assert not made("true {arch} {result}").stops_early


def test_the_result_is_what_the_program_wrote(made, command, job):
    result = made(command).submit(job).result(timeout=30)
    assert (result.accuracy, result.samples) == (0.25, 7)
    assert result.feedback == {"gates": (0.5, 1.0)}


def test_a_command_is_told_the_numbers_that_it_asks_for(made, job, tmp_path):
    script = tmp_path / "echo.py"
    script.write_text(
        "import json, sys\n"
        "told = {'told': [float(word) for word in sys.argv[3:]]}\n"
        "json.dump({'accuracy': 0.5, 'feedback': told}, open(sys.argv[2], 'w'))\n"
    )
    command = (
        f"{sys.executable} {script} {{arch}} {{result}} {{seed}} {{samples}} {{size}} {{batch}} "
        "{learning_rate}"
    )
    result = made(command).submit(replace(job, seed=3)).result(timeout=30)
    assert result.feedback == {"told": (3, 640, 16, 32, 0.02)}
    assert asked_by(command) == set(PLACEHOLDERS) - {"rungs"}


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("python train.py --arch {arch}", r"lacks \['result'\]"),
        ("python train.py {arch} {result} {gpu}", r"unknown are \['gpu'\]"),
        ("python 'train.py {arch} {result}", "cannot be split"),
        ("", "lacks"),
    ],
)
def test_a_command_that_cannot_work_is_refused(command, words):
    with pytest.raises(InputError, match=words):
        CommandExecutor(command)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("import sys; print('no GPU'); sys.exit(3)", "ended with 3: no GPU"),
        ("pass", "no result with an accuracy"),
        ("open(sys.argv[2], 'w').write('{')", "no result with an accuracy"),
        ("open(sys.argv[2], 'w').write('{\"accuracy\": NaN}')", r"nan, not in \[0, 1\]"),
        ("open(sys.argv[2], 'w').write('{\"accuracy\": 93.5}')", r"93.5, not in \[0, 1\]"),
    ],
)
def test_a_program_that_gives_no_accuracy_is_a_stated_failure(made, job, tmp_path, body, words):
    script = tmp_path / "train.py"
    script.write_text("import sys\n" + body)
    executor = made(f"{sys.executable} {script} {{arch}} {{result}}")
    with pytest.raises(TrainingError, match=words):
        executor.submit(job).result(timeout=30)


def test_a_program_that_is_not_there_is_a_stated_failure(made, job):
    with pytest.raises(TrainingError, match="cannot be started"):
        made("no-such-program {arch} {result}").submit(job).result(timeout=30)


def test_a_program_past_its_deadline_is_killed_with_all_it_started(made, job, tmp_path):
    script = tmp_path / "train.py"
    script.write_text("import subprocess, sys\nsubprocess.run(['sleep', '345.678'])\n")
    executor = made(f"{sys.executable} {script} {{arch}} {{result}}")
    with pytest.raises(TrainingTimeoutError, match="killed at its deadline of 1 s"):
        executor.submit(replace(job, deadline_s=1.0)).result(timeout=30)
    alive = [p for p in psutil.process_iter(["cmdline"]) if "345.678" in (p.info["cmdline"] or [])]
    assert alive == []


@pytest.mark.parametrize(
    "looks", [[], [{"samples": 10, "accuracy": 0.5}], [{"samples": 10, "accuracy": 0.1}] * 2]
)
def test_a_program_that_stops_without_having_missed_a_rung_is_a_stated_failure(
    made, job, tmp_path, looks
):
    result = {"accuracy": 0.5, "looks": looks, "stopped": True}
    script = tmp_path / "stop.py"
    script.write_text(f"import json, sys\njson.dump({result}, open(sys.argv[2], 'w'))")
    executor = made(f"{sys.executable} {script} {{arch}} {{result}} {{rungs}}")
    asked = replace(job, rungs=(Rung(samples=10, least=0.3),))
    with pytest.raises(TrainingError, match="look"):
        executor.submit(asked).result(timeout=60)
