"""What was found out about files of a data set; each is looked at anew only if it has changed."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from workspace.files import write_whole
from workspace.home import home

_LOG = logging.getLogger(__name__)

Fact = str | int | tuple[int, ...]
"""Of a file: what is wrong with it, or a number or several that take long to find out."""

Known = Mapping[str, tuple[int, int, Fact]]
"""By path: length in bytes, time of the last change in nanoseconds, what was found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looking:
    """How files of one kind are looked at.

    Attributes:
        what: They are, for people, in the plural.
        folder: Among the data sets of ``POCKETNAS_HOME``, where what was found is kept.
        many: Files of which one is told that they are looked through: some seconds.
        look: What is found of one; run by several threads.
        version: Raised when other facts are found than before; older ones are found anew.
        file: Whose change counts, of a path that is not one itself.
    """

    what: str
    folder: str
    many: int
    look: Callable[[Path], Fact]
    version: int = 1
    file: Callable[[Path], Path] = Path


def facts_of(root: Path, paths: Sequence[str], looking: Looking) -> dict[str, Fact]:
    """What was found of each file, by its path below ``root``.

    Raises:
        Exception: What looking at one raises.
    """
    file = home() / "datasets" / looking.folder / f"{_digest(root)}.json"
    known = _read(file, looking)
    now = {path: _stamp(looking.file(root / path)) for path in paths}
    new = [path for path in paths if known.get(path, ())[:2] != now[path]]
    found = dict(zip(new, _looked_at([root / path for path in new], looking), strict=True))
    facts = {
        path: (*stamp, found[path] if path in found else known[path][2])
        for path, stamp in now.items()
    }
    if new or len(facts) != len(known):
        _write(file, root, looking, facts)
    return {path: fact for path, (_, _, fact) in facts.items()}


def _looked_at(paths: Sequence[Path], looking: Looking) -> list[Fact]:
    """What is found of each; Ctrl-C ends it at once."""
    if len(paths) >= looking.many:
        _LOG.warning("looking once through %d %s that are new", len(paths), looking.what)
    pool = ThreadPoolExecutor(max_workers=_threads())
    try:
        return list(pool.map(looking.look, paths))
    finally:
        pool.shutdown(cancel_futures=True)


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


def _digest(root: Path) -> str:
    return hashlib.sha256(str(root).encode()).hexdigest()[:16]


def _read(file: Path, looking: Looking) -> Known:
    """What was found before; nothing where that cannot be read or is of another version."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        if document["version"] != looking.version:
            return {}
        return {
            str(path): (int(length), int(changed), _fact(found))
            for path, (length, changed, found) in document[looking.what].items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _fact(found: object) -> Fact:
    if isinstance(found, list):
        return tuple(int(number) for number in found)
    return found if type(found) is int else str(found)


def _write(file: Path, root: Path, looking: Looking, found: Known) -> None:
    document = {"version": looking.version, "folder": str(root), looking.what: found}
    with suppress(OSError):  # where it cannot be kept, it is found out again
        file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(file, json.dumps(document).encode(), flush=False)
