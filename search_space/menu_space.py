"""Spaces of chains of which each block is chosen from a menu, by decisions of its own."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod

from search_space.architecture import Architecture
from search_space.block_menu import COLUMNS, Block, place
from search_space.chain import ChainArchitecture, Stage
from search_space.decisions import Choice, Decisions, DecisionSpace, Point
from search_space.membership import check_frame, no_place

WIDTHS = (0.75, 1, 1.25)
"""Times the base's width (MnasNet, section 4.1); products are cut to whole numbers, as Vertex AI's
code does."""


class MenuSpace(ABC):
    """A ``FactorizedSpace`` whose groups are blocks; subclasses call ``_lay_out`` when made.

    Attributes:
        menu: What each block may be, from input to output.
        points: Names like ``block3.kernel``.
        groups: Those of each block; none where a block is fixed.
    """

    __slots__ = ()

    menu: tuple[Block, ...]
    points: DecisionSpace
    groups: tuple[tuple[int, ...], ...]

    @property
    @abstractmethod
    def name(self) -> str:
        """See ``SearchSpace.name``."""

    @abstractmethod
    def _network(self, stages: tuple[Stage, ...]) -> ChainArchitecture:
        """The network of these stages; all others of the space have all else in common."""

    @property
    def count(self) -> int:
        """See ``SearchSpace.count``."""
        return self.points.count

    def decode(self, point: Point) -> ChainArchitecture:
        """See ``SearchSpace.decode``."""
        decisions = self.points.checked(point)
        stages = (
            self.stages_of(number, tuple(decisions[position] for position in group))
            for number, group in enumerate(self.groups)
        )
        return self._network(tuple(itertools.chain.from_iterable(stages)))

    def stages_of(self, group: int, decisions: Decisions) -> tuple[Stage, ...]:
        """See ``FactorizedSpace.stages_of``."""
        block, given = self.menu[group], iter(decisions)
        stage = block.stage(tuple(next(given) if count > 1 else 0 for count in block.counts))
        return () if stage is None else (stage,)

    def encode(self, architecture: Architecture) -> Decisions:
        """See ``SearchSpace.encode``; the point with the first fitting option of each block."""
        member = self.decode((0,) * len(self.points.choices))
        chain = check_frame(architecture, member, self.name)
        layers = chain.unrolled()
        placed, reached = place(self.menu, layers, chain.stem.filters)
        if placed is None:
            raise no_place(self.name, chain, reached)
        decisions = (
            index
            for block, chosen in zip(self.menu, placed, strict=True)
            for index, count in zip(chosen, block.counts, strict=True)
            if count > 1
        )
        return tuple(decisions)

    def _lay_out(self, menu: tuple[Block, ...]) -> None:
        """Set menu, points and groups.

        Raises:
            InputError: If the size is too small for the strides.
        """
        choices = (
            Choice(name=f"block{number}.{column}", options=options)
            for number, block in enumerate(menu, start=1)
            for column, options in zip(COLUMNS, block.options, strict=True)
            if len(options) > 1
        )
        free = itertools.count()
        groups = (tuple(next(free) for n in block.counts if n > 1) for block in menu)
        object.__setattr__(self, "menu", menu)
        object.__setattr__(self, "points", DecisionSpace(choices=tuple(choices)))
        object.__setattr__(self, "groups", tuple(groups))
        self.decode((0,) * len(self.points.choices))
