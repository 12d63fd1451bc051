import multiprocessing
import stat

import pytest
from adb_shell.auth.keygen import keygen
from adb_shell.auth.sign_pythonrsa import PythonRSASigner

from devices.adb_keys import key_files, signers


@pytest.fixture
def user(tmp_path, monkeypatch):
    """A user's home without any key."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ADB_VENDOR_KEYS", raising=False)
    monkeypatch.delenv("ANDROID_USER_HOME", raising=False)
    return tmp_path


def made(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    keygen(str(path))
    return path


def test_adbs_own_key_is_used_and_none_is_made(user):
    path = made(user / ".android" / "adbkey")
    (key,) = signers()
    assert key.public_key() == path.with_name("adbkey.pub").read_bytes()
    assert key.sign(b"t" * 20) == PythonRSASigner.FromRSAKeyPath(str(path)).Sign(b"t" * 20)
    assert not (user / "home").exists()


def test_a_key_without_its_public_half_is_completed(user):
    """As adb does, which needs the private one only."""
    path = made(user / ".android" / "adbkey")
    public = path.with_name("adbkey.pub")
    expected = public.read_bytes().split()[0]
    public.unlink()
    (key,) = signers()
    words = key.public_key().split()
    assert words[0] == expected
    assert b"@" in words[1]
    assert not public.exists()


def test_vendor_keys_come_first_from_files_and_folders(user, monkeypatch):
    made(user / ".android" / "adbkey")
    one = made(user / "one.key")
    two = made(user / "farm" / "two.adb_key")
    monkeypatch.setenv("ADB_VENDOR_KEYS", f"{one}:{user / 'farm'}:{user / 'nowhere'}")
    assert key_files() == [one, two, user / ".android" / "adbkey"]
    assert len(signers()) == 3


def test_a_broken_key_is_passed_over_and_said(user, caplog):
    path = user / ".android" / "adbkey"
    path.parent.mkdir()
    path.write_text("no key")
    (key,) = signers()
    assert key.public_key()
    assert str(path) in caplog.text
    assert (user / "home" / "keys" / "adbkey").is_file()


def test_a_key_is_made_once_and_is_private(user):
    first = signers()[0].public_key()
    path = user / "home" / "keys" / "adbkey"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert signers()[0].public_key() == first
    assert sorted(each.name for each in path.parent.iterdir()) == [".lock", "adbkey", "adbkey.pub"]


@pytest.mark.usefixtures("user")
def test_two_processes_make_one_key():
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        found = pool.map(_public_key, range(4))
    assert len(set(found)) == 1


def _public_key(_):
    return signers()[0].public_key()
