"""The very files timed on devices, beside what the search said of the candidate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from delivery.gates import Checked, Gate, GateName, NotRun
from exporters.artifact import Artifact, ModelFormat, Precision
from latency.account import account
from latency.source import (
    ANY_PHONE,
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
    from controller.found_latency import FoundLatency
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
        is_named: Whether somebody asked for this source; if not, a failure fails nothing.
    """

    artifact: Artifact
    on: str
    answer: LatencyEstimate | LatencyFailure
    is_named: bool = True

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A source that files are timed on.

    Attributes:
        name: As ``--on`` has it.
        settings: Of the source; an earlier measurement is no answer, whatever they say.
        is_named: Whether somebody asked for it; if not, it may be missing.
    """

    name: str
    settings: SourceSettings = field(default_factory=SourceSettings)
    is_named: bool = True


@dataclass
class Timers:
    """Sources of latencies, opened before any work is done, the chosen one first.

    Args:
        places: What is opened.
        preset: How hard to try.

    Raises:
        InputError: If one that somebody named is not there, is several, or times no files.
        OperationError: If one that somebody named does not answer.
    """

    places: tuple[Place, ...]
    preset: str
    _sources: list[LatencySource | str] = field(default_factory=list)
    _open: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Timers:
        from latency.presets import preset

        preset(self.preset)
        with ExitStack() as opening:
            for place in self.places:
                source = _opened(place)
                if not isinstance(source, str):
                    opening.callback(source.close)
                self._sources.append(source)
            self._open = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def time(self, artifacts: Sequence[Artifact]) -> Iterator[Timed]:
        """Each TFLite file on each source; sessions of one source's files are interleaved.

        Raises:
            InputError: If a source that somebody named times no files.
        """
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
        for place, source in zip(self.places, self._sources, strict=True):
            answers = _answers(place, source, requests)
            for sha256, artifact in files.items():
                yield Timed(
                    artifact=artifact,
                    on=place.name,
                    answer=answers[sha256],
                    is_named=place.is_named,
                )


def _opened(place: Place) -> LatencySource | str:
    """The source, or why there is none where nobody named it."""
    name = place.name
    if name.startswith("table:"):
        msg = f"{name!r} times no files: --on takes a device"
        raise InputError(msg)
    if name == ANY_PHONE:
        msg = f"{name!r} may be several phones, a file is timed on one: give --on adb:SERIAL"
        raise InputError(msg)
    try:
        return create(name, replace(place.settings, reuse=False))
    except (InputError, OperationError) as error:
        if place.is_named:
            raise
        return str(error)


def _answers(
    place: Place, source: LatencySource | str, requests: Sequence[LatencyRequest]
) -> dict[str, LatencyEstimate | LatencyFailure]:
    """One for each request by id; what a source that gave up had found before is kept."""
    found: dict[str, LatencyEstimate | LatencyFailure] = {}
    text = "it gave no answer"
    if isinstance(source, str):
        text = source
    else:
        try:
            for each in source.estimate(requests):
                found[each.request_id] = each
        except OperationError as error:
            text = str(error)
        except InputError as error:
            if place.is_named:
                raise
            text = str(error)
    missing = (request.id for request in requests if request.id not in found)
    failed = (LatencyFailure(request_id=each, text=text, retryable=True) for each in missing)
    return {**found, **{each.request_id: each for each in failed}}


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
    if isinstance(found, LatencyFailure) and not timed.is_named:
        return not_run(f"{timed.on}, which nobody named with --on, could not: {found.text}")
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
        whole: Of the fp32 TFLite file of the same exporter, likewise; None if there is no such
            file, too.

    Returns:
        None for a file that is not int8.
    """
    if artifact.precision is not Precision.INT8:
        return None
    name = artifact.path.name

    def not_run(why: str) -> NotRun:
        return NotRun(name=GateName.INT8_SPEED, file=name, why=why)

    if artifact.format is not ModelFormat.TFLITE:
        return not_run("devices time TFLite files alone")
    if timed is None:
        return not_run("no device was chosen: --on names one")
    if whole is None:
        return not_run("there is no fp32 TFLite file of the same exporter to hold it against")
    found, before = timed.answer, whole.answer
    for answer in (found, before):
        if isinstance(answer, LatencyFailure):
            return not_run(f"a file could not be timed: {answer.text}")
    assert isinstance(found, LatencyEstimate)
    assert isinstance(before, LatencyEstimate)
    differing = _unlike(found, before)
    if differing:
        return not_run(f"the two files were timed under other conditions ({differing})")
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


def _unlike(found: LatencyEstimate, before: LatencyEstimate) -> str:
    """What differs of two files' conditions, their precision apart; empty if nothing does."""
    if found.source != before.source:
        return f"{before.source} and {found.source}"
    if found.measurement is None or before.measurement is None:
        return "" if found.measurement is before.measurement else "unknown ones"
    differing = before.measurement.conditions.differences(found.measurement.conditions)
    return "; ".join(f"{name}: {each}" for name, each in differing.items() if name != "precision")


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
