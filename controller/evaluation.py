"""Finds out what one candidate takes and how accurate it gets, from what is known already."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass

from controller.algorithm import Evaluated, Failed, FailureKind, Outcome, Proposal, Skipped
from controller.candidate import Candidate, evaluated, objectives_of, stopped
from controller.early_stopping import StoppingRule, costs_among
from controller.found_latency import FoundLatency
from controller.front_box import FrontBox
from controller.objectives import (
    DEFAULT,
    OF_SESSIONS,
    Names,
    ObjectiveName,
    deciding,
    in_order,
    losses,
    losses_of,
    untold_of,
)
from controller.pareto import front_limit
from controller.progress import front_point
from controller.reward import SearchReward
from controller.study import Study
from controller.told_figures import ToldFigures
from controller.turns import Turns, Work
from exporters.artifact import Precision
from latency.measurement import Verdict
from latency.source import (
    Decides,
    LatencyAnswer,
    LatencyEstimate,
    LatencyFailure,
    LatencyRequest,
    LatencySource,
    NetworkSubject,
    RefiningSource,
)
from search_space.architecture import Architecture, Head
from training.executor import (
    Executor,
    Rung,
    TrainingJob,
    TrainingResult,
    TrainingTimeoutError,
)
from training.schedule import Schedule
from workspace.errors import InputError, OperationError

LATENCY_TRIES = 3
"""How often a latency is asked for before its failure is told."""

DEADLINE_GRACE_S = 60.0
"""How much longer than its deadline a training is waited for; an ``Executor`` ends it before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSettings:
    """What decides how a candidate is evaluated.

    Attributes:
        task: Name of the task.
        head: What networks end in.
        schedule: How they are trained.
        seed: Of every training, so that equal networks get equal accuracies; one that is evaluated
            again has the next seed, the one after that, …
        timed_size: Input size that is timed; None for the architecture's own.
        train_size: Input size that is trained; None for the architecture's own.
        preset: How hard a latency is tried.
        deadline_s: After which a training is killed.
        skip_above: Candidates slower than this many targets are not trained; None trains all.
        objectives: What outcomes tell first, in this order.
        precision: Of the file whose size may be an objective.
    """

    task: str
    head: Head
    schedule: Schedule
    seed: int = 0
    timed_size: int | None = None
    train_size: int | None = None
    preset: str = "search"
    deadline_s: float = 3600.0
    skip_above: float | None = None
    objectives: Names = DEFAULT
    precision: Precision = Precision.FP32


