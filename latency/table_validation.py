"""How far a table is from whole networks that it was not fitted to, now and on any later day."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from latency.accuracy import Accuracy
from latency.correction import Whole, corrected_ms, short
from latency.table import Condition, LatencyTable, Validation, differences
from workspace.errors import InputError

LEAST_NETWORKS = 5

DRIFT_LIMIT = 0.03
"""How far the median of measured over predicted may be from what it was, as a share."""

ERROR_LIMIT = 0.10
"""What the 95th percentile of errors may reach before a table is not to be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Networks as a table and as a device have them.

    Attributes:
        keys: Of the networks.
        predicted_ms: By the table.
        measured_ms: By the device.
        accuracy: Of the first against the second.
        bias: Median of measured over predicted, less 1.
        additivity_error: Median relative error of plain sums.
    """

    keys: tuple[str, ...]
    predicted_ms: tuple[float, ...]
    measured_ms: tuple[float, ...]
    accuracy: Accuracy
    bias: float
    additivity_error: float

    @property
    def alarm(self) -> str:
        """Why the table is not to be used any more; empty if it may."""
        if abs(self.bias) > DRIFT_LIMIT:
            return (
                f"the device has drifted: it takes {self.bias:+.1%} against the table (allowed "
                f"{DRIFT_LIMIT:.0%}); build the table again"
            )
        if self.accuracy.p95_error > ERROR_LIMIT:
            return (
                f"the table is off by up to {self.accuracy.p95_error:.1%} in 95 of 100 networks "
                f"(allowed {ERROR_LIMIT:.0%}); give it a larger budget"
            )
        return ""


def compare(table: LatencyTable, networks: Sequence[Whole]) -> Compared:
    """A table against networks that were measured.

    Raises:
        InputError: If there are fewer than five, one was fitted to, or a part is missing.
    """
    if len(networks) < LEAST_NETWORKS:
        msg = f"a validation needs at least {LEAST_NETWORKS} networks, got {len(networks)}"
        raise InputError(msg)
    fitted = [each.key for each in networks if short(each.key) in table.correction.networks]
    if fitted:
        msg = f"{table.name} was fitted to {fitted[0]}, which can't validate it"
        raise InputError(msg)
    measured = tuple(each.latency_ms for each in networks)
    predicted = tuple(
        corrected_ms(table.correction, table.entries, each.parts) for each in networks
    )
    sums = [math.fsum(table.entries[part.key].ms for part in each.parts) for each in networks]
    ratios = [mine / theirs for mine, theirs in zip(measured, predicted, strict=True)]
    return Compared(
        keys=tuple(each.key for each in networks),
        predicted_ms=predicted,
        measured_ms=measured,
        accuracy=Accuracy.of(predicted, measured),
        bias=statistics.median(ratios) - 1,
        additivity_error=statistics.median(
            abs(total - mine) / mine for total, mine in zip(sums, measured, strict=True)
        ),
    )


def validate(table: LatencyTable, networks: Sequence[Whole]) -> LatencyTable:
    """The table with one more validation.

    Raises:
        InputError: As ``compare``.
    """
    return noted(table, compare(table, networks))


def noted(table: LatencyTable, compared: Compared) -> LatencyTable:
    """The table with what a comparison said of it."""
    told = asdict(compared.accuracy) | {"bias": compared.bias}
    validation = Validation(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        numbers={name: float(value) for name, value in told.items() if value is not None},
        additivity_error=compared.additivity_error,
        networks=tuple(map(short, compared.keys)),
    )
    return replace(table, validations=(*table.validations, validation))


def require_conditions(
    name: str, told: Mapping[str, Condition], conditions: Mapping[str, Condition]
) -> None:
    """Do nothing if a table or predictor tells of a device under these conditions.

    One of several units is one of each of them.

    Args:
        name: Of the table or predictor.
        told: Its conditions.
        conditions: Of the device.

    Raises:
        InputError: If a condition differs; the text names each with both values.
    """
    found = differences(told, conditions)
    units = str(told.get("unit", "")).split()
    if "unit" in found and conditions["unit"] in units:
        del found["unit"]
    if found:
        named = "; ".join(f"{name}: {values}" for name, values in found.items())
        msg = f"{name} is of other conditions than the device at hand ({named})"
        raise InputError(msg)
