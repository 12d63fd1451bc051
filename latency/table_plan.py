"""What a table of a space needs to be timed, in the order in which it matters, and how long.

Blocks, resamplings and the like are the layers of a scale-permuted network; stems, connections
and parts of nodes those of a network of several streams. A layer is timed by the difference of two
files: one that ends after a layer which makes its input, and one with the layer after that. All
layers on one input share the first file.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from latency.measurement import MeasurementProtocol
from latency.signatures import NetworkPart, Signature, signature_of_piece
from latency.source import NetworkSubject
from latency.space_parts import SpaceParts, possible_parts, taken_apart
from search_space import spinenet_parts, stream_parts
from search_space.architecture import Architecture, Classifier, Head
from search_space.assemblenet import MultiStreamArchitecture
from search_space.chain import Activation, ChainArchitecture
from search_space.layers import layers
from search_space.space import SearchSpace
from search_space.spinenet import ScalePermutedArchitecture
from search_space.stream_part import StreamPart
from workspace.errors import InputError

FITTED_SHARE = 0.05
"""Whole networks that the correction is fitted on, per file of a layer."""

HELD_OUT_SHARE = 0.05
"""Whole networks that validate the table (measurement protocol, item 28)."""

FITTED_RANGE = (16, 64)
HELD_OUT_RANGE = (20, 160)
"""At least and at most so many of them."""

WHOLE_SHARE = 0.3
"""Of a budget that whole networks may take."""

START_S = 0.5
"""Of a session beyond its runs, before any was timed: process, model, the phone's state."""

SAMPLES = 20_000
"""Random networks that show the layers of a space that does not tell them."""

GRAPH_SAMPLES = 500
"""Likewise, of networks that are graphs, whose decoding takes longer: there they show how often
each part comes, since all parts are known."""

