"""``benchmark_model`` as Google publishes it with each release of LiteRT.

A release is fetched once into ``runners/`` of the home folder. Its digest is recorded then, unless
it is known here already, and compared from then on: an address whose content changed is an error.
"""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from workspace.errors import InputError, OperationError
from workspace.files import sha256_of, write_whole
from workspace.home import home

ADDRESS = "https://storage.googleapis.com/litert/binaries"
"""Below it: ``VERSION/PLATFORM/benchmark_model``."""

PLATFORMS = {"arm64-v8a": "android_arm64"}
"""Android's name of an ABI, and the folder of it."""

PINNED: dict[str, str | None] = {"2.3.0": None}
"""Release and digest of its arm64 binary; None where it is taken on trust the first time."""

DEFAULT_RELEASE = "2.3.0"
"""Of the same version as the ``ai-edge-litert`` that this project is tested with."""

FETCH_S = 300.0
"""Deadline of a download."""

MOST_BYTES = 128 << 20
"""Of a download: what is larger is not the program."""

_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")
_BLOCK = 1 << 18

Fetch = Callable[[str, Path], None]
"""Puts what is at an address into a file, or raises ``OperationError``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A published binary, on this computer.

    Attributes:
        version: Of the release.
        abi: Android's name of what it runs on.
        path: Where it lies.
        sha256: Of its bytes.
    """

    version: str
    abi: str
    path: Path
    sha256: str


def release_file(version: str, abi: str, fetch: Fetch | None = None) -> Release:
    """The binary of a release, fetched if it is not here.

    Raises:
        InputError: If ``version`` names no release, or nothing is published for ``abi``.
        OperationError: If it cannot be fetched, or is not what it was before.
    """
    if not _VERSION.fullmatch(version):
        msg = (
            f"the release {version!r} is no fixed version: give one such as {DEFAULT_RELEASE!r} "
            "('latest' and 'nightly' change from day to day)"
        )
        raise InputError(msg)
    if abi not in PLATFORMS:
        msg = (
            f"no benchmark_model is published for {abi!r}, only for {', '.join(PLATFORMS)}: "
            "give your own with --runner PATH"
        )
        raise InputError(msg)
    path = home() / "runners" / version / abi / "benchmark_model"
    url = f"{ADDRESS}/{version}/{PLATFORMS[abi]}/benchmark_model"
    expected = _recorded(path) or PINNED.get(version) or ""
    if not (path.is_file() and sha256_of(path) == expected):
        _take(url, path, version, expected, fetch or download)
    return Release(version=version, abi=abi, path=path, sha256=_recorded(path))


def release_of(sha256: str) -> str:
    """The version of the fetched release with this digest; empty if there is none."""
    for note in sorted((home() / "runners").glob("*/*/benchmark_model.json")):
        if _recorded(note.with_suffix("")) == sha256:
            return note.parent.parent.name
    return ""


def _recorded(path: Path) -> str:
    """The digest noted when the binary was fetched first; it outlives the binary."""
    try:
        note = json.loads(_note(path).read_text())
    except (OSError, ValueError):
        return ""
    digest = note.get("sha256") if isinstance(note, dict) else None
    return digest if isinstance(digest, str) else ""


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")


def _take(url: str, path: Path, version: str, expected: str, fetch: Fetch) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".fetch-") as folder:
        fetched = Path(folder) / "benchmark_model"
        fetch(url, fetched)
        digest = sha256_of(fetched)
        if expected and digest != expected:
            msg = f"{url} gives a file with sha256 {digest}; {expected} was recorded: not used"
            raise OperationError(msg)
        note = {
            "format": 1,
            "version": version,
            "url": url,
            "sha256": digest,
            "bytes": fetched.stat().st_size,
            "fetched_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        write_whole(_note(path), json.dumps(note, indent=1).encode())
        fetched.chmod(0o755)
        fetched.replace(path)


def download(
    url: str, target: Path, *, timeout_s: float = FETCH_S, most_bytes: int = MOST_BYTES
) -> None:
    """Put what is at ``url`` (http or https) into ``target``.

    Raises:
        OperationError: If it is not there, is cut off, too large, or takes too long.
    """
    from http.client import HTTPException
    from urllib.error import URLError
    from urllib.request import urlopen

    until = time.monotonic() + timeout_s
    try:
        with urlopen(url, timeout=min(30.0, timeout_s)) as answer, target.open("wb") as file:
            promised = answer.headers.get("Content-Length")
            taken = 0
            while block := answer.read(_BLOCK):
                taken += len(block)
                if taken > most_bytes:
                    raise _failed(url, f"it has more than {most_bytes >> 20} MB")
                if time.monotonic() > until:
                    raise _failed(url, f"it took more than {timeout_s:g} s")
                file.write(block)
    except (URLError, HTTPException, OSError) as error:
        raise _failed(url, str(error) or type(error).__name__) from error
    if promised is not None and taken != int(promised):
        raise _failed(url, f"it was cut off after {taken} of {promised} bytes")


def _failed(url: str, reason: str) -> OperationError:
    return OperationError(f"{url} cannot be fetched: {reason}")
