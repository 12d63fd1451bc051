"""Yours instead of ours: ``package.module:NAME`` from the user's own folder."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

from workspace.errors import InputError

_REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


def is_reference(text: str) -> bool:
    """Whether ``text`` has the form ``package.module:NAME``.

    >>> is_reference("my_space:SPACE"), is_reference("table:pixel1.yaml"), is_reference("ppo")
    (True, False, False)
    """
    return _REFERENCE.fullmatch(text) is not None


def load(reference: str, what: str) -> object:
    """The object that ``package.module:NAME`` names; the current folder is searched last.

    So a folder ``training`` of the user's stands neither here nor in processes begun later for
    ours, and a file of theirs for no library's.

    Args:
        reference: Module path, a colon, the name inside it.
        what: What the object should be, for the error ("a search space").

    Raises:
        InputError: If it is not of that form, cannot be imported, or has no such name.
    """
    if not is_reference(reference):
        msg = f"{reference!r} is not of the form package.module:NAME, which names {what} of yours"
        raise InputError(msg)
    module_name, _, name = reference.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # the user's module may raise anything
        msg = (
            f"{what} {reference!r} cannot be imported from {here}: {type(error).__name__}: {error}"
        )
        raise InputError(msg) from error
    try:
        return getattr(module, name)
    except AttributeError:
        place = getattr(module, "__file__", None)
        of = f" ({place})" if place else ""
        msg = (
            f"{what} {reference!r} cannot be loaded: "
            f"module {module_name!r}{of} has no name {name!r}"
        )
        raise InputError(msg) from None
