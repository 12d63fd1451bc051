import json
import random

import pytest

from exporters.artifact import Precision
from latency.presets import preset
from search_space.space import create


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--clock-tier", "T9"), "there are T1, T2, T3"),
        (("--clock-tier", "T1"), "clock is not held"),
        (("--sessions", "1"), "at least 3 sessions"),
        (("--mode", "web"), "there are tool and app"),
        (("--mode", "app"), "only a phone has an app"),
        (("--sustained", "long"), "such as 20m"),
        (("--sustained", "0m"), "such as 20m"),
        (("--sustained", "1s", "--on", "adb:any"), "one device's"),
    ],
)
def test_a_measurement_that_cannot_be_is_refused_in_one_sentence(
    pocketnas, tiny_model, words, told
):
    done = pocketnas("measure", str(tiny_model), *words)
    assert done.code in (1, 2)
    assert told in done.err


def test_as_many_sessions_as_were_asked_for(pocketnas, tiny_model):
    words = ("--preset", "quick", "--sessions", "3", "--json")
    found = json.loads(pocketnas("measure", str(tiny_model), *words).out)
    assert (found["preset"], len(found["sessions"])) == ("quick/3", 3)


def test_a_sustained_curve_has_points_and_conditions(pocketnas, tiny_model):
    found = json.loads(pocketnas("measure", str(tiny_model), "--sustained", "1s", "--json").out)
    assert len(found["points"]) == 1
    assert found["first_minute_ms"] == found["points"][0]["value_ms"] > 0
    assert found["conditions"]["device_model"]
    assert "sustained: no gate, no pause" in found["labels"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--sessions", "-1"), "at least 3 sessions, got -1"),
        (("--preset", "slow"), "unknown preset 'slow'; there are quick, search, final"),
        (("--delegate", "npu"), "there are cpu, gpu"),
        (("--apk", "x.apk"), "'x.apk' is for --mode app"),
        (("--sustained", "1s", "--preset", "quick"), "sessions of its own"),
        (("--sustained", "1s", "--sessions", "5"), "sessions of its own"),
        (("--sustained", "1s", "--mode", "app"), "sessions of its own"),
        (("--on", "table:pixel1", "--threads", "2"), "leave out --threads"),
        (("--on", "table:pixel1", "--sessions", "5"), "leave out --threads"),
        (("--on", "table:pixel1", "--clock-tier", "T2"), "leave out --threads"),
        (("--precision", "int4"), "there are fp32, fp16 and int8"),
        (("--precision", "int8"), "--precision are for a network"),
        (("--head", "detector"), "--head and --precision are for a network"),
        (("--profile", "--preset", "quick"), "sessions of its own"),
        (("--profile", "--sustained", "1m"), "sessions of its own"),
        (("--profile", "--on", "adb:any"), "one device's"),
        (("--profile",), "is a model file"),
    ],
)
def test_wrong_use_is_told_in_one_sentence_before_anything_is_opened(
    pocketnas, tiny_model, words, told
):
    done = pocketnas("measure", str(tiny_model), *words)
    assert done.code == 2
    assert told in done.err
    assert done.err.count("\n") == 1
    assert done.out == ""


def test_a_fixed_number_of_sessions_is_not_answered_by_another_number(pocketnas, tiny_model):
    words = ("measure", str(tiny_model), "--preset", "quick", "--json", "--sessions")
    assert json.loads(pocketnas(*words, "3").out)["origin"] == "measured"
    again = json.loads(pocketnas(*words, "3").out)
    assert (again["origin"], len(again["sessions"])) == ("stored", 3)
    more = json.loads(pocketnas(*words, "4").out)
    assert (more["origin"], len(more["sessions"])) == ("measured", 4)
    assert preset("quick/4").sessions_min == preset("quick/4").sessions_max == 4


def test_threads_are_conditions_of_the_answer(pocketnas, tiny_model):
    words = ("--preset", "quick", "--sessions", "3", "--threads", "2", "--json")
    found = json.loads(pocketnas("measure", str(tiny_model), *words).out)
    assert found["conditions"]["threads"] == 2
    assert found["conditions"]["clock_tier"] == "T3"
    assert found["conditions"]["precision"] == Precision.FP32


def test_a_curve_is_told_point_by_point_and_summed_up(pocketnas, tiny_model):
    done = pocketnas("measure", str(tiny_model), "--sustained", "1s")
    assert done.code == 0
    assert "first minute" in done.out
    assert "label: sustained: no gate, no pause" in done.out
    assert " s  " in done.out.splitlines()[0]


NETWORK = ("mobilenet-v2", "--size", "32", "--classes", "10")


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_network_is_timed_in_another_precision_and_says_so(pocketnas, precision):
    pytest.importorskip("torch")
    words = (*NETWORK, "--preset", "quick", "--sessions", "3", "--precision", precision)
    found = json.loads(pocketnas("measure", *words, "--json").out)
    assert found["conditions"]["precision"] == precision
    stated = [label for label in found["labels"] if "stand-in int8 scales" in label]
    assert len(stated) == (precision == "int8")


def test_a_table_answers_for_no_other_precision(pocketnas):
    done = pocketnas("measure", *NETWORK[:1], "--on", "table:pixel1", "--precision", "int8")
    assert done.code == 2
    assert "--precision" in done.err


def test_a_profile_shows_every_block_with_its_share(pocketnas):
    pytest.importorskip("torch")
    found = json.loads(pocketnas("measure", *NETWORK, "--profile", "--json").out)
    assert found["method"] == "differences"
    assert len(found["blocks"]) > 15
    assert sum(block["share"] for block in found["blocks"]) == pytest.approx(1.0)
    assert found["device"] == "host"


@pytest.fixture
def detectors(tmp_path):
    """SpineNet-49 mobile by name, and a random member of a scale-permuted space in a file."""
    pytest.importorskip("torch", reason="networks become files only where torch is installed")
    space = create("spinenet", {"filter_scale": "0.125", "head_filters": "16", "size": "128"})
    member = space.decode(space.points.sample(random.Random(5)))
    path = tmp_path / "member.json"
    path.write_text(json.dumps(member.to_json()))
    return "spinenet-mobile-49", str(path)


@pytest.mark.slow
def test_detectors_are_timed_on_this_computer(timed, detectors):
    mobile, member = (timed(network, "host", "--head=detector") for network in detectors)
    assert mobile["median_ms"] != member["median_ms"]
    classified = timed(detectors[1], "host")
    assert classified["artifact_sha256"] != member["artifact_sha256"]


@pytest.mark.loopback
@pytest.mark.slow
def test_detectors_are_timed_on_a_loopback_phone(timed, detectors, loopback_phones):
    (phone,) = loopback_phones(1)
    for network in detectors:
        found = timed(network, f"adb:{phone.serial}", "--head=detector")
        assert "not a phone" in found["conditions"]["device_stand_in"]
