"""The rounding of channel counts and of numbers of layers under multipliers."""

from __future__ import annotations

import math

from workspace.errors import InputError


def scaled_width(filters: int, multiplier: float) -> int:
    """``filters`` times ``multiplier``, to a multiple of 8 at most 10 % below it.

    The rule of MobileNetV2's, MnasNet's and EfficientNet's published code.

    >>> [scaled_width(16, m) for m in (0.35, 0.75, 1.0, 1.2)]
    [8, 16, 16, 24]
    """
    exact = filters * multiplier
    rounded = max(8, int(exact + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * exact else rounded


def scaled_width_v2(filters: int, multiplier: float) -> int:
    """``filters`` times ``multiplier``, to the nearest multiple of 8, however far below it.

    The rule of EfficientNetV2's published code.

    >>> [scaled_width_v2(16, m) for m in (0.35, 0.75, 1.0, 1.2)]
    [8, 16, 16, 16]
    """
    return max(8, int(filters * multiplier + 4) // 8 * 8)


def whole_width(filters: int, multiplier: float) -> int:
    """``filters`` times ``multiplier``, to the nearest whole number: AssembleNets'.

    >>> [whole_width(12, m) for m in (0.35, 0.75, 1.0, 1.2)]
    [4, 9, 12, 14]

    Raises:
        InputError: If not even one would be left.
    """
    require_width(filters, multiplier)
    return round(filters * multiplier)


def require_width(filters: int, multiplier: float) -> None:
    """Do nothing if ``filters`` times ``multiplier`` are one at least.

    Raises:
        InputError: If not.
    """
    exact = filters * multiplier
    if exact < 1:
        msg = (
            f"{filters} channels times {multiplier:.3g} are {exact:.2g}, a width of 0: take a "
            "larger coefficient"
        )
        raise InputError(msg)


def scaled_depth(repeats: int, multiplier: float) -> int:
    """``repeats`` times ``multiplier``, rounded up, as EfficientNet's published code does.

    But what is whole up to the noise of a power, such as ``(2 ** 0.5) ** 2``, is not rounded.

    >>> [scaled_depth(10, m) for m in (0.01, 1.0, 1.01, (2**0.5) ** 2)]
    [1, 10, 11, 20]
    """
    return math.ceil(round(repeats * multiplier, 9))


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
