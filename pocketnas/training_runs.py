"""Trainings in their folders: started, gone on with."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from controller import run_folder
from pocketnas.examples import examples_of
from pocketnas.training_plan import (
    BOARD,
    CHECKPOINTS,
    LOG,
    RESULT,
    WEIGHTS,
    TrainingPlan,
    read_plan,
    read_result,
)
from training.progress import Step, TrainingObserver
from training.training_log import TrainingLog, read_log
from workspace.errors import InputError
from workspace.files import write_whole

if TYPE_CHECKING:
    from search_space.architecture import Architecture
    from training.checkpoint import Identity
    from training.distributed import World
    from training.evaluation import Evaluation
    from training.stages import TrainingStage
    from training.task import Task


class TrainingShown(TrainingObserver, Protocol):
    """Shows a training to people."""

    def on_plan(self, plan: TrainingPlan) -> None:
        """Called once before all else, with what the training is."""
        ...

    def on_text(self, text: str) -> None:
        """Called when something else than steps happens."""
        ...


def start(folder: Path, plan: TrainingPlan, shown: TrainingShown) -> Path:
    """Train in a new ``folder`` to the end; where that is.

    Under ``torchrun`` every process calls it, and the first one's folder is the folder.

    Raises:
        InputError: If the folder is taken, or the plan cannot be used; nothing was made.
        OperationError: If the training cannot go on; it can be resumed.
    """
    from training.distributed import World

    world = World.of_environment()
    require_possible(plan)
    if world.is_first:
        make(folder, plan)
    with world.joined():
        folder = Path(world.told(str(folder)))
        _train(folder, plan, shown, world)
    return folder


def make(folder: Path, plan: TrainingPlan) -> None:
    """Make the folder of a training that is yet to be done.

    Raises:
        InputError: If it is taken, or cannot be made.
    """
    with run_folder.create(folder):
        plan.write(folder)


def go_on(folder: Path, shown: TrainingShown, *, asked: TrainingPlan | None = None) -> None:
    """Go on with a training that was cut off; one that is done ends at once.

    Args:
        folder: Of the training.
        shown: Shows it.
        asked: What it has to be; None for whatever it is.

    Raises:
        InputError: If it is no training, another one than was asked for, or at work elsewhere.
        OperationError: If the training cannot go on.
    """
    from training.distributed import World

    plan = read_plan(folder)
    if asked is not None:
        require_same(asked, plan, folder)
    if read_result(folder) is not None:
        shown.on_text(f"the training in {folder} is done")
        return
    require_possible(plan)
    world = World.of_environment()
    with world.joined():
        _train(folder, plan, shown, world)


def _train(folder: Path, plan: TrainingPlan, shown: TrainingShown, world: World) -> None:
    """The part of one process; the first one holds the folder, and writes."""
    with run_folder.held(folder) if world.is_first else nullcontext():
        _run(folder, plan, shown, world)


def require_same(asked: TrainingPlan, there: TrainingPlan, folder: Path) -> None:
    """Do nothing if the training in ``folder`` is the one that is asked for.

    Raises:
        InputError: If not; the text names the first difference.
    """
    _identity(asked).require(_identity(there), folder)


def require_same_data(folder: Path, plan: TrainingPlan) -> None:
    """Do nothing if the data is what the training in ``folder`` began with, as far as it says.

    Raises:
        InputError: If not.
    """
    from training.checkpoint import Checkpoints
    from training.task import create

    Checkpoints(folder / CHECKPOINTS, _identity(plan, create(plan.dataset))).require_same()


def require_possible(plan: TrainingPlan, *, processes: int = 1) -> None:
    """Do nothing if the network of a plan fits its data, its stages and this machine.

    Args:
        plan: Of the training.
        processes: That share each batch.

    Raises:
        InputError: If not.
    """
    from training.possible import require_fitting, require_shares
    from training.progressive import check_sizes
    from training.trainer import Trainer

    task = plan.task()
    check_sizes(plan.schedule.stages, plan.architecture)
    Trainer().require_possible(plan.schedule)
    parts = plan.schedule.parts(plan.size)
    require_fitting(task, plan.schedule, parts)
    require_shares(parts, processes)
    require_channels(plan.architecture, task)


def require_channels(architecture: Architecture, task: Task) -> None:
    """Do nothing if a network takes as many channels as the examples of a task have, or can have.

    Args:
        architecture: Of the network.
        task: As the network sees it.

    Raises:
        InputError: If not.
    """
    takes, many = architecture.inputs[0].shape[0], examples_of(architecture).many
    if task.channels not in (1, takes):
        msg = (
            f"the network takes {takes} channels, and the {many} of {task.name!r} have "
            f"{task.channels}: give it as many"
        )
        raise InputError(msg)


def _identity(plan: TrainingPlan, task: Task | None = None) -> Identity:
    """What a training is; of its data what ``task`` says, where it is at hand."""
    from training.checkpoint import Identity

    return Identity(
        architecture=plan.architecture.key,
        task=plan.dataset,
        schedule=plan.schedule,
        seed=plan.seed,
        classes=tuple(map(str, getattr(task, "labels", ()))),
        digest=str(getattr(task, "digest", "")),
    )


def _run(folder: Path, plan: TrainingPlan, shown: TrainingShown, world: World) -> None:
    """Train from the last checkpoint to the end, and keep weights and result."""
    import torch

    from training.checkpoint import Checkpoints
    from training.task import Split
    from training.trainer import Trainer

    torch.set_num_threads(plan.threads)
    shown.on_plan(plan)
    task = plan.task()
    trainer = Trainer(world=world, exact=False)
    module = plan.architecture.build(task.head)
    log = TrainingLog(folder / LOG, folder / BOARD if plan.board else None)
    checkpoints = Checkpoints(
        folder / CHECKPOINTS,
        _identity(plan, task),
        every_s=plan.checkpoint_s,
        writes=world.is_first,
    )
    trained = trainer.fit(
        module,
        task,
        plan.schedule,
        size=plan.size,
        seed=plan.seed,
        channels=plan.architecture.inputs[0].shape[0],
        checkpoint=folder / WEIGHTS,
        observer=_Both(log, shown) if world.is_first else None,
        evaluate_every=plan.evaluate_every,
        checkpoints=checkpoints,
    )
    if not world.is_first:
        return
    assert trained.evaluation is not None  # no rung ends it early
    shown.on_text("evaluating on the test split")
    test = trainer.examine(module, task, size=plan.size, split=Split.TEST)
    for evaluation in (trained.evaluation, test):
        log.on_evaluation(evaluation, trained.samples)
    log.close()
    result = _result(plan, (trained.evaluation, test))
    result |= {
        "samples": trained.samples,
        "seconds": _seconds(folder),
        "processes": world.size,
        "feedback": {name: list(values) for name, values in trained.feedback.items()},
    }
    write_whole(folder / RESULT, json.dumps(result, indent=1).encode())


def seen_until_now(folder: Path) -> int:
    """Training images that the log of a training knows of."""
    return max((int(line["seen"]) for line in _steps(folder)), default=0)


def _seconds(folder: Path) -> float:
    """Of all steps, over all sittings."""
    return max((float(line["seconds"]) for line in _steps(folder)), default=0.0)


def _steps(folder: Path) -> list[dict[str, Any]]:
    path = folder / LOG
    lines = read_log(path) if path.is_file() else []
    return [line for line in lines if line["kind"] == "step"]


def _result(plan: TrainingPlan, evaluations: tuple[Evaluation, ...]) -> dict[str, Any]:
    import torch

    return {
        "network": plan.name,
        "key": plan.architecture.key,
        "dataset": plan.dataset,
        "size": plan.size,
        "seed": plan.seed,
        "schedule": plan.to_json()["schedule"],
        "evaluations": {each.split: each.to_json() for each in evaluations},
        "device": "cuda" if torch.cuda.is_available() else "cpu",
        "versions": {"torch": str(torch.__version__)},
    }


class _Both:
    """Two observers at once."""

    def __init__(self, first: TrainingObserver, second: TrainingObserver) -> None:
        self._both = (first, second)

    def on_stage(self, stage: int, part: TrainingStage, seen: int) -> None:
        for each in self._both:
            each.on_stage(stage, part, seen)

    def on_step(self, step: Step) -> None:
        for each in self._both:
            each.on_step(step)

    def on_evaluation(self, evaluation: Evaluation, seen: int) -> None:
        for each in self._both:
            each.on_evaluation(evaluation, seen)
