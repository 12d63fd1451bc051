"""How clips are taken of videos in files, as the end of a data set's name has it.

``videos:PATH,stride=4,views=10``; what is left out is as usual.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from workspace.errors import InputError

_SETTINGS = re.compile(r"((?:,\w+=[^,/=]*)+)$")
_MOST = {"stride": 1000, "views": 100}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipSettings:
    """How clips are taken.

    Attributes:
        stride: Every how many frames one is taken; all of a video that is too short for that.
        views: Clips of a video that an evaluation takes, spread over it (SlowFast, arXiv
            1812.03982, section 4, takes ten).
    """

    stride: int = 2
    views: int = 3

    def __str__(self) -> str:
        usual, named = ClipSettings(), ("stride", "views")
        changed = [name for name in named if getattr(self, name) != getattr(usual, name)]
        return "".join(f",{name}={getattr(self, name)}" for name in changed)

    @classmethod
    def parse(cls, text: str) -> tuple[Path, Self]:
        """The path, and what is said after it.

        >>> path, settings = ClipSettings.parse("clips,views=10,stride=2")
        >>> str(path), str(settings)
        ('clips', ',views=10')

        Raises:
            InputError: If a setting is unknown, or no whole number from 1 on.
        """
        found = _SETTINGS.search(text)
        if found is None or Path(text).expanduser().exists():
            return Path(text), cls()
        pairs = (pair.split("=") for pair in found[1][1:].split(","))
        given = {name: _count(name, value) for name, value in pairs}
        return Path(text[: found.start()]), cls(**given)


def _count(name: str, value: str) -> int:
    if name not in _MOST:
        msg = f"clips of videos have no setting {name!r}; there are {', '.join(_MOST)}"
        raise InputError(msg)
    if not value.isdecimal() or not 1 <= int(value) <= _MOST[name]:
        msg = f"{name} of clips must be a whole number from 1 to {_MOST[name]}, got {value!r}"
        raise InputError(msg)
    return int(value)
