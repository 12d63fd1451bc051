"""How this project starts Python again, so that it finds there what it finds here."""

from __future__ import annotations

import os
import sys


def python(*arguments: str) -> list[str]:
    """A command that runs Python with arguments.

    The folder in which it is started is none to import from: a folder ``training`` of the user's
    would stand there for ours.
    """
    return [sys.executable, "-P", *arguments]


def importing_as_here() -> dict[str, str]:
    """The environment of this process, with all folders that it imports from."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
