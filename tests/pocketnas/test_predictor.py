"""The command ``predictor``; latencies are of made-up devices, and so called."""

import csv
import json

import pytest

from latency.made_up import MadeUpDevice
from latency.predictor_file import load, path_of
from latency.signatures import parts_of
from latency.table_plan import random_networks
from search_space import catalog
from search_space.architecture import Classifier, Detector, VideoClassifier
from search_space.proxyless import ProxylessSpace
from search_space.space import create as create_space

HEAD = Classifier(classes=10)
SUBJECTS = random_networks(ProxylessSpace(size=64), HEAD, 60, seed=3)
SPACE = ("--space", "proxyless", "--space-option", "size=64", "--classes", "10")


def made_up_csv(folder, name, seed, subjects, factor=1.0):
    """Networks with latencies of a made-up device, and the files that it names."""
    device, path = MadeUpDevice(seed), folder / f"{name}.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("architecture", "latency_ms"))
        for number, subject in enumerate(subjects):
            place = folder / f"{name}-{number}.json"
            place.write_text(json.dumps(subject.architecture.to_json()))
            latency_ms = factor * device.latency_ms(parts_of(subject.architecture, subject.head))
            writer.writerow((place, latency_ms))
    return path


@pytest.fixture
def others(tmp_path):
    paths = [made_up_csv(tmp_path, f"other{seed}", seed, SUBJECTS[:30]) for seed in (1, 2, 3)]
    return [word for path in paths for word in ("--from", str(path))]


@pytest.fixture
def fitted(tmp_path, pocketnas, others):
    mine = made_up_csv(tmp_path, "mine", 9, SUBJECTS[:12])
    done = pocketnas("predictor", "fit", "lab", *SPACE, *others, "--measurements", str(mine))
    assert done.code == 0, done.err
    return done


def test_a_predictor_is_fitted_to_what_was_measured_and_says_from_what(fitted):
    assert "predictor:lab: fitted to 12 networks" in fitted.out
    assert "from 3 other devices" in fitted.out
    assert load("lab").space == "proxyless size=64"


