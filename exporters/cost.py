"""What a torch module costs: parameters, multiply-adds, memory of activations; for any module.

The module runs on meta tensors, which have shapes and no numbers, while every operator that torch
dispatches is noted: nothing has to be traceable, and nothing is computed.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from workspace.errors import InputError

if TYPE_CHECKING:
    from exporters.exporter import NamedInput

_ATEN = torch.ops.aten

_IN_PLACE = {
    "native_batch_norm",
    "_native_batch_norm_legit_no_training",
    "batch_norm",
    "relu",
    "hardtanh",
    "sigmoid",
    "silu",
    "gelu",
    "hardswish",
    "hardsigmoid",
    "constant_pad_nd",
}
"""Operators that a runtime fuses into the one before, or that change each number where it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a network costs at batch 1.

    Attributes:
        params: Trainable numbers: weights, batch norms' gamma and beta, biases.
        total_params: With the batch norms' running means and variances.
        macs: Multiply-adds of convolutions and fully connected layers; nothing else is counted.
        peak_activation_bytes: The largest sum of float32 activations that live at once, in the
            order of execution, the inputs included: an activation lives from the operator that
            makes it to the last that reads it. Batch norms, activations and padding work in place.
    """

    params: int
    total_params: int
    macs: int
    peak_activation_bytes: int


def count(module: nn.Module, inputs: tuple[NamedInput, ...]) -> Cost:
    """The cost of ``module`` in eval mode.

    Args:
        module: Any; not modified.
        inputs: Examples; only their shapes matter. Batch 1 for the counts that are published.

    Raises:
        InputError: If it cannot run on inputs of these shapes.
    """
    shadow = _on_meta(module)
    examples = tuple(given.value.to("meta") for given in inputs)
    recorder = _Recorder(examples)
    with torch.no_grad(), recorder:
        try:
            outputs = shadow(*examples)
        except (RuntimeError, TypeError, ValueError) as error:
            shapes = ", ".join(str(tuple(example.shape)) for example in examples)
            msg = f"{type(module).__name__} does not run on inputs of shape {shapes}: {error}"
            raise InputError(msg) from error
    params = sum(p.numel() for p in module.parameters() if p.requires_grad)
    statistics = sum(
        b.numel() for name, b in module.named_buffers() if not name.endswith("num_batches_tracked")
    )
    return Cost(
        params=params,
        total_params=params + statistics,
        macs=recorder.macs,
        peak_activation_bytes=recorder.peak_bytes(outputs),
    )


def _on_meta(module: nn.Module) -> nn.Module:
    """The same module in eval mode, its tensors without numbers; no number is copied."""
    memo: dict[int, object] = {}
    for parameter in module.parameters():
        memo[id(parameter)] = nn.Parameter(parameter.detach().to("meta"), requires_grad=False)
    for buffer in module.buffers():
        memo[id(buffer)] = buffer.to("meta")
    return copy.deepcopy(module, memo).eval()


class _Recorder(TorchDispatchMode):
    """Notes each operator's multiply-adds, and which activations it reads and makes."""

    def __init__(self, examples: tuple[Tensor, ...]) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # torch's
        self.macs = 0
        self._kept: list[Tensor] = []  # so that no two activations ever share an id
        self._activation: dict[int, int] = {}
        self._bytes: list[int] = []
        self._steps: list[tuple[list[int], list[int]]] = []
        for example in examples:
            self._new(example)

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401 - torch's protocol
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        self.macs += _macs(func, args, result)
        given = tree_leaves((args, kwargs or {}))
        read = [self._activation[id(v)] for v in given if id(v) in self._activation]
        made = [value for value in tree_leaves(result) if isinstance(value, Tensor)]
        if read and made:
            self._note(name.removesuffix("_"), read, made[0])
        return result

    def _note(self, name: str, read: list[int], made: Tensor) -> None:
        shares = id(made) in self._activation or made._is_view() or name in _IN_PLACE
        if shares:
            self._kept.append(made)
            self._activation[id(made)] = read[0]
            self._steps.append((read, []))
        else:
            self._steps.append((read, [self._new(made)]))

    def _new(self, value: Tensor) -> int:
        self._kept.append(value)
        self._bytes.append(4 * value.numel())
        self._activation[id(value)] = len(self._bytes) - 1
        return len(self._bytes) - 1

    def peak_bytes(self, outputs: object) -> int:
        """The largest sum of activations that live at once."""
        last = dict.fromkeys(range(len(self._bytes)), -1)
        for step, (read, made) in enumerate(self._steps):
            last.update(dict.fromkeys([*read, *made], step))
        for value in tree_leaves(outputs):
            if id(value) in self._activation:
                last[self._activation[id(value)]] = len(self._steps)
        inputs = set(range(len(self._bytes))) - {i for _, made in self._steps for i in made}
        living = sum(self._bytes[i] for i in inputs)
        peak = living
        ends: dict[int, list[int]] = {}
        for activation, step in last.items():
            ends.setdefault(step, []).append(activation)
        for step, (_, made) in enumerate(self._steps):
            living += sum(self._bytes[i] for i in made)
            peak = max(peak, living)
            living -= sum(self._bytes[i] for i in ends.get(step, []))
        return peak


def _macs(func: Any, args: tuple[Any, ...], result: Any) -> int:  # noqa: ANN401
    """Multiply-adds of one operator; 0 for all but convolutions and matrix products."""
    packet = func.overloadpacket
    if packet in (_ATEN.convolution, _ATEN._convolution):
        weight, transposed = args[1], args[6]
        image = args[0] if transposed else result
        per_pixel = math.prod(weight.shape[1:])
        return int(image.numel() * per_pixel)
    if packet is _ATEN.addmm:
        return int(result.numel() * args[1].shape[-1])
    if packet in (_ATEN.mm, _ATEN.bmm):
        return int(result.numel() * args[0].shape[-1])
    if packet is _ATEN.linear:
        return int(result.numel() * args[1].shape[-1])
    return 0
