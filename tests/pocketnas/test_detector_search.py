"""Detectors searched on this computer, from the command line."""

import json

import pytest

pytest.importorskip("torch")
pytest.importorskip("pycocotools")

TRIALS = 30

SMALL = (
    "filter_scale=0.125", "alpha=0.125", "stem_filters=8", "endpoint_filters=8", "head_filters=8",
    "head_convs=1",
)  # fmt: skip
"""Options of the space, at 128 pixels: a training of eight images takes a second."""


@pytest.mark.slow
def test_thirty_detectors_are_searched_with_the_device_through_a_kill(
    pocketnas, started, kill_after, boxes, tmp_path
):
    """In the paper's order, on this computer; killed in the first phase, then gone on with."""
    command = (
        "search", "--space=spinenet", *(f"--space-option={option}" for option in SMALL),
        f"--dataset={boxes}", "--size=128", "--samples=8", "--latency=host", "--target-ms=20",
        "--preset=quick", "--final-preset=quick", f"--trials={TRIALS}", "--phase=graph=20",
        "--phase=adjustments", "--algorithm=evolution", "--algorithm-option=population=6",
        "--window=2", "--run=run",
    )  # fmt: skip
    process = started(*command)
    kill_after(process, tmp_path / "run", told=12)
    before = json.loads(pocketnas("show", "run", "--json").out)
    assert 12 <= before["told"] < 20
    assert not before["finished"]
    resumed = started("resume", "run")
    _, err = resumed.communicate(timeout=1800)
    assert resumed.returncode == 0, err
    facts = json.loads(pocketnas("show", "run", "--json").out)
    assert (facts["told"], facts["finished"], facts["metric"]) == (TRIALS, True, "AP")
    trials = facts["trials"]
    assert [trial["index"] for trial in trials] == list(range(TRIALS))
    # What a search tells at its end, the final timing of its best, may be of any trial.
    told_then = [{**trial, "final_latency": None} for trial in trials[: before["told"]]]
    assert told_then == before["trials"][: before["told"]]
    assert [trial["phase"] for trial in trials] == ["graph"] * 20 + ["adjustments"] * 10
    for trial in trials:
        assert trial["kind"] == "evaluated"
        assert 0 <= trial["accuracy"] <= 1
        if trial["same_as"] is None:
            assert trial["latency"]["conditions"]["runner"] == "litert-python"
    assert facts["exported"]["latency"]["source"] == "host"
    _says_ap(pocketnas, tmp_path)
    assert pocketnas("replay", "run").code == 0


def _says_ap(pocketnas, folder):
    """What people read of a run of detectors is of AP."""
    text = pocketnas("show", "run").out
    assert any(line.split()[:3] == ["trial", "AP", "reward"] for line in text.splitlines())
    assert "the box from AP 0 at 40 ms to AP 1 at 0 ms" in text
    assert "ccuracy" not in text
    pytest.importorskip("plotly")
    assert pocketnas("report", "run").code == 0
    page = (folder / "run/report.html").read_text()
    assert "<h2>AP against latency</h2>" in page
    assert "<th>AP</th>" in page
    assert "Objectives: AP, latency_ms." in page
