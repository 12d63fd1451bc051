"""Objectives beside accuracy and latency, as people read them."""

from __future__ import annotations

from collections.abc import Sequence

from training.task import ACCURACY


def further(names: Sequence[str]) -> list[str]:
    """Objectives beside accuracy and latency, which have columns anyway.

    >>> further(["accuracy", "params", "latency_ms"])
    ['params']
    """
    return [name for name in names if name not in ("accuracy", "latency_ms")]


def shown_names(names: Sequence[str], metric: str) -> str:
    """Objectives with the task's metric under its own name.

    >>> shown_names(["accuracy", "params"], "AP")
    'AP, params'
    """
    return ", ".join(metric if name == ACCURACY else name for name in names)


def figure_text(value: float) -> str:
    """A figure of a network: a count in full, else four digits.

    >>> figure_text(3201544.0), figure_text(6.02112)
    ('3,201,544', '6.021')
    """
    return f"{value:,.0f}" if value >= 1e4 else f"{value:.4g}"
