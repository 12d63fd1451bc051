"""A training by several processes of this machine, started as ``torchrun`` starts them.

Run as a program with the folder of a training, it is one of them.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pocketnas.training_plan import read_plan
from pocketnas.training_progress import show_training
from pocketnas.training_runs import (
    go_on,
    make,
    require_possible,
    require_same,
    require_same_data,
)
from workspace.errors import InputError, OperationError
from workspace.python import python

if TYPE_CHECKING:
    from pocketnas.training_plan import TrainingPlan


def is_first() -> bool:
    """Whether this process is the one that prints, of those that ``torchrun`` started, if any."""
    return os.environ.get("RANK", "0") == "0"


def share(
    folder: Path, plan: TrainingPlan | None, processes: int, *, resume: bool, quiet: bool
) -> None:
    """Train in ``folder`` by several processes.

    Args:
        folder: Of the training.
        plan: Of it; None for the one that is there.
        processes: How many.
        resume: Whether it is there already.
        quiet: Show nothing.

    Raises:
        InputError: If it cannot be done; nothing was begun.
        OperationError: If one of them failed; it can be resumed.
        KeyboardInterrupt: At Ctrl-C.
    """
    from training.distributed import require_devices

    require_devices(processes)
    if plan is None or resume:
        there = read_plan(folder)
        if plan is not None:
            require_same(plan, there, folder)
        plan = there
    require_possible(plan, processes=processes)
    if resume:
        require_same_data(folder, plan)
    else:
        make(folder, plan)
    command = python("-m", "pocketnas.training_processes", str(folder))
    _launch(processes, [*command, *(["--quiet"] if quiet else [])])


def _launch(processes: int, command: list[str]) -> None:
    """Run a command as so many processes that are in touch."""
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    # What a process has to say it says itself.
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=f"pocketnas-{os.getpid()}",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
    )
    try:
        elastic_launch(config, command[0])(*command[1:])
    except SignalException as error:
        raise KeyboardInterrupt from error
    except ChildFailedError as error:
        rank, first = error.get_first_failure()
        msg = f"process {rank} of {processes} ended with exit code {first.exitcode}"
        raise OperationError(msg) from error


def main() -> None:
    """Be one of the processes."""
    folder, *options = sys.argv[1:]
    try:
        with show_training(quiet=not is_first() or "--quiet" in options) as shown:
            go_on(Path(folder), shown)
    except (InputError, OperationError) as error:
        typer.echo(f"pocketnas: {error}", err=True)
        sys.exit(2 if isinstance(error, InputError) else 1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
