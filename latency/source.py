"""One question, many ways to answer: what does this network cost on that device?

As text, everywhere the same: ``host`` (this computer), ``adb:SERIAL``, ``adb:any``,
``table:PATH_OR_NAME``, and ``package.module:NAME`` for a source of yours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from exporters.artifact import Artifact
from latency.measurement import LatencyMeasurement, Verdict
from search_space.architecture import Architecture, Head


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSubject:
    """A network that may have no file yet; a source that needs one exports it.

    Attributes:
        architecture: At the size that is to be timed.
        head: What it ends in.
    """

    architecture: Architecture
    head: Head


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSubject:
    """A model file that is there already; no table can answer for it.

    Attributes:
        artifact: The file.
    """

    artifact: Artifact


Subject = NetworkSubject | FileSubject


class Decides(StrEnum):
    """What the answer is for: how much it is worth to know it well."""

    REWARD = "reward"
    FRONT = "front"
    REPORT = "report"


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyRequest:
    """A question to a source.

    Attributes:
        id: Stable over restarts, unique in the batch; the answer carries it.
        subject: What is asked about.
        preset: How hard to try: ``quick``, ``search`` or ``final``.
        priority: Larger first.
        decides: What it is for.
    """

    id: str
    subject: Subject
    preset: str = "search"
    priority: int = 0
    decides: Decides = Decides.REWARD


class Origin(StrEnum):
    """Where a latency came from."""

    MEASURED = "measured"
    STORED = "stored"
    TABLE = "table"
    PREDICTED = "predicted"


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyEstimate:
    """An answer.

    Attributes:
        request_id: Of the request.
        latency_ms: The number.
        low_ms: Lower end of its interval.
        high_ms: Upper end of its interval.
        origin: How it was found.
        source: The source as text, e.g. ``"table:pixel1"`` or ``"adb:1A2B"`` (never ``adb:any``).
        coverage: Share of the network that is known and not extrapolated, in `[0, 1]`.
        verdict: Of the measurement; ``stable`` for a table that knows every part.
        measurement: What was measured; None for a table.
        artifact_sha256: Of the file that was timed; empty for a table.
    """

    request_id: str
    latency_ms: float
    low_ms: float
    high_ms: float
    origin: Origin
    source: str
    coverage: float
    verdict: Verdict
    measurement: LatencyMeasurement | None = None
    artifact_sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyFailure:
    """A stated failure of one request; the rest of the batch goes on.

    Attributes:
        request_id: Of the request.
        text: One sentence: what failed, where, and what was said.
        retryable: Whether the same request may succeed later.
    """

    request_id: str
    text: str
    retryable: bool


LatencyAnswer = LatencyEstimate | LatencyFailure


class LatencySource(Protocol):
    """Answers for networks or files.

    Laws, held by ``latency.testing.LatencySourceContract``: each request is answered exactly once,
    in order of completion; an answer depends on the subject, the conditions and the preset alone;
    ``estimate`` may be called from ``lanes`` threads at once.
    """

    @property
    def name(self) -> str:
        """The source as text."""
        ...

    @property
    def lanes(self) -> int:
        """How many requests it can really work on at once: its number of devices."""
        ...

    @property
    def on_this_computer(self) -> bool:
        """Whether estimating takes cores of this computer, which training must then leave."""
        ...

    def estimate(self, requests: Sequence[LatencyRequest]) -> Iterator[LatencyAnswer]:
        """Answer each request.

        Raises:
            InputError: If a subject is of a kind that this source can never answer.
        """
        ...

    def close(self) -> None:
        """Give back devices and files."""
        ...
