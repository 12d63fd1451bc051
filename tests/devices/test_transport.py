import hashlib
import subprocess

import pytest

from devices.device import DevicePermanentError, DeviceTransientError
from devices.testing import FakeWire
from devices.transport import ShellResult, Transport, open_transport, problem_of, usb_phones
from workspace.errors import InputError


class ShellWire(FakeWire):
    """A fake phone whose shell is this computer's own."""

    def __init__(self, folder):
        super().__init__(lambda _: ShellResult(exit_code=0, stdout="", stderr=""))
        self._folder = folder

    def execute(self, script, timeout_s):
        local = script.replace("/data/local/tmp", str(self._folder))
        return subprocess.run(["sh", "-c", local], capture_output=True, timeout=timeout_s).stdout

    def push(self, source, target, timeout_s):  # noqa: ARG002 - the protocol's
        self.pushed[target] = source.read_bytes()
        (self._folder / target.rpartition("/")[2]).write_bytes(source.read_bytes())


@pytest.fixture
def phone(tmp_path):
    folder = tmp_path / "phone"
    folder.mkdir()
    return Transport("adb:fake", ShellWire(folder)), folder


def test_exit_code_stdout_and_stderr_come_apart(phone):
    result = phone[0].script("printf 'out\\nmore'; echo complaint >&2; exit 7", 5)
    assert result == ShellResult(exit_code=7, stdout="out\nmore", stderr="complaint\n")


@pytest.mark.parametrize(
    "word", ["a b", "$HOME", "it's", 'quo"te', "`id`", "; rm -rf x", "ümlaut"]
)
def test_words_reach_the_phone_as_they_are(phone, word):
    assert phone[0].shell(["printf", "%s", word], 5).stdout == word


def test_a_command_is_ended_on_the_phone_at_its_deadline(phone):
    with pytest.raises(DeviceTransientError, match="did not end within 1 s"):
        phone[0].shell(["sleep", "30"], 1)


def test_no_file_is_left_on_the_phone_by_a_command(phone):
    phone[0].shell(["true"], 5)
    assert list(phone[1].iterdir()) == []


@pytest.mark.parametrize("kept", [0, 5, 20, 40])
def test_an_answer_that_was_cut_off_is_no_answer(kept):
    class Cutting(FakeWire):
        def execute(self, script, timeout_s):
            return super().execute(script, timeout_s)[:kept]

    wire = Cutting(lambda _: ShellResult(exit_code=0, stdout="x" * 30, stderr=""))
    with pytest.raises(DeviceTransientError, match="cut off"):
        Transport("adb:fake", wire).shell(["true"], 5)


def test_a_file_appears_whole_under_its_name(phone, tmp_path):
    transport, folder = phone
    source = tmp_path / "model"
    source.write_bytes(b"weights" * 1000)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    transport.push(source, f"{folder}/model", digest, 10)
    assert (folder / "model").read_bytes() == source.read_bytes()
    assert [path.name for path in folder.iterdir()] == ["model"]
    assert transport.sha256(f"{folder}/model", 5) == digest
    assert transport.sha256(f"{folder}/other", 5) == ""


def test_a_file_that_arrived_changed_is_no_file(phone, tmp_path):
    transport, folder = phone
    source = tmp_path / "model"
    source.write_bytes(b"weights")
    with pytest.raises(DeviceTransientError, match="arrived with digest"):
        transport.push(source, f"{folder}/model", "0" * 64, 10)
    assert list(folder.iterdir()) == []


def test_a_push_that_would_be_refused_fails_at_once_with_the_phones_words(phone, tmp_path):
    transport, folder = phone
    (folder / "file").write_text("in the way")
    source = tmp_path / "model"
    source.write_bytes(b"weights")
    with pytest.raises(DevicePermanentError, match=r"is not writable: .*file"):
        transport.push(source, f"{folder}/file/model", "0" * 64, 10)


def test_a_full_phone_is_told_with_both_numbers(tmp_path):
    disk = "/dev/block/dm-1 1000000 999000 1000 100% /data\n"
    wire = FakeWire(lambda _: ShellResult(exit_code=0, stdout=disk, stderr=""))
    source = tmp_path / "model"
    source.write_bytes(bytes(3 << 20))
    with pytest.raises(DevicePermanentError, match="has 0 MB left, 3 MB are needed"):
        Transport("adb:fake", wire).push(source, "/data/local/tmp/model", "0" * 64, 5)
    assert wire.pushed == {}


def test_usb_phones_are_found_by_adbs_interface(tmp_path):
    for name, kind, serial in (("1-1", "ff/42/01", "PHONE1"), ("1-2", "03/01/01", "MOUSE")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "serial").write_text(f"{serial}\n")
        interface = tmp_path / f"{name}:1.0"
        interface.mkdir()
        for part, value in zip(("Class", "SubClass", "Protocol"), kind.split("/"), strict=True):
            (interface / f"bInterface{part}").write_text(f"{value}\n")
    assert usb_phones(tmp_path) == ("PHONE1",)


def test_a_phone_that_is_not_there_is_refused():
    with pytest.raises(InputError, match="no phone 'NOSUCH' is attached"):
        open_transport("adb:NOSUCH", "NOSUCH")


def test_a_port_that_nothing_listens_on_is_worth_another_try():
    with pytest.raises(DeviceTransientError, match="the connection failed"):
        open_transport("adb:127.0.0.1:9", "127.0.0.1:9")


def test_each_state_of_a_phone_says_what_to_do():
    assert problem_of("device") == ""
    assert "Allow USB debugging" in problem_of("unauthorized")
    assert "apt-get install" in problem_of("no permissions")
    assert "'offline'" in problem_of("offline")
