"""Where runs keep what they share: ``POCKETNAS_HOME``."""

from __future__ import annotations

import os
import re
from pathlib import Path

from workspace.errors import InputError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def home() -> Path:
    """The folder that runs share: measurements, tables, runners, keys, loopback root, data sets.

    ``$POCKETNAS_HOME`` where it is set, else ``pocketnas`` in the data folder of the XDG base
    directory specification (``$XDG_DATA_HOME``, by default ``~/.local/share``). It is created by
    whoever writes to it first.
    """
    chosen = os.environ.get("POCKETNAS_HOME")
    if chosen:
        return Path(chosen).expanduser().absolute()
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser().absolute() / "pocketnas"


def require_name(name: str, what: str) -> None:
    """Do nothing if something of a user's that is kept here may be called so.

    Args:
        name: That it is to get, without an ending.
        what: It is, e.g. ``"a table"``.

    Raises:
        InputError: If it may not: such a name is a file's on any system.
    """
    if not _NAME.fullmatch(name):
        msg = f"{what}'s name is letters, digits, '.', '_' and '-', at most 100, got {name!r}"
        raise InputError(msg)
