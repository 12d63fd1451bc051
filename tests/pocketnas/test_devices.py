import json

import pytest

from devices.held_changes import Change, Journal
from devices.quarantine import report_failure
from pocketnas.acceptances import last_acceptance, note


@pytest.fixture
def phone(loopback_phones):
    """The id of a loopback phone that is up."""
    (made,) = loopback_phones(1)
    return f"adb:{made.serial}"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("accept", "any"), "this is for one phone"),
        (("clean", "host"), "this is for one phone"),
        (("release", "adb:"), "this is for one phone"),
        (("provision", "adb:NOWHERE", "--runner", "x"), "NOWHERE"),
        (("clean", "NOWHERE"), "NOWHERE"),
    ],
)
def test_a_phone_that_is_none_is_refused_in_one_sentence(pocketnas, words, told):
    done = pocketnas("devices", *words)
    assert done.code == 2
    assert told in done.err
    assert done.err.count("\n") == 1


def test_a_quarantined_phone_is_let_out_by_hand(pocketnas):
    report_failure("adb:X", "too hot", at_once=True)
    found = json.loads(pocketnas("devices", "release", "X", "--json").out)
    assert found == {"device": "adb:X", "was_in_quarantine": True}
    assert "was not in quarantine" in pocketnas("devices", "release", "adb:X").out


def test_the_list_shows_how_the_acceptance_test_ended(pocketnas):
    assert json.loads(pocketnas("devices", "list", "--json").out)["devices"][0]["accepted"] is None
    note("host", "unit", passed=False)
    assert last_acceptance("host").unit == "unit"
    assert json.loads(pocketnas("devices", "--json").out)["devices"][0]["accepted"] is False
    assert "failed 20" in pocketnas("devices").out


@pytest.mark.loopback
def test_clean_removes_models_and_puts_back_what_a_dead_process_left(pocketnas, phone, tiny_model):
    pocketnas("measure", str(tiny_model), "--on", phone, "--preset", "quick")
    Journal(phone).write((Change(name="a file", undo=("touch", "/data/local/tmp/was-put-back")),))
    found = json.loads(pocketnas("devices", "clean", phone, "--json").out)
    assert found["files"] >= 1
    assert (found["put_back"], found["failed"]) == (["a file"], [])
    again = json.loads(pocketnas("devices", "clean", phone, "--json").out)
    assert again["put_back"] == []


@pytest.mark.loopback
def test_provision_puts_a_program_on_the_phone_once(pocketnas, phone, tmp_path):
    program = tmp_path / "no-program"
    program.write_text("text")
    done = pocketnas("devices", "provision", phone, "--runner", str(program))
    assert done.code == 2
    assert "no-program" in done.err
    done = pocketnas("devices", "provision", phone, "--release", "latest")
    assert done.code == 2
    assert "latest" in done.err


@pytest.mark.loopback
@pytest.mark.slow
def test_accept_tests_a_phone_and_its_result_stands_beside_its_numbers(
    pocketnas, phone, tiny_model
):
    done = pocketnas("devices", "accept", phone, "--minutes", "0.2", "--json")
    report = json.loads(done.out)
    assert report["aa_pairs"] >= 2
    assert len(report["ladder_ms"]) == 5
    assert report["pairs"] >= 2
    assert report["stand_ins"]
    assert report["passed"] is (done.code == 0)
    outcome = "passed" if report["passed"] else "failed"
    shown = pocketnas("measure", str(tiny_model), "--on", phone, "--preset", "quick").out
    assert f"acceptance test of 20{report_year(shown)}" in shown
    assert outcome in shown


def report_year(text):
    return text.partition("acceptance test of 20")[2][:2]


@pytest.mark.loopback
def test_doctor_says_for_each_phone_what_it_supports(pocketnas, phone):
    findings = json.loads(pocketnas("doctor", "--json").out)["findings"]
    parts = {each["part"]: each for each in findings}
    assert parts[phone]["health"] == "ok"
    assert "stand-in" in parts[f"{phone} benchmark_model"]["detail"]
    assert parts[f"{phone} clock tier T1"]["health"] == "missing"
    assert parts[f"{phone} clock tier T1"]["remedy"]
    assert "accept" in parts[f"{phone} acceptance test"]["remedy"]


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
