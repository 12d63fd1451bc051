"""Searches guided by connection weights, as a person would run them."""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pytest

SEARCH = (
    "search", "--space=assemblenet", "--dataset=bars:MovingBars", "--latency=host",
    "--target-ms=5", "--preset=quick", "--final-preset=quick", "--algorithm=guided",
    "--algorithm-option=population=5", "--algorithm-option=tournament=3", "--window=2",
    *(f"--space-option={option}" for option in (
        "size=16", "frames=4", "channels=1", "strides=small", "width=0.0625", "nodes=2",
        "dilations=1,2", "repeats=1,1,1,1", "flow_iterations=2",
    )),
)  # fmt: skip
"""Real networks of streams, trained for a few steps, timed on this computer."""


pytestmark = pytest.mark.usefixtures("moving_bars")


def parents_of(facts):
    return {trial["index"]: trial["parents"] for trial in facts["trials"]}


@pytest.mark.slow
def test_a_search_of_20_trials_that_is_killed_goes_on_and_its_report_shows_the_lineage(
    pocketnas, tmp_path
):
    pytest.importorskip("plotly")
    arguments = (*SEARCH, "--trials=20", "--run=run")
    command = [sys.executable, "-m", "pocketnas", *arguments]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=tmp_path, stdout=quiet, stderr=quiet) as process:
        before = killed_after(process, tmp_path / "run", told=9)
    assert pocketnas("resume", "run").code == 0
    facts = json.loads(pocketnas("show", "run", "--json").out)
    assert facts["told"] == 20
    assert kept(tmp_path / "run")[: len(before)] == before
    assert pocketnas("replay", "run").code == 0

    parents = parents_of(facts)
    assert not any(parents[index] for index in range(5))
    guides = [trial["guide"] for trial in facts["trials"] if trial["parents"]]
    assert len(guides) >= 13  # all after the population and the window, less failures
    assert set(guides) == {"weights"}
    points = {trial["index"]: trial["point"] for trial in facts["trials"]}
    assert all(points[i] != points[own[0]] for i, own in parents.items() if own)

    shown = pocketnas("show", "run").out
    assert "lineage of the best network: trial" in shown
    assert f"of {len(guides)} mutations {len(guides)} by the learned weights" in shown
    assert pocketnas("report", "run").code == 0
    page = (tmp_path / "run" / "report.html").read_text()
    assert "Lineage: parents to children" in page
    assert '"name":"lineage of the best"' in page
    assert '"name":"parent to child"' in page
    best = facts["best"]["index"]
    line = page.split("lineage of the best network: trial ")[1].split("</p>")[0]
    assert line.rstrip(".").split()[0 if not parents[best] else -1].rstrip(",") == str(best)


@pytest.mark.slow
@pytest.mark.usefixtures("made_up_device")
def test_a_gated_scale_permuted_space_is_searched_by_its_weights(pocketnas, tmp_path):
    """On digits, a few steps each; the device is a stand-in, so that only trainings take time."""
    options = (
        "gates=yes", "size=64", "channels=1", "strides=small", "filter_scale=0.125",
        "endpoint_filters=8", "stem_filters=4",
    )  # fmt: skip
    arguments = (
        "--space=spinenet_mbconv", *(f"--space-option={option}" for option in options),
        "--dataset=digits", "--size=64", "--samples=32", "--algorithm=guided",
        "--algorithm-option=population=2", "--algorithm-option=tournament=2", "--window=1",
        "--latency=made_up:DEVICE", "--target-ms=5", "--trials=5",
    )  # fmt: skip
    done = pocketnas("search", *arguments, "--run=run")
    assert done.code == 0, done.err
    facts = json.loads(pocketnas("show", "run", "--json").out)
    guides = [trial["guide"] for trial in facts["trials"]]
    assert guides == [None, None, "weights", "weights", "weights"]
    assert facts["told"] == 5
    shown = pocketnas("show", "run").out
    assert "of 3 mutations 3 by the learned weights of their parents' connections" in shown
    assert pocketnas("replay", "run").code == 0
    phased = pocketnas("search", *arguments, "--phase=graph=3", "--phase=adjustments=2", "--run=p")
    assert phased.code == 2
    assert "so it searches no phases: leave --phase out" in phased.err
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize("algorithm", ["random", "evolution"])
def test_the_baselines_search_the_same_space(pocketnas, algorithm):
    given = [text for text in SEARCH if not text.startswith("--algorithm")]
    options = ["--algorithm-option=population=2", "--algorithm-option=tournament=1"]
    done = pocketnas(
        *given, f"--algorithm={algorithm}", *(options if algorithm == "evolution" else ()),
        "--trials=4", "--window=1", "--run=run",
    )  # fmt: skip
    assert done.code == 0, done.err
    facts = json.loads(pocketnas("show", "run", "--json").out)
    assert facts["told"] == 4
    assert facts["best"] is not None
    assert any(parents_of(facts).values()) == (algorithm == "evolution")


def test_a_search_that_trains_nothing_cannot_be_guided(pocketnas, tmp_path):
    given = [text for text in SEARCH if not text.startswith("--dataset")]
    done = pocketnas(*given, "--dataset=analytic-standin", "--trials=3", "--run=run")
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_space_without_weights_is_refused_with_the_spaces_that_have_them(pocketnas, tmp_path):
    words = ("--dataset=digits", "--algorithm=guided", "--target-ms=5", "--run=run")
    for space in ("mnasnet", "spinenet"):
        done = pocketnas("search", f"--space={space}", "--space-option=size=128", *words)
        assert done.code == 2
        assert "assemblenet, assemblenet_mobile, or with the space option gates=yes" in done.err
        assert done.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ('threshold = "1.5"', "option threshold of algorithm guided must be a number in [0, 1]"),
        ('ablation = "weights"', "must be one of none, shuffled-weights, got 'weights'"),
        ('speed = "9"', "threshold=0.5, ablation=none"),
    ],
)
def test_options_of_a_file_that_do_not_fit_are_told_in_one_sentence(
    pocketnas, tmp_path, option, said
):
    (tmp_path / "search.toml").write_text(
        'space = "assemblenet"\ndataset = "bars:MovingBars"\nlatency = "host"\ntarget_ms = 5\n'
        f'algorithm = "guided"\n\n[algorithm_options]\n{option}\n\n[space_options]\n'
        'size = "16"\nframes = "4"\nchannels = "1"\nstrides = "small"\n'
    )
    done = pocketnas("search", "search.toml", "--run=run")
    assert done.code == 2
    assert said in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def killed_after(process, run, told):
    """Kill the search when so many outcomes are kept; the proposals that are kept then."""
    deadline = time.monotonic() + 1500
    while time.monotonic() < deadline and process.poll() is None:
        if (run / "study.db").is_file() and count(run, "outcome") >= told:
            break
        time.sleep(0.1)
    assert process.poll() is None, "it ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert count(run, "outcome") < 20
    return kept(run)


def count(run, table):
    try:
        return rows(run, f"SELECT count(*) FROM {table}")[0][0]
    except sqlite3.OperationalError:  # not made yet
        return 0


def kept(run):
    return rows(run, "SELECT point, parents, note FROM proposal ORDER BY [index]")


def rows(run, query):
    with closing(sqlite3.connect(run / "study.db")) as connection:
        return connection.execute(query).fetchall()
