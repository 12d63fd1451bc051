import os
import signal
import subprocess
import sys

import pytest

from controller import run_folder
from workspace.errors import InputError

HOLD = (
    "import sys; from pathlib import Path; from controller import run_folder\n"
    "with run_folder.resume(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
)


def test_a_new_folder_is_made_with_its_parents(tmp_path):
    with run_folder.create(tmp_path / "runs" / "a") as folder:
        assert folder.is_dir()


def test_an_empty_one_is_taken_and_so_is_one_that_got_no_further(tmp_path):
    with run_folder.create(tmp_path):
        pass
    with run_folder.create(tmp_path):
        pass


@pytest.mark.parametrize("name", ["study.db", "holiday.jpg"])
def test_one_with_something_in_it_is_left_alone(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match=r"exists: choose another.*pocketnas resume"):
        run_folder.create(tmp_path).__enter__()
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(InputError, match="run"):
        run_folder.create(tmp_path / "run").__enter__()


def test_only_a_run_is_resumed(tmp_path):
    with pytest.raises(InputError, match=r"is no run: it has no config.toml"):
        run_folder.resume(tmp_path).__enter__()
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_a_live_process_holds_names_it_and_is_free_when_it_dies(tmp_path):
    (tmp_path / "config.toml").write_text("")
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ,
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == b"held\n"
    with pytest.raises(InputError, match=f"at work in process {process.pid}$"):
        run_folder.resume(tmp_path).__enter__()
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    process.stdout.close()
    process.stdin.close()
    with run_folder.resume(tmp_path):
        pass
