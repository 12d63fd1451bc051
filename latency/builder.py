"""Builds a latency table on devices: layers by differences, then whole networks.

Everything that is timed goes through a ``LatencySource``, whose store knows it again: a builder
that was killed begins anew, and times only what it had not.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from exporters.artifact import Artifact, Precision
from latency.correction import Whole, fit
from latency.heads import kind_of
from latency.measurement import LatencyMeasurement, Verdict
from latency.signatures import parts_of
from latency.source import (
    FileSubject,
    LatencyEstimate,
    LatencyFailure,
    LatencyRequest,
    LatencySource,
    NetworkSubject,
    Origin,
    Subject,
)
from latency.store import identity_of
from latency.table import Condition, Entry, LatencyTable, variance_of
from latency.table_gaps import predicted
from latency.table_plan import Piece, Plan
from latency.table_validation import validate
from search_space.architecture import Architecture
from search_space.spinenet_parts import PermutedPart
from search_space.stream_part import StreamPart
from workspace.errors import OperationError

if TYPE_CHECKING:  # torch takes seconds to import
    from torch import nn

BATCH = 8
"""Files of a device that are interleaved, and at most lost when the builder is killed."""

ATTEMPTS = 3
"""At a file that could not be timed."""

RAW_DIGITS = 16
"""Of a measurement's name in the store, as entries point to it."""

Item = TypeVar("Item")


