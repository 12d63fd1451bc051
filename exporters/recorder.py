"""Notes what a running module computes: multiply-adds, and which activations live when."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from exporters.lifetimes import Execution, peak

BYTES_PER_NUMBER = 4
"""float32."""

_ATEN = torch.ops.aten

_IN_PLACE = (
    "batch_norm", "relu", "hardtanh", "sigmoid", "silu", "gelu", "hardswish", "tanh", "clamp",
)  # fmt: skip
"""Parts of the names of operators that a runtime fuses into the one before."""

_COMBINING = frozenset({"add", "sub", "mul", "div"})
"""Operators of two tensors: a result of its own, also where torch writes it over one of them."""

_FREE = frozenset({"constant_pad_nd", "clone"})
"""Operators that a runtime leaves to the next one: padding, and copies in another layout."""


class Recorder(TorchDispatchMode):
    """Notes each operator that torch dispatches while it is entered.

    Args:
        examples: The inputs of what will run.
    """

    def __init__(self, examples: tuple[Tensor, ...]) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # torch's
        self.macs = 0
        self._kept: list[Tensor] = []  # so that no two tensors ever share an id
        self._activation: dict[int, int] = {}
        self._bytes: list[int] = []
        self._order: list[Execution] = []
        self._results: set[int] = set()
        self._inputs = {self._new(example) for example in examples}

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401 - torch's protocol
        types: Any,  # noqa: ANN401
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        result = func(*args, **(kwargs or {}))
        self.macs += _macs(func, args, result)
        given = tree_leaves((args, kwargs or {}))
        read = tuple(self._activation[id(v)] for v in given if id(v) in self._activation)
        made = [value for value in tree_leaves(result) if isinstance(value, Tensor)]
        if read and made:
            self._note(func.overloadpacket.__name__.removesuffix("_"), read, made)
        return result

    def finish(self, outputs: list[Tensor]) -> None:
        """These are what the module gave: they live to the end."""
        known = (self._activation.get(id(output)) for output in outputs)
        self._results = {activation for activation in known if activation is not None}

    def peak_bytes(self) -> int:
        """The largest sum of activations that live at once."""
        return peak(self._order, self._bytes, self._inputs, self._results)

    def _note(self, name: str, read: tuple[int, ...], made: list[Tensor]) -> None:
        shares = id(made[0]) in self._activation and name not in _COMBINING
        if shares or made[0]._is_view() or name in _FREE:
            self._kept += made
            self._activation.update((id(tensor), read[0]) for tensor in made)
            self._order.append(Execution(read=read))
            return
        if "batch_norm" in name or "pool" in name:
            made = made[:1]  # statistics and positions beside the result are not used
        in_place = any(part in name for part in _IN_PLACE)
        made_here = tuple(map(self._new, made))
        self._order.append(Execution(read=read, made=made_here, in_place=in_place))

    def _new(self, value: Tensor) -> int:
        self._kept.append(value)
        self._bytes.append(BYTES_PER_NUMBER * value.numel())
        self._activation[id(value)] = len(self._bytes) - 1
        return len(self._bytes) - 1


def _macs(func: Any, args: tuple[Any, ...], result: Any) -> int:  # noqa: ANN401
    """Multiply-adds of one operator; 0 for all but convolutions and fully connected layers."""
    packet = func.overloadpacket
    if packet in (_ATEN.convolution, _ATEN._convolution):
        weight, transposed = args[1], args[6]
        image = args[0] if transposed else result
        return int(image.numel() * math.prod(weight.shape[1:]))
    if packet in (_ATEN.addmm, _ATEN.mm, _ATEN.linear):
        position = 1 if packet is _ATEN.addmm else 0
        return int(result.numel() * args[position].shape[-1])
    return 0
