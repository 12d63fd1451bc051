"""Writes LiteRT flatbuffers straight from the operator graph, in milliseconds.

The schema is LiteRT's (``ai_edge_litert.schema_py_generated``). Weights lie at multiples of 16
bytes, which XNNPACK reads in place.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from exporters.artifact import STAND_IN_INT8, Artifact, ModelFormat, Precision, TensorSpec
from exporters.exporter import NamedInput, write_by_digest
from exporters.graph import Graph

if TYPE_CHECKING:
    from torch import nn


_STATED = {Precision.INT8: f", {STAND_IN_INT8}"}


class TFLiteExporter:
    """Writes ``.tflite`` files; an ``Exporter``.

    Images are `[1, H, W, C]` in the file. Its one signature is ``serving_default``.

    Args:
        precision: Of the file; int8 has stand-in scales and is for timing alone.
    """

    def __init__(self, precision: Precision = Precision.FP32) -> None:
        self._precision = precision

    def export(
        self, module: nn.Module, inputs: tuple[NamedInput, ...], directory: Path
    ) -> Artifact:
        """See ``Exporter.export``."""
        from exporters.trace import to_graph

        return write(to_graph(module, inputs), directory, self._precision)


def write(graph: Graph, directory: Path, precision: Precision = Precision.FP32) -> Artifact:
    """Write ``graph`` as a file named after its content; its inputs and outputs are float32.

    Raises:
        ExportError: If the precision cannot be written.
        NotWrittenError: If the folder or the disk refuses the file.
    """
    from exporters.flatbuffer import serialize

    content = serialize(graph, precision)
    path, sha256 = write_by_digest(content, directory, "tflite", flush=False)
    return Artifact(
        path=path,
        format=ModelFormat.TFLITE,
        sha256=sha256,
        precision=precision,
        inputs=_specs(graph, graph.inputs),
        outputs=_specs(graph, graph.outputs),
        tool=f"pocketnas-{version('pocketnas')}{_STATED.get(precision, '')}",
    )


def _specs(graph: Graph, named: tuple[tuple[str, int], ...]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(name=name, shape=graph.shapes[tensor], dtype="float32")
        for name, tensor in named
    )
