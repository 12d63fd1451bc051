"""The accuracy of a file in its own runtime, on the test split, against torch's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from delivery.file_gates import runtime_of, said
from delivery.gates import Checked, Gate, GateName, NotRun
from delivery.network import BATCH, as_torch, batches, one_by_one, outputs_of
from exporters.artifact import Artifact, Precision
from training.metric_name import marked
from training.task import Predicting, Split, metric_name
from workspace.errors import OperationError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from delivery.network import Network
    from search_space.architecture import InputSpec
    from training.task import Task

MAPS_AT_ONCE = 10
"""Examples of a detector, or of a video network."""

DROPS = {
    Precision.FP32: 0.001,
    Precision.FP16: 0.001,
    Precision.DYNAMIC: 0.005,
    Precision.INT8: 0.005,
}
"""How far a file may be below torch; but one example of the split is always allowed."""


def accuracy_of_torch(network: Network, task: Task) -> float:
    """The task's metric of the module on the whole test split.

    Raises:
        OperationError: If the data is not there.
    """
    import torch

    specs = network.architecture.inputs
    found, targets = [], []
    for inputs, target in batches(specs, task, Split.TEST, batch=_at_once(task)):
        given = {spec.name: value for spec, value in zip(specs, inputs, strict=True)}
        found.append(_kept(task, tuple(outputs_of(network, given).values()), specs))
        targets.append(target)
    return task.metric(torch.cat(found), torch.cat(targets))


def accuracy_of_file(
    specs: tuple[InputSpec, ...], task: Task, artifact: Artifact
) -> tuple[float, int]:
    """The task's metric of the file in its runtime on the whole test split, and its examples.

    Args:
        specs: Inputs of the network.
        task: Whose data.
        artifact: The file.

    Raises:
        FloatingPointError: If it gives what is no finite number.
        OperationError: If the data is not there.
    """
    import torch

    run, kind, names = runtime_of(artifact), artifact.format, _names(artifact)
    found, targets = [], []
    for inputs, target in batches(specs, task, Split.TEST, batch=_at_once(task)):
        given = {spec.name: value for spec, value in zip(specs, inputs, strict=True)}
        answers = [run(feed) for feed in one_by_one(artifact, given)]
        _require_finite(answers)
        outputs = (
            torch.cat([as_torch(kind, each[name].astype(np.float32)) for each in answers])
            for name in names
        )
        found.append(_kept(task, tuple(outputs), specs))
        targets.append(target)
    return task.metric(torch.cat(found), torch.cat(targets)), sum(map(len, targets))


def _require_finite(answers: list[dict[str, NDArray[Any]]]) -> None:
    """Do nothing if all that a file gives for each example is finite.

    Raises:
        FloatingPointError: If not: the largest of scores with a NaN is no prediction.
    """
    wrong = sum(not all(np.isfinite(made).all() for made in each.values()) for each in answers)
    if wrong:
        msg = f"outputs of {wrong} of {len(answers)} examples are not finite"
        raise FloatingPointError(msg)


def _names(artifact: Artifact) -> list[str]:
    return [spec.name for spec in artifact.outputs]


def _at_once(task: Task) -> int:
    """Examples: maps of many would not fit."""
    return MAPS_AT_ONCE if isinstance(task, Predicting) else BATCH


def _kept(task: Task, outputs: tuple[Tensor, ...], specs: tuple[InputSpec, ...]) -> Tensor:
    """What the metric takes: a classifier's scores, predictions out of other outputs."""
    if isinstance(task, Predicting):
        only = outputs[0] if len(outputs) == 1 else outputs
        return task.predictions(only, specs[0].shape[-1])
    return outputs[0]


def check_accuracy(
    specs: tuple[InputSpec, ...], task: Task | None, artifact: Artifact, of_torch: float | None
) -> Checked:
    """The gate.

    Args:
        specs: Inputs of the network.
        task: Whose test split; None for none.
        artifact: The file.
        of_torch: Of ``accuracy_of_torch``; None where there is no task.
    """
    if task is None or of_torch is None:
        why = "no dataset was given: --dataset names one"
        if task is not None:
            why = (
                f"{task.name} has boxes, and AP is taken of networks in torch alone, not of files"
            )
        return NotRun(name=GateName.ACCURACY, file=artifact.path.name, why=why)
    try:
        metric, count = accuracy_of_file(specs, task, artifact)
    except OperationError:
        raise
    except Exception as error:  # noqa: BLE001 - what runtimes raise has no common parent
        return Gate(
            name=GateName.ACCURACY,
            file=artifact.path.name,
            passed=False,
            figures={"accuracy": None, "torch": of_torch, "split": f"test split of {task.name}"},
            limit=DROPS[artifact.precision],
            text=f"it does not run on the test split of {task.name}: {said(error)}",
        )
    limit = max(DROPS[artifact.precision], 1 / count)
    drop = of_torch - metric
    return Gate(
        name=GateName.ACCURACY,
        file=artifact.path.name,
        passed=drop <= limit + 1e-9,
        figures={
            "accuracy": metric,
            "torch": of_torch,
            "drop": drop,
            "examples": count,
            "split": f"test split of {task.name}",
        },
        limit=limit,
        text=(
            f"{marked(metric_name(task), metric)} on {count:,} test examples of {task.name}, "
            f"{-100 * drop:+.2f} points against torch's {of_torch:.2%}"
        ),
    )
