"""The command ``predictor``; latencies are of made-up devices, and so called."""

import csv
import json

import pytest

from latency.made_up import MadeUpDevice
from latency.predictor_file import load
from latency.signatures import parts_of
from latency.table_plan import random_networks
from search_space import catalog
from search_space.architecture import Classifier
from search_space.proxyless import ProxylessSpace

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
            latency_ms = factor * device.latency_ms(parts_of(subject.architecture, HEAD))
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


@pytest.mark.usefixtures("fitted")
def test_it_is_held_against_networks_that_it_has_not_seen(pocketnas, tmp_path):
    unseen = made_up_csv(tmp_path, "unseen", 9, SUBJECTS[30:])
    done = pocketnas("predictor", "validate", "lab", "--measurements", str(unseen), "--json")
    found = json.loads(done.out)
    assert (done.code, found["alarm"], found["networks"]) == (0, "", 30.0)
    assert found["median_error"] < 0.02
    assert len(load("lab").validations) == 1


@pytest.mark.usefixtures("fitted")
def test_what_was_predicted_and_measured_is_drawn(pocketnas, tmp_path):
    pytest.importorskip("plotly")
    unseen = made_up_csv(tmp_path, "unseen", 9, SUBJECTS[30:])
    words = ("--measurements", str(unseen), "--plot", "plot.html")
    assert pocketnas("predictor", "validate", "lab", *words).code == 0
    assert "predictor:lab" in (tmp_path / "plot.html").read_text()


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


def test_the_first_ones_are_suggested_before_anything_is_measured(pocketnas):
    words = ("predictor", "suggest", "--space", "proxyless", "--from", "table:pixel1", "--json")
    found = json.loads(pocketnas(*words).out)["networks"]
    assert len({each["key"] for each in found}) == 10


@pytest.mark.usefixtures("fitted")
def test_a_search_can_be_by_a_predictor(pocketnas):
    words = ("--latency", "predictor:lab", "--space", "proxyless", "--space-option", "size=64")
    more = ("--dataset", "analytic-standin", "--classes", "10", "--trials", "12")
    done = pocketnas("search", *words, *more, "--target-ms", "1", "--run", "run", "--json")
    found = json.loads(done.out)
    assert {each["latency"]["origin"] for each in found["trials"]} == {"predicted"}
    assert found["predictions"] is None


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("architecture,latency\na,1\n", "lacks the column latency_ms"),
        ("architecture,latency_ms,color\na,1,red\n", "the column 'color' is unknown"),
        (
            "architecture,latency_ms\nmnasnet-a1,nan\n",
            "line 2: latency_ms must be a finite number",
        ),
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


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("fit", "a/b", "--space", "proxyless"), "needs a name such as lab-phone"),
        (("fit", "a", "--space", "nospace"), "unknown space 'nospace'"),
        (("fit", "a", "--space", "proxyless", "--from", "phone"), "another device is table:NAME"),
        (
            ("fit", "a", "--space", "proxyless", "--on", "host", "--measurements", "m.csv"),
            "one of",
        ),
        (("fit", "a", "--space", "proxyless", "--on", "table:pixel1"), "only a device measures"),
        (("suggest",), "a predictor, or --space"),
        (("suggest", "a", "--space", "proxyless"), "a predictor, or --space"),
        (("suggest", "a"), "no predictor 'a'"),
        (("validate", "a"), "no predictor 'a'"),
        (("validate", "a", "--plot", "a.pdf"), "a plot is a .png or .html file"),
    ],
)
def test_wrong_use_is_refused_in_one_sentence(words, told, pocketnas):
    done = pocketnas("predictor", *words)
    assert done.code == 2
    assert told in done.err
