"""The keys by which phones know this computer: adb's own where it has some, else one of ours."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from workspace.home import home

if TYPE_CHECKING:
    from adb_shell.auth.sign_pythonrsa import PythonRSASigner


def signers() -> list[PythonRSASigner]:
    """One for each key, adb's first; a key is made only where there is none."""
    from adb_shell.auth.sign_pythonrsa import PythonRSASigner

    paths = key_files() or [_made()]
    return [PythonRSASigner.FromRSAKeyPath(str(path)) for path in paths]


def key_files() -> list[Path]:
    """Private keys with their public ones beside them: of ``ADB_VENDOR_KEYS``, adb, and ours."""
    candidates: list[Path] = []
    for text in os.environ.get("ADB_VENDOR_KEYS", "").split(os.pathsep):
        path = Path(text).expanduser()
        if text and path.is_dir():
            candidates += sorted(path.glob("*.adb_key"))
        elif text:
            candidates.append(path)
    candidates += [Path("~/.android/adbkey").expanduser(), home() / "keys" / "adbkey"]
    return [path for path in candidates if path.is_file() and _public(path).is_file()]


def _public(path: Path) -> Path:
    return path.with_name(path.name + ".pub")


def _made() -> Path:
    from adb_shell.auth.keygen import keygen

    path = home() / "keys" / "adbkey"
    path.parent.mkdir(parents=True, exist_ok=True)
    keygen(str(path))
    path.chmod(0o600)
    return path
