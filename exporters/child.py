"""Runs a function in a process of its own: for libraries that cannot live in one with others.

TensorFlow, jax and torch each bring their own LLVM and protobuf; a process that has loaded two of
them may crash at the third. Arguments and results are pickled in memory by multiprocessing.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import ParamSpec, TypeVar

from workspace.errors import OperationError

P = ParamSpec("P")
R = TypeVar("R")


class ChildDiedError(OperationError):
    """The process ended before it gave an answer: what it ran crashes."""


DEADLINE_S = 1800.0
"""Of one call; Google's converter takes ten seconds for a mobile network."""


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
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, function, args, kwargs), daemon=True)
    process.start()
    theirs.close()
    try:
        if not ours.poll(DEADLINE_S):
            msg = f"{function.__name__} took longer than {DEADLINE_S:g} s and was ended"
            raise OperationError(msg)
        good, value = ours.recv()
    except EOFError as error:
        process.join(10)
        msg = f"the process of {function.__name__} died (exit code {process.exitcode})"
        raise ChildDiedError(msg) from error
    finally:
        ours.close()
        process.kill()
        process.join()
    if good:
        result: R = value
        return result
    raise value


def _serve(
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
