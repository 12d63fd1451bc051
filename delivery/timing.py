"""The very files timed on devices, beside what the search said of the candidate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from delivery.gates import Checked, Gate, GateName, NotRun
from exporters.artifact import Artifact, ModelFormat, Precision
from latency.account import account
from latency.source import (
    Decides,
    FileSubject,
    LatencyEstimate,
    LatencyFailure,
    LatencyRequest,
    SourceSettings,
    create,
)
from workspace.errors import InputError, OperationError

if TYPE_CHECKING:
    from controller.candidate import FoundLatency
    from latency.source import LatencySource
    from search_space.architecture import Json

APART = 0.03
"""Largest distance of a file's latency from the search's, as a share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """One file on one source.

    Attributes:
        artifact: The file.
        on: The source as text.
        answer: Its latency, or why there is none.
    """

    artifact: Artifact
    on: str
    answer: LatencyEstimate | LatencyFailure

    def to_json(self) -> dict[str, Json]:
        """As ``latencies.json`` has it: never a number without interval and conditions."""
        found = self.answer
        file: dict[str, Json] = {
            "file": self.artifact.path.name,
            "sha256": self.artifact.sha256,
            "precision": self.artifact.precision.value,
        }
        if isinstance(found, LatencyFailure):
            return {**file, "source": self.on, "failure": found.text}
        measured = {} if found.measurement is None else account(found.measurement)
        return {
            **file,
            "source": found.source,
            "median_ms": found.latency_ms,
            "ci_low_ms": found.low_ms,
            "ci_high_ms": found.high_ms,
            "origin": found.origin.value,
            **measured,
            "verdict": found.verdict.value,
            "labels": [*found.labels, *(found.measurement.labels if found.measurement else ())],
        }


@dataclass
class Timers:
    """Sources of latencies, opened before any work is done, the chosen one first.

    Args:
        names: As ``--on`` has them.
        settings: Of all of them.
        preset: How hard to try.

    Raises:
        InputError: If one of them is not there, or times no files.
        DeviceError: If a device does not answer.
    """

    names: tuple[str, ...]
    settings: SourceSettings
    preset: str
    _sources: list[LatencySource] = field(default_factory=list)
    _open: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Timers:
        from latency.presets import preset

        preset(self.preset)
        with ExitStack() as opening:
            for name in self.names:
                if name.startswith("table:"):
                    msg = f"{name!r} times no files: --on takes a device"
                    raise InputError(msg)
                source = create(name, self.settings)
                opening.callback(source.close)
                self._sources.append(source)
            self._open = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def time(self, artifacts: Sequence[Artifact]) -> Iterator[Timed]:
        """Each TFLite file on each source; sessions of one source's files are interleaved."""
        files = {each.sha256: each for each in artifacts if each.format is ModelFormat.TFLITE}
        requests = [
            LatencyRequest(
                id=sha256,
                subject=FileSubject(artifact=artifact),
                preset=self.preset,
                decides=Decides.REPORT,
            )
            for sha256, artifact in files.items()
        ]
        for name, source in zip(self.names, self._sources, strict=True):
            answers = {}
            try:
                answers = {each.request_id: each for each in source.estimate(requests)}
            except OperationError as error:
                text = str(error)
                answers = {
                    request.id: LatencyFailure(request_id=request.id, text=text, retryable=True)
                    for request in requests
                }
            for sha256, artifact in files.items():
                yield Timed(artifact=artifact, on=name, answer=answers[sha256])


