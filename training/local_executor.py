"""Trains on this machine, in child processes that can be killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import IO, Any

from training.executor import TrainingError, TrainingJob, TrainingResult, TrainingTimeoutError
from training.job_document import job_to_json, result_from_json
from workspace.errors import InputError
from workspace.python import importing_as_here, python

TAIL = 2000
"""Characters of a dead worker's last words that are told."""


class LocalExecutor:
    """An ``Executor`` with one worker process a lane, each importing torch once.

    Args:
        lanes: Jobs at once.
        threads: CPU threads of each; the same number gives the same bits.
        cores: The only ones they may use, so that another is left to a device; empty for all.

    Raises:
        InputError: If this process has no such core.
    """

    on_this_computer = True
    deterministic = True
    stops_early = True

    def __init__(self, *, lanes: int = 1, threads: int = 1, cores: tuple[int, ...] = ()) -> None:
        _require(cores)
        self._lanes = lanes
        self._settings = (str(threads), *map(str, cores))
        self._pool = ThreadPoolExecutor(lanes, thread_name_prefix="trainer")
        self._local = threading.local()
        self._workers: set[_Worker] = set()
        self._lock = threading.Lock()
        self._closed = False

    @property
    def lanes(self) -> int:
        """See ``Executor.lanes``."""
        return self._lanes

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
            workers = tuple(self._workers)
        for worker in workers:
            worker.kill()
        self._pool.shutdown()  # jobs that wait find it closed
        for worker in workers:
            worker.release()

    def _run(self, job: TrainingJob) -> TrainingResult:
        worker = self._worker()
        try:
            return worker.run(job)
        except _WorkerDiedError as error:
            self._forget(worker)
            text = f"training {job.id} ended without a result: {error}"
            raise TrainingError(text) from error
        except TrainingTimeoutError:
            self._forget(worker)
            raise

    def _worker(self) -> _Worker:
        """This lane's worker, started if there is none that lives."""
        worker: _Worker | None = getattr(self._local, "worker", None)
        if worker is not None and not worker.lives:
            self._forget(worker)
            worker = None
        if worker is None:
            with self._lock:
                if self._closed:
                    msg = "the executor is closed"
                    raise TrainingError(msg)
                worker = self._local.worker = _Worker(self._settings)
                self._workers.add(worker)
        return worker

    def _forget(self, worker: _Worker) -> None:
        worker.kill()
        worker.release()
        self._local.worker = None
        with self._lock:
            self._workers.discard(worker)


class _WorkerDiedError(Exception):
    """The process ended in the middle of a job."""


class _Worker:
    """One process that trains."""

    def __init__(self, settings: tuple[str, ...]) -> None:
        # Open as long as the process lives, so no context manager.
        self._stderr: IO[str] = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115
        self._process = subprocess.Popen(
            python("-m", "training.worker", *settings),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            text=True,
            start_new_session=True,
            env=importing_as_here(),
        )

    @property
    def lives(self) -> bool:
        """Whether it can still be given a job."""
        return self._process.poll() is None

    def run(self, job: TrainingJob) -> TrainingResult:
        """The result of ``job``; at its deadline everything it started is killed."""
        timed_out = threading.Event()

        def end() -> None:
            timed_out.set()
            self.kill()

        timer = threading.Timer(job.deadline_s, end)
        timer.start()
        try:
            answer = self._ask(json.dumps(job_to_json(job)))
        except _WorkerDiedError as error:
            if timed_out.is_set():
                msg = f"training {job.id} was killed at its deadline of {job.deadline_s:g} s"
                raise TrainingTimeoutError(msg) from error
            raise
        finally:
            timer.cancel()
            timer.join()  # it may just be killing: whether the worker lives is known after
        if "input_error" in answer:
            raise InputError(answer["input_error"])
        if "error" in answer:
            raise TrainingError(answer["error"])
        return result_from_json(answer["result"])

    def _ask(self, line: str) -> dict[str, Any]:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(line + "\n")
            process.stdin.flush()
            text = process.stdout.readline()
        except (OSError, ValueError) as error:
            raise _WorkerDiedError(self._last_words()) from error
        if not text.endswith("\n"):
            raise _WorkerDiedError(self._last_words())
        answer: dict[str, Any] = json.loads(text)
        return answer

    def kill(self) -> None:
        """End the process and all that it started; wait until it is gone."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def release(self) -> None:
        """Close its files, once nobody reads them any more."""
        for file in (self._process.stdin, self._process.stdout, self._stderr):
            if file is not None:
                with suppress(OSError):  # what was not flushed has no reader
                    file.close()

    def _last_words(self) -> str:
        code = self._process.wait(timeout=10)
        self._stderr.seek(0)
        text = self._stderr.read()[-TAIL:].strip()
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return f"{how}; {text or 'it said nothing'}"


def _require(cores: tuple[int, ...]) -> None:
    if not cores:
        return
    if not hasattr(os, "sched_getaffinity"):
        msg = f"training cannot be kept to cores {cores}: this system has no such setting"
        raise InputError(msg)
    there = sorted(os.sched_getaffinity(0))
    if not set(cores) <= set(there):
        msg = f"training cannot be kept to cores {cores}: this process may use {there}"
        raise InputError(msg)
