"""What ``pocketnas train`` left, as other commands take it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pocketnas.examples import examples_of
from pocketnas.networks import Found
from pocketnas.training_plan import WEIGHTS, read_plan, read_result
from workspace.errors import InputError

if TYPE_CHECKING:
    from torch import nn

    from search_space.architecture import Json
    from training.task import Task


def load_trained(module: nn.Module, found: Found, folder: Path) -> str:
    """Give ``module`` the weights of a training; where they are from, in words.

    Raises:
        InputError: If the training is not done, or the weights are not the module's.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from training.task import create

    plan, path = read_plan(folder), folder / WEIGHTS
    if read_result(folder) is None:
        msg = f"the training in {str(folder)!r} is not done: pocketnas resume {folder}"
        raise InputError(msg)
    own = create(plan.dataset).head
    if found.head != own:
        msg = (
            f"the network in {str(folder)!r} was trained to end in {own}, {found.head} was asked "
            "for: leave out --classes"
        )
        raise InputError(msg)
    try:
        module.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError, OSError) as error:
        said = " ".join(str(error).split())[:300]
        msg = f"{str(path)!r} has no weights for {plan.name}: {said}"
        raise InputError(msg) from error
    many = examples_of(plan.architecture).many
    return f"trained: {plan.schedule.samples:,} {many} of {plan.dataset}, in {folder.name}"


def facts_of(found: Found, folder: Path) -> tuple[dict[str, Json], None, Task | None]:
    """How a network was trained, and on what: with the anchors that its boxes start from."""
    from training.possible import anchored
    from training.task import create

    plan, result = read_plan(folder), read_result(folder) or {}
    facts: dict[str, Json] = {
        "training": folder.resolve().name,
        "network": plan.name,
        "dataset": plan.dataset,
        "samples": plan.schedule.samples,
        "seed": plan.seed,
    }
    for split, evaluation in result.get("evaluations", {}).items():
        facts[f"{split}_accuracy"] = evaluation["accuracy"]
    task = anchored(create(plan.dataset), plan.schedule.anchor)
    return facts, None, task if task.head == found.head else None
