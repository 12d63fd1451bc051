"""Hidden folders to work in, beside where the result goes; what a killed process left is removed.

A result is made in here and renamed to its final name when it is whole, so that no half of it ever
lies under that name. Processes hold their folder by a lock that the kernel frees when they end.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from workspace.errors import InputError

PREFIX = ".pocketnas-making-"
"""Of their names."""


@contextmanager
def work_folder(beside: Path) -> Iterator[Path]:
    """A folder in ``beside``, on the same file system; removed at the end.

    Raises:
        InputError: If none can be made there.
    """
    try:
        made, handle = _made(beside)
    except OSError as error:
        msg = f"the folder {str(beside)!r} cannot be written to: {error.strerror}"
        raise InputError(msg) from error
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(handle)


def put(source: Path, target: Path) -> None:
    """Rename a file or folder, its bytes on the disk first.

    Raises:
        OSError: If it cannot be, or ``target`` is a folder that is not empty; it is as it was.
    """
    for path in source.rglob("*") if source.is_dir() else (source,):
        if path.is_file():
            _flush(path)
    source.replace(target)
    _flush(target.parent)


def _made(beside: Path) -> tuple[Path, int]:
    """The folder, and the handle that holds its lock."""
    with _locked(beside):
        for abandoned in beside.glob(f"{PREFIX}*"):
            with suppress(OSError):
                _remove_unless_held(abandoned)
        made = Path(tempfile.mkdtemp(prefix=PREFIX, dir=beside))
        handle = os.open(made, os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_EX)
    return made, handle


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _remove_unless_held(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
    finally:
        os.close(handle)


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
