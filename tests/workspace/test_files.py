import hashlib
import os
import stat

import pytest

from workspace.files import sha256_of, write_whole


def test_a_file_holds_what_was_written(tmp_path):
    write_whole(tmp_path / "result", b"new")
    assert (tmp_path / "result").read_bytes() == b"new"


def test_what_was_there_is_replaced(tmp_path):
    (tmp_path / "result").write_bytes(b"a longer old content")
    write_whole(tmp_path / "result", b"new")
    assert (tmp_path / "result").read_bytes() == b"new"


def test_others_may_read_it(tmp_path):
    write_whole(tmp_path / "result", b"new")
    assert stat.S_IMODE((tmp_path / "result").stat().st_mode) == 0o644


def test_a_write_that_fails_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch):
    (tmp_path / "result").write_bytes(b"old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(tmp_path / "result", b"new")
    assert [path.name for path in tmp_path.iterdir()] == ["result"]
    assert (tmp_path / "result").read_bytes() == b"old"


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_whole(tmp_path / "nowhere" / "result", b"new")


def test_the_digest_is_that_of_the_bytes(tmp_path):
    content = b"\0\xff" * 100_000
    (tmp_path / "model").write_bytes(content)
    assert sha256_of(tmp_path / "model") == hashlib.sha256(content).hexdigest()
