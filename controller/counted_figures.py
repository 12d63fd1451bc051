"""What a network of any family takes, counted on its torch module, whose weights are not made."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from exporters.exporter import NamedInput
from search_space.architecture import Architecture, Head
from workspace.errors import OperationError

if TYPE_CHECKING:
    from torch import nn

    from exporters.cost import Cost


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
    return tuple(
        NamedInput(name=spec.name, value=torch.zeros(1, *spec.shape))
        for spec in architecture.inputs
    )


def cost_of(architecture: Architecture, head: Head) -> Cost:
    """Parameters, multiply-adds and memory of activations.

    Args:
        architecture: At the size in question.
        head: What it ends in.

    Raises:
        InputError: If the family has no such head.
        OperationError: If torch is not installed.
    """
    return _counted(architecture, head)[0]  # type: ignore[arg-type] # it is hashable by contract


def stored_by(architecture: Architecture, head: Head) -> tuple[int, int]:
    """Weights and biases of a model file, batch norms having become biases.

    Raises:
        InputError: If the family has no such head.
        OperationError: If torch is not installed.
    """
    return _counted(architecture, head)[1]  # type: ignore[arg-type] # likewise


@lru_cache(maxsize=64)
def _counted(architecture: Architecture, head: Head) -> tuple[Cost, tuple[int, int]]:
    inputs = example_inputs(architecture)
    import torch

    from exporters.cost import count

    with torch.device("meta"):  # shapes alone: some networks have a gigabyte of weights
        network = architecture.build(head)
    return count(network, inputs), _stored(network)


def _stored(network: nn.Module) -> tuple[int, int]:
    from torch import nn

    layers = [each for each in network.modules() if isinstance(each, nn.Conv2d | nn.Linear)]
    weights = sum(each.weight.numel() for each in layers)
    return weights, sum(each.weight.shape[0] for each in layers)
