"""What a torch module costs: parameters, multiply-adds, memory of activations; for any module.

It is counted on the operator graph, which takes hundredths of a second. Of a module that has none,
since it cannot be traced or has an operator without counterpart, torch's own operators are counted
as they run: on meta tensors, which have shapes and no numbers, or, where the module's way depends
on the numbers it sees, for real.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from exporters.exporter import ExportError
from exporters.graph import Constant, Depthwise, Graph, Node, Pad, Reshape, Unary
from exporters.lifetimes import Execution, peak
from exporters.recorder import BYTES_PER_NUMBER, Recorder
from exporters.trace import to_graph
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
    macs, activation_bytes = _on_graph(module, inputs) or _as_it_runs(module, inputs)
    statistics = sum(
        buffer.numel()
        for name, buffer in module.named_buffers()
        if name.endswith(("running_mean", "running_var"))
    )
    return Cost(
        params=sum(p.numel() for p in module.parameters() if p.requires_grad),
        total_params=sum(p.numel() for p in module.parameters()) + statistics,
        macs=macs,
        peak_activation_bytes=activation_bytes,
    )


def _on_graph(module: nn.Module, inputs: tuple[NamedInput, ...]) -> tuple[int, int] | None:
    """Multiply-adds and peak bytes; None where the graph does not tell."""
    try:
        graph = to_graph(module, inputs)
    except ExportError:
        return None
    if any(_may_be_batch_norm(node) for node in graph.nodes):
        return None
    return sum(graph.macs(node) for node in graph.nodes), _peak_bytes(graph)


def _may_be_batch_norm(node: Node) -> bool:
    """A batch norm that no layer could take is a depthwise convolution of one pixel."""
    return isinstance(node.operator, Depthwise) and node.operator.weights.shape[1:3] == (1, 1)


def _peak_bytes(graph: Graph) -> int:
    stands_for = list(range(len(graph.shapes)))
    order = []
    for node in graph.nodes:
        read = tuple(stands_for[i] for i in node.inputs)
        if isinstance(node.operator, Pad | Reshape):
            stands_for[node.output] = read[0]
            continue
        if isinstance(node.operator, Constant):
            continue  # part of the file, like weights
        in_place = isinstance(node.operator, Unary)
        order.append(Execution(read=read, made=(node.output,), in_place=in_place))
    constants = {node.output for node in graph.nodes if isinstance(node.operator, Constant)}
    return peak(
        order,
        [
            0 if tensor in constants else BYTES_PER_NUMBER * math.prod(shape)
            for tensor, shape in enumerate(graph.shapes)
        ],
        inputs=[tensor for _, tensor in graph.inputs],
        results=[stands_for[tensor] for _, tensor in graph.outputs],
    )


def _as_it_runs(module: nn.Module, inputs: tuple[NamedInput, ...]) -> tuple[int, int]:
    """Multiply-adds and peak bytes of what torch dispatches.

    Raises:
        InputError: If it does not run.
    """
    examples = tuple(given.value for given in inputs)
    try:
        recorder = _run(_on_meta(module), tuple(example.to("meta") for example in examples))
    except Exception:  # noqa: BLE001 - forward is the user's; it may well work on numbers
        recorder = _run_for_real(module, examples)
    return recorder.macs, recorder.peak_bytes()


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
