import os
import subprocess
import sys
import textwrap

import pytest

from delivery.work_folder import PREFIX, put, work_folder
from workspace.errors import InputError


def test_it_is_gone_afterwards_whatever_happens(tmp_path):
    def fail():
        with work_folder(tmp_path) as work:
            (work / "half").write_text("a")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_one_at_work_is_left_alone(tmp_path):
    with work_folder(tmp_path) as first, work_folder(tmp_path) as second:
        assert first != second
        assert first.is_dir()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path):
    program = """
        import os, signal, sys
        from pathlib import Path
        from delivery.work_folder import work_folder
        with work_folder(Path(sys.argv[1])) as work:
            (work / "half").write_text("a")
            os.kill(os.getpid(), signal.SIGKILL)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program), str(tmp_path)], check=False)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(PREFIX)
    with work_folder(tmp_path) as work:
        assert list(tmp_path.iterdir()) == [work]


def test_a_folder_that_is_none_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written to"), work_folder(tmp_path / "file"):
        pass


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="cannot be written to"), work_folder(tmp_path):
        pass


def test_putting_replaces_a_file_and_never_a_folder_that_holds_something(tmp_path):
    (tmp_path / "a").write_text("new")
    (tmp_path / "b").write_text("old")
    put(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_text() == "new"
    for name in ("made", "there"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    with pytest.raises(OSError, match="not empty"):
        put(tmp_path / "made", tmp_path / "there")
    assert (tmp_path / "there" / "file").read_text() == "there"
