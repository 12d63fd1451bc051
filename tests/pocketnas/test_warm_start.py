"""Searches that start with what an earlier run found."""

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pytest

from controller.study import Study
from pocketnas.warm_start import known_by

COLD = (
    "search", "--space=proxyless", "--latency=table:pixel1", "--dataset=analytic-standin",
    "--target-ms=75", "--algorithm=surrogate",
)  # fmt: skip


@pytest.fixture
def earlier(pocketnas):
    """A run of 30 trials, called A."""
    done = pocketnas(*COLD, "--trials=30", "--run=A")
    assert done.code == 0, done.err


def shown(pocketnas, run):
    done = pocketnas("show", run, "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def best_reward(facts):
    return max(trial["reward"] for trial in facts["trials"])


@pytest.mark.usefixtures("earlier")
def test_a_warm_search_begins_with_the_best_of_before_and_says_what_it_knew(pocketnas):
    done = pocketnas(*COLD, "--trials=12", "--seed=1", "--run=B", "--warm-start=A")
    assert done.code == 0, done.err
    assert "warm start from A: 30 networks of analytic-standin against table:pixel1" in done.out
    old, new = shown(pocketnas, "A"), shown(pocketnas, "B")
    assert len(new["warm_start"]) == 1
    assert new["warm_start"][0].endswith("as good as new ones")
    best = max(old["trials"], key=lambda trial: trial["reward"])
    assert new["trials"][0]["point"] == best["point"]
    assert new["told"] == len(new["trials"]) == 12
    mine = {trial["key"] for trial in new["trials"]}
    assert {member["key"] for member in new["front"]} <= mine
    pocketnas(*COLD, "--trials=12", "--seed=1", "--run=C")
    assert best_reward(new) > best_reward(shown(pocketnas, "C"))


@pytest.mark.usefixtures("earlier")
def test_the_report_of_a_warm_search_says_what_it_knew(pocketnas, tmp_path):
    pytest.importorskip("plotly")
    pocketnas(*COLD, "--trials=2", "--run=B", "--warm-start=A")
    assert pocketnas("report", "B").code == 0
    assert "warm start from A" in (tmp_path / "B" / "report.html").read_text()


@pytest.mark.usefixtures("earlier")
@pytest.mark.parametrize("algorithm", ["surrogate", "evolution", "nsga2"])
def test_a_warm_search_is_replayed_without_the_run_it_learnt_from(pocketnas, tmp_path, algorithm):
    warm = (*COLD, f"--algorithm={algorithm}", "--trials=12", "--warm-start=A")
    assert pocketnas(*warm, "--run=B").code == 0
    shutil.rmtree(tmp_path / "A")
    done = pocketnas("replay", "B")
    assert done.code == 0, done.err
    assert "12 proposals and 12 outcomes replayed" in done.out
    assert pocketnas("resume", "B").code == 0


@pytest.mark.usefixtures("earlier")
def test_a_warm_search_that_was_killed_goes_on_without_the_run_it_learnt_from(pocketnas, tmp_path):
    warm = (*COLD, "--trials=60", "--warm-start=A")
    process = subprocess.Popen(
        [sys.executable, "-m", "pocketnas", *warm, "--run=B"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "B" / "study.db").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    while _told(tmp_path / "B") < 5 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)
    whole = pocketnas(*warm, "--run=whole")
    assert whole.code == 0, whole.err
    (tmp_path / "A").rename(tmp_path / "elsewhere")
    assert pocketnas("resume", "B").code == 0
    points = [[t["point"] for t in shown(pocketnas, run)["trials"]] for run in ("B", "whole")]
    assert points[0] == points[1]


def _told(folder):
    """Outcomes so far; none while the study is being made, which is not to be disturbed."""
    with closing(sqlite3.connect(f"file:{folder / 'study.db'}?mode=ro", uri=True)) as connection:
        try:
            return connection.execute("SELECT count(*) FROM outcome").fetchone()[0]
        except sqlite3.OperationalError:
            return 0


@pytest.mark.usefixtures("earlier")
def test_killed_before_its_study_was_made_a_warm_search_reads_the_earlier_run_again(
    pocketnas, tmp_path
):
    assert pocketnas(*COLD, "--trials=8", "--warm-start=A", "--run=B").code == 0
    before = shown(pocketnas, "B")["trials"]
    for path in (tmp_path / "B").glob("study.db*"):
        path.unlink()
    assert pocketnas("resume", "B").code == 0
    assert shown(pocketnas, "B")["trials"] == before


@pytest.mark.usefixtures("earlier")
def test_in_a_shared_database_the_study_keeps_what_it_knew(pocketnas, tmp_path):
    database = f"sqlite:///{tmp_path / 'shared.db'}"
    warm = (*COLD, "--trials=6", "--warm-start=A", f"--database={database}")
    assert pocketnas(*warm, "--run=B").code == 0
    shutil.rmtree(tmp_path / "A")
    assert pocketnas("replay", "B").code == 0
    study = Study(database, str((tmp_path / "B").resolve()))
    (run,) = known_by(study.config).runs
    study.close()
    assert len(run.known) == 30
    assert pocketnas(*COLD, "--trials=6", "--warm-start=B", "--run=C").code == 0


@pytest.mark.usefixtures("earlier", "made_up_device")
def test_another_devices_latencies_and_another_tasks_accuracies_are_trends(pocketnas, tmp_path):
    (tmp_path / "train.py").write_text(
        "import json, sys\n"
        "document = json.load(open(sys.argv[1]))\n"
        "accuracy = sum(stage['filters'] for stage in document['stages']) / 1e4\n"
        "json.dump({'accuracy': accuracy}, open(sys.argv[2], 'w'))\n"
    )
    warm = (*COLD, "--trials=4", "--target-ms=20", "--preset=quick", "--final-preset=quick")
    done = pocketnas(*warm, "--latency=made_up:DEVICE", "--run=B", "--warm-start=A")
    assert done.code == 0, done.err
    assert "accuracies as good as new ones, latencies as a trend" in done.out
    done = pocketnas(
        *COLD, "--dataset=digits", "--classes=1000", "--trials=4", "--run=C",
        f"--train-command={sys.executable} train.py {{arch}} {{result}}", "--warm-start=A",
        "--warm-start=B",
    )  # fmt: skip
    assert done.code == 0, done.err
    first, second = shown(pocketnas, "C")["warm_start"]
    assert first.endswith("accuracies as a trend, latencies as good as new ones")
    assert second.endswith("accuracies and latencies as a trend")
    assert pocketnas("replay", "C").code == 0


def refused(done, *words):
    assert done.code == 2, done
    assert len(done.err.strip().splitlines()) == 1, done.err
    for word in words:
        assert word in done.err, done.err


@pytest.mark.usefixtures("earlier")
@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--warm-start=nowhere"], ("'nowhere' is no run", "config.toml")),
        (
            ["--warm-start=A", "--space=mnasnet", "--latency=host"],
            ("same space", "'A' is in proxyless", "mnasnet"),
        ),
        (
            ["--warm-start=A", "--space-option=stem_filters=16", "--latency=host"],
            ("same options", "trial 0 of 'A'", "stem_filters", "16 now"),
        ),
        (["--warm-start=A", "--algorithm=random"], ("random search", "surrogate, evolution")),
    ],
)
def test_a_warm_start_that_cannot_be_is_refused_and_makes_no_folder(
    pocketnas, tmp_path, flags, words
):
    refused(pocketnas(*COLD, "--trials=3", "--run=B", *flags), *words)
    assert not (tmp_path / "B").exists()


def test_a_run_that_evaluated_nothing_is_refused(pocketnas, tmp_path):
    assert pocketnas(*COLD, "--trials=3", "--run=A").code == 0
    for path in (tmp_path / "A").glob("study.db*"):
        path.unlink()
    Study.in_folder(tmp_path / "A", config="").close()
    done = pocketnas(*COLD, "--trials=3", "--run=B", "--warm-start=A")
    refused(done, "'A' has evaluated nothing", "a trial that was trained")
    assert not (tmp_path / "B").exists()
