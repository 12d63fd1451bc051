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
from typing import TextIO

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


class KeptTrainings:
    """Trains what a file does not have yet.

    A last line that was cut off is trained again.

    Args:
        log: The file, JSON lines; made with the first training.
        what: What it is the log of, for people.

    Raises:
        InputError: If the file is there and is no such log.
    """

    def __init__(self, log: Path, what: str) -> None:
        self._log = log
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
        keys = [key_of(job) for job in jobs]
        missing = {key: job for key, job in zip(keys, jobs, strict=True) if key not in self._known}
        count, kept = len(set(keys)), len(set(keys)) - len(missing)
        if kept:
            say(f"{kept} of {count} trainings are in {self._log}")
        with _appending(self._log) as file:
            for number, job in enumerate(self._run(missing, executor, file), kept + 1):
                say(f"{number} of {count}: {job.id}, {self._known[key_of(job)].accuracy:.2%}")
        return [self._known[key] for key in keys]

    def _run(
        self, missing: Mapping[str, TrainingJob], executor: Executor, file: TextIO
    ) -> Iterator[TrainingJob]:
        """Train and keep all of them; yields each that is kept."""
        waiting, running = deque(missing), dict[Future[TrainingResult], str]()
        failure: OperationError | None = None
        while running or (waiting and failure is None):
            while waiting and failure is None and len(running) < executor.lanes:
                key = waiting.popleft()
                try:
                    running[executor.submit(missing[key])] = key
                except OperationError as error:
                    failure = self._failed(missing[key], error)
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                key = running.pop(future)
                try:
                    result = future.result()
                except OperationError as error:
                    failure = failure or self._failed(missing[key], error)
                    continue
                self._keep(key, missing[key], result, file)
                yield missing[key]
        if failure is not None:
            raise failure

    def _failed(self, job: TrainingJob, error: OperationError) -> OperationError:
        text = f"training {job.id} failed, what was trained is kept in {self._log}: {error}"
        failure = OperationError(text)
        failure.__cause__ = error
        return failure

    def _keep(self, key: str, job: TrainingJob, result: TrainingResult, file: TextIO) -> None:
        trained = Trained(accuracy=result.accuracy, seconds=result.seconds)
        facts = {
            "key": key,
            "accuracy": trained.accuracy,
            "seconds": trained.seconds,
            "id": job.id,
            "network": job.architecture.key,
            "samples": job.schedule.samples,
            "seed": job.seed,
        }
        file.write(json.dumps(facts) + "\n")
        file.flush()
        self._known[key] = trained


def key_of(job: TrainingJob) -> str:
    """What a training is known by: equal ones give equal results."""
    facts = (job.architecture.key, job.task, repr(job.schedule), job.seed)
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


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


def _read(log: Path, what: str) -> dict[str, Trained]:
    """What was trained; a last line that was cut off is taken away.

    Raises:
        InputError: If a line before the last is none of such a file.
    """
    try:
        text = log.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{str(log)!r} cannot be read as the log of {what}: {error}"
        raise InputError(msg) from error
    found = {}
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        try:
            facts = json.loads(line)
            found[str(facts["key"])] = Trained(
                accuracy=float(facts["accuracy"]), seconds=float(facts["seconds"])
            )
        except (ValueError, KeyError, TypeError) as error:
            if number == len(lines) and not text.endswith("\n"):
                log.write_text(text[: text.rfind("\n") + 1], encoding="utf-8")
                break
            msg = f"{str(log)!r}, line {number} is no training of {what}: {line[:60]!r}"
            raise InputError(msg) from error
    return found
