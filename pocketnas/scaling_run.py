"""A search for scaling constants in a folder: its trainings, its result, its report."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from controller.scaling_search import (
    ScalingFound,
    ScalingPlan,
    TrainedPoint,
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
        InputError: If the folder has a search of another plan, or no point of the grid costs
            what is asked for.
        OperationError: If a device does not answer, or a training fails.
    """
    _hold(folder, plan, on)
    with ExitStack() as opened:
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
        "noise": found.noise,
        "base": {**_row(found.base), "network": plan.base.key},
        "best": _row(found.best),
        "tied": [one.point.name for one in found.tied],
        "points": [_row(one) for one in found.points],
    }


def _row(one: TrainedPoint) -> dict[str, object]:
    point = one.point
    return {
        "alpha": point.rule.alpha,
        "beta": point.rule.beta,
        "gamma": point.rule.gamma,
        "growth": point.growth,
        "macs": point.macs,
        "latency_ms": point.latency_ms,
        "size": point.network.inputs[0].shape[-1],
        "accuracy": one.accuracy,
        "accuracies": list(one.accuracies),
        "seconds": one.seconds,
    }


def _hold(folder: Path, plan: ScalingPlan, on: Asked | None) -> None:
    """Do nothing if the folder is new or has this plan's search."""
    told = repr((plan, on))
    digest = hashlib.sha256(told.encode()).hexdigest()
    path = folder / PLAN
    try:
        if path.exists():
            known = json.loads(path.read_text(encoding="utf-8"))
            if known.get("digest") != digest:
                msg = (
                    f"{str(folder)!r} has the search for constants of another network or other "
                    "settings: name another folder with --run"
                )
                raise InputError(msg)
            return
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            msg = f"{str(folder)!r} has other files: name another folder with --run"
            raise InputError(msg)
        document = {"version": 1, "digest": digest, "base": plan.base.to_json(), "plan": told}
        write_whole(path, json.dumps(document, indent=1).encode())
    except (OSError, AttributeError) as error:
        msg = f"{str(folder)!r} cannot be the folder of a search: {error}"
        raise InputError(msg) from error
    except ValueError as error:
        if isinstance(error, InputError):
            raise
        msg = f"{str(path)!r} is no plan of a search for constants: {error}"
        raise InputError(msg) from error
