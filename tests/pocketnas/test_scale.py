import json
import os
import signal
import subprocess
import sys

import pytest

from controller import run_folder
from pocketnas.cli import output
from search_space import catalog
from search_space.scaling import EFFICIENTNET, Rounding, RuleName, rule, scaled

TRAIN = """
import json, sys
from pathlib import Path
network = json.loads(Path(sys.argv[1]).read_text())
if network["size"] in json.loads(Path("failing.json").read_text()):
    sys.exit(f"no memory\\nat {network['size']} pixels")
Path(sys.argv[2]).write_text(json.dumps({"accuracy": network["size"] / 100}))
"""
"""A training program that fails for networks of some sizes; it trains nothing."""

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
    path = tmp_path / "base.json"
    path.write_text(json.dumps(chain.to_json()))
    return path


@pytest.fixture
def own_training(small):
    """The flags of a search that trains by ``TRAIN``; sizes that fail are in ``failing.json``."""
    pytest.importorskip("torch")
    small.with_name("train.py").write_text(TRAIN)
    small.with_name("failing.json").write_text("[]")
    flags = [one for one in SEARCH if one != "--batch=32"]
    return [*flags, f"--train-command={sys.executable} train.py {{arch}} {{result}}"]


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


@pytest.mark.parametrize(
    ("name", "rounding", "ends"),
    [
        ("efficientnetv2-b0", Rounding.EFFICIENTNETV2, False),
        ("efficientnet-lite0", Rounding.EFFICIENTNET, True),
        ("efficientnet-b0", Rounding.EFFICIENTNET, False),
        ("mobilenet-v2", Rounding.EFFICIENTNET, False),
    ],
)
def test_a_network_of_the_catalog_is_scaled_as_its_family_is(pocketnas, name, rounding, ends):
    done = pocketnas("scale", name, "--phi=3", "--rule=released", "--json")
    facts = json.loads(done.out)
    factors = rule(RuleName.RELEASED).factors(3)
    assert facts["key"] == scaled(catalog.create(name), factors, rounding, fixed_ends=ends).key
    assert (facts["rounding"], facts["fixed_ends"]) == (rounding, ends)
    said = pocketnas("scale", name, "--phi=1").out
    line = f"{'rounding':22} {rounding}{', fixed ends' if ends else ''}\n"
    assert line in said


def test_lite1_is_lite0_by_the_released_factors_of_b1(pocketnas):
    done = pocketnas("scale", "efficientnet-lite0", "--phi=1", "--rule=released", "-o", "1.json")
    assert done.code == 0, done.err
    shown = json.loads(pocketnas("arch", "1.json", "--json").out)
    published = json.loads(pocketnas("arch", "efficientnet-lite1", "--json").out)
    assert shown["key"] == published["key"]


def test_what_is_given_wins_over_the_family(pocketnas):
    flags = ("--phi=2", "--rounding=efficientnet", "--json")
    facts = json.loads(pocketnas("scale", "efficientnetv2-b0", *flags).out)
    network = scaled(catalog.create("efficientnetv2-b0"), EFFICIENTNET.factors(2))
    assert (facts["key"], facts["rounding"]) == (network.key, "efficientnet")
    flags = ("--phi=2", "--no-fixed-ends", "--json")
    facts = json.loads(pocketnas("scale", "efficientnet-lite0", *flags).out)
    network = scaled(catalog.create("efficientnet-lite0"), EFFICIENTNET.factors(2))
    assert (facts["key"], facts["fixed_ends"]) == (network.key, False)


def test_a_file_is_of_no_family_whatever_it_is_called(pocketnas):
    made = pocketnas("scale", "efficientnetv2-b0", "--phi=0", "-o", "efficientnet-lite0")
    assert made.code == 0, made.err
    facts = json.loads(pocketnas("scale", "efficientnet-lite0", "--phi=1", "--json").out)
    assert (facts["rounding"], facts["fixed_ends"]) == ("efficientnet", False)
    assert "fused" in facts["key"]


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
    assert facts["limit"] == "target"


def test_a_small_network_is_scaled_down_to_the_smallest_that_can_be(pocketnas):
    flags = ("--size=64", "--rule=resolution", "--json")
    smallest = json.loads(pocketnas("scale", "efficientnet-b0", *flags, "--phi=-2").out)
    for target in (smallest["macs"], 1.05 * smallest["macs"], 1.9e7):
        done = pocketnas("scale", "efficientnet-b0", *flags, f"--to-macs={target}")
        assert done.code == 0, done.err
        assert json.loads(done.out)["key"] == smallest["key"]
    done = pocketnas("scale", "efficientnet-b0", *flags, f"--to-macs={0.9 * smallest['macs']}")
    assert done.code == 2
    assert "the smallest that was tried costs 9.742e+06" in done.err


def test_where_memory_ends_the_growth_that_is_said(pocketnas, monkeypatch):
    monkeypatch.setattr("search_space.memory.memory_bytes", lambda: 2**27)
    flags = ("scale", "mobilenet-v2", "--to-macs=1e16")
    facts = json.loads(pocketnas(*flags, "--json").out)
    assert facts["limit"] == "memory"
    assert 1e9 < facts["macs"] < 1e12
    assert "memory: a larger one would keep the target, and not fit" in pocketnas(*flags).out
    ended = pocketnas(*flags, "--rule=released")
    assert "memory: a larger one" in ended.out
    assert "limit" not in pocketnas("scale", "mobilenet-v2", "--to-macs=6e8").out


