"""Where runs keep what they share: ``POCKETNAS_HOME``."""

from __future__ import annotations

import os
from pathlib import Path


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
