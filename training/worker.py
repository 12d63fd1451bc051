"""The process that trains: jobs come in as JSON lines, results go out as JSON lines.

It ends when its standard input does, as it does when the process that started it dies.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from training.executor import TrainingJob, TrainingResult
from training.job_document import job_from_json, result_to_json
from training.progressive import check_sizes
from workspace.errors import InputError, OperationError

if TYPE_CHECKING:
    from training.trainer import Trainer


def main() -> None:
    """Serve jobs until standard input ends; the arguments are ``THREADS [CORE …]``."""
    threads, *cores = map(int, sys.argv[1:])
    if cores:
        os.sched_setaffinity(0, cores)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else cuBLAS may vary by run
    import torch

    from training.trainer import Trainer

    torch.set_num_threads(threads)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever prints must not get in between the answers
    jobs: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(jobs,), daemon=True).start()
    trainer = Trainer()
    while True:
        _answer(answers, _run(trainer, jobs.get()))


def _read(jobs: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        jobs.put(line)
    os._exit(0)  # in the middle of a job, too: nobody waits for it any more


def _answer(answers: IO[str], answer: dict[str, Any]) -> None:
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def _run(trainer: Trainer, line: str) -> dict[str, Any]:
    try:
        return {"result": result_to_json(_fit(trainer, job_from_json(json.loads(line))))}
    except InputError as error:
        return {"input_error": str(error)}
    except OperationError as error:
        return {"error": str(error)}
    except Exception as error:  # noqa: BLE001 - whatever a user's task raises is the job's failure
        return {"error": f"{type(error).__name__}: {error}"}


def _fit(trainer: Trainer, job: TrainingJob) -> TrainingResult:
    from training.task import create, seen_by

    check_sizes(job.schedule.stages, job.architecture)
    task = seen_by(create(job.task), job.architecture.inputs)
    spec, *_ = job.architecture.inputs
    return trainer.fit(
        job.architecture.build(task.head),
        task,
        job.schedule,
        size=spec.shape[-1],
        channels=spec.shape[0],
        seed=job.seed,
        checkpoint=Path(job.checkpoint) if job.checkpoint else None,
        rungs=job.rungs,
    )


if __name__ == "__main__":
    main()