def test_what_was_fitted_is_told_as_json_and_another_predictor_starts_from_it(
    fitted,  # noqa: ARG001 - there is predictor:lab
    tmp_path,
    pocketnas,
):
    mine = made_up_csv(tmp_path, "second", 11, SUBJECTS[:8])
    words = ("fit", "second", *SPACE, "--from", "predictor:lab", "--measurements", str(mine))
    done = pocketnas("predictor", *words, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert (found["predictor"], found["networks"]) == ("predictor:second", 8)
    assert found["other_devices"] == ["predictor:lab"]
    assert found["labels"] == ["from 1 other devices: predictor:lab"]
    assert found["parts"] >= 72
    assert found["conditions"] == {}


def test_without_another_device_it_is_said_that_intervals_are_wide(pocketnas, tmp_path):
    mine = made_up_csv(tmp_path, "mine", 9, SUBJECTS[:12])
    done = pocketnas("predictor", "fit", "lab", *SPACE, "--measurements", str(mine))
    assert done.code == 0, done.err
    assert "no other device was named" in done.err
    assert "label: from no other device: intervals are wide" in done.out


@pytest.mark.usefixtures("fitted")
def test_a_predictor_that_is_there_is_replaced_only_if_it_is_to_be(pocketnas, tmp_path):
    mine = made_up_csv(tmp_path, "again", 9, SUBJECTS[:7])
    words = ("predictor", "fit", "lab", *SPACE, "--measurements", str(mine))
    before = len(load("lab").networks)
    refused = pocketnas(*words)
    assert refused.code == 2
    assert "is there already" in refused.err
    assert len(load("lab").networks) == before
    assert pocketnas(*words, "--force").code == 0
    assert len(load("lab").networks) == 7


@pytest.mark.usefixtures("fitted")
def test_it_is_held_against_networks_that_it_has_not_seen(pocketnas, tmp_path):
    unseen = made_up_csv(tmp_path, "unseen", 9, SUBJECTS[30:])
    done = pocketnas("predictor", "validate", "lab", "--measurements", str(unseen), "--json")
    found = json.loads(done.out)
    assert (done.code, found["alarm"], found["networks"]) == (0, "", 30.0)
    assert found["median_error"] < 0.02
    assert len(load("lab").validations) == 1
    words = ("predictor", "validate", "predictor:lab", "--measurements", str(unseen))
    text = pocketnas(*words).out
    assert text.startswith("predictor:lab: 30 networks it was not fitted to: 100% within 10 %")
    assert "inside their 90 % intervals" in text
    assert len(load("lab").validations) == 2


@pytest.mark.usefixtures("fitted")
def test_networks_that_it_was_fitted_to_do_not_check_it(pocketnas, tmp_path):
    some = made_up_csv(tmp_path, "some", 9, SUBJECTS[:32])
    done = pocketnas("predictor", "validate", "lab", "--measurements", str(some), "--json")
    assert json.loads(done.out)["networks"] == 20.0
    none = made_up_csv(tmp_path, "none", 9, SUBJECTS[:12])
    refused = pocketnas("predictor", "validate", "lab", "--measurements", str(none))
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert (
        "at least 2 networks that predictor:lab was not fitted to, got 0 among 12" in refused.err
    )
    assert len(load("lab").validations) == 1


@pytest.mark.usefixtures("fitted")
@pytest.mark.parametrize("ending", ["png", "html"])
def test_what_was_predicted_and_measured_is_drawn(ending, pocketnas, tmp_path):
    pytest.importorskip("plotly")
    pytest.importorskip("matplotlib")
    unseen = made_up_csv(tmp_path, "unseen", 9, SUBJECTS[30:])
    words = ("--measurements", str(unseen), "--plot", f"plot.{ending}")
    assert pocketnas("predictor", "validate", "lab", *words).code == 0
    date = load("lab").validations[-1].date
    assert f"predictor:lab, {date}".encode() in (tmp_path / f"plot.{ending}").read_bytes()


@pytest.mark.usefixtures("fitted")
def test_a_device_that_has_become_slower_raises_the_alarm(pocketnas, tmp_path):
    slower = made_up_csv(tmp_path, "slower", 9, SUBJECTS[30:], factor=1.4)
    done = pocketnas("predictor", "validate", "lab", "--measurements", str(slower))
    assert done.code == 1
    assert "the device takes +" in done.err


@pytest.mark.usefixtures("fitted")
def test_the_next_network_is_suggested_with_what_it_should_take(pocketnas):
    words = ("predictor", "suggest", "lab", "--count", "2", "--out", "next", "--json")
    found = json.loads(pocketnas(*words).out)["networks"]
    assert [each["path"] for each in found] == ["next/01.json", "next/02.json"]
    assert all(each["low_ms"] < each["predicted_ms"] < each["high_ms"] for each in found)
    assert catalog.resolve("next/01.json").key == found[0]["key"]
    table = pocketnas(*words[:-1]).out.splitlines()
    assert table[0].split()[0] == "network"
    assert [line.split()[0] for line in table[1:]] == ["next/01.json", "next/02.json"]
    assert [float(line.split()[1]) for line in table[1:]] == pytest.approx(
        [each["predicted_ms"] for each in found], rel=1e-3
    )


@pytest.mark.usefixtures("fitted")
def test_a_network_that_it_was_fitted_to_is_not_suggested(pocketnas):
    words = ("predictor", "suggest", "predictor:lab", "--count", "30", "--seed", "3", "--json")
    found = {each["key"] for each in json.loads(pocketnas(*words).out)["networks"]}
    assert len(found) == 30
    assert not found & {each.architecture.key for each in SUBJECTS[:12]}
    assert found & {each.architecture.key for each in SUBJECTS[12:]}


def test_the_first_ones_are_suggested_before_anything_is_measured(pocketnas):
    words = ("predictor", "suggest", "--space", "proxyless", "--from", "table:pixel1", "--json")
    found = json.loads(pocketnas(*words).out)["networks"]
    assert len({each["key"] for each in found}) == 10
    assert all("predicted_ms" not in each and each["path"] is None for each in found)
    again = json.loads(pocketnas(*words, "--count", "3").out)["networks"]
    assert again == found[:3]
    other = json.loads(pocketnas(*words, "--seed", "1").out)["networks"]
    assert {each["key"] for each in other} != {each["key"] for each in found}


def test_the_first_ones_are_files_that_other_commands_take(pocketnas, tmp_path):
    words = ("--from", "table:pixel1", "--count", "2", "--out", "deep/next")
    done = pocketnas("predictor", "suggest", "--space", "proxyless", *words)
    assert done.code == 0, done.err
    assert [line.split() for line in done.out.splitlines()[1:]] == [
        ["deep/next/01.json", "-", "-", "-"],
        ["deep/next/02.json", "-", "-", "-"],
    ]
    assert sorted(path.name for path in (tmp_path / "deep" / "next").iterdir()) == [
        "01.json",
        "02.json",
    ]
    timed = json.loads(
        pocketnas("measure", "deep/next/01.json", "--on", "table:pixel1", "--json").out
    )
    assert timed["origin"] == "table"
    pytest.importorskip("torch")
    facts = json.loads(pocketnas("arch", "deep/next/01.json", "--json").out)
    assert facts["input_shape"] == [1, 3, 224, 224]


def test_a_folder_that_cannot_be_made_could_not_be_done(pocketnas, tmp_path):
    (tmp_path / "taken").write_text("a file")
    words = ("--space", "proxyless", "--count", "1", "--out", "taken")
    done = pocketnas("predictor", "suggest", *words)
    assert done.code == 1
    assert "'taken' cannot be written: File exists" in done.err


SMALL = ("--space", "proxyless", "--space-option", "size=32", "--classes", "10")
ON = ("--on", "made_up:DEVICE")


@pytest.mark.usefixtures("made_up_device")
def test_networks_that_the_design_chooses_are_measured_on_a_made_up_device(pocketnas):
    done = pocketnas("predictor", "fit", "lab", *SMALL, *ON, "--samples", "6")
    assert done.code == 0, done.err
    assert "6 of 6: " in done.err
    record = load("lab")
    assert len(record.predictor.measurements) == len(record.networks) == 6
    assert record.conditions["device_stand_in"].startswith("no device")
    before = path_of("lab").read_bytes()
    other = pocketnas("predictor", "validate", "lab", *ON, "--networks", "5", "--threads", "4")
    assert (other.code, other.out) == (2, "")
    assert "conditions than the device at hand (threads: 1 and 4)" in other.err
    assert path_of("lab").read_bytes() == before
    done = pocketnas("predictor", "validate", "lab", *ON, "--networks", "5", "--json")
    last = load("lab").validations[-1]
    assert json.loads(done.out)["networks"] == len(last.networks) == 5
    assert not set(last.networks) & set(record.networks)


@pytest.mark.usefixtures("made_up_device")
def test_a_hybrid_of_a_predictor_measures_where_that_decides(pocketnas):
    assert pocketnas("predictor", "fit", "lab", *SMALL, *ON, "--samples", "6").code == 0
    words = ("--latency", "hybrid:predictor:lab,made_up:DEVICE", "--dataset", "analytic-standin")
    more = ("--target-ms", "20", "--trials", "6", "--window", "1", "--run", "run", "--json")
    done = pocketnas("search", *SMALL, *words, *more)
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert {trial["latency"]["origin"] for trial in found["trials"]} <= {
        "measured",
        "stored",
        "predicted",
    }
    assert all(member["measured_ms"] is not None for member in found["front"])
    assert found["predictions"]["networks"] >= 2
    assert any("no device" in text for text in found["stand_ins"])


@pytest.mark.usefixtures("fitted")
def test_a_search_can_be_by_a_predictor(pocketnas):
    words = ("--latency", "predictor:lab", "--space", "proxyless", "--space-option", "size=64")
    more = ("--dataset", "analytic-standin", "--classes", "10", "--trials", "12")
    done = pocketnas("search", *words, *more, "--target-ms", "1", "--run", "run", "--json")
    found = json.loads(done.out)
    assert {each["latency"]["origin"] for each in found["trials"]} == {"predicted"}
    assert {each["latency"]["source"] for each in found["trials"]} == {"predictor:lab"}
    assert found["predictions"] is None
    text = pocketnas("show", "run").out
    assert "12 of 12 trials, finished" in text
    assert "analytic-standin against predictor:lab" in text
    assert "stand-in: accuracy from an analytic formula" in text


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("architecture,latency\na,1\n", "lacks the column latency_ms"),
        ("architecture,latency_ms,color\na,1,red\n", "the column 'color' is unknown"),
        ("architecture,latency_ms,latency_ms\na,1,2\n", "'latency_ms' comes twice"),
        (
            "architecture,latency_ms\nmnasnet-a1,nan\n",
            "line 2: latency_ms must be a finite number",
        ),
        (
            "architecture,latency_ms\nmnasnet-a1,inf\n",
            "line 2: latency_ms must be a finite number",
        ),
        ("architecture,latency_ms\nmnasnet-a1,soon\n", "finite number, got 'soon'"),
        ("architecture,latency_ms\nmnasnet-a1,1,5\n", "line 2: not as many cells as line 1"),
        ("architecture,latency_ms\nmnasnet-a1\n", "line 2: not as many cells as line 1"),
        (
            "architecture,latency_ms,variance_ms2\nmnasnet-a1,3,-1\n",
            "line 2: a variance must be 0 or more",
        ),
        ('architecture,latency_ms\n"mnasnet-a1,3\n', "is no CSV"),
        ("architecture,latency_ms\n", "at least 5 measured networks of its device, got 0"),
        ("architecture,latency_ms\nmnasnet-a1,-3\n", "line 2: a latency must be above 0"),
        ("architecture,latency_ms\nnonet,3\n", "line 2: unknown network 'nonet'"),
        ("architecture,latency_ms\nmnasnet-a1,3\n", "at least 5 measured networks"),
        ("", "lacks the column architecture"),
    ],
)
def test_measurements_that_cannot_be_used_are_refused_with_the_line(
    content, told, pocketnas, tmp_path
):
    (tmp_path / "m.csv").write_text(content)
    done = pocketnas("predictor", "fit", "lab", *SPACE, "--measurements", "m.csv")
    assert done.code == 2
    assert told in done.err
    assert not (tmp_path / "home" / "predictors").exists()


