"""What memory a network needs, from its numbers alone: before anything is built."""

from __future__ import annotations

import math

from search_space.architecture import Architecture, Classifier, Head
from search_space.assemblenet import ModuleKind, MultiStreamArchitecture
from search_space.chain import ChainArchitecture, Op
from search_space.layers import Layer, layers
from search_space.permuted_blocks import Block, BlockKind
from search_space.spinenet import ScalePermutedArchitecture
from search_space.stream_graph import StreamNode

_FLOAT_BYTES = 4


def needed_bytes(architecture: Architecture, head: Head) -> int:
    """At least so many for one image: float32 weights, and the activations of the largest layer.

    A training needs a multiple: gradients, the optimizer's state, all activations of a batch. Of
    a scale-permuted network, or one of several streams, the weights of its blocks alone count. Of
    a family that is not known here nothing is known.
    """
    numbers = 0
    if isinstance(architecture, ChainArchitecture):
        found = layers(architecture, head if isinstance(head, Classifier) else None)
        numbers = sum(layer.params for layer in found) + max(map(_activations, found))
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
