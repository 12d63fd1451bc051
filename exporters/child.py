"""Runs a function in a process of its own: for libraries that cannot live in one with others.

TensorFlow, jax and torch each bring their own LLVM and protobuf; a process that has loaded two of
them may crash at the third. Arguments and results are pickled in memory by multiprocessing, whose
own processes are not used: each would first import the script that is running once more, and what
that does without a guard it would do again.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Concatenate, ParamSpec, TypeVar

from workspace.errors import OperationError
from workspace.python import importing_as_here, python

P = ParamSpec("P")
R = TypeVar("R")


class ChildDiedError(OperationError):
    """The process ended before it gave an answer: what it ran crashes."""


DEADLINE_S = 1800.0
"""Of one call; Google's converter takes ten seconds for a mobile network."""

_PROGRAM = "import sys; from exporters.child import serve; serve(int(sys.argv[1]))"


def in_child(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """What ``function`` returns in a fresh process.

    Args:
        function: Of a module, so that the child finds it.
        args: Given to it.
        kwargs: Likewise.

    Raises:
        ChildDiedError: If it does.
        OperationError: If it takes longer than ``DEADLINE_S``; and whatever ``function`` raises.
    """
    ours, process = started(_answer, function, args, kwargs)
    try:
        if not ours.poll(DEADLINE_S):
            msg = f"{function.__name__} took longer than {DEADLINE_S:g} s and was ended"
            raise OperationError(msg)
        good, value = ours.recv()
    except (EOFError, OSError) as error:
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        msg = f"the process of {function.__name__} died (exit code {process.returncode})"
        raise ChildDiedError(msg) from error
    finally:
        ours.close()
        process.kill()
        process.wait()
    if good:
        result: R = value
        return result
    raise value


def started(
    function: Callable[Concatenate[Connection, P], None], *args: P.args, **kwargs: P.kwargs
) -> tuple[Connection, subprocess.Popen[bytes]]:
    """A fresh process that calls ``function`` with its end of a connection, and our end of it.

    The process ends when ``function`` returns. One that dies is told by ``EOFError`` or
    ``OSError`` at the next use of the connection.

    Args:
        function: Of a module, so that the child finds it.
        args: Given to it, after the connection.
        kwargs: Likewise.
    """
    ours, theirs = Pipe()
    with theirs:
        number = theirs.fileno()
        process = subprocess.Popen(
            python("-c", _PROGRAM, str(number)),
            stdin=subprocess.DEVNULL,
            pass_fds=(number,),
            env=importing_as_here(),
        )
    with suppress(OSError):  # it has died, which the next use tells
        ours.send((function, args, kwargs))
    return ours, process


def serve(number: int) -> None:
    """Call the function that comes first; in the child.

    Args:
        number: File descriptor of its end of the connection.
    """
    connection = Connection(number)
    function, args, kwargs = connection.recv()
    function(connection, *args, **kwargs)


def _answer(
    connection: Connection,
    function: Callable[..., object],
    args: tuple[object, ...],
    kwargs: dict[str, object],
) -> None:
    try:
        connection.send((True, function(*args, **kwargs)))
    except Exception as error:  # noqa: BLE001 - it is raised where it was asked for
        try:
            connection.send((False, error))
        except Exception:  # noqa: BLE001 - an exception that cannot be pickled
            connection.send((False, OperationError(f"{type(error).__name__}: {error}")))
