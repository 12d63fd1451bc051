"""The report of a run as one page."""

import json

import pytest

pytest.importorskip("plotly")

PROFILE = {
    "device": "adb:X",
    "method": "differences",
    "whole_ms": 4.0,
    "conditions": None,
    "labels": ["stand-in: <no phone>"],
    "blocks": [
        {
            "name": "stem<0>", "ms": 4.0, "half_width_ms": 0.1, "macs": 2_000_000,
            "parameters": 30, "operators": ["CONV_2D"], "share": 1.0,
        },
    ],
}  # fmt: skip


@pytest.fixture
def run(pocketnas, tmp_path):
    done = pocketnas(
        "search", "--space=proxyless", "--latency=table:pixel1", "--dataset=analytic-standin",
        "--target-ms=75", "--trials=3", "--algorithm=random", "--run=run",
    )  # fmt: skip
    assert done.code == 0, done.err
    return tmp_path / "run"


@pytest.fixture
def page(pocketnas, run):
    """The page of a run with a profile of the best network, or of what is told."""

    def written(**index):
        facts = json.dumps({**index, **PROFILE})
        (run / "best").mkdir(exist_ok=True)
        (run / "best" / "profile.json").write_text(facts)
        assert pocketnas("report", "run").code == 0
        return (run / "report.html").read_text()

    return written


def best_of(pocketnas):
    return json.loads(pocketnas("show", "run", "--json").out)["best"]["index"]


def test_the_profile_of_the_best_network_is_shown_with_what_stood_in(pocketnas, page):
    text = page(index=best_of(pocketnas))
    assert "4 ms on adb:X, by differences. stand-in: &lt;no phone&gt;." in text
    assert "<td>stem&lt;0&gt;</td><td>4 ± 0.1</td><td>100.0%</td>" in text


def test_the_profile_of_an_earlier_best_network_is_not_shown(pocketnas, page):
    assert "Where its time goes" not in page(index=best_of(pocketnas) + 1)
    assert "Where its time goes" not in page()
    assert json.loads(pocketnas("show", "run", "--json").out)["profile"] is None


def test_a_report_that_cannot_be_written_is_told_in_one_sentence(pocketnas, run):
    (run / "report.html").mkdir()
    done = pocketnas("report", "run")
    assert done.code == 2
    assert "report.html" in done.err
    assert done.err.count("\n") == 1
