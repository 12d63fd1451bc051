"""A search for scaling constants in a folder: its trainings, its result, its report."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from controller import run_folder
from controller.scaling_search import (
    DEADLINE_S,
    FailedPoint,
    ScalingFound,
    ScalingPlan,
    TrainedPoint,
    points,
    search,
)
from pocketnas.scaling import RESULT, Asked, timing
from pocketnas.scaling_chart import write_chart
from training.executor import Executor
from workspace.errors import InputError
from workspace.files import write_whole

LOG = "trainings.jsonl"
PLAN = "plan.json"
REPORT = "report.html"


def search_constants(
    folder: Path,
    plan: ScalingPlan,
    executor: Executor,
    on: Asked | None,
    say: Callable[[str], None],
) -> ScalingFound:
    """Search from the start, or from where it was cut off; then write result and report.

    Args:
        folder: Made if it is not there.
        plan: Of the search.
        executor: Where networks are trained.
        on: Who tells latencies, where these are the axis; else None.
        say: Is told of each training.

    Raises:
        InputError: If the folder has a search of another plan or is at work in another process,
            or no point of the grid costs what is asked for.
        OperationError: If a device does not answer, or the trainings of all points fail.
    """
    if on is None:
        points(plan)  # refused before anything is made
    with ExitStack() as opened:
        opened.enter_context(_held(folder, plan, on))
        latencies = None
        if on is not None:
            latencies = opened.enter_context(timing(on, plan.head)).all_ms
        found = search(plan, executor, folder / LOG, say, latencies)
        document = {"version": 1, **facts(plan, found, on)}
        write_whole(folder / RESULT, json.dumps(document, indent=1).encode())
        write_chart(folder / REPORT, plan, found, "" if on is None else on.source)
    return found


def facts(plan: ScalingPlan, found: ScalingFound, on: Asked | None) -> dict[str, object]:
    """What ``pocketnas scale --search --json`` prints."""
    return {
        "axis": plan.axis.value,
        "on": None if on is None else on.source,
        "growth": plan.grid.growth,
        "task": plan.task,
        "samples": plan.schedule.samples,
        "seeds": plan.seeds,
        "rounding": plan.rounding.value,
        "fixed_ends": plan.fixed_ends,
        "noise": found.noise,
        "base": {**_row(found.base), "network": plan.base.key},
        "best": _row(found.best),
        "tied": [one.point.name for one in found.tied],
        "points": [_row(one) for one in found.points],
        "failed": [_row(one) for one in found.failed],
    }


def _row(one: TrainedPoint | FailedPoint) -> dict[str, object]:
    point = one.point
    trained = one if isinstance(one, TrainedPoint) else None
    return {
        "alpha": point.rule.alpha,
        "beta": point.rule.beta,
        "gamma": point.rule.gamma,
        "growth": point.growth,
        "macs": point.macs,
        "latency_ms": point.latency_ms,
        "size": point.network.inputs[0].shape[-1],
        "accuracy": None if trained is None else trained.accuracy,
        "accuracies": [] if trained is None else list(trained.accuracies),
        "seconds": None if trained is None else trained.seconds,
        "failures": list(one.failures),
    }


@contextmanager
def _held(folder: Path, plan: ScalingPlan, on: Asked | None) -> Iterator[None]:
    """Lock a folder that is new or has this plan's search, while the block runs.

    Raises:
        InputError: If it is of something else or at work in another process; nothing was made.
    """
    told = _told(plan, on)
    digest = hashlib.sha256(told.encode()).hexdigest()
    document = {"version": 1, "digest": digest, "base": plan.base.to_json(), "plan": told}
    with ExitStack() as opened:
        try:
            _require_same(folder, digest)
            folder.mkdir(parents=True, exist_ok=True)
            opened.enter_context(run_folder.held(folder))
            _require_same(folder, digest)  # another process may have been first
            if not (folder / PLAN).exists():
                write_whole(folder / PLAN, json.dumps(document, indent=1).encode())
        except OSError as error:
            msg = f"{str(folder)!r} cannot be the folder of a search: {error}"
            raise InputError(msg) from error
        try:
            yield
        except InputError:
            if not (folder / LOG).exists():  # it never began: the folder is free again
                (folder / PLAN).unlink()
            raise


def _told(plan: ScalingPlan, on: Asked | None) -> str:
    """All that decides what a search finds; a deadline decides how long it takes alone."""
    told = repr((replace(plan, deadline_s=DEADLINE_S), on))
    return f"{told} {plan.program}" if plan.program else told


def _require_same(folder: Path, digest: str) -> None:
    """Do nothing if the folder is free or has the search of that plan.

    Raises:
        InputError: If not.
    """
    path = folder / PLAN
    if not path.exists():
        if folder.is_dir() and not run_folder.is_free(folder):
            msg = f"{str(folder)!r} has other files: name another folder with --run"
            raise InputError(msg)
        return
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        same = known.get("digest") == digest
    except (ValueError, AttributeError) as error:
        msg = f"{str(path)!r} is no plan of a search for constants: {error}"
        raise InputError(msg) from error
    if not same:
        msg = (
            f"{str(folder)!r} has the search for constants of another network or other settings: "
            "name another folder with --run"
        )
        raise InputError(msg)
