"""Reads the settings of a space, which come as text, and says which one is wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from workspace.errors import InputError

Member = TypeVar("Member", bound=StrEnum)


class OptionReader:
    """The options that a space was given.

    Args:
        options: As given.
        space: Name of the space, for errors.
        known: Every option that the space has.

    Raises:
        InputError: If an option is not among ``known``.
    """

    def __init__(self, options: Mapping[str, str], space: str, known: tuple[str, ...]) -> None:
        self._options = options
        self._space = space
        unknown = sorted(set(options) - set(known))
        if unknown:
            msg = (
                f"space {space!r} has no option {', '.join(map(repr, unknown))}; "
                f"it has {', '.join(known)}"
            )
            raise InputError(msg)

    def __contains__(self, name: object) -> bool:
        return name in self._options

    def text(self, name: str) -> str:
        """As given."""
        return self._options[name]

    def integer(self, name: str, default: int, *, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``."""
        if name not in self._options:
            return default
        given = self._options[name].strip()
        if given.isascii() and given.isdigit() and low <= int(given) <= high:
            return int(given)
        raise self._wrong(name, f"a whole number from {low} to {high}")

    def texts(self, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
        """What stands between commas, without blanks around; at least one."""
        if name not in self._options:
            return default
        found = tuple(part.strip() for part in self._options[name].split(","))
        if all(found):
            return found
        raise self._wrong(name, "a list with commas")

    def integers(
        self, name: str, default: tuple[int, ...], *, low: int, high: int
    ) -> tuple[int, ...]:
        """Whole numbers from ``low`` to ``high``, with commas between them."""
        found = []
        for part in self.texts(name, tuple(map(str, default))):
            if not (part.isascii() and part.isdigit() and low <= int(part) <= high):
                raise self._wrong(name, f"whole numbers from {low} to {high} with commas")
            found.append(int(part))
        return tuple(found)

    def number(self, name: str, default: float, *, low: float, high: float) -> float:
        """A number from ``low`` to ``high``."""
        if name not in self._options:
            return default
        try:
            value = float(self._options[name])
        except ValueError:
            value = math.nan
        if low <= value <= high:
            return value
        raise self._wrong(name, f"a number from {low:g} to {high:g}")

    def rate(self, name: str, default: float) -> float:
        """A number from 0 to below 1."""
        if name not in self._options:
            return default
        try:
            value = float(self._options[name])
        except ValueError:
            value = math.nan
        if 0 <= value < 1:
            return value
        raise self._wrong(name, "a number from 0 to below 1")

    def member(self, name: str, default: Member) -> Member:
        """One of the closed set that ``default`` belongs to."""
        if name not in self._options:
            return default
        members = type(default)
        for member in members:
            if member == self._options[name]:
                return member
        raise self._wrong(name, " or ".join(members))

    def _wrong(self, name: str, right: str) -> InputError:
        given = self._options[name]
        return InputError(
            f"option {name!r} of space {self._space!r} must be {right}, got {given!r}"
        )
