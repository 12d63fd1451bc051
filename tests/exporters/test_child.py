import os

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