class NotBuiltError(OperationError):
    """Too much could not be timed; says what and what the device said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildProgress:
    """How far a builder is.

    Attributes:
        done: Files that have their latency.
        total: Files of the plan.
        stored: Of ``done``, those that an earlier builder or search had timed.
        left_s: Estimate of the time left; None before the first was timed.
        what: Is being timed.
    """

    done: int
    total: int
    stored: int
    left_s: float | None
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Timed:
    """A latency under the builder's conditions.

    Attributes:
        latency_ms: As the source gives it: of units together where there are several.
        measurement: Behind it.
    """

    latency_ms: float
    measurement: LatencyMeasurement


class Builder:
    """Times what a plan says, and makes a table of it.

    Args:
        source: Of devices.
        plan: What to time.
        precision: Of the files.
        tell: Told how far it is.
    """

    def __init__(
        self,
        source: LatencySource,
        plan: Plan,
        *,
        precision: Precision = Precision.FP32,
        tell: Callable[[BuildProgress], None] = lambda _: None,
    ) -> None:
        self._source = source
        self._plan = plan
        self._precision = precision
        self._tell = tell
        self._done = self._stored = self._fresh = 0
        self._started_s = time.monotonic()
        self._failures: list[str] = []
        self._units: dict[str, None] = {}
        self._first: LatencyMeasurement | None = None

    def table(
        self, name: str, *, made_by: str, space: str, everything: Sequence[Piece]
    ) -> LatencyTable:
        """The table: entries, correction, and what the validation says.

        Args:
            name: Of the table.
            made_by: Digest of the code.
            space: As text.
            everything: All pieces of the space; those that the plan leaves out are predicted.

        Raises:
            NotBuiltError: If a device is gone, or too few networks could be timed.
            InputError: If the source cannot time files.
        """
        entries = self._entries()
        missing = [piece for piece in everything if piece.signature.key not in entries]
        if missing:
            measured = [piece.signature for piece in self._plan.pieces]
            entries |= predicted(entries, measured, [piece.signature for piece in missing])
        ordered = {
            piece.signature.key: entries[piece.signature.key]
            for piece in sorted(everything, key=lambda piece: piece.signature.key)
        }
        correction = fit(ordered, self._wholes(self._plan.fitted, "networks to fit"))
        table = LatencyTable(
            name=name,
            entries=ordered,
            conditions=self._conditions(),
            space=space,
            classes=self._plan.head.classes,
            head=kind_of(self._plan.head),
            made_by=made_by,
            labels=self._labels(len(missing), len(ordered)),
            correction=correction,
        )
        return validate(table, self._wholes(self._plan.held_out, "networks held out"))

    def _entries(self) -> dict[str, Entry]:
        """Of each piece that could be timed."""
        lead_ins: dict[tuple[int, ...], _Timed] = {}
        entries: dict[str, Entry] = {}
        for pieces in _chunks(self._plan.pieces, BATCH * self._source.lanes):
            shapes = dict.fromkeys(p.input_shape for p in pieces if p.input_shape not in lead_ins)
            with tempfile.TemporaryDirectory() as folder:
                files = _Files(Path(folder), self._plan, self._precision)
                subjects: list[tuple[tuple[int, ...] | Piece, Subject]] = [
                    *((shape, files.lead_in(shape)) for shape in shapes),
                    *((piece, files.piece(piece)) for piece in pieces),
                ]
                found = self._timed([subject for _, subject in subjects], "layers")
            for (what, _), timed in zip(subjects, found, strict=True):
                if isinstance(what, tuple) and timed is not None:
                    lead_ins[what] = timed
            for (what, _), timed in zip(subjects, found, strict=True):
                before = lead_ins.get(what.input_shape) if isinstance(what, Piece) else None
                if isinstance(what, Piece) and timed is not None and before is not None:
                    entries[what.signature.key] = _difference(timed, before)
        if len(entries) < len(self._plan.pieces) / 2:
            msg = f"{len(entries)} of {len(self._plan.pieces)} layers were timed"
            raise self._not_built(msg)
        return entries

    def _wholes(self, subjects: Sequence[NetworkSubject], what: str) -> list[Whole]:
        found = []
        for chunk in _chunks(subjects, BATCH * self._source.lanes):
            for subject, timed in zip(chunk, self._timed(chunk, what), strict=True):
                if timed is not None:
                    found.append(whole(subject, timed.latency_ms))
        if len(found) < len(subjects) / 2:
            msg = f"{len(found)} of {len(subjects)} {what} were timed"
            raise self._not_built(msg)
        return found

    def _timed(self, subjects: Sequence[Subject], what: str) -> list[_Timed | None]:
        """In order; None for what could not be timed after some attempts."""
        found: dict[int, _Timed] = {}
        for _ in range(ATTEMPTS):
            left = [number for number in range(len(subjects)) if number not in found]
            if not left:
                break
            requests = [
                LatencyRequest(
                    id=str(number),
                    subject=subjects[number],
                    preset=self._plan.protocol.preset,
                )
                for number in left
            ]
            final = False
            for answer in self._source.estimate(requests):
                if isinstance(answer, LatencyFailure):
                    self._failures.append(answer.text)
                    final = final or not answer.retryable
                elif answer.verdict is not Verdict.REJECTED:
                    found[int(answer.request_id)] = self._taken(answer, what)
            if final and not found:
                break
        return [found.get(number) for number in range(len(subjects))]

    def _taken(self, answer: LatencyEstimate, what: str) -> _Timed:
        measurement = answer.measurement
        if measurement is None:
            msg = f"{answer.source} gives no measurements, of which a table is built"
            raise NotBuiltError(msg)
        if self._first is None:
            self._first = measurement
        self._units.setdefault(measurement.conditions.setup.info.unit)
        self._done += 1
        self._stored += answer.origin is Origin.STORED
        self._fresh += answer.origin is Origin.MEASURED
        self._tell(self._progress(what))
        return _Timed(latency_ms=answer.latency_ms, measurement=measurement)

    def _progress(self, what: str) -> BuildProgress:
        left = max(0, self._plan.files - self._done)
        elapsed_s = time.monotonic() - self._started_s
        return BuildProgress(
            done=self._done,
            total=max(self._plan.files, self._done),
            stored=self._stored,
            left_s=left * elapsed_s / self._fresh if self._fresh else None,
            what=what,
        )

    def _conditions(self) -> dict[str, Condition]:
        """Of all that was timed; the units by name where there are several."""
        assert self._first is not None
        found: dict[str, Condition] = dict(self._first.conditions.flat())
        found["unit"] = " ".join(sorted(self._units))
        return found

    def _labels(self, missing: int, total: int) -> tuple[str, ...]:
        labels = []
        if len(self._units) > 1:
            labels.append(
                f"{len(self._units)} units, each divided by its factor against the others"
            )
        if missing:
            labels.append(f"{missing} of {total} entries are predicted from the measured ones")
        return tuple(labels)

    def _not_built(self, text: str) -> NotBuiltError:
        said = f"; the last failure: {self._failures[-1]}" if self._failures else ""
        return NotBuiltError(f"no table could be built: {text}{said}")


def whole(subject: NetworkSubject, latency_ms: float) -> Whole:
    """A network that was measured."""
    architecture: Architecture = subject.architecture
    return Whole(
        key=architecture.key,
        parts=parts_of(architecture, subject.head),
        latency_ms=latency_ms,
    )


class _Files:
    """Files of layers and of what leads to them; the same layer gives the same bytes."""

    def __init__(self, folder: Path, plan: Plan, precision: Precision) -> None:
        self._folder = folder
        self._plan = plan
        self._precision = precision

    def lead_in(self, shape: tuple[int, ...]) -> FileSubject:
        module: nn.Module
        if len(shape) > 3:
            from search_space.single_streams import ClipLeadIn

            module = ClipLeadIn(shape[0], self._plan.activation)
        else:
            from search_space.single_layers import LeadIn

            module = LeadIn(shape[0], self._plan.activation)
        return FileSubject(artifact=self._written(module, shape))

    def piece(self, piece: Piece) -> FileSubject:
        module: nn.Module
        if isinstance(piece.layer, PermutedPart):
            from search_space.single_parts import SinglePart

            module = SinglePart(piece.layer)
        elif isinstance(piece.layer, StreamPart):
            from search_space.single_streams import SingleStreamPart

            module = SingleStreamPart(piece.layer)
        else:
            from search_space.single_layers import SingleLayer

            module = SingleLayer(piece.layer, self._plan.activation, piece.signature.key)
        return FileSubject(artifact=self._written(module, piece.input_shape))

    def _written(self, module: nn.Module, shape: tuple[int, ...]) -> Artifact:
        import torch

        from exporters.exporter import NamedInput
        from exporters.tflite import TFLiteExporter

        given = NamedInput("clip" if len(shape) > 3 else "image", torch.zeros(1, *shape))
        return TFLiteExporter(self._precision).export(module, (given,), self._folder)


def _difference(timed: _Timed, before: _Timed) -> Entry:
    """What a layer takes beyond what leads to it; 0 if noise puts it below that."""
    measurements = (timed.measurement, before.measurement)
    mads = [
        each.measurement.mad_ms * each.latency_ms / each.measurement.median_ms
        for each in (timed, before)
    ]
    last = max(m.sessions[-1].started_at for m in measurements)
    mad_ms = math.hypot(*mads)
    return Entry(
        ms=max(0.0, timed.latency_ms - before.latency_ms),
        variance_ms2=variance_of(mad_ms),
        count=1,
        mad_ms=mad_ms,
        sessions=min(len(m.sessions) for m in measurements),
        date=last.astimezone(UTC).date().isoformat(),
        raw=tuple(identity_of(m)[:RAW_DIGITS] for m in measurements),
    )


def _chunks(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