_BYTES_PER_MAC = 4.0
"""A number moved counts as so many multiply-adds, in the guess of what matters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A layer that is to be timed.

    Attributes:
        layer: In its place.
        signature: Of it.
        weight: How much its error would matter: expected square of what it adds to a network.
    """

    layer: NetworkPart
    signature: Signature
    weight: float

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Without a batch, channels first: `[C, H, W]` of an image, `[C, T, H, W]` of a clip."""
        if isinstance(self.layer, StreamPart):
            return self.layer.given
        return self.layer.in_channels, self.layer.in_size, self.layer.in_size


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that a table needs.

    Attributes:
        space: By name, for people.
        head: Of its networks.
        activation: Of its networks.
        pieces: What matters most first; all layers of the space.
        fitted: Whole networks for the correction.
        held_out: Whole networks for the validation, none of them fitted.
        protocol: Of each file.
    """

    space: str
    head: Head
    activation: Activation
    pieces: tuple[Piece, ...]
    fitted: tuple[NetworkSubject, ...]
    held_out: tuple[NetworkSubject, ...]
    protocol: MeasurementProtocol

    @property
    def files(self) -> int:
        """That are timed if all are: layers, what leads to them, whole networks."""
        inputs = {piece.input_shape for piece in self.pieces}
        return len(self.pieces) + len(inputs) + len(self.fitted) + len(self.held_out)

    def seconds_a_file(self, start_s: float = START_S) -> float:
        """Of one device, its share of the sentinel included."""
        protocol = self.protocol
        session_s = protocol.warmup_min_s + protocol.timed_min_s + start_s
        beside = 1 + 1 / protocol.sentinel_every if protocol.sentinel_every else 1.0
        return protocol.sessions_min * session_s * beside

    def device_hours(self, start_s: float = START_S) -> float:
        """Of all files on one device, where none has to be timed twice."""
        return self.files * self.seconds_a_file(start_s) / 3600

    def within(self, budget_s: float | None) -> Plan:
        """As much of it as one device does in a time; all of it for None.

        Raises:
            InputError: If the time is too short for a table that could be validated.
        """
        if budget_s is None or budget_s >= self.files * self.seconds_a_file():
            return self
        files = int(budget_s / self.seconds_a_file())
        wholes = min(len(self.fitted) + len(self.held_out), int(WHOLE_SHARE * files))
        fitted = max(FITTED_RANGE[0], wholes // 3)
        held_out = max(HELD_OUT_RANGE[0], wholes - fitted)
        pieces = _affordable(self.pieces, files - fitted - held_out)
        if not pieces:
            least_s = (fitted + held_out + 2 * _LEAST_PIECES) * self.seconds_a_file()
            msg = (
                f"a table needs at least {least_s / 60:.0f} minutes, for {_LEAST_PIECES} layers "
                f"and {fitted + held_out} whole networks; got {budget_s / 60:.4g}"
            )
            raise InputError(msg)
        return Plan(
            space=self.space,
            head=self.head,
            activation=self.activation,
            pieces=pieces,
            fitted=self.fitted[:fitted],
            held_out=self.held_out[:held_out],
            protocol=self.protocol,
        )


_LEAST_PIECES = 8


def plan(space: SearchSpace, head: Head, protocol: MeasurementProtocol, *, seed: int = 0) -> Plan:
    """What a table of ``space`` needs.

    Args:
        space: All layers are known where it is factorized or of networks that are graphs, else
            those of many samples.
        head: Of its networks.
        protocol: Of each file; its number of sessions is fixed.
        seed: Of the whole networks.

    Raises:
        InputError: If its networks have no layers that can be timed one by one, or no such head.
    """
    frequencies = _frequencies(space, head)
    member = _some(space)
    pieces = sorted(
        (
            Piece(layer=layer, signature=signature_of_piece(layer), weight=_weight(layer, often))
            for layer, often in frequencies.items()
        ),
        key=lambda piece: -piece.weight,
    )
    fitted = _share(len(pieces), FITTED_SHARE, FITTED_RANGE)
    held_out = _share(len(pieces), HELD_OUT_SHARE, HELD_OUT_RANGE)
    wholes = random_networks(space, head, fitted + held_out, seed=seed)
    return Plan(
        space=space.name,
        head=head,
        activation=member.activation,
        pieces=_one_a_key(pieces),
        fitted=wholes[:fitted],
        held_out=wholes[fitted:],
        protocol=protocol,
    )


def random_networks(
    space: SearchSpace,
    head: Head,
    count: int,
    *,
    seed: int,
    without: frozenset[str] = frozenset(),
) -> tuple[NetworkSubject, ...]:
    """Different networks drawn uniformly, none of those whose keys are in ``without``.

    Raises:
        InputError: If the space has too few.
    """
    rng = random.Random(seed)
    found: dict[str, NetworkSubject] = {}
    for _ in range(1000 + 20 * count):
        if len(found) == count:
            break
        architecture = space.decode(space.points.sample(rng))
        if architecture.key not in without:
            found.setdefault(
                architecture.key, NetworkSubject(architecture=architecture, head=head)
            )
    if len(found) < count:
        msg = f"the space {space.name!r} has too few networks: {count} different ones are needed"
        raise InputError(msg)
    return tuple(found.values())


def _frequencies(space: SearchSpace, head: Head) -> dict[NetworkPart, float]:
    """Each layer of the space, with how often a network has it; 0 if next to none has."""
    parts: SpaceParts | None = taken_apart(space, head)
    if parts is not None:
        return dict[NetworkPart, float](parts.frequencies().items())
    rng = random.Random(0)
    is_graph = not isinstance(_some(space), ChainArchitecture)
    samples = min(GRAPH_SAMPLES if is_graph else SAMPLES, 20 * space.count)
    found: dict[NetworkPart, float] = {}
    for _ in range(samples):
        for layer in _layers(_of_table(space, space.points.sample(rng)), head):
            found[layer] = found.get(layer, 0.0) + 1 / samples
    return found | {part: 0.0 for part in possible_parts(space, head) or () if part not in found}


def _layers(network: _OfTable, head: Head) -> tuple[NetworkPart, ...]:
    if isinstance(network, ScalePermutedArchitecture):
        return spinenet_parts.parts_of(network, head)
    if isinstance(network, MultiStreamArchitecture):
        return stream_parts.parts_of(network, head)
    if not isinstance(head, Classifier):
        msg = f"a table is built of chains of layers that end in a classifier, got {head!r}"
        raise InputError(msg)
    return layers(network, head)


def _some(space: SearchSpace) -> _OfTable:
    return _of_table(space, space.points.sample(random.Random(0)))


_OfTable = ChainArchitecture | ScalePermutedArchitecture | MultiStreamArchitecture


def _of_table(space: SearchSpace, point: tuple[object, ...]) -> _OfTable:
    architecture: Architecture = space.decode(point)
    if not isinstance(architecture, _OfTable):
        msg = (
            f"a table is built of layers of chains, of scale-permuted networks and of those of "
            f"several streams; those of {space.name!r} are of the family {architecture.family}"
        )
        raise InputError(msg)
    return architecture


def _weight(layer: NetworkPart, often: float) -> float:
    signature = signature_of_piece(layer)
    moved = (
        signature.params
        + signature.input_elements
        + signature.hidden_elements
        + signature.output_elements
    )
    return often * (signature.macs + _BYTES_PER_MAC * moved) ** 2


def _one_a_key(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    found: dict[str, Piece] = {}
    for piece in pieces:
        found.setdefault(piece.signature.key, piece)
    return tuple(found.values())


def _share(of: int, share: float, limits: tuple[int, int]) -> int:
    return min(max(round(of * share), limits[0]), limits[1])


def _affordable(pieces: Sequence[Piece], files: int) -> tuple[Piece, ...]:
    """The first ones whose files, with those that lead to them, are so many."""
    inputs: set[tuple[int, ...]] = set()
    found: list[Piece] = []
    for piece in pieces:
        inputs.add(piece.input_shape)
        if len(found) + 1 + len(inputs) > files:
            break
        found.append(piece)
    return tuple(found) if len(found) >= _LEAST_PIECES else ()
