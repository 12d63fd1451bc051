"""What a torch module costs: parameters, multiply-adds, memory of activations; for any module.

The module runs on meta tensors, which have shapes and no numbers, while every operator that torch
dispatches is noted: nothing has to be traceable, and nothing is computed. A module whose way
depends on the numbers it sees, which meta tensors lack, runs for real instead, as a copy.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from exporters.recorder import Recorder
from workspace.errors import InputError

if TYPE_CHECKING:
    from exporters.exporter import NamedInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a network costs.

    Attributes:
        params: Trainable numbers: weights, batch norms' gamma and beta, biases.
        total_params: With frozen ones, and the batch norms' running means and variances.
        macs: Multiply-adds of convolutions and fully connected layers; nothing else is counted.
        peak_activation_bytes: The largest sum of float32 activations that live at once, in the
            order of execution, the inputs included. An activation lives from the operator that
            makes it to the last that reads it. A batch norm or activation function writes over
            its input if nobody reads that later; padding and new shapes take no memory.
    """

    params: int
    total_params: int
    macs: int
    peak_activation_bytes: int


def count(module: nn.Module, inputs: tuple[NamedInput, ...]) -> Cost:
    """The cost of ``module`` in eval mode.

    Args:
        module: Any; not modified.
        inputs: Examples. Only their shapes matter, unless the module's way depends on the numbers.
            Batch 1 for the counts that are published.

    Raises:
        InputError: If it cannot run on such inputs.
    """
    examples = tuple(given.value for given in inputs)
    try:
        recorded = _run(_on_meta(module), tuple(example.to("meta") for example in examples))
    except Exception:  # noqa: BLE001 - forward is the user's; it may well work on numbers
        recorded = _run_for_real(module, examples)
    statistics = sum(
        buffer.numel()
        for name, buffer in module.named_buffers()
        if name.endswith(("running_mean", "running_var"))
    )
    return Cost(
        params=sum(p.numel() for p in module.parameters() if p.requires_grad),
        total_params=sum(p.numel() for p in module.parameters()) + statistics,
        macs=recorded.macs,
        peak_activation_bytes=recorded.peak_bytes(),
    )


def _run_for_real(module: nn.Module, examples: tuple[Tensor, ...]) -> Recorder:
    try:
        return _run(copy.deepcopy(module), tuple(example.clone() for example in examples))
    except Exception as error:  # forward is the user's and may raise anything
        shapes = ", ".join(str(tuple(example.shape)) for example in examples)
        msg = f"{type(module).__name__} does not run on inputs of shape {shapes}: {error}"
        raise InputError(msg) from error


def _run(module: nn.Module, examples: tuple[Tensor, ...]) -> Recorder:
    recorder = Recorder(examples)
    with torch.no_grad(), recorder:
        outputs = module.eval()(*examples)
    recorder.finish([leaf for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor)])
    return recorder


def _on_meta(module: nn.Module) -> nn.Module:
    """The same module, its tensors without numbers; no number is copied."""
    memo: dict[int, object] = {}
    for parameter in module.parameters():
        memo[id(parameter)] = nn.Parameter(parameter.detach().to("meta"), requires_grad=False)
    for buffer in module.buffers():
        memo[id(buffer)] = buffer.to("meta")
    return copy.deepcopy(module, memo)
