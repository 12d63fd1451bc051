"""Which images cannot be read: each is decoded once, and again only when it has changed."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from workspace.errors import OperationError
from workspace.files import write_whole
from workspace.home import home

_LOG = logging.getLogger(__name__)

VERSION = 1
"""Of the file with what was found."""

MANY = 5000
"""Images of which one is told that they are looked through: some seconds."""

Known = Mapping[str, tuple[int, int, str]]
"""By path: length in bytes, time of the last change in nanoseconds, why it cannot be read."""


def faults_of(root: Path, paths: Sequence[str]) -> dict[str, str]:
    """Why each image cannot be read that cannot, by its path below ``root``.

    Raises:
        OperationError: If Pillow is not installed.
    """
    known = _read(root)
    now = {path: _stamp(root / path) for path in paths}
    new = [path for path in paths if known.get(path, ())[:2] != now[path]]
    reasons = dict(zip(new, _looked_at([root / path for path in new]), strict=True))
    found = {
        path: (*stamp, reasons[path] if path in reasons else known[path][2])
        for path, stamp in now.items()
    }
    if new or len(found) != len(known):
        _write(root, found)
    return {path: why for path, (_, _, why) in found.items() if why}


def _looked_at(paths: Sequence[Path]) -> list[str]:
    """``fault_of`` each; Ctrl-C ends it at once."""
    if len(paths) >= MANY:
        _LOG.warning("looking once through %d images that are new", len(paths))
    pool = ThreadPoolExecutor(max_workers=_threads())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of images that are large, or say odd things
        try:
            return list(pool.map(fault_of, paths))
        finally:
            pool.shutdown(cancel_futures=True)


def fault_of(path: Path) -> str:
    """Why an image cannot be read; empty if it can.

    Raises:
        OperationError: If Pillow is not installed.
    """
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        msg = "images in files need Pillow: pip install 'pocketnas[train]'"
        raise OperationError(msg) from error
    try:
        with Image.open(path) as image:
            image.draft("RGB", (1, 1))  # a JPEG at an eighth: all of it is read even so
            image.load()
    except Exception as error:  # noqa: BLE001 - Pillow raises what its many formats raise
        return str(error).replace(str(path), path.name) or type(error).__name__
    return ""


def _stamp(path: Path) -> tuple[int, int]:
    """Length and time of the last change; of a link that leads nowhere, nothing."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


def _threads() -> int:
    """As many as this process has cores."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _file_of(root: Path) -> Path:
    digest = hashlib.sha256(str(root).encode()).hexdigest()[:16]
    return home() / "datasets" / "folders" / f"{digest}.json"


def _read(root: Path) -> Known:
    """What was found before; nothing where that cannot be read or is of another version."""
    try:
        document = json.loads(_file_of(root).read_text(encoding="utf-8"))
        if document["version"] != VERSION:
            return {}
        return {
            str(path): (int(length), int(changed), str(why))
            for path, (length, changed, why) in document["images"].items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _write(root: Path, found: Known) -> None:
    document = {"version": VERSION, "folder": str(root), "images": found}
    path = _file_of(root)
    with suppress(OSError):  # where it cannot be kept, it is found out again
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(document).encode(), flush=False)
