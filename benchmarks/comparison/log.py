"""Facts that hours were spent on, a line of a file each: a run that was stopped goes on there."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from search_space.architecture import Json
from workspace.errors import InputError
from workspace.home import home


class Log:
    """Facts by key, kept in a file as they are found.

    A last line that was cut off is as if it had never been; the facts of the same key that stand
    later count.

    Args:
        path: Of the file, JSON lines; made with its folder when the first fact comes.

    Raises:
        InputError: If the file is there and cannot be read, or is none of such lines.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._facts = _read(path) if path.exists() else {}

    def __len__(self) -> int:
        """How many keys there are."""
        return len(self._facts)

    @property
    def keys(self) -> tuple[str, ...]:
        """In the order in which they first came."""
        return tuple(self._facts)

    def find(self, key: str) -> Mapping[str, Json] | None:
        """The facts of a key; None if there are none."""
        return self._facts.get(key)

    def add(self, key: str, facts: Mapping[str, Json]) -> None:
        """Keep facts; they are in the file when this returns.

        Raises:
            InputError: If the file cannot be written.
        """
        line = json.dumps({"key": key, **facts})
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            msg = f"the log {str(self._path)!r} cannot be written: {error.strerror}"
            raise InputError(msg) from error
        self._facts[key] = dict(facts)


def key_of(*facts: Json) -> str:
    """What facts are known by: equal ones have equal keys.

    >>> key_of("a", 1) == key_of("a", 1), key_of("a", 1) == key_of("a", 2)
    (True, False)
    """
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


@contextmanager
def log_folder(name: str, given: Path | None, *, quick: bool) -> Iterator[Path]:
    """Where a benchmark keeps its logs.

    Args:
        name: Of the benchmark.
        given: By the user; None for a folder of that name in ``POCKETNAS_HOME``.
        quick: Whether it is the quick form, which keeps nothing unless a folder is given.
    """
    if given is None and quick:
        with tempfile.TemporaryDirectory() as made:
            yield Path(made)
        return
    yield given or home() / "benchmarks" / name


def _read(path: Path) -> dict[str, dict[str, Json]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"the log {str(path)!r} cannot be read: {error}"
        raise InputError(msg) from error
    found: dict[str, dict[str, Json]] = {}
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        try:
            facts = json.loads(line)
            key = facts.pop("key")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if number == len(lines) and not text.endswith("\n"):
                path.write_text(text[: text.rfind("\n") + 1], encoding="utf-8")
                break
            msg = f"{str(path)!r}, line {number} is no line of such a log: {line[:60]!r}"
            raise InputError(msg) from error
        found[str(key)] = facts
    return found