def test_where_a_table_ends_that_is_said(pocketnas):
    flags = ("scale", "mobilenet-v2", "--size=32", "--rule=tpu", "--to-macs=1e16")
    assert json.loads(pocketnas(*flags, "--json").out)["limit"] == "rule"
    assert "rule: it has no larger one" in pocketnas(*flags).out


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


def test_a_point_that_always_fails_does_not_keep_a_search_from_its_end(
    pocketnas, own_training, tmp_path
):
    (tmp_path / "failing.json").write_text("[24]")
    done = pocketnas(*own_training, "--json")
    assert done.code == 0, done.err
    facts = json.loads(done.out)
    assert {row["size"] for row in facts["failed"]} == {24}
    assert all(row["accuracy"] is None for row in facts["failed"])
    assert all("no memory at 24 pixels" in row["failures"][0] for row in facts["failed"])
    assert {row["size"] for row in facts["points"]}.isdisjoint({24})
    assert ", failed: the training command" in done.err
    again = pocketnas(*own_training)
    assert again.code == 0
    assert "trainings failed before: tried again" in again.err
    failed = len(facts["failed"])
    assert f"{failed} trainings failed; the same command tries them again" in again.out
    assert sum(line.endswith("failed") for line in again.out.splitlines()) == failed
    assert "<td>failed</td><td>0</td>" in (tmp_path / "run" / "report.html").read_text()
    (tmp_path / "failing.json").write_text("[]")
    mended = json.loads(pocketnas(*own_training, "--json").out)
    assert mended["failed"] == []
    assert len(mended["points"]) == len(facts["points"]) + failed


def test_where_all_points_fail_that_is_one_sentence(pocketnas, own_training, tmp_path):
    (tmp_path / "failing.json").write_text(json.dumps(list(range(200))))
    done = pocketnas(*own_training)
    assert (done.code, done.out) == (1, "")
    last = done.err.splitlines()[-1]
    assert last.startswith("pocketnas: all trainings of the ")
    assert "no memory at 16 pixels" in last
    assert "cut off" not in done.err


def test_what_another_program_trained_is_another_search(pocketnas, own_training):
    assert pocketnas(*own_training).code == 0
    command = own_training.pop()
    for other in ((), (f"{command} {{seed}}",)):
        done = pocketnas(*own_training, *other)
        assert done.code == 2
        assert "other settings: name another folder with --run" in done.err
    longer = pocketnas(*own_training, command, "--train-deadline-s=7200")
    assert longer.code == 0, longer.err


def test_a_training_past_its_deadline_is_killed(pocketnas, own_training, tmp_path):
    (tmp_path / "train.py").write_text("import time; time.sleep(60)")
    done = pocketnas(*own_training, "--train-deadline-s=0.2")
    assert done.code == 1
    assert "was killed at its deadline of 0.2 s" in done.err


def test_a_training_command_takes_no_settings_that_it_does_not_ask_for(
    pocketnas, own_training, tmp_path
):
    settings = ("--batch=32", "--learning-rate=0.1")
    done = pocketnas(*own_training, *settings)
    assert done.code == 2
    assert "--batch, --learning-rate would be without effect, since the training" in done.err
    command = f"{own_training.pop()} {{batch}}"
    done = pocketnas(*own_training, command, *settings)
    assert done.code == 2
    assert done.err.startswith("pocketnas: --learning-rate would be without effect")
    assert not (tmp_path / "run").exists()


def test_a_search_that_is_at_work_is_not_joined(pocketnas, own_training, tmp_path):
    (tmp_path / "run").mkdir()
    with run_folder.held(tmp_path / "run"):
        done = pocketnas(*own_training)
    assert done.code == 2
    assert f"the run 'run' is at work in process {os.getpid()}" in done.err
    assert not (tmp_path / "run" / "plan.json").exists()
    assert pocketnas(*own_training).code == 0


@pytest.mark.usefixtures("small")
def test_a_network_of_other_channels_than_the_data_is_refused_before_a_search(pocketnas, tmp_path):
    pytest.importorskip("torch")
    done = pocketnas("scale", "base.json", "--search", "--dataset=cifar10", "--run=run")
    assert done.code == 2
    assert len(done.err.splitlines()) == 1
    assert "the network takes 1 channels, and the images of" in done.err
    assert not (tmp_path / "run").exists()


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
        (["--phi=24", "--rule=depth"], "1.68e+07 times as deep"),
        (["--phi=64", "--rule=depth"], "GiB for one image, and this computer has"),
        (["--phi=64", "--rule=width"], "GiB for one image, and this computer has"),
        (["--phi=64", "--rule=resolution"], "GiB for one image, and this computer has"),
        (["--phi=2", "--alpha=1e300"], "a finite number above 0 and at most 1.8e+19, got inf"),
        (["--phi=-20"], "input size must be"),
        (["--phi=-35", "--rule=width"], "a width of 0"),
        (["--phi=1e9"], "from -64 to 64"),
        (["--phi=1", "--seeds=2"], "--seeds would be without effect"),
        (["--phi=1", "--train-deadline-s=9"], "--train-deadline-s would be without effect"),
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
        (["--search", "--step=1e-9"], "makes 1e+09^3 points, more than 20000"),
        (["--search", "--growth=1e9", "--most=1e10", "--step=5e8"], "take a smaller growth"),
        (["--search", "--step=1", "--tolerance=0.0001"], "the nearest is 2.02 times"),
        (["--search", "--train-deadline-s=0"], "the deadline of a training is a number above 0 s"),
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