def check_latency(
    artifact: Artifact, timed: Timed | None, searched: FoundLatency | None, by: str = "the search"
) -> Checked:
    """The very file's latency on the chosen device against the candidate's in the search.

    Args:
        artifact: The file.
        timed: Its latency; None if no device was chosen.
        searched: What stands beside it; None for nothing.
        by: Who found that.
    """

    def not_run(why: str) -> NotRun:
        return NotRun(name=GateName.LATENCY, file=artifact.path.name, why=why)

    if artifact.format is not ModelFormat.TFLITE:
        return not_run("devices time TFLite files alone")
    if timed is None:
        return not_run("no device was chosen: --on names one")
    found = timed.answer
    if isinstance(found, LatencyFailure):
        return Gate(
            name=GateName.LATENCY,
            file=artifact.path.name,
            passed=False,
            figures={"latency_ms": None, "source": timed.on},
            limit=APART,
            text=f"it could not be timed: {found.text}",
        )
    if searched is None:
        return not_run(f"{by} has no figure to compare; the file takes {_said(found)}")
    differing = _differences(artifact, found, searched)
    if differing:
        return not_run(
            f"{by} timed it under other conditions ({differing}); the file takes {_said(found)}"
        )
    ratio = found.latency_ms / searched.latency_ms
    overlap = found.low_ms <= searched.high_ms and searched.low_ms <= found.high_ms
    return Gate(
        name=GateName.LATENCY,
        file=artifact.path.name,
        passed=abs(ratio - 1) <= APART,
        figures={
            "latency_ms": found.latency_ms,
            "low_ms": found.low_ms,
            "high_ms": found.high_ms,
            "verdict": found.verdict.value,
            "searched_ms": searched.latency_ms,
            "searched_low_ms": searched.low_ms,
            "searched_high_ms": searched.high_ms,
            "ratio": ratio,
            "intervals_overlap": overlap,
            "source": found.source,
        },
        limit=APART,
        text=(
            f"{_said(found)}, {ratio - 1:+.1%} from {by}'s {searched.latency_ms:.4g} ms"
            + (", though the intervals overlap" if overlap and abs(ratio - 1) > APART else "")
        ),
    )


def check_int8_speed(
    artifact: Artifact, timed: Timed | None, whole: Timed | None
) -> Checked | None:
    """The int8 file's latency against the fp32 file's on the chosen device.

    Args:
        artifact: Any file.
        timed: Its latency; None if no device was chosen.
        whole: Of the fp32 file that it was made from, likewise.

    Returns:
        None for a file that is not int8.
    """
    if artifact.precision is not Precision.INT8:
        return None
    name = artifact.path.name
    if timed is None or whole is None:
        why = "devices time TFLite files alone" if artifact.format is ModelFormat.ONNX else ""
        why = why or "no device was chosen: --on names one"
        return NotRun(name=GateName.INT8_SPEED, file=name, why=why)
    found, before = timed.answer, whole.answer
    if isinstance(found, LatencyFailure) or isinstance(before, LatencyFailure):
        failure = found if isinstance(found, LatencyFailure) else before
        why = f"a file could not be timed: {getattr(failure, 'text', '')}"
        return NotRun(name=GateName.INT8_SPEED, file=name, why=why)
    ratio = found.latency_ms / before.latency_ms
    return Gate(
        name=GateName.INT8_SPEED,
        file=name,
        passed=ratio <= 1 or found.low_ms <= before.high_ms,
        figures={
            "int8_ms": found.latency_ms,
            "int8_low_ms": found.low_ms,
            "int8_high_ms": found.high_ms,
            "fp32_ms": before.latency_ms,
            "fp32_low_ms": before.low_ms,
            "fp32_high_ms": before.high_ms,
            "ratio": ratio,
            "source": found.source,
        },
        limit=1,
        text=(f"int8 takes {_said(found)}, {ratio:.3f} of fp32's {before.latency_ms:.4g} ms"),
    )


def _said(found: LatencyEstimate) -> str:
    return (
        f"{found.latency_ms:.4g} ms on {found.source} (95 % interval {found.low_ms:.4g} to "
        f"{found.high_ms:.4g} ms, {found.verdict})"
    )


def _differences(artifact: Artifact, found: LatencyEstimate, searched: FoundLatency) -> str:
    """What keeps two latencies from being compared; empty if nothing does."""
    if found.measurement is None or searched.measurement is None:
        if searched.source == found.source and artifact.precision is Precision.FP32:
            return ""
        return f"{searched.source} and {found.source}"
    mine = found.measurement.conditions.flat()
    theirs = searched.measurement.get("conditions")
    if not isinstance(theirs, dict):
        return "unknown ones"
    return "; ".join(
        f"{name}: {theirs.get(name)!r} and {mine.get(name)!r}"
        for name in {**theirs, **mine}
        if mine.get(name) != theirs.get(name)
    )
