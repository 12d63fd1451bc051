"""Finds the order of building in which a scale-permuted network is a member of a space.

A network has its blocks in canonical order. A space builds intermediate blocks first, each from
parents within a window, then outputs; what outputs add follows from that order.
"""

from __future__ import annotations

from collections.abc import Sequence

from search_space.permuted_blocks import STEM, Block


def intermediate_order(
    blocks: Sequence[Block], places: Sequence[int], window: int
) -> tuple[int, ...] | None:
    """The first order of the blocks at ``places`` with all parents within the window.

    Args:
        blocks: Of a network.
        places: Of its intermediate blocks.
        window: How many features before a block its parents may be among.
    """
    dead: set[tuple[frozenset[int], tuple[int, ...]]] = set()

    def found(order: tuple[int, ...]) -> tuple[int, ...] | None:
        if len(order) == len(places):
            return order
        state = (frozenset(order), order[-window:])
        if state in dead:
            return None
        built = (*range(STEM), *(place + STEM for place in order))
        near, far = set(built[-window:]), set(built[:-window])
        left = [place for place in places if place not in order]
        if not any(far.intersection(blocks[place].parents) for place in left):
            for place in left:
                if near.issuperset(blocks[place].parents):
                    whole = found((*order, place))
                    if whole is not None:
                        return whole
        dead.add(state)
        return None

    return found(())


def output_order(blocks: Sequence[Block], places: Sequence[int]) -> tuple[int, ...] | None:
    """The first order of the output blocks at ``places`` that adds what they add.

    Args:
        blocks: Of a network.
        places: Of its output blocks.
    """
    before = [place for place in range(len(blocks)) if place not in places]
    start = {parent for place in before for parent in blocks[place].parents}

    def found(order: tuple[int, ...]) -> tuple[int, ...] | None:
        if len(order) == len(places):
            return order
        used = start.union(*(blocks[place].reads for place in order))
        built = {*range(STEM), *(place + STEM for place in (*before, *order))}
        for place in places:
            if place not in order and built.issuperset(blocks[place].parents):
                adds = _unread(blocks, before, used.union(blocks[place].parents), blocks[place])
                whole = found((*order, place)) if adds == blocks[place].adds else None
                if whole is not None:
                    return whole
        return None

    return found(())


def _unread(
    blocks: Sequence[Block], before: Sequence[int], used: set[int], output: Block
) -> tuple[int, ...]:
    """As ``permuted_blocks.unread``; no other output has the level of ``output``."""
    return tuple(
        place + STEM
        for place in before
        if place + STEM not in used
        and (blocks[place].level, blocks[place].kind) == (output.level, output.kind)
    )


def bases_of(
    levels: Sequence[int], bases: Sequence[int], offsets: Sequence[int]
) -> list[tuple[int, int]] | None:
    """For each level the base that is taken and the offset from it; None where they do not fit.

    Args:
        levels: Of blocks, in the order they are built.
        bases: What is there to take, as often as it is named.
        offsets: That a level may have from its base.

    Returns:
        Positions, among the bases not taken before and among the offsets: the first that fit.
    """
    dead: set[tuple[int, ...]] = set()
    if len(levels) != len(bases):
        return None

    def found(left: tuple[int, ...]) -> list[tuple[int, int]] | None:
        if not left:
            return []
        if left in dead:
            return None
        level = levels[len(levels) - len(left)]
        for position, base in enumerate(left):
            if base in left[:position] or level - base not in offsets:
                continue
            rest = found((*left[:position], *left[position + 1 :]))
            if rest is not None:
                return [(position, offsets.index(level - base)), *rest]
        dead.add(left)
        return None

    return found(tuple(bases))
