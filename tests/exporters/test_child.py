import os
import subprocess
import sys

import pytest

from exporters import child
from exporters.child import ChildDiedError, in_child
from exporters.exporter import create
from workspace.errors import InputError, OperationError


def test_it_is_another_process_and_gives_its_result():
    assert in_child(os.getpid) != os.getpid()
    assert in_child(sorted, [3, 1, 2], reverse=True) == [3, 2, 1]


def test_what_it_raises_is_raised_here():
    with pytest.raises(ZeroDivisionError):
        in_child(divmod, 1, 0)
    with pytest.raises(InputError, match="unknown format 'nothing'"):
        in_child(create, "nothing")


def test_a_process_that_dies_is_said():
    with pytest.raises(ChildDiedError, match=r"_exit died \(exit code 7\)"):
        in_child(os._exit, 7)


def test_one_that_takes_too_long_is_ended(monkeypatch):
    import time

    monkeypatch.setattr(child, "DEADLINE_S", 0.5)
    with pytest.raises(OperationError, match=r"longer than 0\.5 s"):
        in_child(time.sleep, 60)


def test_a_script_without_a_guard_runs_once_whatever_lies_beside_it(tmp_path):
    """multiprocessing would import it again in the process; a folder there has our name."""
    (tmp_path / "exporters").mkdir()
    (tmp_path / "exporters" / "__init__.py").write_text("raise SystemExit('the wrong package')")
    script = tmp_path / "scripts" / "script.py"
    script.parent.mkdir()
    script.write_text(
        "from exporters.child import in_child\nprint('runs')\nprint(in_child(sorted, [2, 1]))\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert (done.stdout, done.stderr) == ("runs\n[1, 2]\n", "")
