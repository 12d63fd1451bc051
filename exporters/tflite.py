"""Writes LiteRT flatbuffers straight from the operator graph, in milliseconds.

The schema is LiteRT's (``ai_edge_litert.schema_py_generated``). Weights lie at multiples of 16
bytes, which XNNPACK reads in place.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from exporters.artifact import Artifact, ModelFormat, TensorSpec
from exporters.exporter import ExportError, NamedInput
from exporters.graph import Graph
from workspace.files import write_whole

if TYPE_CHECKING:
    from torch import nn


class TFLiteExporter:
    """Writes ``.tflite`` files; an ``Exporter``.

    Images are `[1, H, W, C]` in the file. Its one signature is ``serving_default``.
    """

    def export(
        self, module: nn.Module, inputs: tuple[NamedInput, ...], directory: Path
    ) -> Artifact:
        """See ``Exporter.export``."""
        from exporters.trace import to_graph

        return write(to_graph(module, inputs), directory)


def write(graph: Graph, directory: Path) -> Artifact:
    """Write ``graph`` as a float32 file named after its content.

    Raises:
        ExportError: If the folder cannot be written to.
    """
    from exporters.flatbuffer import serialize

    content = serialize(graph)
    sha256 = hashlib.sha256(content).hexdigest()
    path = directory / f"{sha256[:16]}.tflite"
    try:
        write_whole(path, content)
    except OSError as error:
        msg = f"{str(path)!r} cannot be written: {error}"
        raise ExportError(msg) from error
    return Artifact(
        path=path,
        format=ModelFormat.TFLITE,
        sha256=sha256,
        inputs=_specs(graph, graph.inputs),
        outputs=_specs(graph, graph.outputs),
        tool=f"pocketnas-{version('pocketnas')}",
    )


def _specs(graph: Graph, named: tuple[tuple[str, int], ...]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(name=name, shape=graph.shapes[tensor], dtype="float32")
        for name, tensor in named
    )
