"""The end of a search: its front measured again, predicted beside measured, and the best of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from statistics import fmean

from controller.algorithm import Evaluated
from controller.candidate import Candidate, FoundLatency
from controller.evaluation import Evaluation
from controller.pareto import FrontPoint, front_of
from controller.progress import front_point
from controller.reward import Reward, RewardMode
from controller.study import Study
from latency.source import LatencyFailure


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontMember:
    """A candidate of the front.

    Attributes:
        candidate: All that is known of it.
        accuracy: Of its training; the mean of several where it was evaluated again.
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
    return tuple(
        member_of(study.candidate(point.index), reward, point.accuracy)
        for point in front_points(study.told())
    )


def member_of(candidate: Candidate, reward: Reward, accuracy: float | None = None) -> FrontMember:
    """An evaluated candidate as a member of the front.

    Args:
        candidate: All that is known of it.
        reward: Of accuracy and latency.
        accuracy: The mean, where its point was evaluated again; else that of its training.

    Raises:
        ValueError: If it was not evaluated.
    """
    if candidate.training is None or candidate.latency is None:
        msg = f"trial {candidate.index} was not evaluated"
        raise ValueError(msg)
    accuracy = candidate.training.accuracy if accuracy is None else accuracy
    latency = _last(candidate.latency, candidate.final)
    return FrontMember(
        candidate=candidate,
        accuracy=accuracy,
        predicted=candidate.latency,
        measured=candidate.final,
        reward=reward.value(accuracy, latency.latency_ms),
    )


def front_points(candidates: Iterable[Candidate]) -> tuple[FrontPoint, ...]:
    """The Pareto front of ``candidates``; those that were not evaluated are not on it.

    A network that was evaluated again is on it as the first of its trials, with their mean
    accuracy.
    """
    points: dict[int, FrontPoint] = {}
    trials: dict[str, list[int]] = {}
    for candidate in candidates:
        if isinstance(candidate.outcome, Evaluated):
            points[candidate.index] = front_point(candidate.outcome)
            own = trials.setdefault(candidate.key, [])
            if not own or candidate.proposal.again:
                own.append(candidate.index)
    return front_of(
        replace(points[own[0]], accuracy=fmean(points[index].accuracy for index in own))
        for own in trials.values()
    )


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
    study: Study, evaluation: Evaluation, preset: str, *, also: Iterable[int] = ()
) -> Iterator[FoundLatency | LatencyFailure]:
    """Measure the networks of the front again, in one batch, so that they can be compared.

    What has been measured so is not measured again. An answer that comes from no device (a table
    has none) is not kept.

    Args:
        study: Whose front; each measurement is kept in it.
        evaluation: Has the source, which may be another than the search's.
        preset: How hard to try.
        also: Indices of further trials that are measured with it, such as the best for each
            device of a fleet.

    Raises:
        InputError: If the source can never answer for such networks.
        OperationError: If it cannot answer for any of them.
    """
    indices: dict[str, int] = {}
    requests = []
    front_indices = [point.index for point in front_points(study.told())]
    for candidate in map(study.candidate, dict.fromkeys([*front_indices, *also])):
        if candidate.final is None:
            request = evaluation.request(candidate.index, candidate.architecture, final=preset)
            requests.append(request)
            indices[request.id] = candidate.index
    for answer in evaluation.ask(requests):
        if isinstance(answer, LatencyFailure):
            yield answer
            continue
        found = FoundLatency.of(answer)
        if found.measured_on:
            study.found_final_latency(indices[answer.request_id], found)
            yield found


def _last(predicted: FoundLatency, measured: FoundLatency | None) -> FoundLatency:
    return predicted if measured is None or measured.rejected else measured
