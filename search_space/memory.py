"""What memory a network needs, from its numbers alone: before anything is built."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

from search_space.architecture import Architecture, Classifier, Head
from search_space.assemblenet import ModuleKind, MultiStreamArchitecture
from search_space.chain import ChainArchitecture, Op
from search_space.layers import Layer, runs
from search_space.permuted_blocks import Block, BlockKind
from search_space.spinenet import ScalePermutedArchitecture
from search_space.stream_graph import StreamNode
from workspace.errors import InputError

if TYPE_CHECKING:
    from search_space.scaling import Factors

_FLOAT_BYTES = 4


class TooLargeError(InputError):
    """A scaled network that needs more memory than this computer has: take a smaller one."""


def require_memory(architecture: Architecture, head: Head, factors: Factors, knob: str) -> None:
    """Do nothing if this computer's memory can hold a scaled network; by arithmetic, in no time.

    Args:
        architecture: Of the network.
        head: What it ends in.
        factors: By what it was scaled.
        knob: What is to be smaller if it cannot.

    Raises:
        TooLargeError: If it cannot.
    """
    needed, there = needed_bytes(architecture, head), memory_bytes()
    if needed > there:
        msg = (
            f"a network {factors.depth:.3g} times as deep, {factors.width:.3g} times as wide and "
            f"{factors.resolution:.3g} times as fine needs at least {needed / 2**30:.1f} GiB for "
            f"one image, and this computer has {there / 2**30:.1f}: take a smaller {knob}"
        )
        raise TooLargeError(msg)


def memory_bytes() -> int:
    """Of this computer."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def needed_bytes(architecture: Architecture, head: Head) -> int:
    """At least so many for one image: float32 weights, and the activations of the largest layer.

    A training needs a multiple: gradients, the optimizer's state, all activations of a batch. Of
    a scale-permuted network, or one of several streams, the weights of its blocks alone count. Of
    a family that is not known here nothing is known.
    """
    numbers = 0
    if isinstance(architecture, ChainArchitecture):
        found = runs(architecture, head if isinstance(head, Classifier) else None)
        numbers = sum(count * layer.params for layer, count in found)
        numbers += max(_activations(layer) for layer, _ in found)
    elif isinstance(architecture, ScalePermutedArchitecture):
        blocks = architecture.live_blocks
        weights = architecture.repeats * sum(_weights(architecture, block) for block in blocks)
        numbers = weights + max(_feature(architecture, block) for block in blocks)
    elif isinstance(architecture, MultiStreamArchitecture):
        _, nodes = architecture.graph.built
        numbers = sum(_node_weights(architecture, node) for node in nodes)
        numbers += sum(math.prod(spec.shape) for spec in architecture.inputs)
    return _FLOAT_BYTES * numbers


def _activations(layer: Layer) -> int:
    """Numbers that live at once in a layer: what it takes, and what it gives or has between."""
    taken = layer.in_size**2 * layer.in_channels
    given = layer.out_size**2 * layer.out_channels
    between = {
        Op.CONV: 0,
        Op.MBCONV: layer.in_size**2 * layer.hidden,
        Op.FUSED: layer.out_size**2 * layer.hidden,
    }[layer.op]
    return taken + max(given, between if layer.expansion > 1 else 0)


def _node_weights(network: MultiStreamArchitecture, node: StreamNode) -> int:
    """Of the residual modules of a node, without what goes around the first of them."""
    inner, outside = network.inner[node.level], network.width_of(node)
    if network.module is ModuleKind.INVERTED:
        one = 2 * inner * outside
    else:
        one = node.filters * (outside + 9 * inner) + inner * outside
    return (network.repeats[node.level] - 1) * one


def _weights(network: ScalePermutedArchitecture, block: Block) -> int:
    """Of one repeat of a block, its large convolutions alone."""
    filters = network.filters_at(block.level)
    expansion = 0 if network.mobile is None else network.mobile.expansion
    of_each_pair = {
        BlockKind.BOTTLENECK: 4 + 3 * 3 + 4,
        BlockKind.RESIDUAL: 2 * 3 * 3,
        BlockKind.MBCONV: 2 * expansion,
    }[block.kind]
    return of_each_pair * filters**2


def _feature(network: ScalePermutedArchitecture, block: Block) -> int:
    """Numbers that a block takes and gives."""
    pixels = -(-network.size // network.stride_at(block.level))
    return 2 * pixels**2 * network.channels_of(block.level, block.kind)
