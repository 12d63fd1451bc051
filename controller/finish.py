"""The end of a search: its front measured again, predicted beside measured, and the best of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from controller.algorithm import Evaluated, Objective
from controller.candidate import Candidate
from controller.evaluation import Evaluation
from controller.found_latency import FoundLatency
from controller.objectives import DEFAULT, Names, ObjectiveName, deciding
from controller.pareto import FrontPoint, front_of
from controller.progress import front_point
from controller.reward import SearchReward
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
        objectives: As told, with this accuracy and the last latency.
    """

    candidate: Candidate
    accuracy: float
    predicted: FoundLatency
    measured: FoundLatency | None
    reward: float
    objectives: tuple[Objective, ...]

    @property
    def latency(self) -> FoundLatency:
        """The last measurement where there is one that may be used, else what was predicted."""
        return _last(self.predicted, self.measured)


def front(study: Study, reward: SearchReward, names: Names = DEFAULT) -> tuple[FrontMember, ...]:
    """The Pareto front of what was evaluated so far, as the search saw it.

    Args:
        study: What was evaluated.
        reward: Of the search.
        names: Objectives; the front is in the order of the second, fastest first if that is the
            latency.
    """
    return tuple(
        member_of(study.candidate(point.index), reward, accuracy_of(point, names))
        for point in front_points(study.told(), names)
    )


def member_of(
    candidate: Candidate, reward: SearchReward, accuracy: float | None = None
) -> FrontMember:
    """An evaluated candidate as a member of the front.

    Args:
        candidate: All that is known of it.
        reward: Of the search.
        accuracy: The mean, where its point was evaluated again; else that of its training.

    Raises:
        ValueError: If it was not evaluated.
    """
    outcome = candidate.outcome
    if candidate.training is None or candidate.latency is None:
        msg = f"trial {candidate.index} was not evaluated"
        raise ValueError(msg)
    accuracy = candidate.training.accuracy if accuracy is None else accuracy
    latency = _last(candidate.latency, candidate.final)
    now: dict[str, float]
    now = {ObjectiveName.ACCURACY: accuracy, ObjectiveName.LATENCY: latency.latency_ms}
    told = outcome.objectives if isinstance(outcome, Evaluated) else ()
    known = {**{one.name: one.value for one in told}, **now}
    return FrontMember(
        candidate=candidate,
        accuracy=accuracy,
        predicted=candidate.latency,
        measured=candidate.final,
        reward=reward.rated(accuracy, known),
        objectives=tuple(replace(one, value=now.get(one.name, one.value)) for one in told),
    )


def front_points(
    candidates: Iterable[Candidate], names: Names = DEFAULT
) -> tuple[FrontPoint, ...]:
    """The Pareto front of ``candidates``; those that were not evaluated are not on it.

    A network that was evaluated again is on it as the first of its trials, with their mean
    accuracy.
    """
    place = names.index(ObjectiveName.ACCURACY)
    points: dict[int, FrontPoint] = {}
    trials: dict[str, list[int]] = {}
    for candidate in candidates:
        if isinstance(candidate.outcome, Evaluated):
            points[candidate.index] = front_point(candidate.outcome, names)
            own = trials.setdefault(candidate.key, [])
            if not own or candidate.proposal.again:
                own.append(candidate.index)

    def mean(own: Sequence[int]) -> FrontPoint:
        losses = list(points[own[0]].losses)
        losses[place] = -fmean(accuracy_of(points[index], names) for index in own)
        return FrontPoint(index=own[0], losses=tuple(losses))

    return front_of(map(mean, trials.values()))


def accuracy_of(point: FrontPoint, names: Names) -> float:
    """Of a point on the front of ``names``."""
    return -point.losses[names.index(ObjectiveName.ACCURACY)]


def best_of(members: Iterable[FrontMember], reward: SearchReward) -> FrontMember | None:
    """The one with the highest reward by its last latency; None if there is none.

    Where the target is a limit, one within it comes before all beyond.
    """
    return max(
        members,
        key=lambda member: (member.latency.latency_ms <= reward.limit_ms, member.reward),
        default=None,
    )


def best(study: Study, reward: SearchReward, names: Names = DEFAULT) -> FrontMember | None:
    """``best_of`` the front, of accuracy and what the reward weighs where ``names`` lack it.

    The candidate with the highest reward is always on such a front: nothing is more accurate and
    costs less at once.
    """
    return best_of(front(study, reward, deciding(names, reward.weighs)), reward)


def measure_front(
    study: Study, evaluation: Evaluation, preset: str, *, also: Iterable[int] = ()
) -> Iterator[FoundLatency | LatencyFailure]:
    """Measure the networks of the front again, in one batch, so that they can be compared.

    The front is of the objectives that ``evaluation`` tells, and that on which the best is, where
    that is another. What has been measured so is not measured again. An answer that comes
    from no device (a table has none) is not kept.

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
    for candidate in _to_measure(study, (evaluation.objectives, evaluation.deciding), also):
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


def _to_measure(
    study: Study, fronts_of: tuple[Names, ...], also: Iterable[int]
) -> Iterator[Candidate]:
    """The members of fronts, each once, and others."""
    fronts = (front_points(study.told(), names) for names in dict.fromkeys(fronts_of))
    members = (point.index for front in fronts for point in front)
    return (study.candidate(index) for index in dict.fromkeys((*members, *also)))


def _last(predicted: FoundLatency, measured: FoundLatency | None) -> FoundLatency:
    return predicted if measured is None or measured.rejected else measured
