"""What a data set out of files is known by, so that a training goes on with the same one alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from training.task import Split

One = TypeVar("One")


def digest_of(splits: Mapping[Split, Sequence[One]], words: Callable[[One], object]) -> str:
    """Hexadecimal digits that are others where a split has others, or in another order.

    Args:
        splits: What each has.
        words: By which one of them is told from others, of a form that stays the same.
    """
    made = hashlib.sha256()
    for split in Split:
        made.update(f"{split}\n".encode())
        for one in splits[split]:
            made.update(f"{words(one)!r}\n".encode())
    return made.hexdigest()


def bytes_of(path: Path) -> int:
    """Bytes of a file, by which one is told from another of its name; -1 where it is gone."""
    try:
        return path.stat().st_size
    except OSError:
        return -1
