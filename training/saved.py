"""The state of a training between two steps, as tensors and facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from search_space.architecture import Json


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Saved:
    """All that decides how a training goes on.

    Attributes:
        tensors: Weights, the optimizer's state, averages and random states, by name, on the CPU.
        facts: Numbers, as JSON has them.
    """

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Json]


def module_tensors(module: nn.Module, prefix: str) -> dict[str, Tensor]:
    """A copy of all that ``module`` keeps, each name after ``prefix``."""
    return {prefix + name: _copied(value) for name, value in module.state_dict().items()}


def load_module(module: nn.Module, tensors: Mapping[str, Tensor], prefix: str) -> None:
    """Give ``module`` what ``module_tensors`` copied."""
    own = {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
    module.load_state_dict(own)


_OPTIMIZER = "optimizer."


def optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """A copy of an optimizer's state, as ``optimizer.PLACE.NAME``."""
    return {
        f"{_OPTIMIZER}{place}.{name}": _copied(value)
        for place, state in optimizer.state_dict()["state"].items()
        for name, value in state.items()
        if isinstance(value, Tensor)
    }


def load_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Give a new optimizer what ``optimizer_tensors`` copied.

    Each tensor lies in memory as its weight does, so that the same kernels work on it.
    """
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    for key, value in tensors.items():
        if not key.startswith(_OPTIMIZER):
            continue
        place, _, name = key.removeprefix(_OPTIMIZER).partition(".")
        weight = weights[int(place)]
        like = weight.detach() if value.shape == weight.shape else value
        optimizer.state[weight][name] = torch.empty_like(like, dtype=value.dtype).copy_(value)


def _copied(value: Tensor) -> Tensor:
    return value.detach().to("cpu", copy=True).contiguous()
