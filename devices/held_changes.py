"""What was changed on a phone, written down before it is changed, so that it is always put back.

The journal lies on this computer, one file a phone. Whoever finds one whose process has died puts
the phone back as it was; doing that twice does no harm.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypedDict, cast

import psutil

from devices.kept_files import keeping
from devices.transport import Transport
from workspace.errors import OperationError
from workspace.files import write_whole
from workspace.home import home

CALL_S = 20.0
"""Deadline of putting one thing back."""

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something about to be changed.

    Attributes:
        name: For people, e.g. ``"screen timeout"``.
        undo: The command that puts it back, word by word.
    """

    name: str
    undo: tuple[str, ...]


class _Change(TypedDict):
    name: str
    undo: list[str]


class _Content(TypedDict):
    version: int
    device: str
    pid: int
    started: float
    changes: list[_Change]


class Journal:
    """The changes made on one phone that were not put back yet.

    Args:
        device: Its id.
    """

    def __init__(self, device: str) -> None:
        name = hashlib.sha256(device.encode()).hexdigest()[:16]
        self._path = home() / "held" / f"{name}.json"
        self._device = device

    def write(self, changes: tuple[Change, ...]) -> None:
        """Note ``changes``, which are made next, in this order; none removes the journal.

        Raises:
            OperationError: If this computer cannot keep them.
        """
        with keeping(self._path):
            if changes:
                self._write(changes)
            elif self._path.exists():
                self._path.unlink()

    def _write(self, changes: tuple[Change, ...]) -> None:
        content: _Content = {
            "version": VERSION,
            "device": self._device,
            "pid": os.getpid(),
            "started": _started(os.getpid()) or 0.0,
            "changes": [{"name": change.name, "undo": list(change.undo)} for change in changes],
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self._path, json.dumps(content, indent=1).encode())

    def read(self) -> tuple[Change, ...]:
        """What is noted; nothing if there is no journal, or a damaged one."""
        content = self._content()
        return tuple(
            Change(name=each["name"], undo=tuple(each["undo"]))
            for each in (content["changes"] if content else ())
        )

    def is_left(self) -> bool:
        """Whether a process noted changes and died before it put them back."""
        content = self._content()
        if content is None or not content["changes"]:
            return False
        return _started(content["pid"]) != content["started"]

    def put_back(self, transport: Transport) -> tuple[str, ...]:
        """Undo everything noted, the last change first; labels of what could not be.

        What the phone refuses to undo stays noted, for whoever holds it next.

        Raises:
            DeviceError: If the phone is gone; the journal stays for the next one.
            OperationError: If this computer cannot keep what is left.
        """
        changes = self.read()
        refused = [
            change
            for change in reversed(changes)
            if transport.shell(change.undo, CALL_S).exit_code != 0
        ]
        self.write(tuple(reversed(refused)))
        return tuple(f"{change.name}: could not be put back" for change in refused)

    def put_back_quietly(self, transport: Callable[[], Transport]) -> None:
        """As ``put_back``; where the phone is gone the journal stays, and nothing is raised.

        Args:
            transport: Gives the connection; a phone that is gone may be found so here.
        """
        with suppress(OperationError):
            self.put_back(transport())

    def _content(self) -> _Content | None:
        try:
            content = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return None
        known = isinstance(content, dict) and content.get("version") == VERSION
        return cast("_Content", content) if known else None


def _started(pid: int) -> float | None:
    """When a process was started, which tells it from a later one of the same number."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.Error:
        return None
