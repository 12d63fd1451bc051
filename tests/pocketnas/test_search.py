"""Whole searches, as a person would run them."""

import json
import shlex
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace

import pytest

from latency.table_file import load, write
from pocketnas.assembly import assemble
from pocketnas.config import SearchConfig

OWN = '''
"""A space, a task and a latency source of a user's own."""

from pathlib import Path

from latency.measurement import Verdict
from latency.source import LatencyEstimate, NetworkSubject, Origin
from search_space.architecture import Classifier
from search_space.chain import ChainArchitecture, Op, Stage, Stem
from search_space.decisions import Choice, DecisionSpace
from training.digits import Digits
from training.schedule import Schedule
from training.task import Proxy
from workspace.errors import InputError


class OwnSpace:
    name = "own"
    points = DecisionSpace(
        choices=(
            Choice(name="filters", options=("8", "16", "24")),
            Choice(name="kernel", options=("3", "5")),
        )
    )
    count = points.count

    def decode(self, point):
        filters, kernel = self.points.checked(point)
        stage = Stage(
            op=Op.DEPTHWISE, kernel=(3, 5)[kernel], stride=2, expansion=1,
            filters=(8, 16, 24)[filters], repeats=1,
        )
        return ChainArchitecture(
            size=16, channels=1, stem=Stem(filters=8), stages=(stage,), head_filters=32
        )

    def encode(self, architecture):
        stage = architecture.stages[0]
        return ((8, 16, 24).index(stage.filters), (3, 5).index(stage.kernel))


SPACE = OwnSpace()


class OwnTask(Digits):
    name = "own digits"

    @property
    def proxy(self):
        return Proxy(size=16, schedule=Schedule(samples=320, batch=32, learning_rate=0.02))


class OwnSource:
    """A fake: as many milliseconds as the network's key has characters."""

    name = "own"
    lanes = 1
    on_this_computer = False

    def estimate(self, requests):
        for request in requests:
            if not isinstance(request.subject, NetworkSubject):
                raise InputError("this source knows networks, not files")
            latency_ms = float(len(request.subject.architecture.key))
            yield LatencyEstimate(
                request_id=request.id, latency_ms=latency_ms, low_ms=latency_ms,
                high_ms=latency_ms, origin=Origin.PREDICTED, source=self.name, coverage=1.0,
                verdict=Verdict.STABLE,
            )

    def close(self):
        pass


SOURCE = OwnSource()
'''

