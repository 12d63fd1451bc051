"""Classes and functions of a module, with all that they use, as text for another file."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from types import ModuleType
from typing import Any

from exporters.exporter import ExportError

_LIBRARIES = frozenset({"torch", *sys.stdlib_module_names})
"""What the other file may import."""


class Definitions:
    """Gathers what another file has to define and import.

    Attributes:
        texts: Definitions, each after those that it uses.
        imports: Lines.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.imports: set[str] = set()
        self._names: dict[str, object] = {}

    def add(self, name: str, value: Any) -> str:  # noqa: ANN401 - whatever a module holds
        """Make ``name`` mean ``value`` in the other file, and give it back.

        Raises:
            ExportError: If that takes more than text and imports of torch and Python's own.
        """
        if name in self._names:
            if self._names[name] is not value:
                msg = f"two things are called {name!r}: {self._names[name]!r} and {value!r}"
                raise ExportError(msg)
            return name
        self._names[name] = value
        home = value.__name__ if isinstance(value, ModuleType) else _home(value)
        if home is None:
            self.texts.append(f"{name} = {_literal(name, value)}")
        elif home.partition(".")[0] in _LIBRARIES:
            self.imports.add(_import(name, value, home))
        elif isinstance(value, ModuleType):
            msg = f"{name!r} is the module {home}, which the file cannot import"
            raise ExportError(msg)
        else:
            self._define(value)
        return name

    def _define(self, value: Any) -> None:  # noqa: ANN401 - a class or a function
        """Its text, after those of all that it uses."""
        try:
            text = textwrap.dedent(inspect.getsource(value))
        except (OSError, TypeError) as error:
            msg = f"the source of {value!r} is not there: {error}"
            raise ExportError(msg) from error
        around = vars(sys.modules[value.__module__])
        used = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
        for name in sorted(used - {value.__name__}):
            if name in around:
                self.add(name, around[name])
        self.texts.append(text.rstrip())


def _home(value: object) -> str | None:
    """The module of a class or function; None for a plain value."""
    if inspect.isclass(value) or inspect.isroutine(value):
        return value.__module__ or "builtins"
    kind = type(value).__module__
    return "typing" if kind == "typing" else None


def _import(name: str, value: Any, home: str) -> str:  # noqa: ANN401 - a module, class or function
    if not isinstance(value, ModuleType):
        original = getattr(value, "__name__", None) or getattr(value, "_name", name)
        home = {"_operator": "operator"}.get(home, home)
        return f"from {home} import {original}" + ("" if original == name else f" as {name}")
    parent, _, last = home.rpartition(".")
    if not parent:
        return f"import {home}" + ("" if home == name else f" as {name}")
    return f"from {parent} import {last}" + ("" if last == name else f" as {name}")


def _literal(name: str, value: object) -> str:
    parts = value if isinstance(value, tuple) else (value,)
    if all(each is None or isinstance(each, bool | int | float | str) for each in parts):
        return repr(value)
    msg = f"{name!r} is {value!r}, which cannot be written down"
    raise ExportError(msg)