SMALL_FIT = ("fit", "a", *SMALL)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("fit", "a/b", "--space", "proxyless"), "a predictor's name is letters"),
        (("fit", "../a", "--space", "proxyless"), "a predictor's name is letters"),
        (("fit", "predictor:a", "--space", "proxyless"), "a predictor's name is letters"),
        (("fit", "a" * 101, "--space", "proxyless"), "at most 100"),
        (("fit", "", "--space", "proxyless"), "a predictor's name is letters"),
        (("fit", "a", "--space", "nospace"), "unknown space 'nospace'"),
        (("fit", "a", "--space", "proxyless", "--from", "table:nowhere"), "no table 'nowhere'"),
        (("fit", "a", "--space", "proxyless", "--from", "predictor:b"), "no predictor 'b'"),
        (("fit", "a", "--space", "proxyless", "--from", "nowhere.csv"), "'nowhere.csv' cannot be"),
        (
            (*SMALL_FIT, "--from", "table:pixel1"),
            "'table:pixel1' has none of the parts",
        ),
        (("fit", "a", "--space", "proxyless", "--precision", "int4"), "there are fp32, fp16"),
        (("fit", "a", "--space", "proxyless", "--from", "phone"), "another device is table:NAME"),
        (
            ("fit", "a", "--space", "proxyless", "--on", "host", "--measurements", "m.csv"),
            "one of",
        ),
        (("fit", "a", "--space", "proxyless", "--on", "table:pixel1"), "only a device measures"),
        (("suggest",), "a predictor, or --space"),
        (("suggest", "a", "--space", "proxyless"), "a predictor, or --space"),
        (("suggest", "a"), "no predictor 'a'"),
        (("suggest", "--space", "proxyless", "--from", "phone"), "another device is table:NAME"),
        (
            ("fit", "a", "--space", "proxyless", "--measurements", "m.csv", "--samples", "10"),
            "--samples would be without effect, since --measurements has what was measured",
        ),
        (("validate", "a", "--measurements", "m.csv", "--threads", "1"), "--threads would be"),
        (("suggest", "a", "--classes", "10", "--from", "b"), "--classes, --from would be without"),
        (("validate", "a"), "no predictor 'a'"),
        (("validate", "a", "--on", "host", "--measurements", "m.csv"), "give one of them"),
        (("validate", "a", "--plot", "a.pdf"), "a plot is a .png or .html file"),
    ],
)
def test_wrong_use_is_refused_in_one_sentence(words, told, pocketnas, tmp_path):
    done = pocketnas("predictor", *words)
    assert (done.code, done.out) == (2, "")
    assert told in done.err.splitlines()[-1]
    assert "Traceback" not in done.err
    assert not (tmp_path / "home" / "predictors").exists()


