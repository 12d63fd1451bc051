"""The rounding of channel counts under a width multiplier."""

from __future__ import annotations

import math

from workspace.errors import InputError


def scaled_width(filters: int, multiplier: float) -> int:
    """``filters`` times ``multiplier``, to a multiple of 8 at most 10 % below it.

    The rule of MobileNetV2's and MnasNet's published code.

    >>> [scaled_width(16, m) for m in (0.35, 0.75, 1.0, 1.2)]
    [8, 16, 16, 24]
    """
    exact = filters * multiplier
    rounded = max(8, int(exact + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * exact else rounded


def parse_multiplier(text: str) -> float:
    """A width multiplier out of text.

    Raises:
        InputError: If it is no number from 0.05 to 10.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.05 <= value <= 10:
        msg = f"a width multiplier must be a number from 0.05 to 10, got {text!r}"
        raise InputError(msg)
    return value
