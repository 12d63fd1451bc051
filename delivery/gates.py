"""What the checks of an exported file are called, and what each of them finds.

* ``parity``: its outputs in its runtime against torch's, on real inputs where a dataset is known.
* ``layout``: no TRANSPOSE, and PAD only where padding has no SAME or VALID equal (TFLite).
* ``delegation``: XNNPACK takes the whole graph (TFLite).
* ``macs``, ``size``: multiply-adds and bytes of the file against the network's.
* ``accuracy``: of the file in its runtime on the whole test split, against torch's.
* ``latency``: of this very file on the device, beside the candidate's figure in the search.
* ``int8-speed``: the int8 file takes no longer than the fp32 one on the device.

``delivery.file_gates``, ``delivery.accuracy`` and ``delivery.timing`` run them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from workspace.errors import InputError, OperationError

if TYPE_CHECKING:
    from search_space.architecture import Json


class GateName(StrEnum):
    """The checks, as ``--warn`` names them."""

    PARITY = "parity"
    LAYOUT = "layout"
    DELEGATION = "delegation"
    MACS = "macs"
    SIZE = "size"
    ACCURACY = "accuracy"
    LATENCY = "latency"
    INT8_SPEED = "int8-speed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What one check found of one file.

    Attributes:
        name: Which check.
        file: Name of the file.
        passed: Whether all is well.
        figures: By name, with what they were found on.
        limit: What the decisive figure was held against.
        text: A sentence.
        is_warning: Whether it only warns, because that was asked for.
    """

    name: GateName
    file: str
    passed: bool
    figures: Mapping[str, Json]
    limit: float
    text: str
    is_warning: bool = False

    @property
    def fails(self) -> bool:
        """Whether it keeps the file from being delivered."""
        return not self.passed and not self.is_warning

    def number(self, figure: str) -> float | None:
        """A figure that is a number; None where there is none."""
        value = self.figures.get(figure)
        return float(value) if isinstance(value, int | float) else None

    def to_json(self) -> dict[str, Json]:
        """As manifests and ``--json`` have it."""
        return {
            "gate": self.name.value,
            "file": self.file,
            "passed": self.passed,
            "is_warning": self.is_warning,
            "figures": dict(self.figures),
            "limit": self.limit,
            "text": self.text,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRun:
    """A check that could not be made, and why.

    Attributes:
        name: Which check.
        file: Name of the file.
        why: What it would take.
    """

    name: GateName
    file: str
    why: str

    def to_json(self) -> dict[str, Json]:
        """As manifests and ``--json`` have it."""
        return {"gate": self.name.value, "file": self.file, "why": self.why}


Checked = Gate | NotRun


class GateError(OperationError):
    """Files failed gates and nothing was delivered.

    Attributes:
        checked: All that was found, the gates that passed included.
    """

    def __init__(self, text: str, checked: tuple[Checked, ...]) -> None:
        super().__init__(text)
        self.checked = checked


def gates_named(texts: Iterable[str]) -> frozenset[GateName]:
    """The gates that ``--warn`` names.

    Raises:
        InputError: If there is no such gate.
    """
    found = set()
    for text in texts:
        if text not in set(GateName):
            msg = f"unknown gate {text!r}; there are {', '.join(GateName)}"
            raise InputError(msg)
        found.add(GateName(text))
    return frozenset(found)


def warned(checked: Iterable[Checked], only_warn: frozenset[GateName]) -> tuple[Checked, ...]:
    """The same, those of ``only_warn`` as warnings."""
    return tuple(
        replace(each, is_warning=True)
        if isinstance(each, Gate) and each.name in only_warn
        else each
        for each in checked
    )


def require(checked: tuple[Checked, ...], consequence: str) -> None:
    """Do nothing if no gate fails.

    Args:
        checked: All that was found.
        consequence: Of a failure, the end of its sentence.

    Raises:
        GateError: The text says which failed, and how.
    """
    failed = [each for each in checked if isinstance(each, Gate) and each.fails]
    if failed:
        said = "; ".join(f"{each.name} of {each.file}: {each.text}" for each in failed)
        flags = " ".join(dict.fromkeys(f"--warn {each.name}" for each in failed))
        msg = f"{said}; {consequence} ({flags} would deliver it all the same)"
        raise GateError(msg, checked)
