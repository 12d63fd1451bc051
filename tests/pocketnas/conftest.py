"""Runs commands as a person would, in this process, with a home folder of their own."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from pocketnas.cli.main import main


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def pocketnas(capsys) -> Callable[..., Done]:
    def run(*arguments: str) -> Done:
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        captured = capsys.readouterr()
        return Done(code=int(ended.value.code or 0), out=captured.out, err=captured.err)

    return run
