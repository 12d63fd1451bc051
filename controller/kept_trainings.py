"""Trainings that are kept in a file, a line each: a comparison that was cut off goes on there."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from training.executor import Executor, TrainingJob, TrainingResult
from workspace.errors import InputError, OperationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What is kept of a training.

    Attributes:
        accuracy: The task's metric on its validation split.
        seconds: That it took.
    """

    accuracy: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedTraining:
    """What is kept of a training that gave no accuracy.

    Attributes:
        text: Why, in one line.
    """

    text: str


class KeptTrainings:
    """Trains what a file does not have yet.

    A last line that was cut off is trained again, and so is what failed.

    Args:
        log: The file, JSON lines; made with the first training.
        what: What it is the log of, for people.
        program: The command that trains; empty for our own training. What another one gave is
            not taken for its.

    Raises:
        InputError: If the file is there and is no such log.
    """

    def __init__(self, log: Path, what: str, program: str = "") -> None:
        self._log = log
        self._program = program
        self._known = _read(log, what) if log.exists() else {}

    def train(
        self, jobs: Sequence[TrainingJob], executor: Executor, say: Callable[[str], None]
    ) -> list[Trained]:
        """What each job gives, equal ones trained once, as many at once as there are lanes.

        Args:
            jobs: To train.
            executor: Where.
            say: Is told of each, also of those that were kept.

        Raises:
            InputError: If the file cannot be written.
            OperationError: If a training fails; those that were under way are kept.
        """
        found = self._each(jobs, executor, say, ends_at_failure=True)
        return [one for one in found if isinstance(one, Trained)]

    def try_each(
        self, jobs: Sequence[TrainingJob], executor: Executor, say: Callable[[str], None]
    ) -> list[Trained | FailedTraining]:
        """As ``train``, but a job that fails is kept as such, and the others are trained.

        Args:
            jobs: To train; those that failed in an earlier sitting are tried again.
            executor: Where.
            say: Is told of each, also of those that were kept.

        Raises:
            InputError: If the file cannot be written.
        """
        return self._each(jobs, executor, say, ends_at_failure=False)

    def _each(
        self,
        jobs: Sequence[TrainingJob],
        executor: Executor,
        say: Callable[[str], None],
        *,
        ends_at_failure: bool,
    ) -> list[Trained | FailedTraining]:
        keys = [key_of(job, self._program) for job in jobs]
        before = [self._known.get(key) for key in dict.fromkeys(keys)]
        kept = sum(isinstance(one, Trained) for one in before)
        failed = sum(isinstance(one, FailedTraining) for one in before)
        if kept:
            say(f"{kept} of {len(before)} trainings are in {self._log}")
        if failed:
            say(f"{failed} of {len(before)} trainings failed before: tried again")
        missing = {
            key: job
            for key, job in zip(keys, jobs, strict=True)
            if not isinstance(self._known.get(key), Trained)
        }
        with _appending(self._log) as file:
            ended = self._run(missing, executor, file, ends_at_failure=ends_at_failure)
            for number, key in enumerate(ended, kept + 1):
                told = _told(self._known[key])
                say(f"{number} of {len(before)}: {missing[key].id}, {told}")
        return [self._known[key] for key in keys]

    def _run(
        self,
        missing: Mapping[str, TrainingJob],
        executor: Executor,
        file: TextIO,
        *,
        ends_at_failure: bool,
    ) -> Iterator[str]:
        """Train and keep all of them; yields the key of each that is kept."""
        waiting, running = deque(missing), dict[Future[TrainingResult], str]()
        failure: OperationError | None = None
        while running or (waiting and failure is None):
            while waiting and failure is None and len(running) < executor.lanes:
                key = waiting.popleft()
                running[_submitted(executor, missing[key])] = key
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                key = running.pop(future)
                job = missing[key]
                try:
                    result = future.result()
                except OperationError as error:
                    if ends_at_failure:
                        failure = failure or self._failure(job, error)
                        continue
                    self._keep(key, job, FailedTraining(text=" ".join(str(error).split())), file)
                else:
                    trained = Trained(accuracy=result.accuracy, seconds=result.seconds)
                    self._keep(key, job, trained, file)
                yield key
        if failure is not None:
            raise failure

    def _failure(self, job: TrainingJob, error: OperationError) -> OperationError:
        text = f"training {job.id} failed, what was trained is kept in {self._log}: {error}"
        failure = OperationError(text)
        failure.__cause__ = error
        return failure

    def _keep(
        self, key: str, job: TrainingJob, ended: Trained | FailedTraining, file: TextIO
    ) -> None:
        given: dict[str, float | str] = (
            {"accuracy": ended.accuracy, "seconds": ended.seconds}
            if isinstance(ended, Trained)
            else {"failed": ended.text}
        )
        facts = {
            "key": key,
            **given,
            "id": job.id,
            "network": job.architecture.key,
            "samples": job.schedule.samples,
            "seed": job.seed,
        }
        file.write(json.dumps(facts) + "\n")
        file.flush()
        self._known[key] = ended


def key_of(job: TrainingJob, program: str = "") -> str:
    """What a training is known by: equal ones give equal results.

    Args:
        job: The training.
        program: The command that trains; empty for our own training.
    """
    facts = (job.architecture.key, job.task, repr(job.schedule), job.seed)
    told = (*facts, program) if program else facts
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def _submitted(executor: Executor, job: TrainingJob) -> Future[TrainingResult]:
    """A job's future; one that failed where it could not begin."""
    try:
        return executor.submit(job)
    except OperationError as error:
        future = Future[TrainingResult]()
        future.set_exception(error)
        return future


def _told(ended: Trained | FailedTraining) -> str:
    return f"{ended.accuracy:.2%}" if isinstance(ended, Trained) else f"failed: {ended.text}"


@contextmanager
def _appending(log: Path) -> Iterator[TextIO]:
    """The file, open; gone again afterwards if nothing was kept in it."""
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        file = log.open("a", encoding="utf-8")
    except OSError as error:
        msg = f"{str(log)!r} cannot be written: {error.strerror}"
        raise InputError(msg) from error
    try:
        with file:
            yield file
    finally:
        if log.stat().st_size == 0:
            log.unlink()


def _read(log: Path, what: str) -> dict[str, Trained | FailedTraining]:
    """What was trained, or failed last; a last line that was cut off is taken away.

    Raises:
        InputError: If a line before the last is none of such a file.
    """
    try:
        text = log.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{str(log)!r} cannot be read as the log of {what}: {error}"
        raise InputError(msg) from error
    found: dict[str, Trained | FailedTraining] = {}
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        try:
            facts = json.loads(line)
            found[str(facts["key"])] = _of_line(facts)
        except (ValueError, KeyError, TypeError) as error:
            if number == len(lines) and not text.endswith("\n"):
                log.write_text(text[: text.rfind("\n") + 1], encoding="utf-8")
                break
            msg = f"{str(log)!r}, line {number} is no training of {what}: {line[:60]!r}"
            raise InputError(msg) from error
    return found


def _of_line(facts: Mapping[str, Any]) -> Trained | FailedTraining:
    if "failed" in facts:
        return FailedTraining(text=str(facts["failed"]))
    return Trained(accuracy=float(facts["accuracy"]), seconds=float(facts["seconds"]))
