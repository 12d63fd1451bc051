"""Noticing at once that a node was written: the kernel's inotify.

Only Python's own library is used: the file is also copied onto the phone.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable

_CLOSE_WRITE = 0x8
_NONBLOCK = os.O_NONBLOCK | os.O_CLOEXEC


def watch(paths: Iterable[str]) -> int:
    """A handle that can be read once one of the files was closed by who wrote it.

    Raises:
        OSError: If the kernel refuses.
    """
    library = ctypes.CDLL(None, use_errno=True)
    handle: int = library.inotify_init1(_NONBLOCK)
    for path in paths:
        if handle < 0 or library.inotify_add_watch(handle, path.encode(), _CLOSE_WRITE) < 0:
            raise OSError(ctypes.get_errno(), "inotify", path)
    return handle
