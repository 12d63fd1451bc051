"""A run's folder: made once, held by one process at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workspace.errors import InputError

_LOCK = "lock"


@contextmanager
def create(folder: Path) -> Iterator[Path]:
    """Make ``folder`` and hold it while the block runs.

    Raises:
        InputError: If it is there already, and not an empty folder, or cannot be made.
    """
    require_free(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"the run folder {str(folder)!r} cannot be made: {error}"
        raise InputError(msg) from error
    with held(folder):
        yield folder


def require_free(folder: Path) -> None:
    """Do nothing if ``folder`` is not there, or empty but for the lock of one that got no further.

    Raises:
        InputError: If it has something in it, or is a file.
    """
    if not is_free(folder):
        msg = (
            f"the run folder {str(folder)!r} exists: choose another, or go on with "
            f"'pocketnas resume {folder}'"
        )
        raise InputError(msg)


def is_free(folder: Path) -> bool:
    """Whether ``folder`` is not there, or empty but for a lock."""
    if not folder.exists():
        return True
    return folder.is_dir() and {path.name for path in folder.iterdir()} <= {_LOCK}


@contextmanager
def resume(folder: Path) -> Iterator[Path]:
    """Hold the folder of a run that is there, while the block runs.

    Raises:
        InputError: If it is no run's folder, or a live process holds it.
    """
    if not (folder / "config.toml").is_file():
        msg = f"{str(folder)!r} is no run: it has no config.toml"
        raise InputError(msg)
    with held(folder):
        yield folder


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Lock ``folder``; the kernel frees it when the holder ends, however it ends.

    Raises:
        InputError: If a live process holds it.
    """
    with (folder / _LOCK).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "another one"
            msg = f"the run {str(folder)!r} is at work in process {holder}"
            raise InputError(msg) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
