"""Blocks of a scale-permuted network as a graph, and the one order that stands for all orders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from workspace.errors import InputError

STEM = 2
"""Features of the stem: block i of a network gives feature i + STEM."""

DEEPEST = 7
"""The deepest level that a block may have."""


class BlockKind(StrEnum):
    """What a block is made of (SpineNet, section 3.1 and appendix A)."""

    BOTTLENECK = "bottleneck"
    RESIDUAL = "residual"
    MBCONV = "mbconv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block in its place; features are numbered from 0, those of the stem first.

    Attributes:
        level: The image is 2^level times smaller.
        kind: Its layers.
        parents: Two earlier features, resampled and added; in rising order, whatever was given.
        adds: Earlier features of its shape, added as they are; in rising order.
        is_output: Whether it is one of the five that the pyramid is made of.
    """

    level: int
    kind: BlockKind
    parents: tuple[int, int]
    adds: tuple[int, ...] = ()
    is_output: bool = False

    def __post_init__(self) -> None:
        first, second = sorted(self.parents)
        object.__setattr__(self, "parents", (first, second))
        object.__setattr__(self, "adds", tuple(sorted(self.adds)))

    def __str__(self) -> str:
        adds = "".join(f"+{each}" for each in self.adds)
        parents = ".".join(map(str, self.parents))
        return f"{self.level}{self.kind[0]}{parents}{adds}{'o' if self.is_output else ''}"

    @property
    def reads(self) -> tuple[int, ...]:
        """All features that it takes."""
        return (*self.parents, *self.adds)

    def renumbered(self, number: dict[int, int]) -> Block:
        """The same block where feature i is called ``number[i]``."""
        first, second = (number[each] for each in self.parents)
        adds = tuple(number[each] for each in self.adds)
        return replace(self, parents=(first, second), adds=adds)


def connected(blocks: Sequence[Block]) -> tuple[Block, ...]:
    """The blocks, in the order they are built, with what outputs add by the published code's rule.

    When an output block is built, every earlier feature of its shape that nobody has read yet is
    added to it (SpineNet, section 3.1: blocks without outgoing connections go to the output of
    their level).
    """
    used: set[int] = set()
    found: list[Block] = []
    for block in blocks:
        used.update(block.parents)
        adds = unread(found, used, block) if block.is_output else ()
        used.update(adds)
        found.append(replace(block, adds=adds))
    return tuple(found)


def unread(before: Sequence[Block], used: set[int], output: Block) -> tuple[int, ...]:
    """Features of the shape of ``output`` among those of ``before`` that are not in ``used``."""
    return tuple(
        number
        for number, block in enumerate(before, start=STEM)
        if number not in used and (block.level, block.kind) == (output.level, output.kind)
    )


def checked(blocks: Sequence[Block], outputs: Sequence[int], *, mobile: bool) -> tuple[Block, ...]:
    """``blocks``, if they are a network.

    Args:
        blocks: Each after those that it reads.
        outputs: Levels that need an output block each.
        mobile: Whether its blocks are MBConv.

    Raises:
        InputError: If they are not; the text says which block is wrong, counted from 1.
    """
    for place, block in enumerate(blocks):
        what = f"block {place + 1} (feature {place + STEM})"
        _check_level(block, what)
        if (block.kind is BlockKind.MBCONV) is not mobile:
            said = "with" if mobile else "without"
            msg = f"{what} is {block.kind.value!r} in a network {said} settings of mobile blocks"
            raise InputError(msg)
        _check_reads(block, what, blocks[:place])
    found = Counter(block.level for block in blocks if block.is_output)
    wrong = sorted({*found, *outputs} - {level for level in outputs if found[level] == 1})
    if wrong:
        have = ", ".join(str(block.level) for block in blocks if block.is_output) or "none"
        msg = (
            f"a network needs one output block at each of the levels "
            f"{', '.join(map(str, outputs))}, got outputs at {have}: "
            f"wrong at {', '.join(map(str, wrong))}"
        )
        raise InputError(msg)
    return tuple(blocks)


def leading_to_outputs(blocks: Sequence[Block]) -> int:
    """How many of the blocks, in canonical order, lead to an output: the first ones."""
    return len(_live(blocks))


def canonical(blocks: Sequence[Block]) -> tuple[Block, ...]:
    """The same graph in the order that stands for all: those that lead to outputs come first.

    Graphs that differ in the order of their blocks alone give equal tuples.
    """
    live = _live(blocks)
    number = {each: each for each in range(STEM)}
    ordered: list[Block] = []
    for chosen in (sorted(live), sorted(set(range(len(blocks))) - live)):
        _order(blocks, chosen, number, ordered)
    return tuple(ordered)


