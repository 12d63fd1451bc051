"""Which programs were at work: a replay is exact only where they are the same."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

_DECISIVE = ("pocketnas", "numpy", "optuna", "torch")
"""Packages whose version can change what an algorithm proposes."""


def current() -> dict[str, str]:
    """Those that are installed now, with Python, by name."""
    found = {"python": platform.python_version()}
    for name in _DECISIVE:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def differences(then: Mapping[str, str], now: Mapping[str, str]) -> str:
    """What differs, as text; empty if nothing does.

    >>> differences({"python": "3.11.7", "optuna": "4.2.0"}, {"python": "3.11.7"})
    'optuna 4.2.0 then, none now'
    """
    names = [name for name in {**then, **now} if then.get(name) != now.get(name)]
    return "; ".join(
        f"{name} {then.get(name, 'none')} then, {now.get(name, 'none')} now" for name in names
    )
