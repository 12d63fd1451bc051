"""The one order of a graph's vertices that stands for all orders."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

_Colours = dict[int, int]
_Pairs = tuple[tuple[int, float], ...]
_Told = tuple[int, str, _Pairs, _Pairs]
_Certificate = tuple[tuple[int, str, _Pairs], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vertex:
    """One vertex: what tells it from others, and what it reads.

    Attributes:
        rank: Vertices come by rising rank; what one reads is of a lower rank.
        text: All else that it is.
        inputs: Positions of what it reads.
        weights: Of the edges to them.
    """

    rank: int
    text: str
    inputs: tuple[int, ...]
    weights: tuple[float, ...]


def canonical_order(vertices: Sequence[Vertex], first: AbstractSet[int]) -> list[int]:
    """Positions in an order that does not depend on the one that they are given in.

    Args:
        vertices: In any order.
        first: Positions of those that come before all others and read none of the others; their
            order does not depend on the others either.
    """
    graph = _Graph(vertices)
    ordered: list[int] = []
    for chosen in (set(first), set(range(len(vertices))).difference(first)):
        fixed = {place: -1 - number for number, place in enumerate(ordered)}
        ordered += graph.order(chosen, fixed)
    return ordered


class _Graph:
    """Vertices with what reads them."""

    def __init__(self, vertices: Sequence[Vertex]) -> None:
        self.vertices = vertices
        self.inputs = [tuple(zip(v.inputs, v.weights, strict=True)) for v in vertices]
        self.readers: list[list[tuple[int, float]]] = [[] for _ in vertices]
        for target, pairs in enumerate(self.inputs):
            for source, weight in pairs:
                self.readers[source].append((target, weight))

    def order(self, chosen: set[int], fixed: _Colours) -> list[int]:
        """Of ``chosen``, given the colours of those that have their place already."""
        told: dict[int, _Told] = {
            place: (self.vertices[place].rank, self.vertices[place].text, (), ())
            for place in chosen
        }
        return self._best(self._refined(_ranked(told), fixed), fixed)[1]

    def _best(self, colours: _Colours, fixed: _Colours) -> tuple[_Certificate, list[int]]:
        """The order whose certificate is least among those that the colours leave open.

        Where vertices have one colour, each in turn is set apart, unless they are twins.
        """
        tied = _first_tie(colours)
        if not tied:
            order = sorted(colours, key=colours.__getitem__)
            return self._certificate(order, fixed), order
        tried = tied[:1] if self._are_twins(tied, colours) else tied
        return min(
            self._best(self._refined(_apart(colours, place), fixed), fixed) for place in tried
        )

    def _refined(self, colours: _Colours, fixed: _Colours) -> _Colours:
        """Told apart by what they read and what reads them (Weisfeiler and Leman)."""
        while len(set(colours.values())) < len(colours):
            both = {**fixed, **colours}
            told: dict[int, _Told] = {
                place: (
                    colour,
                    "",
                    tuple(sorted((both[source], w) for source, w in self.inputs[place])),
                    tuple(
                        sorted((both[target], w) for target, w in self._readers(place, colours))
                    ),
                )
                for place, colour in colours.items()
            }
            finer = _ranked(told)
            if len(set(finer.values())) == len(set(colours.values())):
                break
            colours = finer
        return colours

    def _are_twins(self, places: list[int], colours: _Colours) -> bool:
        """Whether they read the same, and the same reads them."""
        around = {
            (frozenset(self.inputs[place]), frozenset(self._readers(place, colours)))
            for place in places
        }
        return len(around) == 1

    def _readers(self, place: int, among: _Colours) -> list[tuple[int, float]]:
        return [pair for pair in self.readers[place] if pair[0] in among]

    def _certificate(self, order: list[int], fixed: _Colours) -> _Certificate:
        number = {**fixed, **{place: i for i, place in enumerate(order)}}
        return tuple(
            (
                self.vertices[place].rank,
                self.vertices[place].text,
                tuple(sorted((number[source], weight) for source, weight in self.inputs[place])),
            )
            for place in order
        )


def _ranked(told: dict[int, _Told]) -> _Colours:
    """Positions of what is told among all that is, in order."""
    ranks = {each: rank for rank, each in enumerate(sorted(set(told.values())))}
    return {place: ranks[each] for place, each in told.items()}


def _first_tie(colours: _Colours) -> list[int]:
    """Those of the least colour that several have."""
    by_colour: dict[int, list[int]] = {}
    for place in sorted(colours):
        by_colour.setdefault(colours[place], []).append(place)
    ties = [colour for colour, places in by_colour.items() if len(places) > 1]
    return by_colour[min(ties)] if ties else []


def _apart(colours: _Colours, place: int) -> _Colours:
    """The same colours, but for one vertex, which comes before those that had its colour."""
    doubled = {each: 2 * colour + 1 for each, colour in colours.items()}
    doubled[place] -= 1
    return doubled
