"""A file from the network: whole, with the digest that was expected, within a deadline."""

from __future__ import annotations

import tempfile
import time
import urllib.request
from http.client import HTTPException
from pathlib import Path

from workspace.errors import OperationError
from workspace.files import sha256_of

SILENCE_S = 30.0
"""Longest time without a byte."""

_PIECE = 1 << 20


def download(url: str, path: Path, *, sha256: str, deadline_s: float) -> None:
    """Fetch ``url`` into ``path``, unless a file with the digest is there already.

    Args:
        url: Where it is.
        path: Where it goes; its folder is made.
        sha256: Hex digest of the whole.
        deadline_s: For all of it.

    Raises:
        OperationError: If it cannot be fetched in time or is another file; nothing is left.
    """
    if path.is_file() and sha256_of(path) == sha256:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        part = Path(folder) / path.name
        try:
            _fetch(url, part, time.monotonic() + deadline_s)
        except (OSError, HTTPException) as error:
            msg = f"{url} cannot be fetched: {str(error) or type(error).__name__}"
            raise OperationError(msg) from error
        found = sha256_of(part)
        if found != sha256:
            msg = f"{url} gave another file than expected: its sha256 is {found}, not {sha256}"
            raise OperationError(msg)
        part.replace(path)


def _fetch(url: str, path: Path, ends_at: float) -> None:
    with urllib.request.urlopen(url, timeout=SILENCE_S) as answer, path.open("wb") as file:
        while piece := answer.read1(_PIECE):
            file.write(piece)
            if time.monotonic() > ends_at:
                msg = "it took longer than its deadline"
                raise TimeoutError(msg)
