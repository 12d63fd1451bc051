"""Some seconds of a video in its path: ``a.mp4#t=5,15``, as W3C's media fragments have it.

So a path can be of a part of a file, which is a video like any other.
"""

from __future__ import annotations

import re
from pathlib import Path

Seconds = tuple[int, int]
"""From the first until before the second."""

_PART = re.compile(r"#t=(\d+),(\d+)$")


def part_of(path: str, seconds: Seconds) -> str:
    """The path of a part.

    >>> part_of("run/a.mp4", (5, 15))
    'run/a.mp4#t=5,15'
    """
    return f"{path}#t={seconds[0]},{seconds[1]}"


def parted(path: Path) -> tuple[Path, Seconds | None]:
    """The file, and which seconds of it; None for all.

    >>> parted(Path("a.mp4#t=5,15")), parted(Path("a.mp4"))
    ((PosixPath('a.mp4'), (5, 15)), (PosixPath('a.mp4'), None))
    """
    found = _PART.search(path.name)
    if found is None:
        return path, None
    return path.with_name(path.name[: found.start()]), (int(found[1]), int(found[2]))


def cut_name(name: str, seconds: Seconds) -> str:
    """What those who fetch Kinetics call a file of some seconds, without ending.

    >>> cut_name("Xy_9-", (5, 15))
    'Xy_9-_000005_000015'
    """
    return f"{name}_{seconds[0]:06d}_{seconds[1]:06d}"
