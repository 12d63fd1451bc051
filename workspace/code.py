"""Digest of the code of packages: what it made is made anew when it changes."""

from __future__ import annotations

import hashlib
from importlib import import_module
from pathlib import Path


def digest_of(*packages: str) -> str:
    """Hex digest of all modules that lie directly in these packages, names and order included.

    Raises:
        ModuleNotFoundError: If there is no such package.
    """
    digest = hashlib.sha256()
    for package in packages:
        for folder in import_module(package).__path__:
            for path in sorted(Path(folder).glob("*.py")):
                digest.update(path.read_bytes())
    return digest.hexdigest()
