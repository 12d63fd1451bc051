"""Reads the fields of a JSON document, and says which one is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from search_space.architecture import Json
from workspace.errors import InputError

Member = TypeVar("Member", bound=StrEnum)


class Fields:
    """The fields of one JSON object, each read once; ``end`` refuses what was not read.

    >>> fields = Fields({"size": 32}, "a network")
    >>> fields.integer("size")
    32
    >>> fields.end()
    """

    def __init__(self, document: Json | Mapping[str, Json], what: str) -> None:
        if not isinstance(document, Mapping):
            msg = f"{what} must be a JSON object, got {document!r}"
            raise InputError(msg)
        self._left = dict(document)
        self._what = what

    def integer(self, name: str) -> int:
        """A whole number."""
        value = self._take(name)
        if type(value) is not int:
            raise self._wrong(name, "a whole number", value)
        return value

    def number(self, name: str) -> float:
        """A number."""
        value = self._take(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._wrong(name, "a number", value)
        return value

    def truth(self, name: str) -> bool:
        """True or false."""
        value = self._take(name)
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false", value)
        return value

    def member(self, name: str, options: type[Member]) -> Member:
        """One of a closed set."""
        value = self._take(name)
        for option in options:
            if option == value:
                return option
        raise self._wrong(name, f"one of {', '.join(options)}", value)

    def optional_integer(self, name: str) -> int | None:
        """A whole number, or null."""
        return None if self._is_null(name) else self.integer(name)

    def optional_member(self, name: str, options: type[Member]) -> Member | None:
        """One of a closed set, or null."""
        return None if self._is_null(name) else self.member(name, options)

    def number_up_to(self, name: str, last: int) -> int:
        """A whole number from 1 to ``last``: a version."""
        value = self._take(name)
        if type(value) is int and 1 <= value <= last:
            return value
        raise self._wrong(name, " or ".join(map(str, range(1, last + 1))), value)

    def items(self, name: str) -> list[Json]:
        """A list."""
        value = self._take(name)
        if not isinstance(value, list):
            raise self._wrong(name, "a list", value)
        return value

    def optional_items(self, name: str) -> list[Json] | None:
        """A list, or null."""
        return None if self._is_null(name) else self.items(name)

    def inner(self, name: str) -> Fields:
        """A JSON object inside."""
        return Fields(self._take(name), f"{name!r} of {self._what}")

    def optional_inner(self, name: str) -> Fields | None:
        """A JSON object inside, or null."""
        return None if self._is_null(name) else self.inner(name)

    def expect(self, name: str, value: str | int) -> None:
        """Do nothing if the field has this very value."""
        found = self._take(name)
        if isinstance(found, bool) or found != value:
            raise self._wrong(name, f"{value!r}", found)

    def end(self) -> None:
        """Do nothing if every field was read."""
        if self._left:
            msg = f"{self._what} has unknown fields: {', '.join(sorted(self._left))}"
            raise InputError(msg)

    def _is_null(self, name: str) -> bool:
        if self._left.get(name, ...) is not None:
            return False
        self._left.pop(name)
        return True

    def _take(self, name: str) -> Json:
        if name not in self._left:
            msg = f"{self._what} lacks the field {name!r}"
            raise InputError(msg)
        return self._left.pop(name)

    def _wrong(self, name: str, right: str, value: Json) -> InputError:
        return InputError(f"{name!r} of {self._what} must be {right}, got {value!r}")
