import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "lease_fight.py"


def test_no_phone_is_given_to_two_though_holders_are_killed_and_stopped():
    command = [sys.executable, str(SCRIPT), "--processes", "3", "--threads", "4", "--phones", "2"]
    command += ["--seconds", "8", "--heartbeat-s", "1.0", "--seed", "1"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    printed = json.loads(done.stdout.splitlines()[-1])
    assert printed["grants"] > 100
    assert printed["double_grants"] == printed["starved"] == 0
    assert printed["kills"] + printed["stops"] >= 2
    assert max(printed["slowest_release_s"], printed["slowest_takeover_s"]) <= 2 * 1.0


def lines(*notes):
    return [f"{note} 0\n" for note in notes]


def test_a_holder_that_goes_on_after_a_later_grant_is_counted(script):
    account = script.Account()
    account.read(1, lines("granted 0 7 100", "held 0 7 300", "ended 0 7 310"))
    account.read(2, lines("granted 0 8 200", "held 0 8 250"))
    assert account.overlaps() == 1


def test_a_holder_that_only_finds_out_late_is_not_counted(script):
    account = script.Account()
    account.read(1, lines("granted 0 7 100", "held 0 7 150", "lost 0 0 900"))
    account.read(2, lines("granted 0 8 200", "held 0 8 250", "ended 0 8 251"))
    account.read(3, lines("granted 0 9 260")[:1])
    assert (account.overlaps(), account.lost) == (0, 1)
    assert account.releases_s(1, 160) == [40e-9]


def test_a_token_that_comes_again_is_counted(script):
    account = script.Account()
    account.read(1, lines("granted 0 7 100", "ended 0 7 110"))
    account.read(2, lines("granted 0 7 200", "ended 0 7 210"))
    assert account.overlaps() == 1


def test_a_marker_of_an_unharmed_process_is_a_double_grant(script, tmp_path):
    (tmp_path / "harm").write_text("55 1000\n")
    fighter = script.Fighter(tmp_path, 1, 2.0, 0)
    for pid, since_ns in ((55, 900), (55, 1100), (66, 900)):
        (tmp_path / "phone-0").write_text(f"{pid} 1 {since_ns}")
        fighter._mark(tmp_path / "phone-0", "me", 0, 2, 950)
    (log,) = tmp_path.glob("*.log")
    assert [line.split()[0] for line in log.read_text().splitlines()] == ["doubled"] * 2


def test_who_was_stopped_between_its_grant_and_its_marker_doubles_nothing(script, tmp_path):
    """Its ``require`` has to find out, and overlapping intervals tell if it did not."""
    (tmp_path / "harm").write_text(f"{os.getpid()} 1000\n")
    (tmp_path / "phone-0").write_text("66 1 900")
    script.Fighter(tmp_path, 1, 2.0, 0)._mark(tmp_path / "phone-0", "me", 0, 2, 950)
    (log,) = tmp_path.glob("*.log")
    assert log.read_text() == ""
