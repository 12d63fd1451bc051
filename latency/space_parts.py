"""All layers that the networks of a factorized space can have, and how often each comes.

A space of 1e13 networks has some thousand layers. What reaches a group of decisions (pixels and
channels) is its state: there are few, and with the group's own decisions it tells what the group
adds and what state the next group finds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import product

from latency.signatures import Signature, signature_of, signature_of_piece
from search_space import spinenet_parts, stream_reach
from search_space.architecture import Classifier, Head
from search_space.assemblenet_space import AssembleNetSpace
from search_space.chain import Activation, Stage
from search_space.decisions import Decisions
from search_space.factorized import FactorizedSpace, choices_of
from search_space.layers import Layer, block, layers
from search_space.space import SearchSpace
from search_space.spinenet import OUTPUT_LEVELS
from search_space.spinenet_parts import PermutedPart
from search_space.spinenet_scaling import SpineNetScalingSpace
from search_space.spinenet_space import SpineNetSpace
from search_space.stream_part import StreamPart

State = tuple[int, int]
"""Pixels a side and channels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a group adds in one state, for one tuple of its decisions.

    Attributes:
        layers: In order; none where the group is left out.
        following: The number of the state that the next group finds.
    """

    layers: tuple[Layer, ...]
    following: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One group of decisions.

    Attributes:
        positions: Of its decisions in a point.
        option_counts: Of its decisions.
        steps: One row a state, in each one step for every tuple of decisions, the last decision
            changing fastest.
    """

    positions: tuple[int, ...]
    option_counts: tuple[int, ...]
    steps: tuple[tuple[Step, ...], ...]

    def index(self, point: Decisions) -> int:
        """Of the step in its row that a point takes."""
        index = 0
        for position, count in zip(self.positions, self.option_counts, strict=True):
            index = index * count + point[position]
        return index


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceParts:
    """A space taken apart.

    Attributes:
        first: The layers before all groups.
        groups: From input to output.
        last: The layers after all groups, by the state that they find.
    """

    first: tuple[Layer, ...]
    groups: tuple[Group, ...]
    last: tuple[tuple[Layer, ...], ...]

    @classmethod
    def of(cls, space: FactorizedSpace, head: Classifier, size: int | None = None) -> SpaceParts:
        """Take ``space`` apart.

        Args:
            space: Of chains.
            head: What its networks end in.
            size: That networks are timed at; None for the space's own.
        """
        member = space.decode((0,) * len(space.points.choices))
        member = member if size is None else member.at(size)
        stem, *_, last, classifier = layers(member, head)
        states: list[State] = [(stem.out_size, stem.out_channels)]
        groups = []
        for number in range(len(space.groups)):
            group, states = _group(space, number, states, member.activation)
            groups.append(group)
        ends = tuple(
            (
                _moved(last, state, out_size=state[0], out_channels=last.out_channels),
                _moved(classifier, (state[0], last.out_channels), out_channels=head.classes),
            )
            for state in states
        )
        return cls(first=(stem,), groups=tuple(groups), last=ends)

    def layers_of(self, point: Decisions) -> tuple[Layer, ...]:
        """Of the network at a point, from input to output."""
        found, state = list(self.first), 0
        for group in self.groups:
            step = group.steps[state][group.index(point)]
            found += step.layers
            state = step.following
        return (*found, *self.last[state])

    def frequencies(self) -> dict[Layer, float]:
        """Each layer that there can be, with how often it comes in a network drawn uniformly.

        In order from input to output; frequencies are expected counts, exactly.
        """
        found: defaultdict[Layer, float] = defaultdict(float)
        for layer in self.first:
            found[layer] += 1.0
        shares = [1.0]
        for group in self.groups:
            following = [0.0] * (1 + max(s.following for row in group.steps for s in row))
            for share, row in zip(shares, group.steps, strict=True):
                for step in row:
                    following[step.following] += share / len(row)
                    for layer in step.layers:
                        found[layer] += share / len(row)
            shares = following
        for share, ends in zip(shares, self.last, strict=True):
            for layer in ends:
                found[layer] += share
        return dict(found)

    def signatures(self) -> tuple[Signature, ...]:
        """Of all layers, each key once, in order."""
        return by_key(self.frequencies())


def taken_apart(space: SearchSpace, head: Head) -> SpaceParts | None:
    """The space's layers, where it tells which decisions make them; else None."""
    if isinstance(space, FactorizedSpace) and isinstance(head, Classifier):
        return SpaceParts.of(space, head)
    return None


def possible_parts(
    space: SearchSpace, head: Head
) -> tuple[PermutedPart, ...] | tuple[StreamPart, ...] | None:
    """All parts of a space of scale-permuted networks, or of several streams; None of any other.

    Those of sizes and widths (``spinenet_scaling``) are looked at one by one.

    Raises:
        InputError: If its networks have no such head.
    """
    if isinstance(space, AssembleNetSpace):
        return stream_reach.possible_parts(space, head)
    if isinstance(space, SpineNetSpace):
        levels = {base + offset for base in space.bases for offset in space.offsets}
        return spinenet_parts.possible_parts(
            space.frame,
            head,
            [(level, kind) for level in sorted(levels) for kind in space.kinds],
            [(level, kind) for level in OUTPUT_LEVELS for kind in space.kinds],
        )
    if isinstance(space, SpineNetScalingSpace):
        every = (space.decode(point) for point in product(*map(range, space.points.option_counts)))
        found = (part for each in every for part in spinenet_parts.parts_of(each, head))
        return tuple({part.key: part for part in found}.values())
    return None


def every_signature(space: SearchSpace, head: Head) -> tuple[Signature, ...] | None:
    """All parts that networks of a space can have, each once; None where that cannot be told.

    Raises:
        InputError: If its networks have no such head.
    """
    apart = taken_apart(space, head)
    if apart is not None:
        return apart.signatures()
    possible = possible_parts(space, head)
    return None if possible is None else tuple(map(signature_of_piece, possible))


def by_key(found: Iterable[Layer]) -> tuple[Signature, ...]:
    """The signatures of layers, each key once, in order."""
    return tuple({each.key: each for each in map(signature_of, found)}.values())


def _group(
    space: FactorizedSpace, number: int, states: list[State], activation: Activation
) -> tuple[Group, list[State]]:
    """A group in all states that can reach it, and those that it can leave."""
    counts = space.points.option_counts
    positions = space.groups[number]
    known: dict[State, int] = {}
    rows = []
    for state in states:
        row = []
        for decisions in choices_of(space, number):
            stages = space.stages_of(number, decisions)
            added = _added(stages, state, activation)
            left = (added[-1].out_size, added[-1].out_channels) if added else state
            row.append(Step(layers=added, following=known.setdefault(left, len(known))))
        rows.append(tuple(row))
    group = Group(
        positions=positions,
        option_counts=tuple(counts[position] for position in positions),
        steps=tuple(rows),
    )
    return group, list(known)


def _added(stages: Iterable[Stage], state: State, activation: Activation) -> tuple[Layer, ...]:
    size, channels = state
    found: list[Layer] = []
    for stage in stages:
        for one in stage.unrolled(channels):
            found.append(block(one, size, channels, activation))
            size, channels = found[-1].out_size, found[-1].out_channels
    return tuple(found)


def _moved(layer: Layer, state: State, *, out_channels: int, out_size: int | None = None) -> Layer:
    """A layer after all stages, where another state reaches it."""
    size, channels = state
    return replace(
        layer,
        in_size=size,
        in_channels=channels,
        out_size=layer.out_size if out_size is None else out_size,
        out_channels=out_channels,
    )
