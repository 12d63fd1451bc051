"""The end of a search: its front measured again, predicted beside measured, and the best of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from controller.algorithm import Evaluated
from controller.candidate import Candidate, FoundLatency
from controller.evaluation import Evaluation
from controller.pareto import FrontPoint, front_of
from controller.reward import Reward
from controller.study import Study
from latency.source import LatencyFailure, Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontMember:
    """A candidate of the front.

    Attributes:
        candidate: All that is known of it.
        accuracy: Of its training.
        predicted: What the search took it to take.
        measured: What the last measurement found; None where the source has no device, or where
            it failed.
        reward: With the last measurement where there is one.
    """

    candidate: Candidate
    accuracy: float
    predicted: FoundLatency
    measured: FoundLatency | None
    reward: float


def front(study: Study, reward: Reward) -> tuple[FrontMember, ...]:
    """The Pareto front of what was evaluated so far, fastest first."""
    points = (_point(candidate) for candidate in study.candidates())
    members = front_of(point for point in points if point is not None)
    return tuple(_member(study.candidate(point.index), reward) for point in members)


def measure_front(study: Study, evaluation: Evaluation, preset: str) -> Iterator[FoundLatency]:
    """Measure each network of the front again, unless it is done or the source has no device.

    Args:
        study: Whose front; each measurement is kept in it.
        evaluation: Has the source.
        preset: How hard to try.
    """
    points = (_point(candidate) for candidate in study.candidates())
    for point in front_of(point for point in points if point is not None):
        candidate = study.candidate(point.index)
        measured = (Origin.MEASURED.value, Origin.STORED.value)
        if candidate.final or not candidate.latency or candidate.latency.origin not in measured:
            continue
        request = evaluation.request(point.index, candidate.architecture, final=preset)
        answer = evaluation.ask_latency(request)
        if not isinstance(answer, LatencyFailure):
            found = FoundLatency.of(answer)
            study.found_final_latency(point.index, found)
            yield found


def best(study: Study, reward: Reward) -> FrontMember | None:
    """The member of the front with the highest reward by its last latency; None if there is none.

    The candidate with the highest reward is always on the front: nothing is more accurate and
    faster at once.
    """
    return max(front(study, reward), key=lambda member: member.reward, default=None)


def _point(candidate: Candidate) -> FrontPoint | None:
    outcome = candidate.outcome
    if not isinstance(outcome, Evaluated):
        return None
    accuracy, latency = outcome.objectives[:2]
    return FrontPoint(index=candidate.index, accuracy=accuracy.value, latency_ms=latency.value)


def _member(candidate: Candidate, reward: Reward) -> FrontMember:
    if candidate.training is None or candidate.latency is None:
        msg = f"trial {candidate.index} is on the front without its figures"
        raise ValueError(msg)
    accuracy = candidate.training.accuracy
    latency = candidate.final or candidate.latency
    return FrontMember(
        candidate=candidate,
        accuracy=accuracy,
        predicted=candidate.latency,
        measured=candidate.final,
        reward=reward.value(accuracy, latency.latency_ms),
    )
