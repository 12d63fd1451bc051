import pytest

from devices.device import DeviceTransientError
from devices.held_changes import Change, Journal
from devices.testing import FakeWire
from devices.transport import ShellResult, Transport
from workspace.errors import OperationError

SCREEN = Change(name="screen", undo=("input", "keyevent", "223"))
SCALE = Change(name="animations", undo=("settings", "put", "global", "scale", "1"))
DOZE = Change(name="doze", undo=("dumpsys", "deviceidle", "unforce"))


@pytest.fixture
def journal(tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path))
    return Journal("adb:X")


def phone(*refused):
    """A fake phone that refuses the commands that begin so."""
    answers = {True: 1, False: 0}
    return FakeWire(
        lambda command: ShellResult(
            exit_code=answers[command.startswith(refused)], stdout="", stderr=""
        )
    )


def gone():
    device, msg = "adb:X", "it does not come back"
    raise DeviceTransientError(device, msg)


def test_what_was_changed_is_put_back_the_last_change_first(journal):
    journal.write((SCREEN, SCALE))
    wire = phone()
    assert journal.put_back(Transport("adb:X", wire)) == ()
    assert wire.scripts == ["settings put global scale 1", "input keyevent 223"]
    assert journal.read() == ()


def test_exactly_what_the_phone_refuses_to_undo_stays_noted(journal):
    journal.write((SCREEN, SCALE, DOZE))
    transport = Transport("adb:X", phone("input", "dumpsys"))
    assert journal.put_back(transport) == (
        "doze: could not be put back",
        "screen: could not be put back",
    )
    assert journal.read() == (SCREEN, DOZE)
    assert journal.put_back(Transport("adb:X", phone())) == ()
    assert journal.read() == ()


def test_a_phone_that_is_gone_is_found_so_quietly_and_nothing_is_forgotten(journal):
    journal.write((SCREEN,))
    journal.put_back_quietly(gone)
    assert journal.read() == (SCREEN,)


def test_a_journal_of_a_living_process_is_left_alone(journal, tmp_path):
    assert not journal.is_left()
    journal.write((SCREEN,))
    assert not journal.is_left()
    path = next((tmp_path / "held").iterdir())
    path.write_text(path.read_text().replace('"started": ', '"started": 1'))
    assert journal.is_left()


@pytest.mark.parametrize("content", ["", "[]", '{"version": 9}'])
def test_a_damaged_journal_is_none(journal, tmp_path, content):
    journal.write((SCREEN,))
    next((tmp_path / "held").iterdir()).write_text(content)
    assert journal.read() == ()
    assert not journal.is_left()


def test_a_home_that_cannot_be_written_is_told_in_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path / "file" / "home"))
    journal = Journal("adb:X")
    with pytest.raises(OperationError, match=r"json' cannot be written \(Not a directory\): "):
        journal.write((SCREEN,))
    assert journal.put_back(Transport("adb:X", phone())) == ()
