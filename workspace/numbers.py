"""Numbers that people write."""

from __future__ import annotations

import math

from workspace.errors import InputError


def finite(text: str, what: str) -> float:
    """The number that a cell or an option holds.

    >>> finite("2.5", "latency_ms")
    2.5

    Args:
        text: As it stands there.
        what: It is, for errors.

    Raises:
        InputError: If it is none, or not finite.
    """
    try:
        value = float(text.replace("_", "?"))  # Python's own grouping is no number for others
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        msg = f"{what} must be a finite number, got {text!r}"
        raise InputError(msg)
    return value
