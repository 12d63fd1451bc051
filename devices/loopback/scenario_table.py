"""Reading a TOML table key by key: each has its type and its range, and none is left over.

Only Python's own library is used: the file is also copied onto the loopback phone.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from typing import NoReturn, TypeVar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_Option = TypeVar("_Option", str, int)


class ScenarioError(ValueError):
    """One sentence that names the key, says what would be right, and quotes what was given."""


class Table:
    """A table of a scenario file.

    Args:
        content: As ``tomllib`` gives it.
        where: The scenario's name, and after it the path of the table, for messages.
        path: The path alone, with a dot at its end; empty for the file itself.
    """

    def __init__(self, content: dict[str, Any], where: str, path: str = "") -> None:
        self._content = content
        self._where = where
        self._path = path
        self._known: set[str] = set()

    def refuse(self, key: str, rule: str, given: object) -> NoReturn:
        """Raise ScenarioError about a key."""
        msg = f"{self._where}: {self._path}{key} {rule}, got {_shown(given)}"
        raise ScenarioError(msg)

    def done(self) -> None:
        """Nothing more is read from it.

        Raises:
            ScenarioError: If it holds a key that nobody asked for.
        """
        for key in self._content:
            if key not in self._known:
                near = difflib.get_close_matches(key, self._known, n=1)
                hint = f"did you mean '{near[0]}'? " if near else ""
                msg = (
                    f"{self._where}: there is no key '{self._path}{key}': {hint}"
                    f"possible are {', '.join(sorted(self._known))}"
                )
                raise ScenarioError(msg)

    def text(self, key: str, default: str | None = None) -> str:
        """A text of one line."""
        value = self._take(key, default)
        if not isinstance(value, str) or not value.isprintable():
            self.refuse(key, "must be a text of one line", value)
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """True or false."""
        value = self._take(key, default)
        if not isinstance(value, bool):
            self.refuse(key, "must be true or false", value)
        return value

    def number(self, key: str, default: float | None = None, *, low: float, high: float) -> float:
        """A number in a range, ends included."""
        value = self._take(key, default)
        if not _is_number(value) or not low <= value <= high:
            self.refuse(key, f"must be a number from {low:g} to {high:g}", value)
        return float(value)

    def maybe_number(self, key: str, *, low: float, high: float) -> float | None:
        """The same, or None where it is left out."""
        self._known.add(key)
        return self.number(key, low=low, high=high) if key in self._content else None

    def integer(self, key: str, default: int | None = None, *, low: int, high: int) -> int:
        """A whole number in a range, ends included."""
        value = self._take(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            self.refuse(key, f"must be a whole number from {low} to {high}", value)
        return value

    def integers(self, key: str, *, low: int, high: int) -> tuple[int, ...]:
        """Whole numbers in a range; none where it is left out."""
        values = self._take(key, [])
        rule = f"must be a list of whole numbers from {low} to {high}"
        if not isinstance(values, list):
            self.refuse(key, rule, values)
        for value in values:
            if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
                self.refuse(key, rule, value)
        return tuple(values)

    def choice(
        self, key: str, options: Sequence[_Option], default: _Option | None = None
    ) -> _Option:
        """One of the options."""
        value = self._take(key, default)
        for option in options:
            if value == option and not isinstance(value, bool):
                return option
        self.refuse(key, f"must be one of {_listed(options)}", value)

    def choices(self, key: str, options: Sequence[str]) -> frozenset[str]:
        """Several of the options, or none."""
        values = self._take(key, [])
        if not isinstance(values, list):
            self.refuse(key, f"must be a list, of {_listed(options)}", values)
        for value in values:
            if value not in options:
                self.refuse(key, f"must be a list, of {_listed(options)}", value)
        return frozenset(values)

    def table(self, key: str) -> Table:
        """The table of a key; an empty one where it is left out."""
        value = self._take(key, {})
        if not isinstance(value, dict):
            self.refuse(key, f"must be a table [{self._path}{key}]", value)
        return Table(value, self._where, f"{self._path}{key}.")

    def tables(self, key: str) -> list[Table]:
        """The tables of a key, in order; none where it is left out."""
        values = self._take(key, [])
        rule = f"must be tables [[{self._path}{key}]]"
        if not isinstance(values, list) or not all(isinstance(each, dict) for each in values):
            self.refuse(key, rule, values)
        return [
            Table(value, self._where, f"{self._path}{key}[{i}].") for i, value in enumerate(values)
        ]

    def _take(self, key: str, default: object) -> Any:  # noqa: ANN401 - checked by its caller
        self._known.add(key)
        if key not in self._content and default is None:
            msg = f"{self._where}: {self._path}{key} is missing"
            raise ScenarioError(msg)
        return self._content.get(key, default)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _listed(options: Sequence[object]) -> str:
    return ", ".join(_shown(option) for option in options)


def _shown(value: object) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value)[:200]