DETECTORS = ("--space", "spinenet_mbconv", "--space-option", "size=128")
OF_DETECTORS = (*DETECTORS, "--space-option", "filter_scale=0.25", "--classes", "3")


def test_detectors_are_predicted_from_what_another_device_takes_for_detectors(pocketnas, tmp_path):
    pytest.importorskip("torch")
    space = create_space("spinenet_mbconv", {"size": "128", "filter_scale": "0.25"})
    subjects = random_networks(space, Detector(classes=3), 30, seed=3)
    other = made_up_csv(tmp_path, "other", 1, subjects)
    mine = made_up_csv(tmp_path, "mine", 9, subjects[:12])
    unseen = made_up_csv(tmp_path, "unseen", 9, subjects[12:])
    words = ("fit", "lab", *OF_DETECTORS, "--head", "detector", "--from", str(other))
    done = pocketnas("predictor", *words, "--measurements", str(mine))
    assert done.code == 0, done.err
    assert load("lab").head_of() == Detector(classes=3)
    done = pocketnas("predictor", "validate", "lab", "--measurements", str(unseen), "--json")
    found = json.loads(done.out)
    assert (done.code, found["networks"]) == (0, 18.0)
    assert found["median_error"] < 0.05
    done = pocketnas("predictor", "suggest", "lab", "--json")
    assert json.loads(done.out)["networks"][0]["predicted_ms"] > 0
    network = tmp_path / "network.json"
    network.write_text(json.dumps(subjects[20].architecture.to_json()))
    asked = ("measure", str(network), "--on", "predictor:lab", "--classes", "3", "--json")
    assert pocketnas(*asked, "--head", "detector").code == 0