TRAIN = """
import json, sys
document = json.load(open(sys.argv[1]))
filters = document["stages"][0]["filters"]
json.dump({"accuracy": filters / 100}, open(sys.argv[2], "w"))
"""


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    (tmp_path / "own_parts.py").write_text(OWN)
    (tmp_path / "train.py").write_text(TRAIN)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def shown(pocketnas, run="run"):
    done = pocketnas("show", run, "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)


@pytest.mark.slow
@pytest.mark.usefixtures("own_folder")
def test_a_space_and_a_task_from_another_folder_run_a_search_with_the_device(pocketnas):
    done = pocketnas(
        "search", "--space=own_parts:SPACE", "--dataset=own_parts:OwnTask", "--latency=host",
        "--target-ms=5", "--trials=6", "--preset=quick", "--final-preset=quick",
        "--algorithm=random", "--run=run",
    )  # fmt: skip
    assert done.code == 0, done.err
    facts = shown(pocketnas)
    assert facts["finished"]
    assert [trial["kind"] for trial in facts["trials"]] == ["evaluated"] * 6
    for trial in facts["trials"]:
        assert trial["latency"]["conditions"]["runner"] == "litert-python"
        assert len(trial["latency"]["sessions"]) >= 3
    assert facts["exported"]["weights"].startswith("trained")
    assert facts["exported"]["latency"]["source"] == "host"


@pytest.mark.slow
def test_a_search_in_int8_times_int8_files_and_says_that_their_scales_stand_in(pocketnas):
    done = pocketnas(
        "search", "--dataset=digits", "--samples=64", "--latency=host", "--target-ms=5",
        "--precision=int8", "--trials=3", "--preset=quick", "--final-preset=quick",
        "--algorithm=random", "--run=run",
    )  # fmt: skip
    assert done.code == 0, done.err
    facts = shown(pocketnas)
    assert [trial["kind"] for trial in facts["trials"]] == ["evaluated"] * 3
    for trial in facts["trials"]:
        assert trial["latency"]["conditions"]["precision"] == "int8"
    assert "stand-in int8 scales: for timing only" in facts["stand_ins"]
    assert "stand-in int8 scales: for timing only" in done.out
    assert facts["exported"]["precision"] == "fp32"


@pytest.mark.parametrize("exporter", ["onnx", "savedmodel"])
@pytest.mark.parametrize("latency", ["host", "adb:X", "adb:any"])
def test_an_exporter_whose_files_no_device_times_is_refused_in_one_sentence(
    pocketnas, exporter, latency, tmp_path
):
    done = pocketnas(
        "search", "--dataset=digits", f"--latency={latency}", "--target-ms=5", "--trials=3",
        f"--exporter={exporter}", "--run=run",
    )  # fmt: skip
    assert done.code == 2
    assert f"exporter '{exporter}' writes no TFLite files" in done.err
    assert "tflite, litert and tensorflow do" in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_table_needs_no_files_and_takes_every_exporter():
    facts = {
        "space": "proxyless", "latency": "table:pixel1", "dataset": "analytic-standin",
        "target_ms": 75.0, "exporter": "savedmodel",
    }  # fmt: skip
    assemble(SearchConfig.load(None, facts), check_target=False).close()


@pytest.mark.usefixtures("own_folder")
def test_a_training_command_and_a_source_of_ones_own_run_a_search(pocketnas):
    done = pocketnas(
        "search", "--space=own_parts:SPACE", "--latency=own_parts:SOURCE",
        f"--train-command={shlex.quote(sys.executable)} train.py {{arch}} {{result}}",
        "--target-ms=100", "--trials=6", "--run=run", "--algorithm=evolution", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    facts = json.loads(done.out)
    assert facts["told"] == 6
    for trial in facts["trials"]:
        assert trial["accuracy"] in (0.08, 0.16, 0.24)
    assert pocketnas("replay", "run").code == 0


def test_what_a_table_says_of_its_figures_is_shown_with_them(pocketnas, tmp_path):
    label = "12 of 129 entries are predicted from the measured ones"
    write(replace(load("pixel1"), labels=(label,)), tmp_path / "mine.yaml")
    done = pocketnas(
        "search", "--space=proxyless", f"--latency=table:{tmp_path}/mine.yaml",
        "--dataset=analytic-standin", "--target-ms=75", "--trials=5", "--run=run",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert f"of them: {label}" in done.out
    facts = shown(pocketnas)
    assert all(trial["latency"]["labels"] == [label] for trial in facts["trials"])


def test_a_search_on_a_table_ends_inside_its_hard_target(pocketnas):
    done = pocketnas(
        "search", "--space=proxyless", "--latency=table:pixel1", "--dataset=analytic-standin",
        "--target-ms=75", "--reward=hard", "--trials=200", "--run=run",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "stand-in: accuracy from an analytic formula" in done.out
    facts = shown(pocketnas)
    assert facts["best"]["predicted_ms"] <= 75
    assert facts["best"]["measured_ms"] is None
    inside = [t["reward"] for t in facts["trials"] if t["latency"]["latency_ms"] <= 75]
    assert facts["best"]["reward"] == max(inside)


THREE = ("--objective=accuracy", "--objective=latency_ms", "--objective=params")


@pytest.mark.parametrize("algorithm", ["nsga2", "surrogate", "evolution"])
def test_a_search_of_three_objectives_shows_each_and_is_replayed(pocketnas, tmp_path, algorithm):
    done = pocketnas(
        "search", "--space=proxyless", "--latency=table:pixel1", "--dataset=analytic-standin",
        "--target-ms=75", "--trials=30", "--run=run", f"--algorithm={algorithm}", *THREE,
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "(hypervolume 0." in done.err
    assert "front of accuracy, latency_ms, params of " in done.out
    assert "measured ms     params  verdict" in done.out
    assert "parameters (the most of any trial) to accuracy 1 at 0 ms and 0 parameters" in done.out
    facts = shown(pocketnas)
    assert facts["objectives"] == ["accuracy", "latency_ms", "params"]
    told = [list(trial["objectives"].values()) for trial in facts["trials"]]
    front = {member["index"]: list(member["objectives"].values()) for member in facts["front"]}
    for accuracy, latency_ms, params in told:
        assert any(
            one[0] >= accuracy and one[1] <= latency_ms and one[2] <= params
            for one in front.values()
        )
    for index, mine in front.items():
        assert told[index] == mine
    assert facts["best"]["index"] in front
    assert pocketnas("replay", "run").code == 0
    pytest.importorskip("plotly")
    assert pocketnas("report", "run").code == 0
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Accuracy against params" in page
    assert "<th>params</th>" in page


def test_a_run_of_before_objectives_is_shown_replayed_and_reported(pocketnas, tmp_path):
    """Its configuration names none, and its database has no column of them."""
    done = pocketnas(
        "search", "--space=proxyless", "--latency=table:pixel1", "--dataset=analytic-standin",
        "--target-ms=75", "--trials=12", "--run=run", "--algorithm=surrogate",
        "--algorithm-option=objectives=2",
    )  # fmt: skip
    assert done.code == 0, done.err
    before = shown(pocketnas)
    config = tmp_path / "run" / "config.toml"
    lines = config.read_text().splitlines(keepends=True)
    config.write_text("".join(line for line in lines if not line.startswith("objectives = [")))
    connection = sqlite3.connect(tmp_path / "run" / "study.db")
    connection.execute("ALTER TABLE outcome DROP COLUMN objectives")
    connection.execute("UPDATE alembic_version SET version_num = 'study_3'")
    connection.commit()
    connection.close()
    assert pocketnas("replay", "run").code == 0
    after = shown(pocketnas)
    for name in ("trials", "front", "best", "hypervolume", "objectives"):
        assert after[name] == before[name]
    assert pocketnas("resume", "run").code == 0


def test_candidates_far_over_the_target_are_not_trained_when_asked_so(pocketnas):
    done = pocketnas(
        "search", "--space=proxyless", "--latency=table:pixel1", "--dataset=analytic-standin",
        "--target-ms=60", "--skip-above=1.5", "--trials=30", "--run=run", "--algorithm=random",
    )  # fmt: skip
    assert done.code == 0, done.err
    for trial in shown(pocketnas)["trials"]:
        too_slow = trial["latency"]["latency_ms"] > 90
        assert trial["kind"] == ("skipped" if too_slow else "evaluated")
        assert (trial["accuracy"] is None) == too_slow


def test_a_search_cut_off_by_ctrl_c_says_how_to_go_on_and_does(pocketnas):
    command = [
        sys.executable, "-m", "pocketnas", "search", "--space=proxyless", "--latency=table:pixel1",
        "--dataset=analytic-standin", "--target-ms=75", "--trials=400", "--run=run",
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    first = process.stderr.readline()
    assert first.startswith("1/400"), first
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    # Python itself ends by the signal where it came while a string of code was run (a dataclass
    # being made, say); a shell calls both 130
    assert process.returncode in {130, -signal.SIGINT}, err
    assert "go on with: pocketnas resume run" in err
    assert pocketnas("resume", "run").code == 0
    facts = shown(pocketnas)
    assert facts["told"] == 400
    assert [trial["index"] for trial in facts["trials"]] == list(range(400))


@pytest.mark.loopback
@pytest.mark.slow
def test_a_search_on_two_loopback_phones_uses_both_and_says_what_they_are(
    pocketnas, loopback_phones
):
    phones = loopback_phones(2)
    done = pocketnas(
        "search", "--dataset=digits", "--samples=64", "--latency=adb:any", "--target-ms=5",
        "--trials=12", "--preset=quick", "--final-preset=quick", "--algorithm=random", "--run=run",
    )  # fmt: skip
    assert done.code == 0, done.err
    facts = shown(pocketnas)
    used = {trial["latency"]["source"] for trial in facts["trials"]}
    assert used == {f"adb:{phone.serial}" for phone in phones}
    for trial in facts["trials"]:
        conditions = trial["latency"]["conditions"]
        assert "not a phone" in conditions["device_stand_in"]
        assert "not Google's binary" in conditions["runner_stand_in"]
        assert len(trial["latency"]["sessions"]) >= 3
    assert len(facts["stand_ins"]) == 2
