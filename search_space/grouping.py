"""Equal layers of a chain as stages: one grouping that stands for all that there are."""

from __future__ import annotations

from dataclasses import replace
from operator import attrgetter

from search_space.chain import Skip, Stage

_alike = attrgetter("op", "kernel", "expansion", "se_ratio", "expands", "activation")
"""What all layers of a stage share."""


def grouped(layers: tuple[Stage, ...], channels: int) -> tuple[Stage, ...]:
    """Layers as the fewest stages that unroll to them, a skip being the identity where none is.

    Args:
        layers: Out of ``ChainArchitecture.unrolled``.
        channels: Of their input.
    """
    stages: list[Stage] = []
    undecided = False
    for layer in layers:
        kept = layer.keeps_shape(channels)
        channels = layer.filters
        joined = _join(stages[-1], layer, undecided) if stages and kept else None
        if joined is not None:
            stages[-1], undecided = joined, False
            continue
        undecided = not kept and layer.skip is Skip.NONE
        stages.append(replace(layer, skip=Skip.IDENTITY) if undecided else layer)
    return tuple(stages)


def _join(stage: Stage, layer: Stage, undecided: bool) -> Stage | None:  # noqa: FBT001
    """``stage`` with one more layer, or None if it cannot have this one.

    Args:
        stage: What there is.
        layer: A stage of one that keeps its shape.
        undecided: Whether no layer has shown yet what goes around the layers of ``stage``.
    """
    if _alike(stage) != _alike(layer):
        return None
    skip = layer.skip if undecided else stage.skip
    if layer.skip is not (Skip.NONE if skip is Skip.NONE else Skip.IDENTITY):
        return None
    return replace(stage, repeats=stage.repeats + 1, skip=skip)
