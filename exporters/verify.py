"""Checks on what was exported that take arrays and files, and no task or device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from exporters.tflite_file import operators

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOLERANCE = 1e-4
"""Largest difference of outputs, as a share of the largest output."""

LAYOUT_OPERATORS = frozenset({"TRANSPOSE", "PAD", "PADV2", "MIRROR_PAD"})
"""Operators that move numbers about without computing, which a good export does without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """How far outputs are from what they should be.

    Attributes:
        max_error: ``max|a - b| / max|b|``, the worst of all outputs.
        tolerance: What is allowed.
    """

    max_error: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether it is within the tolerance; never for outputs that are not finite."""
        return self.max_error <= self.tolerance


def parity(
    outputs: Mapping[str, NDArray[Any]],
    reference: Mapping[str, NDArray[Any]],
    tolerance: float = TOLERANCE,
) -> Parity:
    """Compare outputs by name.

    Raises:
        ValueError: If names or shapes differ.
    """
    if outputs.keys() != reference.keys():
        msg = f"outputs are {sorted(outputs)}, expected {sorted(reference)}"
        raise ValueError(msg)
    errors = [_error(outputs[name], reference[name]) for name in reference]
    return Parity(max_error=max(errors), tolerance=tolerance)


def channels_last(value: NDArray[Any]) -> NDArray[Any]:
    """An image `[N, C, H, W]` as TFLite files have it, `[N, H, W, C]`; others as they are."""
    return np.ascontiguousarray(value.transpose(0, 2, 3, 1)) if value.ndim == 4 else value


def layout_operators(path: Path) -> tuple[str, ...]:
    """The layout operators of a TFLite file, in order.

    Raises:
        InputError: If it is no TFLite file.
    """
    return tuple(name for name in operators(path) if name in LAYOUT_OPERATORS)


def _error(output: NDArray[Any], reference: NDArray[Any]) -> float:
    if output.shape != reference.shape:
        msg = f"an output has shape {output.shape}, expected {reference.shape}"
        raise ValueError(msg)
    if not (np.isfinite(output).all() and np.isfinite(reference).all()):
        return float("inf")
    largest = float(np.abs(reference).max())
    difference = float(np.abs(output.astype(np.float64) - reference).max())
    if largest == 0:
        return 0.0 if difference == 0 else float("inf")
    return difference / largest