class Evaluation:
    """Times and trains candidates, keeping each figure in the study as it is found.

    Args:
        settings: How.
        source: Gives latencies.
        executor: Gives accuracies.
        reward: Of both, or of what else is told.
        study: Where figures are kept, and found again after a crash.
    """

    def __init__(
        self,
        settings: EvaluationSettings,
        source: LatencySource,
        executor: Executor,
        reward: SearchReward,
        study: Study,
    ) -> None:
        self._settings = settings
        self._source = source
        self._executor = executor
        self._reward = reward
        self._study = study
        self._figures = ToldFigures(
            asked=frozenset({*settings.objectives, *reward.weighs}),
            head=settings.head,
            precision=settings.precision,
            timed_size=settings.timed_size,
            batch=settings.schedule.batch,
        )
        self._turns = Turns(exclusive=source.on_this_computer and executor.on_this_computer)

    @property
    def lanes(self) -> tuple[int, int]:
        """How many latencies, and how many trainings, can really go on at once."""
        return self._source.lanes, self._executor.lanes

    @property
    def is_exclusive(self) -> bool:
        """Whether nothing is trained while a latency is measured."""
        return self._turns.exclusive

    @property
    def objectives(self) -> Names:
        """What outcomes tell first, in this order."""
        return self._settings.objectives

    @property
    def deciding(self) -> Names:
        """Objectives on whose front the best is."""
        return deciding(self.objectives, self._reward.weighs)

    @property
    def box(self) -> FrontBox:
        """That the hypervolume of a front is a share of, before anything was evaluated."""
        return FrontBox.of(self.objectives, self._reward.target_ms)

    @property
    def _limits_ms(self) -> tuple[float, ...]:
        """What decides whether a candidate is trained at all."""
        skip_above, target_ms = self._settings.skip_above, self._reward.target_ms
        return () if skip_above is None or target_ms is None else (skip_above * target_ms,)

    def close(self) -> None:
        """End what runs, begin nothing more, and give back devices and processes."""
        self._turns.close()
        self._executor.close()
        self._source.close()

    def latency(
        self, proposal: Proposal, architecture: Architecture, known: Candidate | None
    ) -> FoundLatency | Skipped | Failed:
        """What the candidate takes; its outcome where that ends it (too slow, or failed).

        Args:
            proposal: The candidate.
            architecture: Its network.
            known: What an interrupted search had found of it already.

        Raises:
            StudyError: If the latency cannot be kept.
        """
        found = known.latency if known else None
        if found is None:
            answer = self._latency(proposal, architecture, self._limits_ms)
            if isinstance(answer, Failed):
                return answer
            found = FoundLatency.of(answer)
            self._study.found_latency(proposal.index, found)
        return self._judged(proposal, found)

    def accuracy(
        self,
        proposal: Proposal,
        architecture: Architecture,
        known: Candidate | None,
        found: FoundLatency,
        rule: StoppingRule | None = None,
    ) -> Outcome:
        """The outcome of a candidate whose latency is known: it is trained, or failed.

        Args:
            proposal: The candidate.
            architecture: Its network.
            known: What an interrupted search had found of it already.
            found: Its latency.
            rule: By which its training is stopped early; None trains it to the end.

        Raises:
            StudyError: If the accuracy cannot be kept.
        """
        result = known.training if known else None
        figures = self._figures.of_network(architecture)
        if result is None:
            rungs = () if rule is None else self._rungs(rule, found, figures)
            trained = self._training(proposal, architecture, rungs)
            if isinstance(trained, Failed):
                return trained
            result = trained
            self._study.found_training(proposal.index, result)
        if result.stopped and rule is not None:
            expected = rule.expected(result)
            reward = self._rated(expected.accuracy, found, figures)
            return stopped(proposal, result, expected, found, reward, self.objectives, figures)
        try:
            figures = {**figures, **self._figures.of_training(result)}
        except OperationError as error:
            return Failed(proposal=proposal, kind=FailureKind.TRAINING, text=str(error))
        found = self._settled(proposal, architecture, found, result.accuracy, figures)
        reward = self._rated(result.accuracy, found, figures)
        return evaluated(proposal, result, found, reward, self.objectives, figures)

    def _rated(self, accuracy: float, found: FoundLatency, figures: Mapping[str, float]) -> float:
        """The reward by all that is told."""
        return self._reward.rated(accuracy, {**figures, ObjectiveName.LATENCY: found.latency_ms})

    def _rungs(
        self, rule: StoppingRule, found: FoundLatency, figures: Mapping[str, float]
    ) -> tuple[Rung, ...]:
        """Where a training is looked at, and what it has to reach there."""
        told = objectives_of(0.0, found, self.objectives, figures)
        scale = self._rated(1.0, found, figures)
        return rule.rungs(scale, losses_of(told, costs_among(self.objectives)))

    def job(
        self,
        index: int,
        architecture: Architecture,
        *,
        checkpoint: str = "",
        again: int = 0,
        rungs: tuple[Rung, ...] = (),
    ) -> TrainingJob:
        """The training of a candidate; equal ones give equal weights where training is exact.

        Args:
            index: Of its proposal.
            architecture: At any size.
            checkpoint: Where weights go; nowhere if empty.
            again: How often it was trained before, where that is to tell more.
            rungs: Where it is looked at on the way, and may be stopped.

        Raises:
            InputError: If the network cannot run at the size that is to be trained.
        """
        settings = self._settings
        return TrainingJob(
            id=f"trial-{index}",
            architecture=_at(architecture, settings.train_size),
            task=settings.task,
            schedule=settings.schedule,
            seed=settings.seed + again,
            deadline_s=settings.deadline_s,
            checkpoint=checkpoint,
            rungs=rungs,
        )

    def train(self, job: TrainingJob) -> TrainingResult:
        """Run a training in its turn.

        Raises:
            TrainingError: If it gave no accuracy.
        """
        with self._turns.turn(Work.TRAINING):
            future = self._executor.submit(job)
            try:
                return future.result(timeout=job.deadline_s + DEADLINE_GRACE_S)
            except FutureTimeoutError as error:
                msg = f"training {job.id} did not end by its deadline of {job.deadline_s:g} s"
                raise TrainingTimeoutError(msg) from error

    def request(
        self,
        index: int,
        architecture: Architecture,
        *,
        final: str | None = None,
        thresholds_ms: tuple[float, ...] = (),
        decides: Decides = Decides.REWARD,
    ) -> LatencyRequest:
        """The question what a candidate takes.

        Args:
            index: Of its proposal.
            architecture: At any size.
            final: The preset of the last measurement; None while the search goes on.
            thresholds_ms: Latencies at which something is decided.
            decides: What the answer is for, while the search goes on.

        Raises:
            InputError: If the network cannot run at the size that is to be timed.
        """
        subject = NetworkSubject(
            architecture=_at(architecture, self._settings.timed_size), head=self._settings.head
        )
        if final is None:
            return LatencyRequest(
                id=f"trial-{index}",
                subject=subject,
                preset=self._settings.preset,
                decides=decides,
                thresholds_ms=thresholds_ms,
            )
        return LatencyRequest(
            id=f"final-{index}", subject=subject, preset=final, decides=Decides.FRONT
        )

    def ask(self, requests: Sequence[LatencyRequest]) -> Iterator[LatencyAnswer]:
        """Ask the source in a turn, and again for what failed where that may help.

        Raises:
            InputError: If the source can never answer for such a network.
            OperationError: If it cannot answer for any.
        """
        for left in reversed(range(LATENCY_TRIES)):
            by_id = {request.id: request for request in requests}
            again = []
            with self._turns.turn(Work.TIMING):
                for answer in self._source.estimate(requests):
                    if left and isinstance(answer, LatencyFailure) and answer.retryable:
                        again.append(by_id[answer.request_id])
                    else:
                        yield answer
            if not again:
                return
            requests = again

    def _settled(
        self,
        proposal: Proposal,
        architecture: Architecture,
        found: FoundLatency,
        accuracy: float,
        figures: Mapping[str, float],
    ) -> FoundLatency:
        """The latency, measured if it was predicted and the network may join the front.

        So what is on the front was measured, if the device answered, and what a network there
        beats in accuracy and, beyond its interval, in latency decides nothing: not the front, and
        not the best for the target either, which is on the front. The front is that of the
        outcomes which the algorithm had when it proposed the candidate, so that it is the same
        whatever finishes first.
        """
        source = self._source
        if found.is_measured or not (isinstance(source, RefiningSource) and source.refines()):
            return found
        known = self._study.candidate(proposal.index).asked_after
        before = (one.outcome for one in self._study.told() if (one.told or 0) < known)
        names = self.deciding
        if ObjectiveName.LATENCY not in names:
            return found
        points = (front_point(one, names) for one in before if isinstance(one, Evaluated))
        told: dict[str, float | None]
        told = {ObjectiveName.ACCURACY: accuracy, **found.told, **figures}
        place = names.index(ObjectiveName.LATENCY)
        mine = losses(in_order(names, told)[: len(names)])
        limit_ms = front_limit(points, mine, place)
        if limit_ms <= found.low_ms:
            return found
        answer = self._latency(proposal, architecture, (limit_ms,), Decides.FRONT)
        if isinstance(answer, Failed) or answer.verdict is Verdict.REJECTED:
            return found
        better = FoundLatency.of(answer)
        if better.measured_on > found.measured_on:
            self._study.measured_latency(proposal.index, better)
            return better
        return found

    def _latency(
        self,
        proposal: Proposal,
        architecture: Architecture,
        thresholds_ms: tuple[float, ...],
        decides: Decides = Decides.REWARD,
    ) -> LatencyEstimate | Failed:
        try:
            request = self.request(
                proposal.index, architecture, thresholds_ms=thresholds_ms, decides=decides
            )
        except InputError as error:
            return Failed(proposal=proposal, kind=FailureKind.DECODE, text=str(error))
        try:
            (answer,) = self.ask([request])
        except (InputError, OperationError) as error:
            return Failed(proposal=proposal, kind=FailureKind.LATENCY, text=str(error))
        if isinstance(answer, LatencyFailure):
            return Failed(proposal=proposal, kind=FailureKind.LATENCY, text=answer.text)
        times_ms = (answer.latency_ms, answer.low_ms, answer.high_ms)
        if not all(math.isfinite(time) for time in times_ms) or answer.latency_ms <= 0:
            text = (
                f"{answer.source} answered {answer.latency_ms} ms ({answer.low_ms} to "
                f"{answer.high_ms}), which is no latency"
            )
            return Failed(proposal=proposal, kind=FailureKind.LATENCY, text=text)
        return answer

    def _judged(self, proposal: Proposal, found: FoundLatency) -> FoundLatency | Skipped | Failed:
        if found.rejected:
            text = f"its latency was rejected: {(found.measurement or {}).get('reason', '')}"
            return Failed(proposal=proposal, kind=FailureKind.LATENCY, text=text)
        untold = untold_of(tuple(n for n in self.objectives if n in OF_SESSIONS), found.told)
        if untold:
            text = f"the sessions of {found.source} told no {untold[0]}, which is an objective"
            return Failed(proposal=proposal, kind=FailureKind.LATENCY, text=text)
        if any(found.latency_ms > limit_ms for limit_ms in self._limits_ms):
            bound = self._rated(1.0, found, {})
            return Skipped(proposal=proposal, latency_ms=found.latency_ms, bound=bound)
        return found

    def _training(
        self, proposal: Proposal, architecture: Architecture, rungs: tuple[Rung, ...]
    ) -> TrainingResult | Failed:
        try:
            job = self.job(proposal.index, architecture, again=proposal.again, rungs=rungs)
        except InputError as error:
            return Failed(proposal=proposal, kind=FailureKind.DECODE, text=str(error))
        try:
            return self.train(job)
        except TrainingTimeoutError as error:
            return Failed(proposal=proposal, kind=FailureKind.TIMEOUT, text=str(error))
        except (InputError, OperationError) as error:
            return Failed(proposal=proposal, kind=FailureKind.TRAINING, text=str(error))


def _at(architecture: Architecture, size: int | None) -> Architecture:
    return architecture if size is None else architecture.at(size)
