import subprocess
import sys

import pytest

from workspace import plugin
from workspace.errors import InputError
from workspace.python import importing_as_here, python


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder of a user, forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


@pytest.mark.parametrize("text", ["a:B", "package.module:NAME", "_x.y2:z_"])
def test_a_module_and_a_name_are_a_reference(text):
    assert plugin.is_reference(text)


@pytest.mark.parametrize("text", ["", "a", "a:", ":B", "a:b:c", "a.:b", "1a:b", "a:b.c", "a b:c"])
def test_anything_else_is_none(text):
    assert not plugin.is_reference(text)
    with pytest.raises(InputError, match=r"package\.module:NAME"):
        plugin.load(text, "a task")


def test_it_is_found_in_the_current_folder(folder):
    (folder / "my_first_space.py").write_text("SPACE = 17\n")
    assert plugin.load("my_first_space:SPACE", "a search space") == 17


def test_a_module_in_a_package_is_found(folder):
    (folder / "my_package").mkdir()
    (folder / "my_package" / "__init__.py").touch()
    (folder / "my_package" / "spaces.py").write_text("SPACE = 18\n")
    assert plugin.load("my_package.spaces:SPACE", "a search space") == 18


def test_a_package_beside_it_with_the_name_of_ours_or_a_librarys_stands_for_neither(folder):
    for name in ("training", "psutil"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("raise SystemExit('of the user')")
    (folder / "my_second_space.py").write_text("SPACE = 19\n")
    assert plugin.load("my_second_space:SPACE", "a search space") == 19
    program = python("-c", "import training, psutil; print(training.__file__, psutil.__file__)")
    files = subprocess.check_output(program, env=importing_as_here(), text=True)
    assert str(folder) not in files


@pytest.mark.usefixtures("folder")
def test_a_module_that_is_not_there_is_named():
    with pytest.raises(InputError, match=r"'my_missing:SPACE' cannot be imported from .*missing"):
        plugin.load("my_missing:SPACE", "a search space")


def test_a_module_that_raises_says_what(folder):
    (folder / "my_broken.py").write_text("1 / 0\n")
    with pytest.raises(InputError, match="ZeroDivisionError: division by zero"):
        plugin.load("my_broken:SPACE", "a search space")


def test_a_name_that_is_not_there_is_named(folder):
    (folder / "my_empty.py").touch()
    with pytest.raises(InputError, match=r"module 'my_empty' \(.*my_empty.py\) has no name"):
        plugin.load("my_empty:SPACE", "a search space")
