"""Finds out what one candidate takes and how accurate it gets, from what is known already."""

from __future__ import annotations

from dataclasses import dataclass

from controller.algorithm import Failed, FailureKind, Outcome, Proposal, Skipped
from controller.candidate import Candidate, FoundLatency, evaluated
from controller.reward import Reward
from controller.study import Study
from controller.turns import Turns, Work
from latency.measurement import Verdict
from latency.source import (
    Decides,
    LatencyAnswer,
    LatencyFailure,
    LatencyRequest,
    LatencySource,
    NetworkSubject,
)
from search_space.architecture import Architecture, Head
from training.executor import (
    Executor,
    Schedule,
    TrainingError,
    TrainingJob,
    TrainingResult,
    TrainingTimeoutError,
)
from workspace.errors import InputError, OperationError

LATENCY_TRIES = 3
"""How often a latency is asked for before its failure is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSettings:
    """What decides how a candidate is evaluated.

    Attributes:
        task: Name of the task.
        head: What networks end in.
        schedule: How they are trained.
        seed: Of every training, so that equal networks get equal accuracies.
        timed_size: Input size that is timed; None for the architecture's own.
        train_size: Input size that is trained; None for the architecture's own.
        preset: How hard a latency is tried.
        deadline_s: After which a training is killed.
        skip_above: Candidates slower than this many targets are not trained; None trains all.
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


class Evaluation:
    """Times and trains candidates, keeping each figure in the study as it is found.

    Args:
        settings: How.
        source: Gives latencies.
        executor: Gives accuracies.
        reward: Of both.
        study: Where figures are kept, and found again after a crash.
    """

    def __init__(
        self,
        settings: EvaluationSettings,
        source: LatencySource,
        executor: Executor,
        reward: Reward,
        study: Study,
    ) -> None:
        self._settings = settings
        self._source = source
        self._executor = executor
        self._reward = reward
        self._study = study
        self._turns = Turns(exclusive=source.on_this_computer and executor.on_this_computer)

    def latency(
        self, proposal: Proposal, architecture: Architecture, known: Candidate | None
    ) -> FoundLatency | Outcome:
        """What the candidate takes; its outcome where that ends it (too slow, or failed).

        Args:
            proposal: The candidate.
            architecture: Its network.
            known: What an interrupted search had found of it already.
        """
        try:
            found = (known and known.latency) or self._latency(proposal.index, architecture)
        except OperationError as error:
            return Failed(proposal=proposal, kind=FailureKind.LATENCY, text=str(error))
        except InputError as error:
            return Failed(proposal=proposal, kind=FailureKind.DECODE, text=str(error))
        if found.verdict == Verdict.REJECTED.value:
            reason = (found.measurement or {}).get("reason", "")
            text = f"its latency was rejected: {reason}"
            return Failed(proposal=proposal, kind=FailureKind.LATENCY, text=text)
        limit = self._settings.skip_above
        if limit is not None and found.latency_ms > limit * self._reward.target_ms:
            bound = self._reward.upper_bound(found.latency_ms)
            return Skipped(proposal=proposal, latency_ms=found.latency_ms, bound=bound)
        return found

    def accuracy(
        self,
        proposal: Proposal,
        architecture: Architecture,
        known: Candidate | None,
        found: FoundLatency,
    ) -> Outcome:
        """The outcome of a candidate whose latency is known: it is trained, or failed."""
        try:
            result = (known and known.training) or self._training(proposal.index, architecture)
        except TrainingTimeoutError as error:
            return Failed(proposal=proposal, kind=FailureKind.TIMEOUT, text=str(error))
        except TrainingError as error:
            return Failed(proposal=proposal, kind=FailureKind.TRAINING, text=str(error))
        except InputError as error:
            return Failed(proposal=proposal, kind=FailureKind.DECODE, text=str(error))
        reward = self._reward.value(result.accuracy, found.latency_ms)
        return evaluated(proposal, result, found.latency_ms, reward)

    @property
    def lanes(self) -> tuple[int, int]:
        """How many latencies, and how many trainings, can really go on at once."""
        return self._source.lanes, self._executor.lanes

    def close(self) -> None:
        """End what runs and give back devices and processes."""
        self._executor.close()
        self._source.close()

    def job(self, index: int, architecture: Architecture, *, checkpoint: str = "") -> TrainingJob:
        """The training of a candidate; equal ones give equal weights where training is exact."""
        settings = self._settings
        return TrainingJob(
            id=f"trial-{index}",
            architecture=_at(architecture, settings.train_size),
            task=settings.task,
            schedule=settings.schedule,
            seed=settings.seed,
            deadline_s=settings.deadline_s,
            checkpoint=checkpoint,
        )

    def train(self, job: TrainingJob) -> TrainingResult:
        """Run a training in its turn.

        Raises:
            TrainingError: If it gave no accuracy.
        """
        with self._turns.turn(Work.TRAINING):
            return self._executor.submit(job).result()

    def ask_latency(self, request: LatencyRequest) -> LatencyAnswer:
        """Ask the source in its turn, again where that may help."""
        for _ in range(LATENCY_TRIES):
            with self._turns.turn(Work.TIMING):
                (answer,) = self._source.estimate([request])
            if not (isinstance(answer, LatencyFailure) and answer.retryable):
                break
        return answer

    def request(
        self, index: int, architecture: Architecture, *, final: str | None = None
    ) -> LatencyRequest:
        """The question what a candidate takes.

        Args:
            index: Of its proposal.
            architecture: At any size.
            final: The preset of the last measurement; None while the search goes on.
        """
        subject = NetworkSubject(
            architecture=_at(architecture, self._settings.timed_size), head=self._settings.head
        )
        if final is None:
            return LatencyRequest(
                id=f"trial-{index}", subject=subject, preset=self._settings.preset
            )
        return LatencyRequest(
            id=f"final-{index}", subject=subject, preset=final, decides=Decides.FRONT
        )

    def _latency(self, index: int, architecture: Architecture) -> FoundLatency:
        answer = self.ask_latency(self.request(index, architecture))
        if isinstance(answer, LatencyFailure):
            raise OperationError(answer.text)
        found = FoundLatency.of(answer)
        self._study.found_latency(index, found)
        return found

    def _training(self, index: int, architecture: Architecture) -> TrainingResult:
        result = self.train(self.job(index, architecture))
        self._study.found_training(index, result)
        return result


def _at(architecture: Architecture, size: int | None) -> Architecture:
    return architecture if size is None else architecture.at(size)
