"""The parts of a network that tables and predictors know apart, each with what it computes.

A part is a layer in its place: two parts of one key cost the same in any network, as far as sums
go. Keys of chains are those of ProxylessNAS's tables where these have one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import assert_never

from search_space import spinenet_parts, stream_parts
from search_space.architecture import Architecture, Classifier, Head
from search_space.assemblenet import MultiStreamArchitecture
from search_space.chain import Activation, ChainArchitecture, Op
from search_space.layers import Layer, LayerKind, layers
from search_space.proxyless import table_key
from search_space.spinenet import ScalePermutedArchitecture
from search_space.spinenet_parts import PermutedPart
from search_space.stream_part import StreamPart
from workspace.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One part.

    Attributes:
        key: Of its entry in a table.
        kind: What parts a correction treats alike: ``"stem"``, ``"conv"``, ``"mbconv"``, ...
        macs: Multiply-adds.
        params: Trainable numbers.
        input_elements: Numbers that it reads beside its weights.
        hidden_elements: Numbers that it writes and reads again inside.
        output_elements: Numbers that it writes.
    """

    key: str
    kind: str
    macs: int
    params: int
    input_elements: int
    hidden_elements: int
    output_elements: int

    @property
    def costs(self) -> tuple[float, ...]:
        """What it computes and moves, as numbers of one length for all parts."""
        return (
            float(self.macs),
            float(self.params),
            float(self.input_elements),
            float(self.hidden_elements),
            float(self.output_elements),
        )


Parts = tuple[Signature, ...]
"""A network, in order."""

NetworkPart = Layer | PermutedPart | StreamPart
"""A part as its family knows it, which can be built and timed alone."""


def parts_of(architecture: Architecture, head: Head) -> Parts:
    """The parts of a network, from input to output.

    Raises:
        InputError: If networks of this family have no parts that a table knows.
    """
    if isinstance(architecture, ScalePermutedArchitecture):
        found = spinenet_parts.parts_of(architecture, head)
        return tuple(signature_of_part(part) for part in found)
    if isinstance(architecture, MultiStreamArchitecture):
        streams = stream_parts.parts_of(architecture, head)
        return tuple(signature_of_stream(part) for part in streams)
    if not isinstance(architecture, ChainArchitecture) or not isinstance(head, Classifier):
        msg = (
            f"a network of family {architecture.family} is no sum of parts with {head!r}: chains "
            "are with a Classifier, scale-permuted networks with a Detector too, and networks of "
            "several streams with a VideoClassifier"
        )
        raise InputError(msg)
    return tuple(signature_of(layer) for layer in layers(architecture, head))


def signature_of_part(part: PermutedPart) -> Signature:
    """The part that one of a scale-permuted network is."""
    return Signature(
        key=part.key,
        kind=part.label,
        macs=part.macs,
        params=part.params,
        input_elements=part.in_size**2 * part.in_channels,
        hidden_elements=part.hidden_elements,
        output_elements=part.out_elements,
    )


def signature_of_stream(part: StreamPart) -> Signature:
    """The part that one of a network of several streams is."""
    return Signature(
        key=part.key,
        kind=part.label,
        macs=part.macs,
        params=part.params,
        input_elements=part.in_elements,
        hidden_elements=part.hidden_elements,
        output_elements=part.out_elements,
    )


def signature_of_piece(piece: NetworkPart) -> Signature:
    """The part that one of any family is."""
    match piece:
        case Layer():
            return signature_of(piece)
        case PermutedPart():
            return signature_of_part(piece)
        case StreamPart():
            return signature_of_stream(piece)
    assert_never(piece)


def unknown_part(text: str) -> Signature:
    """What stands for a network that has no parts: no table has it, ``text`` says why."""
    return Signature(
        key=text,
        kind="unknown",
        macs=0,
        params=0,
        input_elements=0,
        hidden_elements=0,
        output_elements=0,
    )


def distinct(networks: Iterable[Parts]) -> Parts:
    """Each part once, in order of its first coming."""
    return tuple({part.key: part for parts in networks for part in parts}.values())


@lru_cache(maxsize=65_536)
def signature_of(layer: Layer) -> Signature:
    """The part that a layer of a chain is."""
    return Signature(
        key=_key(layer),
        kind=_kind(layer),
        macs=layer.macs,
        params=layer.params,
        input_elements=layer.in_size**2 * layer.in_channels,
        hidden_elements=_hidden_elements(layer),
        output_elements=layer.out_size**2 * layer.out_channels,
    )


def _key(layer: Layer) -> str:
    try:
        return table_key(layer)
    except InputError:
        what = layer.op if layer.kind is LayerKind.BLOCK else layer.kind
        more = (
            f"-squeeze:{layer.squeezed}" if layer.squeezed else "",
            f"-expands:{layer.expands}" if layer.expands is not None else "",
            "-swish" if layer.activation is Activation.SWISH else "",
        )
        return (
            f"{what}-input:{layer.in_size}x{layer.in_size}x{layer.in_channels}"
            f"-output:{layer.out_size}x{layer.out_size}x{layer.out_channels}"
            f"-expand:{layer.expansion}-kernel:{layer.kernel}-stride:{layer.stride}"
            f"-skip:{layer.skip}{''.join(more)}"
        )


def _kind(layer: Layer) -> str:
    if layer.kind is not LayerKind.BLOCK:
        return layer.kind.value
    squeeze = "-se" if layer.squeezed else ""
    swish = "-swish" if layer.activation is Activation.SWISH else ""
    return f"{layer.op.value}{squeeze}{swish}"


def _hidden_elements(layer: Layer) -> int:
    """Swish is two operators more: what it is of, and its gate, are written too."""
    if layer.kind is LayerKind.CLASSIFIER:
        return 0
    inner = _inner_elements(layer)
    if layer.activation is not Activation.SWISH:
        return inner
    return inner + 2 * (inner or layer.out_size**2 * layer.out_channels)


def _inner_elements(layer: Layer) -> int:
    """What goes from convolution to convolution."""
    if layer.kind is not LayerKind.BLOCK or not layer.op.expands:
        return 0
    expanded = 0
    if layer.op is Op.MBCONV and layer.expansion > 1:
        expanded = layer.in_size**2 * layer.hidden
    return expanded + layer.out_size**2 * layer.hidden
