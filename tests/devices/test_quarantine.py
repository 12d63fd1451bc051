import multiprocessing
from datetime import timedelta

import pytest

from devices import quarantine
from devices.quarantine import quarantined, release, report_failure, report_success
from workspace.errors import OperationError

PHONE = "adb:192.168.1.7:5555"


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path))


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now_s = 1_800_000_000.0

    monkeypatch.setattr(quarantine, "_now_s", lambda: Clock.now_s)
    return Clock


def fail(count=1, reason="USB dropped"):
    for _ in range(count):
        report_failure(PHONE, reason)


@pytest.mark.usefixtures("clock")
def test_two_failures_are_borne():
    fail(2)
    assert quarantined(PHONE) is None


@pytest.mark.usefixtures("clock")
def test_the_third_failure_in_a_row_leads_to_quarantine_with_its_reason():
    fail(2)
    found = report_failure(PHONE, "adb timed out")
    assert found == quarantined(PHONE)
    assert found.until - found.since == timedelta(minutes=1)
    assert "after 3 failures (adb timed out)" in str(found)
    assert quarantined("adb:another") is None


@pytest.mark.usefixtures("clock")
def test_a_success_between_makes_them_no_row():
    fail(2)
    report_success(PHONE)
    fail(2)
    assert quarantined(PHONE) is None


@pytest.mark.usefixtures("clock")
def test_a_state_that_does_not_pass_leads_there_at_once():
    assert report_failure(PHONE, "hot for 20 minutes", at_once=True) is not None


def test_it_ends_by_itself_and_each_time_lasts_twice_as_long_up_to_an_hour(clock):
    fail(2)
    minutes = []
    for _ in range(8):
        found = report_failure(PHONE, "again")
        minutes.append((found.until - found.since) / timedelta(minutes=1))
        clock.now_s = found.until.timestamp() - 1
        assert quarantined(PHONE) is not None
        clock.now_s += 1
        assert quarantined(PHONE) is None
    assert minutes == [1, 2, 4, 8, 16, 32, 60, 60]


def test_failures_of_jobs_that_were_under_way_do_not_lengthen_it(clock):
    fail(3)
    first = quarantined(PHONE)
    clock.now_s += 10
    fail(5)
    assert quarantined(PHONE) == first


def test_a_success_of_a_probe_ends_it_and_its_length_starts_anew(clock):
    fail(3)
    clock.now_s += 61
    fail(1)
    report_success(PHONE)
    assert quarantined(PHONE) is None
    fail(3)
    found = quarantined(PHONE)
    assert found.until - found.since == timedelta(minutes=1)


@pytest.mark.usefixtures("clock")
def test_it_ends_by_hand():
    fail(3)
    assert release(PHONE)
    assert not release(PHONE)
    assert quarantined(PHONE) is None


def test_a_wall_clock_that_was_set_back_does_not_lengthen_it(clock):
    fail(3)
    clock.now_s -= 86400
    assert quarantined(PHONE) is None


@pytest.mark.usefixtures("clock")
def test_a_line_that_was_cut_off_is_left_out(tmp_path):
    fail(3)
    (file,) = (tmp_path / "quarantine").iterdir()
    file.write_text(file.read_text() + '{"at_s": 18000')
    assert quarantined(PHONE) is not None


@pytest.mark.usefixtures("clock")
def test_its_file_stays_small(tmp_path):
    fail(400, reason="x" * 1000)
    (file,) = (tmp_path / "quarantine").iterdir()
    assert file.stat().st_size < 2 * quarantine._LONG_FILE
    assert quarantined(PHONE) is not None


def report_many(count):
    for _ in range(count):
        report_failure(PHONE, "from another process")


def test_no_failure_of_another_process_is_lost(tmp_path):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.map(report_many, [25, 25])
    (file,) = (tmp_path / "quarantine").iterdir()
    assert len(file.read_text().splitlines()) == 50
    assert quarantined(PHONE).failures == quarantine.FAILURES


def test_a_home_that_cannot_be_written_is_told_in_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(OperationError, match=r"jsonl' cannot be written \(Not a directory\): "):
        report_failure(PHONE, "USB dropped")
    report_success(PHONE)  # there is nothing to forget
    assert quarantined(PHONE) is None
    assert not release(PHONE)
