"""Files that are either whole or not there, and their digests."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path


def write_whole(path: Path, content: bytes, *, flush: bool = True) -> None:
    """Write ``content`` so that ``path`` never holds a part of it, whatever happens meanwhile.

    Args:
        path: Of the file.
        content: All of it.
        flush: Whether it is on the disk afterwards; without that a loss of power may leave an
            empty file, which is for files whose digest is checked and that can be made again.

    Raises:
        OSError: If the folder is not writable or the disk is full; ``path`` is as it was.
    """
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            if flush:
                file.flush()
                os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def sha256_of(path: Path) -> str:
    """Hex digest of the bytes of ``path``.

    Raises:
        OSError: If it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_folder(folder: Path) -> str:
    """Hex digest of the relative paths and the bytes of all files in ``folder``.

    Raises:
        OSError: If one cannot be read.
    """
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix().encode()
        digest.update(len(name).to_bytes(8) + name + bytes.fromhex(sha256_of(path)))
    return digest.hexdigest()
