import json
import os
import signal
import subprocess
import sys

import pytest

from pocketnas.cli import output
from search_space import catalog
from search_space.scaling import EFFICIENTNET, Rounding, scaled

SEARCH = (
    "scale", "base.json", "--search", "--dataset=digits", "--samples=64", "--batch=32",
    "--step=0.5", "--tolerance=0.4", "--run=run",
)  # fmt: skip


@pytest.fixture
def small(tmp_path):
    """A small network for grey images of 16 pixels, in ``base.json``."""
    from search_space.chain import ChainArchitecture, Op, Stage, Stem

    stage = Stage(op=Op.MBCONV, kernel=3, stride=2, expansion=3, filters=16, repeats=2)
    chain = ChainArchitecture(
        size=16, channels=1, stem=Stem(filters=16), stages=(stage,), head_filters=64
    )
    (tmp_path / "base.json").write_text(json.dumps(chain.to_json()))


def test_a_network_is_scaled_by_a_coefficient_and_written_as_arch_takes_it(pocketnas):
    done = pocketnas("scale", "mobilenet-v2", "--phi=1", "--json", "--out=larger.json")
    assert done.code == 0, done.err
    facts = json.loads(done.out)
    network = scaled(catalog.create("mobilenet-v2"), EFFICIENTNET.factors(1))
    assert facts["key"] == network.key
    assert facts["factors"] == {"depth": 1.2, "width": 1.1, "resolution": 1.15}
    assert facts["input_shape"] == [1, 3, 258, 258]
    assert facts["base_macs"] == 300774272
    assert facts["latency"] is None
    again = json.loads(pocketnas("scale", "larger.json", "--phi=0", "--json").out)
    assert again["key"] == network.key
    assert again["params"] == facts["params"]


def test_rounding_and_fixed_ends_are_chosen(pocketnas):
    done = pocketnas(
        "scale", "mobilenet-v2", "--phi=2", "--rule=fast@0.6", "--rounding=pycls", "--fixed-ends",
        "--json",
    )  # fmt: skip
    facts = json.loads(done.out)
    from search_space.scaling import ShareRule

    factors = ShareRule.fast(0.6).factors(2)
    base = catalog.create("mobilenet-v2")
    assert facts["key"] == scaled(base, factors, Rounding.PYCLS, fixed_ends=True).key


def test_own_constants_are_a_rule(pocketnas):
    done = pocketnas("scale", "mobilenet-v2", "--phi=1", "--beta=1.4", "--json")
    assert json.loads(done.out)["factors"] == {"depth": 1.0, "width": 1.4, "resolution": 1.0}
    people = pocketnas("scale", "mobilenet-v2", "--phi=1", "--beta=1.4")
    assert "width x1.4" in people.out
    assert "times 3,504,872)" in people.out


def test_a_network_is_scaled_to_multiply_adds(pocketnas):
    done = pocketnas("scale", "mobilenet-v2", "--to-macs=6e8", "--json")
    facts = json.loads(done.out)
    assert 0.8 * 6e8 < facts["macs"] <= 6e8
    assert facts["phi"] > 0.5


@pytest.mark.usefixtures("made_up_device")
def test_a_network_is_scaled_to_a_latency_and_has_its_conditions(pocketnas, monkeypatch):
    monkeypatch.setattr(output, "QUIET_S", 0.0)

    def ms(phi):
        flags = ("--to-ms", str(phi), "--on=made_up:DEVICE", "--preset=quick", "--size=32")
        return pocketnas("scale", "mobilenet-v2", *flags, "--json")

    done = ms(28.0)  # twice what the file of the baseline, of 14 MB, takes
    assert done.code == 0, done.err
    assert "A: " in done.err  # what goes on on the device, as long as it takes
    facts = json.loads(done.out)
    latency = facts["latency"]
    assert 0.8 * 28 < latency["median_ms"] <= 28
    assert latency["ci_low_ms"] <= latency["median_ms"] <= latency["ci_high_ms"]
    assert latency["conditions"]
    assert facts["params"] > 1.5 * facts["base_params"]
    assert ms(0.01).code == 2


