"""Finds the network that a command's ARCH argument means."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from search_space.architecture import Architecture, Classifier, Head
from workspace.errors import InputError, OperationError

if TYPE_CHECKING:
    from exporters.exporter import NamedInput


_FOR_DEVICE = ":best@"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A network and what it is known by.

    Attributes:
        architecture: At the size that was asked for.
        head: What it ends in.
        run: The run it comes from; None if it comes from elsewhere.
        index: Of its proposal in that run; None if it comes from elsewhere.
        device: Of the run's fleet, whose own best it was named as; else empty.
        training: Folder of the training that it comes from; None if it comes from elsewhere.
    """

    architecture: Architecture
    head: Head
    run: Path | None = None
    index: int | None = None
    device: str = field(default="", compare=False)
    training: Path | None = None


def resolve(
    text: str, *, size: int | None = None, classes: int | None = None, head: str = "classifier"
) -> Found:
    """The network that ``text`` means: a run's, a training's, or what the catalog resolves.

    ``RUN:best`` and ``RUN:12`` are of a run; a training's is named by its folder.

    ``RUN:best@DEVICE`` is the best for one device of a run's fleet alone.

    Args:
        text: ARCH, as every command takes it.
        size: Input size in pixels; its own where None.
        classes: Of the head; the run's where there is one, else 1000, where None.
        head: Kind of head; only ``classifier`` exists for the families of today.

    Raises:
        InputError: If there is no such network, or it cannot run at that size.
    """
    if head != "classifier":
        msg = f"unknown head {head!r}; there is classifier"
        raise InputError(msg)
    found = _from_run(text) or _from_training(text) or _from_catalog(text)
    if classes is not None:
        found = replace(found, head=Classifier(classes=classes))
    return found if size is None else replace(found, architecture=found.architecture.at(size))


def example_inputs(architecture: Architecture) -> tuple[NamedInput, ...]:
    """Zeros of the shapes the network takes, batch 1.

    Raises:
        OperationError: If torch is not installed.
    """
    try:
        import torch
    except ModuleNotFoundError as error:
        msg = "this needs torch, which is not installed: pip install 'pocketnas[export]'"
        raise OperationError(msg) from error
    from exporters.exporter import NamedInput

    return tuple(
        NamedInput(name=spec.name, value=torch.zeros(1, *spec.shape))
        for spec in architecture.inputs
    )


def _from_catalog(text: str) -> Found:
    from search_space import catalog

    return Found(architecture=catalog.resolve(text), head=Classifier(classes=1000))


def _from_run(text: str) -> Found | None:
    folder, colon, which = text.rpartition(":")
    if _FOR_DEVICE in text:  # whose name may have colons
        folder, _, device = text.partition(_FOR_DEVICE)
        which = f"best@{device}"
    if not colon or not (Path(folder) / "config.toml").is_file():
        return None
    from pocketnas.runs import trial_of

    return trial_of(Path(folder), which)


def _from_training(text: str) -> Found | None:
    from pocketnas.training_plan import is_training, read_plan

    folder = Path(text)
    if not is_training(folder):
        return None
    from training.task import create

    plan = read_plan(folder)
    return Found(architecture=plan.architecture, head=create(plan.dataset).head, training=folder)
