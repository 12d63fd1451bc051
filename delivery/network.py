"""A finished network, as it is handed over, and real examples of what it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from exporters.artifact import Artifact, ModelFormat
from exporters.exporter import NamedInput
from exporters.verify import channels_last
from training.task import Split, seen_by
from workspace.errors import InputError, OperationError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from controller.found_latency import FoundLatency
    from search_space.architecture import Architecture, Head, InputSpec, Json
    from training.task import Task

T = TypeVar("T")

COMPARED = 16
"""Examples that outputs are compared on."""

BAND = 4
"""Of a letterboxed clip, the rows for one that is flat above, and as many below."""

BATCH = 100
"""Examples that torch takes at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What is to be delivered.

    Attributes:
        architecture: At the size that it runs at.
        head: What it ends in.
        module: With its weights, on the CPU; put into eval mode.
        name: For people, e.g. ``"mnasnet-a1"`` or ``"trial 12 of first"``.
        weights: Where the weights are from, a sentence.
        task: What it was trained on, or is to be checked on; None where no data is known.
        found: How it was found: run, trial, seed and the like; empty where it was not.
        searched: Its latency in the search that found it; None where there is none.
    """

    architecture: Architecture
    head: Head
    module: nn.Module
    name: str
    weights: str
    task: Task | None = None
    found: Mapping[str, Json] = field(default_factory=dict)
    searched: FoundLatency | None = None

    def __post_init__(self) -> None:
        self.module.eval()
        if self.task is not None and self.task.head != self.head:
            msg = (
                f"the network ends in {self.head}, the dataset {self.task.name!r} needs "
                f"{self.task.head}"
            )
            raise InputError(msg)

    @property
    def example_inputs(self) -> tuple[NamedInput, ...]:
        """Zeros of the shapes it takes, batch 1."""
        import torch

        return tuple(
            NamedInput(name=spec.name, value=torch.zeros(1, *spec.shape))
            for spec in self.architecture.inputs
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Examples:
    """Inputs that outputs are compared on.

    Attributes:
        inputs: By name, `[N, *shape]` float32, channels first.
        what: What they are, for people.
        are_real: Whether they are of a data set.
    """

    inputs: Mapping[str, Tensor]
    what: str
    are_real: bool


def compared(network: Network) -> Examples:
    """The first examples of the task's validation split; random numbers where there is no task.

    Before clips comes the first of them letterboxed: where it is flat, other faults show.

    Raises:
        OperationError: If the data is not there.
    """
    import torch

    specs = network.architecture.inputs
    if network.task is not None:
        inputs, _ = next(batches(specs, network.task, Split.VALIDATION, count=COMPARED))
        found = Examples(
            inputs={spec.name: value for spec, value in zip(specs, inputs, strict=True)},
            what=f"the first {len(inputs[0])} validation examples of {network.task.name}",
            are_real=True,
        )
        return _with_letterboxed(found)
    generator = torch.Generator().manual_seed(0)
    drawn = Examples(
        inputs={
            spec.name: torch.randn((COMPARED, *spec.shape), generator=generator) for spec in specs
        },
        what=f"{COMPARED} draws of normal random numbers, seed 0: no dataset was given",
        are_real=False,
    )
    return _with_letterboxed(drawn)


def _with_letterboxed(examples: Examples) -> Examples:
    """Before examples that are clips the first of them with flat bands; others as they are."""
    import torch

    if any(value.ndim != 5 for value in examples.inputs.values()):
        return examples
    inputs = {
        name: torch.cat((_letterboxed(clips[:1]), clips))
        for name, clips in examples.inputs.items()
    }
    return replace(examples, inputs=inputs, what=f"{examples.what}, and one letterboxed")


def _letterboxed(clip: Tensor) -> Tensor:
    """`[1, C, T, H, W]` with zeros above and below."""
    band = clip.shape[3] // BAND
    made = clip.clone()
    made[:, :, :, :band] = made[:, :, :, clip.shape[3] - band :] = 0.0
    return made


def batches(
    specs: tuple[InputSpec, ...],
    task: Task,
    split: Split,
    *,
    count: int | None = None,
    seed: int | None = None,
    batch: int = BATCH,
) -> Iterator[tuple[tuple[Tensor, ...], Tensor]]:
    """Inputs of a network, each `[N, *shape]`, and targets, without augmentation.

    Args:
        specs: Of the network's inputs.
        task: Whose data.
        split: Of it.
        count: So many examples; None for all.
        seed: Of a random choice of them; None for the first ones, in order.
        batch: Examples at once.

    Raises:
        InputError: If the task has another number of inputs than the network.
        OperationError: If the data is not there.
    """
    import torch

    task = seen_by(task, specs)
    found = _read(task, lambda: task.examples(split, specs[0].shape[-1]))
    order = torch.arange(len(found))
    if seed is not None:
        order = torch.randperm(len(found), generator=torch.Generator().manual_seed(seed))
    for indices in order[:count].split(batch):
        inputs, targets = _read(task, partial(found.batch, indices, None))
        if len(inputs) != len(specs):
            msg = f"{task.name} has {len(inputs)} inputs, the network takes {len(specs)}"
            raise InputError(msg)
        pairs = zip(inputs, specs, strict=True)
        yield tuple(_with_channels(value, spec.shape[0]) for value, spec in pairs), targets


def _read(task: Task, read: Callable[[], T]) -> T:
    """What is read of a task's data; a file that refuses is told as the data's."""
    try:
        return read()
    except OSError as error:
        msg = f"the data of {task.name} cannot be read: {error}"
        raise OperationError(msg) from error


def _with_channels(images: Tensor, channels: int) -> Tensor:
    """Grey images `[N, 1, H, W]` with their one channel repeated, as in training."""
    if images.ndim == 4 and images.shape[1] == 1 and channels > 1:
        return images.repeat(1, channels, 1, 1)
    return images


def outputs_of(network: Network, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What torch gives, by name, `[N, …]` each."""
    import torch

    from exporters.walk import named_outputs

    with torch.no_grad():
        arguments = (inputs[spec.name].clone() for spec in network.architecture.inputs)
        return named_outputs(network.module(*arguments), network.module)


def laid_out(kind: ModelFormat, value: Tensor) -> NDArray[Any]:
    """`[N, C, H, W]` as the format has it: channels last but for ONNX; others as they are."""
    array: NDArray[Any] = np.asarray(value.numpy())
    return array if kind is ModelFormat.ONNX else channels_last(array)


def as_torch(kind: ModelFormat, array: NDArray[Any]) -> Tensor:
    """What ``laid_out`` was given, of what a file gives."""
    import torch

    is_last = kind is not ModelFormat.ONNX and array.ndim >= 4
    return torch.from_numpy(np.moveaxis(array, -1, 1) if is_last else array)


def one_by_one(
    artifact: Artifact, inputs: Mapping[str, Tensor]
) -> Iterator[dict[str, NDArray[Any]]]:
    """Feeds of batch 1 for a file, one for each example.

    Args:
        artifact: Of the file.
        inputs: `[N, *shape]` by name, as torch has them.
    """
    arrays = {spec.name: laid_out(artifact.format, inputs[spec.name]) for spec in artifact.inputs}
    for index in range(len(next(iter(arrays.values())))):
        yield {
            name: np.ascontiguousarray(array[index : index + 1]) for name, array in arrays.items()
        }
