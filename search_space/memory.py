"""What memory a network needs, from its layers alone: before anything is built."""

from __future__ import annotations

from search_space.architecture import Classifier
from search_space.chain import ChainArchitecture, Op
from search_space.layers import Layer, layers

_FLOAT_BYTES = 4


def needed_bytes(architecture: ChainArchitecture, head: Classifier) -> int:
    """At least so many for one image: float32 weights, and the activations of the largest layer.

    A training needs a multiple: gradients, the optimizer's state, all activations of a batch.
    """
    found = layers(architecture, head)
    weights = sum(layer.params for layer in found)
    return _FLOAT_BYTES * (weights + max(map(_activations, found)))


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
