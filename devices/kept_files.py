"""What this computer keeps of its devices, where its disk or its folder refuses to keep it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workspace.errors import OperationError


@contextmanager
def keeping(path: Path) -> Iterator[None]:
    """Inside ``with``, what the file system refuses is told in one sentence.

    Args:
        path: What is written, or its folder.

    Raises:
        OperationError: If it cannot be written, with the path and the reason.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        msg = f"{str(path)!r} cannot be written ({reason}): make room there or set POCKETNAS_HOME"
        raise OperationError(msg) from error
