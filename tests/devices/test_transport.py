import hashlib
import subprocess

import pytest

from devices.adb_services import Output
from devices.device import DevicePermanentError, DeviceTransientError
from devices.testing import FakeWire
from devices.transport import ShellResult, Transport, open_transport, problem_of
from workspace.errors import InputError


class ShellWire(FakeWire):
    """A fake phone whose shell is this computer's own."""

    def __init__(self, folder):
        super().__init__(lambda _: ShellResult(exit_code=0, stdout="", stderr=""))
        self._folder = folder

    def run(self, script, timeout_s):
        self.scripts.append(script)
        done = subprocess.run(
            ["sh", "-c", script], capture_output=True, timeout=timeout_s, stdin=subprocess.DEVNULL
        )
        return Output(exit_code=done.returncode, stdout=done.stdout, stderr=done.stderr)

    def push(self, source, target, mode, timeout_s):  # noqa: ARG002 - the protocol's
        path = self._folder / target.rpartition("/")[2]
        path.write_bytes(source.read_bytes())
        path.chmod(mode)


@pytest.fixture
def phone(tmp_path):
    folder = tmp_path / "phone"
    folder.mkdir()
    return Transport("adb:fake", ShellWire(folder)), folder


def test_exit_code_stdout_and_stderr_come_apart(phone):
    result = phone[0].script("printf 'out\\nmore\\377'; echo complaint >&2; exit 7", 5)
    assert result.stdout_bytes == b"out\nmore\xff"
    assert result == ShellResult(exit_code=7, stdout="out\nmore\ufffd", stderr="complaint\n")


@pytest.mark.parametrize(
    "word", ["a b", "$HOME", "it's", 'quo"te', "`id`", "; rm -rf x", "ümlaut"]
)
def test_words_reach_the_phone_as_they_are(phone, word):
    assert phone[0].shell(["printf", "%s", word], 5).stdout == word


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
    assert transport.read(f"{folder}/model", 5) == source.read_bytes()
    assert (folder / "model").stat().st_mode & 0o777 == 0o755


def test_what_an_earlier_push_of_the_file_left_is_removed(phone, tmp_path):
    transport, folder = phone
    source = tmp_path / "model"
    source.write_bytes(b"weights")
    (folder / "model.12345678.part").write_bytes(b"wei")
    (folder / "model2.12345678.part").write_bytes(b"of another")
    digest = hashlib.sha256(b"weights").hexdigest()
    transport.push(source, f"{folder}/model", digest, 10)
    assert {path.name for path in folder.iterdir()} == {"model", "model2.12345678.part"}


def test_a_phone_without_sha256sum_gets_no_file(tmp_path):
    def answer(script):
        code = 127 if script.startswith("sha256sum") else 0
        return ShellResult(exit_code=code, stdout="", stderr="")

    source = tmp_path / "model"
    source.write_bytes(b"weights")
    wire = FakeWire(answer)
    with pytest.raises(DevicePermanentError, match="has no sha256sum"):
        Transport("adb:fake", wire).push(source, "/data/m", "0" * 64, 5)
    assert wire.scripts[-1].startswith("rm -f /data/m.")


def test_a_file_that_is_not_there_cannot_be_read(phone):
    with pytest.raises(DeviceTransientError, match=r"cannot be read: .*No such file"):
        phone[0].read("/nowhere", 5)


def test_a_file_that_arrived_changed_is_no_file(phone, tmp_path):
    transport, folder = phone
    source = tmp_path / "model"
    source.write_bytes(b"weights")
    with pytest.raises(DeviceTransientError, match=r"arrived with digest .* \(7 of 7 bytes\)"):
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
