"""Trains with a program of the user's own."""

from __future__ import annotations

import json
import math
import os
import shlex
import signal
import string
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from training.executor import (
    Look,
    Rung,
    TrainingError,
    TrainingJob,
    TrainingResult,
    TrainingTimeoutError,
)
from training.job_document import looks_from_json
from workspace.errors import InputError

PLACEHOLDERS = (
    "arch", "result", "seed", "samples", "size", "batch", "learning_rate", "rungs",
)  # fmt: skip
"""What a command may ask for: paths of the architecture's JSON and of the result's, numbers, and
where to look at the training on the way, as in ``711:0.52,2133:0.64``."""

TAIL = 2000
"""Characters of a failed program's last words that are told."""


class CommandExecutor:
    """An ``Executor`` that runs ``python train.py --arch {arch} --out {result}`` or the like.

    ``{arch}`` is the path of a JSON document (``Architecture.to_json``); the program writes to
    ``{result}`` a JSON object with ``accuracy`` in `[0, 1]` and, if it likes, ``samples`` and
    ``feedback`` (names to lists of numbers).

    One that has ``{rungs}`` can stop early: after each number of samples there it validates, ends
    if the accuracy is below the number after the colon, and writes ``looks`` (a list of objects
    with ``samples`` and ``accuracy``) and, if it ended so, ``"stopped": true``. It is an empty
    word where nothing is asked for.

    Args:
        command: Split as a shell would, but run without one.
        lanes: Programs at once.

    Raises:
        InputError: If it cannot be split, or lacks ``{arch}`` or ``{result}``, or asks for more.
    """

    on_this_computer = True
    deterministic = False

    def __init__(self, command: str, *, lanes: int = 1) -> None:
        self._words, asked = _understood(command)
        self._stops_early = "rungs" in asked
        self._lanes = lanes
        self._pool = ThreadPoolExecutor(lanes, thread_name_prefix="command")
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._closed = False

    @property
    def lanes(self) -> int:
        """See ``Executor.lanes``."""
        return self._lanes

    @property
    def stops_early(self) -> bool:
        """See ``Executor.stops_early``."""
        return self._stops_early

    def submit(self, job: TrainingJob) -> Future[TrainingResult]:
        """See ``Executor.submit``."""
        try:
            return self._pool.submit(self._run, job)
        except RuntimeError as error:
            msg = "the executor is closed"
            raise TrainingError(msg) from error

    def close(self) -> None:
        """See ``Executor.close``."""
        with self._lock:
            self._closed = True
            processes = tuple(self._processes)
        for process in processes:
            _kill(process)
        self._pool.shutdown()  # jobs that wait find it closed

    def _run(self, job: TrainingJob) -> TrainingResult:
        with tempfile.TemporaryDirectory(prefix="pocketnas-") as folder:
            architecture, result = Path(folder, "architecture.json"), Path(folder, "result.json")
            architecture.write_text(json.dumps(job.architecture.to_json()))
            values = {
                "arch": str(architecture),
                "result": str(result),
                "seed": str(job.seed),
                "samples": str(job.schedule.samples),
                "size": str(job.architecture.inputs[0].shape[-1]),
                "batch": str(job.schedule.batch),
                "learning_rate": repr(job.schedule.learning_rate),
                "rungs": ",".join(f"{rung.samples}:{rung.least!r}" for rung in job.rungs),
            }
            command = [word.format_map(values) for word in self._words]
            started = time.monotonic()
            self._execute(command, job)
            return _read(result, job, command, time.monotonic() - started)

    def _execute(self, command: list[str], job: TrainingJob) -> None:
        """Run the program to its end, or to the job's deadline."""
        with tempfile.TemporaryFile() as output:
            try:
                process = self._start(command, output.fileno())
            except OSError as error:
                msg = f"the training command {shlex.join(command)} cannot be started: {error}"
                raise TrainingError(msg) from error
            try:
                code = process.wait(timeout=job.deadline_s)
            except subprocess.TimeoutExpired:
                msg = f"training {job.id} was killed at its deadline of {job.deadline_s:g} s"
                raise TrainingTimeoutError(msg) from None
            finally:
                _kill(process)  # and what it may have left behind
                with self._lock:
                    self._processes.discard(process)
            if code != 0:
                output.seek(0)
                said = output.read()[-TAIL:].decode(errors="replace").strip()
                msg = f"the training command {shlex.join(command)} ended with {code}: {said}"
                raise TrainingError(msg)

    def _start(self, command: list[str], output: int) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._closed:
                msg = "the executor is closed"
                raise TrainingError(msg)
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._processes.add(process)
            return process


def asked_by(command: str) -> frozenset[str]:
    """Those of ``PLACEHOLDERS`` that a command has.

    >>> sorted(asked_by("python train.py --arch {arch} --out={result}"))
    ['arch', 'result']

    Raises:
        InputError: If it cannot be split, or lacks ``{arch}`` or ``{result}``, or asks for more.
    """
    return _understood(command)[1]


def _understood(command: str) -> tuple[list[str], frozenset[str]]:
    """Words of a command, and what it asks for."""
    try:
        words = shlex.split(command)
        asked = frozenset(
            name
            for word in words
            for _, name, _, _ in string.Formatter().parse(word)
            if name is not None
        )
    except ValueError as error:
        msg = f"the training command {command!r} cannot be split into words: {error}"
        raise InputError(msg) from error
    unknown = sorted(asked - set(PLACEHOLDERS))
    missing = sorted({"arch", "result"} - asked)
    if unknown or missing or not words:
        msg = (
            f"the training command {command!r} needs {{arch}} and {{result}}, and may have "
            "{seed}, {samples}, {size}, {batch}, {learning_rate} and {rungs}; it lacks "
            f"{missing or 'none'}, unknown are {unknown or 'none'}"
        )
        raise InputError(msg)
    return words, asked


def _read(path: Path, job: TrainingJob, command: list[str], seconds: float) -> TrainingResult:
    try:
        document = json.loads(path.read_text())
        accuracy = float(document["accuracy"])
        feedback = {
            str(name): tuple(float(value) for value in values)
            for name, values in document.get("feedback", {}).items()
        }
        samples = int(document.get("samples", job.schedule.samples))
        looks = looks_from_json(document.get("looks", []))
        stopped = document.get("stopped", False) is True
        _require_consistent(looks, job.rungs, stopped=stopped)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        msg = (
            f"the training command {shlex.join(command)} wrote no result with an accuracy: "
            f"{type(error).__name__}: {error}"
        )
        raise TrainingError(msg) from error
    if not (math.isfinite(accuracy) and 0 <= accuracy <= 1):
        msg = (
            f"the training command {shlex.join(command)} wrote accuracy {accuracy}, not in [0, 1]"
        )
        raise TrainingError(msg)
    return TrainingResult(
        accuracy=accuracy,
        samples=samples,
        seconds=seconds,
        feedback=feedback,
        looks=looks,
        stopped=stopped,
    )


def _require_consistent(looks: Sequence[Look], rungs: Sequence[Rung], *, stopped: bool) -> None:
    """Do nothing if a training looked where it was asked to, as far as it went.

    Raises:
        ValueError: If not.
    """
    if looks and len(looks) != len(rungs) and not (stopped and len(looks) < len(rungs)):
        msg = f"{len(looks)} looks where {len(rungs)} rungs were asked for"
        raise ValueError(msg)
    if stopped and not (looks and looks[-1].accuracy < rungs[len(looks) - 1].least):
        msg = "it was stopped, and its last look is not below what its rung asks for"
        raise ValueError(msg)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