@pytest.mark.parametrize("head", ["classifier", "detector"])
def test_a_scale_permuted_network_is_scaled_with_its_head(pocketnas, head):
    pytest.importorskip("torch")
    flags = ("--head", head, "--classes=5", "--size=128", "--phi=1", "--rounding=pycls", "--json")
    done = pocketnas("scale", "spinenet-mobile-49xs", *flags)
    assert done.code == 0, done.err
    facts = json.loads(done.out)
    assert facts["input_shape"] == [1, 3, 148, 148]
    assert facts["macs"] > 1.4 * facts["base_macs"]
    shown = json.loads(pocketnas("arch", "spinenet-mobile-49xs", *flags[:4], "--json").out)
    assert facts["base_macs"] == shown["macs"]
    assert facts["base_params"] == shown["params"]


@pytest.mark.parametrize("head", [(), ("--head", "videoclassifier")])
def test_a_network_of_streams_is_scaled_and_its_clips_keep_their_frames(pocketnas, head, tmp_path):
    pytest.importorskip("torch")
    flags = (*head, "--classes=5", "--size=64", "--phi=1", "-o", "larger.json", "--json")
    done = pocketnas("scale", "assemblenet-plus-lite", *flags)
    assert done.code == 0, done.err
    facts = json.loads(done.out)
    assert facts["input_shape"] == [1, 3, 32, 74, 74]
    assert 1.7 * facts["base_macs"] < facts["macs"] < 2.4 * facts["base_macs"]
    shown = json.loads(pocketnas("arch", str(tmp_path / "larger.json"), "--json").out)
    assert shown["key"] == facts["key"]


@pytest.mark.parametrize("phi", [20, -20])
def test_a_network_of_streams_that_cannot_be_is_refused(pocketnas, phi):
    done = pocketnas("scale", "assemblenet-50", f"--phi={phi}")
    assert (done.code, done.out) == (2, "")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("phi", [20, -20])
def test_a_scale_permuted_network_that_no_computer_holds_is_refused(pocketnas, phi):
    done = pocketnas("scale", "spinenet-49", f"--phi={phi}")
    assert done.code == 2
    said = "GiB for one image, and this computer has" if phi > 0 else "input size must be"
    assert said in done.err


