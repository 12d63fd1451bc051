"""The end of a search: its front measured again, predicted beside measured, and the best of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from controller.algorithm import Evaluated
from controller.candidate import Candidate, FoundLatency
from controller.evaluation import Evaluation
from controller.pareto import front_of
from controller.progress import front_point
from controller.reward import Reward, RewardMode
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
        reward: With the last measurement where there is one that may be used.
    """

    candidate: Candidate
    accuracy: float
    predicted: FoundLatency
    measured: FoundLatency | None
    reward: float

    @property
    def latency(self) -> FoundLatency:
        """The last measurement where there is one that may be used, else what was predicted."""
        return _last(self.predicted, self.measured)


def front(study: Study, reward: Reward) -> tuple[FrontMember, ...]:
    """The Pareto front of what was evaluated so far, fastest first as the search saw it."""
    return front_among(study.told(), reward)


def front_among(candidates: Iterable[Candidate], reward: Reward) -> tuple[FrontMember, ...]:
    """The Pareto front of ``candidates``; those that were not evaluated are not on it."""
    members: dict[int, FrontMember] = {}
    points = []
    for candidate in candidates:
        outcome = candidate.outcome
        if isinstance(outcome, Evaluated) and candidate.training and candidate.latency:
            points.append(front_point(outcome))
            members[candidate.index] = _member(candidate, candidate.latency, reward)
    return tuple(members[point.index] for point in front_of(points))


def best_of(members: Iterable[FrontMember], reward: Reward) -> FrontMember | None:
    """The one with the highest reward by its last latency; None if there is none.

    Where the target is a limit, one within it comes before all beyond.
    """
    limit_ms = reward.target_ms if reward.mode is RewardMode.HARD else float("inf")
    return max(
        members,
        key=lambda member: (member.latency.latency_ms <= limit_ms, member.reward),
        default=None,
    )


def best(study: Study, reward: Reward) -> FrontMember | None:
    """``best_of`` the front.

    The candidate with the highest reward is always on the front: nothing is more accurate and
    faster at once.
    """
    return best_of(front(study, reward), reward)


def measure_front(
    study: Study, evaluation: Evaluation, preset: str
) -> Iterator[FoundLatency | LatencyFailure]:
    """Measure the networks of the front again, in one batch, so that they can be compared.

    What has been measured so is not measured again. An answer that comes from no device (a table
    has none) is not kept.

    Args:
        study: Whose front; each measurement is kept in it.
        evaluation: Has the source, which may be another than the search's.
        preset: How hard to try.

    Raises:
        InputError: If the source can never answer for such networks.
        OperationError: If it cannot answer for any of them.
    """
    indices = {}
    for member in _front_candidates(study):
        if member.final is None:
            request = evaluation.request(member.index, member.architecture, final=preset)
            indices[request] = member.index
    by_id = {request.id: index for request, index in indices.items()}
    for answer in evaluation.ask(tuple(indices)):
        if isinstance(answer, LatencyFailure):
            yield answer
        elif answer.origin in (Origin.MEASURED, Origin.STORED):
            found = FoundLatency.of(answer)
            study.found_final_latency(by_id[answer.request_id], found)
            yield found


def _front_candidates(study: Study) -> Iterator[Candidate]:
    outcomes = (candidate.outcome for candidate in study.told())
    points = [front_point(outcome) for outcome in outcomes if isinstance(outcome, Evaluated)]
    return (study.candidate(point.index) for point in front_of(points))


def _member(candidate: Candidate, predicted: FoundLatency, reward: Reward) -> FrontMember:
    accuracy = candidate.training.accuracy if candidate.training else 0.0
    return FrontMember(
        candidate=candidate,
        accuracy=accuracy,
        predicted=predicted,
        measured=candidate.final,
        reward=reward.value(accuracy, _last(predicted, candidate.final).latency_ms),
    )


def _last(predicted: FoundLatency, measured: FoundLatency | None) -> FoundLatency:
    return predicted if measured is None or measured.rejected else measured
