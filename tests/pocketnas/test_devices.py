import json
import os
import signal
import subprocess
import sys
import time

import pytest

from devices.held_changes import Change, Journal
from devices.leases import lease
from devices.pool import Found
from devices.quarantine import report_failure
from pocketnas.acceptances import last_acceptance, note
from pocketnas.doctor import Finding, Health, asked


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
    assert parts[f"{phone} ready to be timed"]["health"] == "ok"
    assert parts[f"{phone} exit codes"]["health"] == "ok"
    assert "stand-in" in parts[f"{phone} benchmark_model"]["detail"]
    assert parts[f"{phone} clock tier T1"]["health"] == "missing"
    assert parts[f"{phone} clock tier T1"]["remedy"]
    assert "accept" in parts[f"{phone} acceptance test"]["remedy"]


def test_the_list_says_who_uses_a_device(pocketnas):
    with lease("host"):
        (host,) = json.loads(pocketnas("devices", "--json").out)["devices"][:1]
        assert host["in_use_by"] == f"process {os.getpid()}"
        assert f"in use by process {os.getpid()}" in pocketnas("devices").out
    (host,) = json.loads(pocketnas("devices", "list", "--json").out)["devices"][:1]
    assert host["in_use_by"] == ""


def test_watch_tells_an_event_a_line_and_ends_with_ctrl_c():
    command = [sys.executable, "-m", "pocketnas", "devices", "watch", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        event = json.loads(process.stdout.readline())
        assert (event["event"], event["device"], event["kind"]) == ("appeared", "host", "computer")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "words", [("watch", "--poll-s", "inf"), ("accept", "host", "--minutes", "inf")]
)
def test_a_time_without_an_end_is_refused(pocketnas, words):
    done = pocketnas("devices", *words)
    assert done.code == 2
    assert "got inf" in done.err


def found(name):
    return Found(id=name, kind="phone", description="a phone")


def test_a_phone_that_does_not_answer_is_told_and_keeps_nobody_waiting():
    def ask(phone):
        if phone.id == "adb:silent":
            time.sleep(5)
        return (Finding(part=phone.id, health=Health.OK, detail="answers"),)

    started_s = time.monotonic()
    phones = [found("adb:silent"), found("adb:good")]
    (silent,), (good,) = asked(phones, ask, within_s=0.3)
    assert time.monotonic() - started_s < 2
    assert (silent.part, silent.health) == ("adb:silent", Health.BROKEN)
    assert "did not answer within 0.3 s" in silent.remedy
    assert good.health is Health.OK


def test_phones_are_asked_at_once():
    def ask(phone):
        time.sleep(0.3)
        return (Finding(part=phone.id, health=Health.OK, detail=""),)

    started_s = time.monotonic()
    told = asked([found(f"adb:{n}") for n in range(10)], ask, within_s=10)
    assert time.monotonic() - started_s < 2
    assert [findings[0].part for findings in told] == [f"adb:{n}" for n in range(10)]


@pytest.mark.loopback
def test_doctor_leaves_a_phone_alone_that_is_in_use(pocketnas, phone):
    with lease(phone):
        findings = json.loads(pocketnas("doctor", "--json").out)["findings"]
    parts = {each["part"]: each for each in findings}
    assert f"in use by process {os.getpid()}" in parts[phone]["remedy"]
    assert f"{phone} benchmark_model" not in parts
