"""All that a run has to show, read from its study: trials, front, best, what failed and how."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from controller.algorithm import Evaluated, FailureKind
from controller.candidate import Candidate, OutcomeKind
from controller.early_stopping import Saving
from controller.finish import FrontMember, accuracy_of, best_of, front_points, member_of
from controller.fleet import DeviceResult, device_results
from controller.front_box import FrontBox
from controller.objectives import DEFAULT, Names, deciding, losses_of
from controller.pareto import FrontPoint
from controller.prediction_check import PredictionCheck
from controller.ranking import Ranking
from controller.reward import SearchReward
from controller.study import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A search at a point in time.

    Attributes:
        created: When it began, ISO 8601 in UTC.
        versions: Of the programs that began it, by name.
        trials: Every proposal, in order.
        front: Pareto front, fastest first, or in the order of the second objective.
        hypervolume: That the front dominates, as a share of ``box``.
        box: From no accuracy at twice the target, and at the most of what else is an objective, to
            all of it at once.
        best: The member of the front that is to be taken, or where that lacks what the reward
            weighs, of the front of accuracy and of this; None if nothing was evaluated.
        counts: How many trials became what; those in flight are in none.
        failures: How many failed where.
        repeated: How many were for a network that an earlier one was for.
        stand_ins: What stood in for trainings, each sentence once.
        predictions: Beside what was measured; None where nothing was predicted and measured.
        ranking: Of the front that has the best; None where too few networks were trained again.
        saving: By stopping trainings early; None where none was stopped.
        devices: What was found for each device of a fleet alone; empty without a fleet, whose
            loads stand for latencies in all the rest.
    """

    created: str
    versions: Mapping[str, str]
    trials: tuple[Candidate, ...]
    front: tuple[FrontMember, ...]
    hypervolume: float
    box: FrontBox
    best: FrontMember | None
    counts: Mapping[OutcomeKind, int]
    failures: Mapping[FailureKind, int]
    repeated: int
    stand_ins: tuple[str, ...]
    predictions: PredictionCheck | None
    ranking: Ranking | None
    saving: Saving | None
    devices: tuple[DeviceResult, ...]

    @property
    def told(self) -> int:
        """How many trials have an outcome."""
        return sum(self.counts.values())


def summarize(study: Study, reward: SearchReward, names: Names = DEFAULT) -> Summary:
    """What ``study`` holds now.

    Args:
        study: Finished, under way, or cut off.
        reward: Of the search.
        names: Its objectives.
    """
    trials = tuple(study.candidates())
    front = _front(trials, reward, names)
    decides = deciding(names, reward.weighs)
    contenders = front if decides == names else _front(trials, reward, decides)
    box = _box(trials, FrontBox.of(names, reward.target_ms))
    trainings = [trial.training for trial in trials if trial.training]
    return Summary(
        created=study.created,
        versions=study.versions,
        trials=trials,
        front=front,
        hypervolume=box.share(_points(front, names)),
        box=box,
        best=best_of(contenders, reward),
        counts=Counter(trial.kind for trial in trials if trial.kind),
        failures=Counter(trial.failure for trial in trials if trial.failure),
        repeated=sum(trial.same_as is not None for trial in trials),
        stand_ins=tuple(dict.fromkeys(one.stand_in for one in trainings if one.stand_in)),
        predictions=PredictionCheck.of(trials),
        ranking=Ranking.of(contenders, trials, reward),
        saving=Saving.of(trials),
        devices=device_results(trials, reward),
    )


def _front(
    trials: Sequence[Candidate], reward: SearchReward, names: Names
) -> tuple[FrontMember, ...]:
    return tuple(
        member_of(trials[point.index], reward, accuracy_of(point, names))
        for point in front_points(trials, names)
    )


def _points(front: Iterable[FrontMember], names: Names) -> Iterator[FrontPoint]:
    """Members of a front by their last latency."""
    for member in front:
        found = losses_of(member.objectives, names)
        yield FrontPoint(index=member.candidate.index, losses=found)


def _box(trials: Iterable[Candidate], box: FrontBox) -> FrontBox:
    for trial in trials:
        if isinstance(trial.outcome, Evaluated):
            box = box.with_losses(losses_of(trial.outcome.objectives, box.names))
    return box
