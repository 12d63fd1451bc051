"""Whose time the rows of an operator profile are: nodes of the graph that was profiled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from exporters.graph import Constant, Graph

if TYPE_CHECKING:
    from devices.op_profile import OperatorProfile, OperatorTime


def by_node(told: OperatorProfile, graph: Graph) -> dict[int, float] | None:
    """Milliseconds by the tensor that a node makes; None if the rows do not fit the nodes.

    Args:
        told: Of a file that our writer made of ``graph``, whose tensors are named after nodes.
        graph: What was profiled. Each of its nodes but constants has a time, else nothing fits:
            the row of a delegate is named after the last node in it, and holds all of them.
    """
    nodes = [node for node in graph.nodes if not isinstance(node.operator, Constant)]
    rows = _inside(told.inside_delegate)
    if rows:
        if len(rows) != len(nodes):
            return None
        return {node.output: row.avg_ms for node, row in zip(nodes, rows, strict=True)}
    from exporters.flatbuffer import tensor_names

    names = {name: tensor for tensor, name in enumerate(tensor_names(graph))}
    names |= dict(graph.outputs)
    found: dict[int, float] = {}
    for row in told.operators:
        tensor = names.get(row.name.partition("]")[0].lstrip("["))
        if tensor is None:
            return None
        found[tensor] = found.get(tensor, 0.0) + row.avg_ms
    return found if all(node.output in found for node in nodes) else None


def _inside(rows: Sequence[OperatorTime]) -> list[OperatorTime]:
    """Without the copies and conversions that a delegate adds at its ends."""
    return [row for row in rows if not row.type.startswith(("Copy", "Convert", "Delegate/Copy"))]