def _live(blocks: Sequence[Block]) -> set[int]:
    """Places of blocks that an output reads, directly or not, and of outputs."""
    found: set[int] = set()
    for place in range(len(blocks) - 1, -1, -1):
        if blocks[place].is_output or place in found:
            found.add(place)
            found.update(each - STEM for each in blocks[place].reads if each >= STEM)
    return found


def _order(
    blocks: Sequence[Block], chosen: list[int], number: dict[int, int], ordered: list[Block]
) -> None:
    """Append the blocks at ``chosen``, renumbered, and note their new numbers."""
    best = min(_orders(blocks, chosen, number), key=lambda each: tuple(map(_shown, each[0])))
    ordered += best[0]
    number.update(best[1])


def _orders(
    blocks: Sequence[Block], chosen: list[int], number: dict[int, int]
) -> Iterator[tuple[list[Block], dict[int, int]]]:
    """Every order that always takes the least block of those whose reads are there.

    There are several where blocks are alike so far and in what reads them, but for twins.
    """
    start = len(number)
    stack: list[tuple[list[int], list[Block], dict[int, int]]] = [(chosen, [], dict(number))]
    colours: dict[int, int] = {}
    while stack:
        left, done, names = stack.pop()
        if not left:
            yield done, names
            continue
        ready = [place for place in left if all(each in names for each in blocks[place].reads)]
        shown = {place: _shown(blocks[place].renumbered(names)) for place in ready}
        tied = [place for place in ready if shown[place] == min(shown.values())]
        if len(tied) > 1 and not _are_twins(blocks, tied):
            colours = colours or _colours(blocks, chosen, number)
            least = min(colours[place] for place in tied)
            tied = [place for place in tied if colours[place] == least]
        for place in tied[:1] if _are_twins(blocks, tied) else tied:
            named = {**names, place + STEM: start + len(done)}
            block = blocks[place].renumbered(names)
            stack.append(([each for each in left if each != place], [*done, block], named))


def _shown(block: Block) -> tuple[bool, tuple[int, int], int, str, tuple[int, ...]]:
    return (block.is_output, block.parents, block.level, block.kind.value, block.adds)


def _are_twins(blocks: Sequence[Block], places: list[int]) -> bool:
    """Whether whoever reads one of them reads all, in the same way."""
    return all(
        len({(p + STEM in block.parents, p + STEM in block.adds) for p in places}) == 1
        for block in blocks
    )


def _colours(blocks: Sequence[Block], chosen: list[int], number: dict[int, int]) -> dict[int, int]:
    """A number for each block that tells what it is, what it reads and what reads it.

    Refined until no more are told apart (Weisfeiler and Leman); the order does not matter.
    """
    colours = dict.fromkeys(chosen, 0)

    def seen(place: int) -> str:
        block, feature = blocks[place], place + STEM

        def of(features: tuple[int, ...]) -> list[int]:
            return sorted(
                -1 - number[each] if each in number else colours[each - STEM] for each in features
            )

        readers = sorted(
            (colours[other], feature in blocks[other].adds)
            for other in chosen
            if feature in blocks[other].reads
        )
        alone = (block.is_output, block.level, block.kind.value)
        return repr((colours[place], alone, of(block.parents), of(block.adds), readers))

    for _ in chosen:
        texts = {place: seen(place) for place in chosen}
        ranks = sorted(set(texts.values()))
        if len(ranks) == len(set(colours.values())):
            break
        colours = {place: ranks.index(texts[place]) for place in chosen}
    return colours


def _check_level(block: Block, what: str) -> None:
    if type(block.level) is not int or not 1 <= block.level <= DEEPEST:
        msg = f"{what} has level {block.level!r}; levels are from 1 to {DEEPEST}"
        raise InputError(msg)


def _check_reads(block: Block, what: str, before: Sequence[Block]) -> None:
    last = len(before) + STEM - 1
    for each in block.reads:
        if type(each) is not int or not 0 <= each <= last:
            msg = f"{what} reads feature {each!r}; those built before it are 0 to {last}"
            raise InputError(msg)
    if len(set(block.reads)) != len(block.reads):
        msg = f"{what} reads a feature twice: {', '.join(map(str, block.reads))}"
        raise InputError(msg)
    for each in block.adds:
        if each < STEM or (before[each - STEM].level, before[each - STEM].kind) != (
            block.level,
            block.kind,
        ):
            msg = f"{what} adds feature {each} as it is, which has another level or kind"
            raise InputError(msg)
