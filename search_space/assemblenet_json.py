"""A network of several streams as a JSON document."""

from __future__ import annotations

from collections.abc import Mapping

from search_space.architecture import Family, Json
from search_space.assemblenet import (
    Attention,
    FlowSource,
    FramePooling,
    ModuleKind,
    MultiStreamArchitecture,
    StreamStemLayers,
)
from search_space.chain import Activation
from search_space.document import Fields
from search_space.stream_graph import StemKind, StreamGraph, StreamNode, StreamStem
from workspace.errors import InputError

VERSION = 1
"""Raised when a document means something else than before; older ones stay readable."""


def to_document(network: MultiStreamArchitecture) -> dict[str, Json]:
    """Every field, also those without effect: ``from_document`` gives an equal."""
    return {
        "family": str(network.family),
        "version": VERSION,
        "size": network.size,
        "frames": network.frames,
        "channels": network.channels,
        "stems": [
            {"kind": str(stem.kind), "dilation": stem.dilation} for stem in network.graph.stems
        ],
        "nodes": [_node_to_document(node) for node in network.graph.nodes],
        "repeats": list(network.repeats),
        "inner": list(network.inner),
        "strides": list(network.strides),
        "stem": {
            "filters": network.stem.filters,
            "kernel": network.stem.kernel,
            "temporal_kernel": network.stem.temporal_kernel,
            "reduction": network.stem.reduction,
        },
        "module": str(network.module),
        "activation": str(network.activation),
        "attention": str(network.attention),
        "flow": str(network.flow),
        "flow_iterations": network.flow_iterations,
        "objects": network.objects,
        "head_filters": list(network.head_filters),
        "pooling": str(network.pooling),
        "dropout": network.dropout,
    }


def from_document(document: Mapping[str, Json]) -> MultiStreamArchitecture:
    """The network that ``to_document`` wrote; nodes may be in any order, numbered as they come.

    Raises:
        InputError: If a field is missing, unknown, or of a value that it cannot have.
    """
    fields = Fields(document, "a network of streams")
    fields.expect("family", Family.MULTI_STREAM.value)
    fields.number_up_to("version", VERSION)
    network = MultiStreamArchitecture(
        size=fields.integer("size"),
        frames=fields.integer("frames"),
        channels=fields.integer("channels"),
        graph=StreamGraph(
            stems=tuple(_stem_from_document(item) for item in fields.items("stems")),
            nodes=tuple(_node_from_document(item) for item in fields.items("nodes")),
        ),
        repeats=_integers(fields.items("repeats"), "repeats"),
        inner=_integers(fields.items("inner"), "inner"),
        strides=_integers(fields.items("strides"), "strides"),
        stem=_layers_from_document(fields.inner("stem")),
        module=fields.member("module", ModuleKind),
        activation=fields.member("activation", Activation),
        attention=fields.member("attention", Attention),
        flow=fields.member("flow", FlowSource),
        flow_iterations=fields.integer("flow_iterations"),
        objects=fields.integer("objects"),
        head_filters=_integers(fields.items("head_filters"), "head_filters"),
        pooling=fields.member("pooling", FramePooling),
        dropout=fields.number("dropout"),
    )
    fields.end()
    return network


def _layers_from_document(fields: Fields) -> StreamStemLayers:
    layers = StreamStemLayers(
        filters=fields.integer("filters"),
        kernel=fields.integer("kernel"),
        temporal_kernel=fields.integer("temporal_kernel"),
        reduction=fields.integer("reduction"),
    )
    fields.end()
    return layers


def _stem_from_document(item: Json) -> StreamStem:
    fields = Fields(item, "a stem")
    stem = StreamStem(kind=fields.member("kind", StemKind), dilation=fields.integer("dilation"))
    fields.end()
    return stem


def _node_to_document(node: StreamNode) -> dict[str, Json]:
    return {
        "level": node.level,
        "inputs": list(node.inputs),
        "filters": node.filters,
        "dilation": node.dilation,
        "gates": None if node.gates is None else list(node.gates),
    }


def _node_from_document(item: Json) -> StreamNode:
    fields = Fields(item, "a node")
    gates = fields.optional_items("gates")
    node = StreamNode(
        level=fields.integer("level"),
        inputs=_integers(fields.items("inputs"), "inputs of a node"),
        filters=fields.integer("filters"),
        dilation=fields.integer("dilation"),
        gates=None if gates is None else _numbers(gates),
    )
    fields.end()
    return node


def _integers(items: list[Json], what: str) -> tuple[int, ...]:
    found = []
    for item in items:
        if type(item) is not int:
            msg = f"{what} are whole numbers, got {item!r}"
            raise InputError(msg)
        found.append(item)
    return tuple(found)


def _numbers(items: list[Json]) -> tuple[float, ...]:
    found = []
    for item in items:
        if isinstance(item, bool) or not isinstance(item, int | float):
            msg = f"gates of a node are numbers, got {item!r}"
            raise InputError(msg)
        found.append(float(item))
    return tuple(found)
