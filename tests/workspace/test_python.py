import subprocess
from pathlib import Path

import workspace
from workspace.python import importing_as_here, python

ROOT = Path(workspace.__file__).parents[1]


def imported(name, cwd):
    """The file of a module in another process that begins in ``cwd``."""
    program = python("-c", f"import {name}; print({name}.__file__)")
    done = subprocess.run(
        program, cwd=cwd, env=importing_as_here(), capture_output=True, text=True, timeout=60
    )
    return done.stdout.strip() or done.stderr


def test_a_folder_of_the_users_with_the_name_of_ours_does_not_stand_for_it(tmp_path):
    for name in ("training", "devices", "workspace"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('not ours')")
        assert imported(name, tmp_path) == str(ROOT / name / "__init__.py")


def test_what_was_added_to_the_path_here_is_found_there(tmp_path, monkeypatch):
    (tmp_path / "of_the_user.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert imported("of_the_user", elsewhere) == str(tmp_path / "of_the_user.py")
