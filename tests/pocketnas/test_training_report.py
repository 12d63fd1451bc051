"""The report of trainings as one page."""

import json
import re

import pytest

from search_space.chain import ChainArchitecture, Op, Stage, Stem

pytest.importorskip("plotly")
pytest.importorskip("torch")
pytest.importorskip("sklearn")

STAGES = """
version = 1
[[stages]]
until = 0.5
size = 8
mixup = 0.2
[[stages]]
until = 1.0
size = 16
randaugment = 5
"""


@pytest.fixture
def trained(pocketnas, tmp_path):
    """Trains a small network in a folder of that name."""
    stage = Stage(op=Op.CONV, kernel=3, stride=2, expansion=1, filters=8, repeats=1)
    chain = ChainArchitecture(
        size=16, channels=1, stem=Stem(filters=8), stages=(stage,), head_filters=16
    )
    (tmp_path / "net.json").write_text(json.dumps(chain.to_json()))
    (tmp_path / "stages.toml").write_text(STAGES)

    def train(name, *flags):
        done = pocketnas(
            "train", "net.json", "--dataset=digits", "--epochs=2", f"--run={name}", *flags
        )
        assert done.code == 0, done.err

    return train


def test_a_training_has_its_curves_by_stage_and_what_it_reached(pocketnas, trained, tmp_path):
    trained("grown", "--progressive=stages.toml")
    done = pocketnas("report", "grown")
    assert done.code == 0, done.err
    page = (tmp_path / "grown" / "report.html").read_text()
    for heading in ("Accuracy over training images", "Accuracy against time", "Training loss"):
        assert f"<h2>{heading}</h2>" in page
    assert "8 px" in page
    assert "<td>1</td><td>0</td><td>8</td>" in page
    assert "<td>mixup 0.2</td>" in page
    assert "<td>randaugment 5</td>" in page
    result = json.loads((tmp_path / "grown" / "result.json").read_text())
    assert f"<td>{result['evaluations']['test']['accuracy']:.2%}</td>" in page
    assert "Not done yet" not in page


def stages_of(page):
    """Rows of the table of stages, and the lines of the chart where one begins."""
    begin = page.index("<h2>Stages of")
    rows = re.findall(r"<tr>(<td>.*?)</tr>", page[begin : page.index("<h3>Settings", begin)])
    cells = [re.findall(r"<td>(.*?)</td>", row) for row in rows]
    return cells, re.findall(r'"text":"(\d+ px)"', page)


def test_a_training_that_was_resumed_has_each_stage_once_and_its_times_add_up(
    pocketnas, trained, tmp_path
):
    trained("grown", "--progressive=stages.toml")
    assert pocketnas("report", "grown").code == 0
    report, log = tmp_path / "grown" / "report.html", tmp_path / "grown" / "log.jsonl"
    rows, drawn = stages_of(report.read_text())
    assert [row[2] for row in rows] == ["8", "16"]
    assert drawn == ["8 px", "16 px"]
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    steps = [line for line in lines if line["kind"] == "step"]
    total = sum(float(row[5]) for row in rows)
    assert total == pytest.approx(steps[-1]["seconds"], rel=1e-3)
    again = []  # as earlier versions told a stage when it was gone on with
    for line in lines:
        again.append(line)
        if line["kind"] == "stage":
            begun = line
        elif line["kind"] == "step" and line["step"] in (20, 60, 100):
            again.append({**begun, "seen": line["seen"]})
    assert len(again) == len(lines) + 3
    log.write_text("".join(json.dumps(line) + "\n" for line in again))
    assert pocketnas("report", "grown").code == 0
    assert stages_of(report.read_text()) == (rows, drawn)


def test_trainings_stand_side_by_side(pocketnas, trained, tmp_path):
    trained("plain")
    trained("grown", "--progressive=stages.toml")
    done = pocketnas("report", "plain", "grown", "--output=compared.html", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["path"] == "compared.html"
    page = (tmp_path / "compared.html").read_text()
    assert page.count("<h2>Stages of ") == 2
    assert "<td>plain</td>" in page
    assert "<td>grown</td>" in page


def test_one_that_is_not_done_says_so(pocketnas, trained, tmp_path):
    trained("cut")
    (tmp_path / "cut" / "result.json").unlink()
    assert pocketnas("report", "cut").code == 0
    assert "Not done yet: cut." in (tmp_path / "cut" / "report.html").read_text()


def test_what_is_no_training_is_refused(pocketnas, trained, tmp_path):
    trained("plain")
    (tmp_path / "other").mkdir()
    done = pocketnas("report", "plain", "other")
    assert done.code == 2
    assert "'other' is no training" in done.err
    assert not (tmp_path / "plain" / "report.html").exists()
