"""What one block of a factorized space may be, and which choices give a block that is there."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from search_space.chain import Activation, Op, Skip, Stage
from search_space.decisions import Decisions

COLUMNS = ("op", "expansion", "kernel", "se", "skip", "filters", "layers", "activation")
"""What is chosen for a block, in the order of its decisions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """What one block may be: the options of each column; a single option is no decision.

    Attributes:
        stride: Of its first layer.
        ops: Each with its expansion, or None where the next column has it.
        expansions: For an op that leaves it open.
        kernels: Sides in pixels.
        ratios: Of squeeze-excitation.
        skips: Around each layer.
        filters: Output channels.
        repeats: Numbers of layers; 0 removes the block.
        activations: None for the network's.
        network_activation: What None among ``activations`` is.
    """

    stride: int
    ops: tuple[tuple[Op, int | None], ...]
    expansions: tuple[int, ...] = (1,)
    kernels: tuple[int, ...] = (3, 5)
    ratios: tuple[float, ...] = (0.0, 0.25)
    skips: tuple[Skip, ...] = (Skip.IDENTITY,)
    filters: tuple[int, ...]
    repeats: tuple[int, ...]
    activations: tuple[Activation | None, ...] = (None,)
    network_activation: Activation = Activation.RELU

    @property
    def options(self) -> tuple[tuple[str, ...], ...]:
        """The options of each of ``COLUMNS``, as text."""
        return (
            tuple(
                f"{op}{expansion if op.expands and expansion else ''}"
                for op, expansion in self.ops
            ),
            tuple(map(str, self.expansions)),
            tuple(map(str, self.kernels)),
            tuple(f"{ratio:g}" for ratio in self.ratios),
            tuple(map(str, self.skips)),
            tuple(map(str, self.filters)),
            tuple(map(str, self.repeats)),
            tuple(str(own or self.network_activation) for own in self.activations),
        )

    @property
    def counts(self) -> tuple[int, ...]:
        """The number of options of each of ``COLUMNS``."""
        columns = (
            self.ops,
            self.expansions,
            self.kernels,
            self.ratios,
            self.skips,
            self.filters,
            self.repeats,
            self.activations,
        )
        return tuple(map(len, columns))

    def stage(self, chosen: Decisions) -> Stage | None:
        """The stage of one option index a column; None if the block is removed."""
        op, expansion, kernel, ratio, skip, filters, repeats, activation = chosen
        if not self.repeats[repeats]:
            return None
        kind, fixed = self.ops[op]
        return Stage(
            op=kind,
            kernel=self.kernels[kernel],
            stride=self.stride,
            expansion=fixed or self.expansions[expansion],
            filters=self.filters[filters],
            repeats=self.repeats[repeats],
            se_ratio=self.ratios[ratio],
            skip=self.skips[skip],
            activation=self.activations[activation],
        )

    def fit(self, layers: tuple[Stage, ...], channels: int) -> Decisions | None:
        """The first option index a column that gives just these layers; None if there is none.

        Args:
            layers: Stages of one, out of ``ChainArchitecture.unrolled``.
            channels: Of their input.
        """
        if not layers:
            return (0, 0, 0, 0, 0, 0, self.repeats.index(0), 0)
        first = layers[0]
        if (
            first.kernel not in self.kernels
            or first.se_ratio not in self.ratios
            or first.filters not in self.filters
            or first.activation not in self.activations
        ):
            return None
        for op, expansion, skip in itertools.product(
            range(len(self.ops)), range(len(self.expansions)), range(len(self.skips))
        ):
            chosen = (
                op,
                expansion,
                self.kernels.index(first.kernel),
                self.ratios.index(first.se_ratio),
                skip,
                self.filters.index(first.filters),
                self.repeats.index(len(layers)),
                self.activations.index(first.activation),
            )
            stage = self.stage(chosen)
            if stage is not None and tuple(stage.unrolled(channels)) == layers:
                return chosen
        return None


def place(
    menu: tuple[Block, ...], layers: tuple[Stage, ...], channels: int
) -> tuple[list[Decisions] | None, int]:
    """Give every layer to a block, in order.

    Returns:
        The option indices of each block, or None, and how many layers could be given away.
    """
    if not menu:
        return (None if layers else []), 0
    block, furthest = menu[0], 0
    for repeats in block.repeats:
        mine, rest = layers[:repeats], layers[repeats:]
        chosen = block.fit(mine, channels) if len(mine) == repeats else None
        if chosen is None:
            continue
        placed, reached = place(menu[1:], rest, mine[-1].filters if mine else channels)
        furthest = max(furthest, repeats + reached)
        if placed is not None:
            return [chosen, *placed], furthest
    return None, furthest
