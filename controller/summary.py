"""All that a run has to show, read from its study: trials, front, best, what failed and how."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from controller.algorithm import FailureKind
from controller.candidate import Candidate, OutcomeKind
from controller.finish import FrontMember, best_of, front_points, member_of
from controller.fleet import DeviceResult, device_results
from controller.pareto import FrontPoint, hypervolume
from controller.prediction_check import PredictionCheck
from controller.ranking import Ranking
from controller.reward import Reward
from controller.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A search at a point in time.

    Attributes:
        created: When it began, ISO 8601 in UTC.
        versions: Of the programs that began it, by name.
        trials: Every proposal, in order.
        front: Pareto front, fastest first.
        hypervolume: That the front dominates, of the box from no accuracy at twice the target to
            all of it at once.
        best: The member of the front that is to be taken; None if nothing was evaluated.
        counts: How many trials became what; those in flight are in none.
        failures: How many failed where.
        repeated: How many were for a network that an earlier one was for.
        stand_ins: What stood in for trainings, each sentence once.
        predictions: Beside what was measured; None where nothing was predicted and measured.
        ranking: Of the front; None where too few networks were trained again.
        devices: What was found for each device of a fleet alone; empty without a fleet, whose
            loads stand for latencies in all the rest.
    """

    created: str
    versions: Mapping[str, str]
    trials: tuple[Candidate, ...]
    front: tuple[FrontMember, ...]
    hypervolume: float
    best: FrontMember | None
    counts: Mapping[OutcomeKind, int]
    failures: Mapping[FailureKind, int]
    repeated: int
    stand_ins: tuple[str, ...]
    predictions: PredictionCheck | None
    ranking: Ranking | None
    devices: tuple[DeviceResult, ...]

    @property
    def told(self) -> int:
        """How many trials have an outcome."""
        return sum(self.counts.values())


def summarize(study: Study, reward: Reward) -> Summary:
    """What ``study`` holds now.

    Args:
        study: Finished, under way, or cut off.
        reward: Of the search.
    """
    trials = tuple(study.candidates())
    front = tuple(
        member_of(trials[point.index], reward, point.accuracy) for point in front_points(trials)
    )
    trainings = [trial.training for trial in trials if trial.training]
    return Summary(
        created=study.created,
        versions=study.versions,
        trials=trials,
        front=front,
        hypervolume=_hypervolume(front, reward),
        best=best_of(front, reward),
        counts=Counter(trial.kind for trial in trials if trial.kind),
        failures=Counter(trial.failure for trial in trials if trial.failure),
        repeated=sum(trial.same_as is not None for trial in trials),
        stand_ins=tuple(dict.fromkeys(one.stand_in for one in trainings if one.stand_in)),
        predictions=PredictionCheck.of(trials),
        ranking=Ranking.of(front, trials, reward),
        devices=device_results(trials, reward),
    )


def _hypervolume(front: Sequence[FrontMember], reward: Reward) -> float:
    points = (
        FrontPoint(
            index=member.candidate.index,
            accuracy=member.accuracy,
            latency_ms=member.latency.latency_ms,
        )
        for member in front
    )
    slowest_ms = 2 * reward.target_ms
    return hypervolume(points, accuracy=0.0, latency_ms=slowest_ms) / slowest_ms