def test_networks_of_clips_are_predicted_without_a_word_about_their_head(pocketnas, tmp_path):
    pytest.importorskip("torch")
    options = {"size": "32", "frames": "4", "width": "0.25"}
    space = create_space("assemblenet_mobile", options)
    subjects = random_networks(space, VideoClassifier(classes=3), 30, seed=3)
    other = made_up_csv(tmp_path, "other", 1, subjects)
    mine = made_up_csv(tmp_path, "mine", 9, subjects[:12])
    unseen = made_up_csv(tmp_path, "unseen", 9, subjects[12:])
    asked = [f"--space-option={name}={value}" for name, value in options.items()]
    words = ("fit", "lab", "--space", "assemblenet_mobile", *asked, "--classes", "3")
    done = pocketnas("predictor", *words, "--from", str(other), "--measurements", str(mine))
    assert done.code == 0, done.err
    assert load("lab").head_of() == VideoClassifier(classes=3)
    done = pocketnas("predictor", "validate", "lab", "--measurements", str(unseen), "--json")
    found = json.loads(done.out)
    assert (done.code, found["networks"]) == (0, 18.0)
    assert found["median_error"] < 0.05


def test_without_classes_a_predictor_of_detectors_is_of_those_that_published_ones_have(pocketnas):
    words = ("predictor", "suggest", *DETECTORS, "--head", "detector", "--count", "1", "--json")
    assert len(json.loads(pocketnas(*words).out)["networks"]) == 1


def test_a_predictor_is_of_no_other_head(pocketnas):
    refused = pocketnas("predictor", "suggest", "--space", "proxyless", "--head", "nose")
    assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
    assert "unknown head 'nose'" in refused.err
    for space in ("proxyless", "spinenet_mbconv"):
        words = ("predictor", "suggest", "--space", space, "--head", "videoclassifier")
        refused = pocketnas(*words)
        assert (refused.code, refused.out, refused.err.count("\n")) == (2, "", 1)