def test_a_network_without_the_head_of_the_data_set_is_refused_before_a_search(pocketnas):
    pytest.importorskip("torch")
    flags = ("--search", "--dataset=generated-fashion-scenes", "--run=run")
    done = pocketnas("scale", "mobilenet-v2", *flags)
    assert done.code == 2
    assert "'generated-fashion-scenes' needs networks that end in" in done.err


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_a_search_finds_constants_that_scale_uses_and_goes_on_where_it_was(pocketnas, tmp_path):
    pytest.importorskip("torch")
    done = pocketnas(*SEARCH, "--json")
    assert done.code == 0, done.err
    facts = json.loads(done.out)
    assert facts["base"]["growth"] == 1.0
    assert all(1.2 <= point["growth"] <= 2.8 for point in facts["points"])
    best = facts["best"]
    assert best == facts["points"][0]
    assert "1 of " in done.err
    report = (tmp_path / "run" / "report.html").read_text()
    assert f"<td>{best['alpha']:g}</td><td>{best['beta']:g}</td>" in report
    scaled_by = json.loads(pocketnas("scale", "base.json", "--phi=1", "--rule=run", "--json").out)
    assert scaled_by["factors"] == {
        "depth": best["alpha"], "width": best["beta"], "resolution": best["gamma"]
    }  # fmt: skip
    again = pocketnas(*SEARCH)
    assert again.code == 0
    assert f"best: {best['alpha']:g}/{best['beta']:g}/{best['gamma']:g}" in again.out
    assert "trainings are in run" in again.err
    other = pocketnas(*SEARCH, "--seeds=2")
    assert other.code == 2
    assert "other settings: name another folder with --run" in other.err


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_a_search_that_was_killed_gives_the_table_of_one_that_was_not(pocketnas, tmp_path):
    pytest.importorskip("torch")
    whole = json.loads(pocketnas(*SEARCH[:-1], "--run=whole", "--json").out)
    log = tmp_path / "run" / "trainings.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-m", "pocketnas", *SEARCH],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("2 of "):
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    kept = len(log.read_text().splitlines())
    assert 2 <= kept < len(whole["points"]) + 1
    found = json.loads(pocketnas(*SEARCH, "--json").out)

    def without_seconds(facts):
        rows = [{**row, "seconds": None} for row in (facts["base"], facts["best"])]
        points = [{**row, "seconds": None} for row in facts["points"]]
        return {**facts, "base": rows[0], "best": rows[1], "points": points}

    assert without_seconds(found) == without_seconds(whole)
    assert len(log.read_text().splitlines()) == len(whole["points"]) + 1


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([], "exactly one of --phi, --to-ms, --to-macs and --search"),
        (["--phi=1", "--search"], "exactly one of"),
        (["--phi=1", "--alpha=0.9"], "alpha must be a finite number of at least 1, got 0.9"),
        (["--phi=1", "--alpha=1.2", "--rule=fast"], "--rule would be without effect"),
        (["--phi=1", "--rule=slow"], "unknown rule 'slow'; there are efficientnet"),
        (["--phi=1", "--rule=fast@x"], "a number from 0 to 1, got 'fast@x'"),
        (["--phi=1", "--rule=fast@2"], "in [0, 1], got 2.0"),
        (["--phi=1", "--rule=other.json"], "it has no 'best'"),
        (["--phi=1", "--rounding=up"], "unknown rounding 'up'"),
        (["--phi=30"], "GiB for one image, and this computer has"),
        (["--phi=-20"], "input size must be"),
        (["--phi=-35", "--rule=width"], "a width of 0"),
        (["--phi=1e9"], "from -64 to 64"),
        (["--phi=1", "--seeds=2"], "--seeds would be without effect"),
        (["--phi=1", "--preset=final"], "--preset would be without effect"),
        (["--phi=1", "--on=host"], "--to-ms needs --on SOURCE"),
        (["--to-ms=3"], "--to-ms needs --on SOURCE"),
        (["--to-ms=-3", "--on=host"], "--to-ms must be a number above 0, got -3"),
        (["--to-ms=3", "--on=table:none"], "none"),
        (["--to-macs=100"], "no network of this rule costs 100 or less"),
        (["--phi=1", "--out=none/x.json"], "'none/x.json' cannot be written"),
        (["--search", "--cost=latency"], "--cost latency needs --on SOURCE"),
        (["--search", "--cost=macs", "--on=host"], "--cost latency needs --on SOURCE"),
        (["--search", "--cost=time"], "unknown cost 'time'"),
        (["--search", "--rule=fast"], "--rule would be without effect"),
        (["--search", "--dataset=none"], "unknown dataset 'none'"),
        (["--search", "--step=0.001"], "take a larger step"),
        (["--search", "--growth=0.5"], "growth above 1"),
        (["--search", "--run=full"], "'full' has other files: name another folder"),
    ],
)
def test_a_wrong_use_is_one_sentence_and_changes_nothing(pocketnas, tmp_path, flags, words):
    (tmp_path / "other.json").write_text("{}")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    done = pocketnas("scale", "mobilenet-v2", *flags)
    assert done.code == 2, done
    assert len(done.err.strip().splitlines()) == 1, done.err
    assert words in done.err
    assert [path for path in sorted(tmp_path.rglob("*")) if "home" not in path.parts] == [
        path for path in before if "home" not in path.parts
    ]
