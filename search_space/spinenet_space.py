"""SpineNet's search spaces (Du et al., CVPR 2020, section 3): the paper's and Vertex AI's.

A point permutes the levels of intermediate blocks and of outputs, gives each block two parents,
and adjusts levels and kinds. Permutations are sequences of choices among what is left, pairs of
parents are one choice each, so every tuple of choices is a network, and each graph is as likely
as it has points.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace

from search_space.architecture import Architecture
from search_space.decisions import Choice, Decisions, DecisionSpace, Point
from search_space.permuted_blocks import STEM, Block, BlockKind, connected
from search_space.phases import Phase
from search_space.spinenet import OUTPUT_LEVELS, ScalePermutedArchitecture
from search_space.spinenet_guidance import PARENTS, Coded, GatedDecisions
from search_space.spinenet_members import bases_of, intermediate_order, output_order
from workspace.errors import InputError

_OUTPUTS = len(OUTPUT_LEVELS)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpineNetSpace:
    """All networks of a stem, intermediate blocks, and an output block at each of five levels.

    Attributes:
        name: See ``SearchSpace.name``.
        frame: A network whose all but blocks every member has.
        bases: Levels of intermediate blocks before they are adjusted, each as often as it is had.
        offsets: That an intermediate block's level may have from its base, 0 among them.
        kinds: What a block may be.
        window: How many features before it the parents of an intermediate block are among; those
            of outputs are among all.
        points: Bases, output levels, parents, offsets and kinds, in this order: what the paper
            decides first comes first (section 3.2). Of a gated frame a ``GuidedPointSpace``.
    """

    name: str
    frame: ScalePermutedArchitecture
    bases: tuple[int, ...]
    offsets: tuple[int, ...]
    kinds: tuple[BlockKind, ...]
    window: int
    points: DecisionSpace = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        choices = tuple(choice for choice in self._choices() if len(choice.options) > 1)
        points = DecisionSpace(choices=choices)
        if self.frame.gated:
            points = GatedDecisions(choices=choices, blocks=self._names, coded=self.coded)
        object.__setattr__(self, "points", points)
        self.decode((0,) * len(choices))

    @property
    def count(self) -> int:
        """See ``SearchSpace.count``; of points, several of which may stand for one graph."""
        return self.points.count

    @property
    def phases(self) -> tuple[Phase, ...]:
        """See ``PhasedSpace``: ``graph``, permutation and connections, then ``adjustments``."""
        last = self.adjustments
        graph = tuple(place for place in range(len(self.points.choices)) if place not in last)
        parts = {"graph": graph, "adjustments": last}
        return tuple(Phase(name=name, decisions=own) for name, own in parts.items() if own)

    @property
    def plain(self) -> Decisions:
        """See ``PhasedSpace``: no level shifted, all blocks of the first kind."""
        unshifted = str(0)
        return tuple(
            choice.options.index(unshifted) if choice.name.endswith(".offset") else 0
            for choice in self.points.choices
        )

    @property
    def adjustments(self) -> tuple[int, ...]:
        """Positions of the decisions on offsets and kinds; all before are of the graph."""
        names = [choice.name for choice in self.points.choices]
        return tuple(i for i, name in enumerate(names) if name.endswith((".offset", ".kind")))

    def decode(self, point: Point) -> ScalePermutedArchitecture:
        """See ``SearchSpace.decode``."""
        decisions = iter(self.points.checked(point))
        taken = [next(decisions) if len(c.options) > 1 else 0 for c in self._choices()]
        parts = _Parts.cut(taken, len(self.bases))
        levels = [
            base + self.offsets[offset]
            for base, offset in zip(_taken(self.bases, parts.bases), parts.offsets, strict=True)
        ]
        levels += _taken(OUTPUT_LEVELS, parts.outputs)
        blocks = [
            Block(
                level=level,
                kind=self.kinds[kind],
                parents=self._pairs(place)[pair],
                is_output=place >= len(self.bases),
            )
            for place, (level, pair, kind) in enumerate(
                zip(levels, parts.parents, parts.kinds, strict=True)
            )
        ]
        return replace(self.frame, blocks=connected(blocks))

    def encode(self, architecture: Architecture) -> Decisions:
        """See ``SearchSpace.encode``: the first order of building that the space has."""
        decisions, _ = self._built(self._checked(architecture).blocks)
        return decisions

    def coded(self, point: Point) -> Coded:
        """What ``point`` stands for, and what ``encode`` makes of that."""
        network = self.decode(point)
        decisions, number = self._built(network.blocks)
        return Coded(network=network, decisions=decisions, number=number)

    def _built(self, blocks: Sequence[Block]) -> tuple[Decisions, dict[int, int]]:
        """The decisions that give these blocks, and the numbers of features in their order."""
        first, last, bases = self._order(blocks)
        number = {place + STEM: i for i, place in enumerate((*first, *last), start=STEM)}
        number.update({feature: feature for feature in range(STEM)})
        built = [blocks[place].renumbered(number) for place in (*first, *last)]
        parts = _Parts(
            bases=[base for base, _ in bases],
            outputs=_positions(OUTPUT_LEVELS, [blocks[place].level for place in last]),
            parents=[self._pairs(i).index(block.parents) for i, block in enumerate(built)],
            offsets=[offset for _, offset in bases],
            kinds=[self.kinds.index(block.kind) for block in built],
        )
        chosen = zip(parts.joined(), self._choices(), strict=True)
        return tuple(index for index, choice in chosen if len(choice.options) > 1), number

    def _order(self, blocks: Sequence[Block]) -> _Order:
        """How the space builds them.

        Raises:
            InputError: If it does not.
        """
        outputs = [place for place, block in enumerate(blocks) if block.is_output]
        others = [place for place, block in enumerate(blocks) if not block.is_output]
        first = intermediate_order(blocks, others, self.window)
        last = output_order(blocks, outputs)
        bases = bases_of([blocks[place].level for place in first or ()], self.bases, self.offsets)
        if first is not None and last is not None and bases is not None:
            return first, last, bases
        msg = f"not in the space {self.name!r}: "
        if first is None:
            msg += "no order of its intermediate blocks has the parents of each among the "
            msg += f"{self.window} features before it"
        elif last is None:
            msg += "its outputs add other features than in any order of the space"
        else:
            levels = sorted(blocks[place].level for place in others)
            msg += f"its intermediate blocks have the levels {', '.join(map(str, levels))}"
        raise InputError(msg)

    @property
    def _names(self) -> tuple[str, ...]:
        """Of blocks, in the order in which they are built."""
        inner = (f"block{i}" for i in range(1, len(self.bases) + 1))
        return (*inner, *(f"output{i}" for i in range(1, _OUTPUTS + 1)))

    def _choices(self) -> Iterator[Choice]:
        """One for each decision, also where there is a single option."""
        inner, names = len(self.bases), self._names
        for i, name in enumerate(names):
            left = inner - i if i < inner else inner + _OUTPUTS - i
            what = "base" if i < inner else "level"
            yield Choice(name=f"{name}.{what}", options=tuple(map(str, range(left))))
        for i, name in enumerate(names):
            pairs = tuple(f"{first},{second}" for first, second in self._pairs(i))
            yield Choice(name=f"{name}{PARENTS}", options=pairs)
        for name in names[:inner]:
            yield Choice(name=f"{name}.offset", options=tuple(map(str, self.offsets)))
        for name in names:
            yield Choice(name=f"{name}.kind", options=tuple(self.kinds))

    def _pairs(self, place: int) -> list[tuple[int, int]]:
        """What the parents of a block may be."""
        built = range(STEM + place)
        near = built if place >= len(self.bases) else built[-self.window :]
        return list(itertools.combinations(near, 2))

    def _checked(self, architecture: Architecture) -> ScalePermutedArchitecture:
        """A network that differs from the frame in its blocks alone, of which there are as many.

        Raises:
            InputError: If it is none.
        """
        msg = f"not in the space {self.name!r}: "
        if not isinstance(architecture, ScalePermutedArchitecture):
            msg += f"its family is {architecture.family}, not scale_permuted"
            raise InputError(msg)
        for each in fields(self.frame):
            wanted, found = getattr(self.frame, each.name), getattr(architecture, each.name)
            if each.name != "blocks" and wanted != found:
                msg += f"its {each.name} is {found}, not {wanted}"
                raise InputError(msg)
        inner = [block for block in architecture.blocks if not block.is_output]
        if len(inner) != len(self.bases):
            msg += f"it has {len(inner)} blocks that are no outputs, not {len(self.bases)}"
            raise InputError(msg)
        strange = sorted({block.kind for block in architecture.blocks}.difference(self.kinds))
        if strange:
            msg += f"it has {strange[0]} blocks, not only {', '.join(self.kinds)}"
            raise InputError(msg)
        return architecture


_Order = tuple[tuple[int, ...], tuple[int, ...], list[tuple[int, int]]]
"""Places of intermediate blocks and of outputs as built; positions of base and offset of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """The decisions of a point by what they are about, one option index each."""

    bases: list[int]
    outputs: list[int]
    parents: list[int]
    offsets: list[int]
    kinds: list[int]

    def joined(self) -> list[int]:
        """All, in the order of the point."""
        return [*self.bases, *self.outputs, *self.parents, *self.offsets, *self.kinds]

    @classmethod
    def cut(cls, decisions: list[int], inner: int) -> _Parts:
        """The inverse of ``joined`` for ``inner`` intermediate blocks."""
        given = iter(decisions)
        lengths = (inner, _OUTPUTS, inner + _OUTPUTS, inner, inner + _OUTPUTS)
        bases, outputs, parents, offsets, kinds = (
            list(itertools.islice(given, length)) for length in lengths
        )
        return cls(bases=bases, outputs=outputs, parents=parents, offsets=offsets, kinds=kinds)


def _taken(things: Sequence[int], positions: Sequence[int]) -> list[int]:
    """Of what is left of ``things`` at each turn, the one at the position; it is left no more.

    >>> _taken((3, 4, 5), (1, 1, 0))
    [4, 5, 3]
    """
    left = list(things)
    return [left.pop(position) for position in positions]


def _positions(things: Sequence[int], taken: Sequence[int]) -> list[int]:
    """The inverse of ``_taken``.

    >>> _positions((3, 4, 5), (4, 5, 3))
    [1, 1, 0]
    """
    left, found = list(things), []
    for thing in taken:
        found.append(left.index(thing))
        left.remove(thing)
    return found
