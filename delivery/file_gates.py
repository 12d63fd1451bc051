"""The gates on one file that need neither a task's test data nor a device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from delivery.gates import Checked, Gate, GateName, NotRun
from delivery.int8_ends import Run, in_floats, int8_ends
from delivery.network import laid_out, one_by_one, outputs_of
from exporters.artifact import Artifact, ModelFormat, Precision
from exporters.exporter import ExportError
from exporters.verify import file_macs, layout_faults, map_parity, onnx_macs, parity
from workspace.errors import OperationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from delivery.network import Examples, Network
    from exporters.graph import Graph

TOLERANCES = {
    Precision.FP32: 1e-4,
    Precision.FP16: 1e-2,
    Precision.DYNAMIC: 0.25,
    Precision.INT8: 0.5,
}
"""Of outputs, as a share of the largest; of maps in numbers of 8 bits, of their standard deviation
(``exporters.verify.map_parity``). With numbers of 8 bits only gross mistakes show so: what they
cost is for the accuracy gate."""

BYTES = {Precision.FP32: 4, Precision.FP16: 2, Precision.DYNAMIC: 1, Precision.INT8: 1}
"""Of a weight."""

SCALES = 48
"""Bytes for a channel of an int8 file: scales and zero points of weights and bias, a wide bias."""

SIZE_SPARE, SIZE_BASE = 1.15, 192 * 1024
"""A file may have so many times what its numbers take, and so many bytes for its operators."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """What files are held against.

    Attributes:
        macs: Multiply-adds of convolutions and fully connected layers, for one input.
        numbers: Weights, biases and constants, batch norms folded.
        channels: Of all layers together; each has scales of its own in an int8 file.
    """

    macs: int
    numbers: int
    channels: int


def weight_of(network: Network) -> Weight:
    """Counted on the operator graph; as torch runs it where there is none."""
    from exporters.cost import count
    from exporters.trace import to_graph

    try:
        graph = to_graph(network.module, network.example_inputs)
    except ExportError:
        cost = count(network.module, network.example_inputs)
        vectors = [each.numel() for each in network.module.parameters() if each.ndim == 1]
        return Weight(macs=cost.macs, numbers=cost.total_params, channels=sum(vectors))
    return Weight(
        macs=sum(map(graph.macs, graph.nodes)),
        numbers=_sizes(graph, "weights", "bias", "value"),
        channels=_sizes(graph, "bias"),
    )


def _sizes(graph: Graph, *parts: str) -> int:
    """Numbers in some attributes of all operators together."""
    return sum(
        getattr(getattr(node.operator, part, None), "size", 0)
        for node in graph.nodes
        for part in parts
    )


def runtime_of(artifact: Artifact) -> Run:
    """What runs a file here, with float32 on both sides.

    Raises:
        InputError: If the file cannot be loaded.
        OperationError: If the runtime is not installed.
    """
    match artifact.format:
        case ModelFormat.TFLITE:
            from exporters.litert_runtime import LiteRtModel

            run, ends = LiteRtModel(artifact.path).run, int8_ends(artifact)
            return in_floats(run, ends) if ends else run
        case ModelFormat.ONNX:
            from exporters.onnx_runtime import OnnxModel

            return OnnxModel(artifact.path).run
        case ModelFormat.SAVED_MODEL:
            from exporters.saved_model_runtime import SavedModel

            return SavedModel(artifact.path).run


def bytes_of(path: Path) -> int:
    """Of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else (path,)
    return sum(each.stat().st_size for each in files if each.is_file())


def check_file(
    network: Network, artifact: Artifact, examples: Examples, weight: Weight
) -> Iterator[Checked]:
    """All gates of this module."""
    yield check_parity(network, artifact, examples)
    yield from check_structure(artifact, weight)


def check_structure(artifact: Artifact, weight: Weight) -> Iterator[Checked]:
    """What can be found without running the network in torch."""
    yield check_layout(artifact)
    yield check_delegation(artifact)
    yield check_macs(artifact, weight)
    yield check_size(artifact, weight)


def check_parity(network: Network, artifact: Artifact, examples: Examples) -> Gate:
    """Outputs of the file in its runtime against torch's; a file that does not run fails.

    Raises:
        OperationError: If the runtime is not installed.
    """
    wanted = {
        name: laid_out(artifact.format, value)
        for name, value in outputs_of(network, examples.inputs).items()
    }
    try:
        outputs = _outputs(artifact, examples, tuple(wanted))
        return parity_gate(artifact, outputs, wanted, examples.what)
    except OperationError:
        raise
    except Exception as error:  # noqa: BLE001 - what runtimes raise has no common parent
        return Gate(
            name=GateName.PARITY,
            file=artifact.path.name,
            passed=False,
            figures={"max_error": None, "inputs": examples.what},
            limit=TOLERANCES[artifact.precision],
            text=f"it cannot be compared with torch on {examples.what}: {said(error)}",
        )


def _outputs(
    artifact: Artifact, examples: Examples, names: tuple[str, ...]
) -> dict[str, NDArray[Any]]:
    """Of the file, `[N, …]` each, under the names that torch's have."""
    run = runtime_of(artifact)
    made = [run(feed) for feed in one_by_one(artifact, examples.inputs)]
    return {
        name: np.concatenate([each[spec.name] for each in made])
        for name, spec in zip(names, artifact.outputs, strict=True)
    }


def said(error: Exception) -> str:
    """An exception of a runtime as one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__


def parity_gate(
    artifact: Artifact,
    outputs: Mapping[str, NDArray[Any]],
    wanted: Mapping[str, NDArray[Any]],
    what: str,
) -> Gate:
    """Outputs by name against what they should be, both in the file's layout.

    Args:
        artifact: Of the file.
        outputs: Of the file.
        wanted: Of torch.
        what: What they were computed from, for people.
    """
    of_maps = compares_maps(artifact)
    compare = map_parity if of_maps else parity
    found = compare(outputs, wanted, TOLERANCES[artifact.precision])
    share = "their standard deviation (root mean square)" if of_maps else "the largest"
    shown = found.max_error if np.isfinite(found.max_error) else None
    return Gate(
        name=GateName.PARITY,
        file=artifact.path.name,
        passed=found.passed,
        figures={"max_error": shown, "inputs": what},
        limit=found.tolerance,
        text=f"outputs differ from torch's by {found.max_error:.2g} of {share} on {what}",
    )


def compares_maps(artifact: Artifact) -> bool:
    """Whether a file is of maps alone in numbers of 8 bits, as a detector's levels are."""
    return BYTES[artifact.precision] == 1 and all(
        len(spec.shape) >= 4 for spec in artifact.outputs
    )


def check_layout(artifact: Artifact) -> Checked:
    """Operators that only move numbers."""
    if artifact.format is not ModelFormat.TFLITE:
        return _not_run(GateName.LAYOUT, artifact, "told of TFLite files alone")
    faults = layout_faults(artifact.path)
    return Gate(
        name=GateName.LAYOUT,
        file=artifact.path.name,
        passed=not faults,
        figures={"needless": len(faults)},
        limit=0,
        text="; ".join(faults) or "no layout operator that a good export does without",
    )


def check_delegation(artifact: Artifact) -> Checked:
    """Whether XNNPACK takes all of it, in the runtime here."""
    if artifact.format is not ModelFormat.TFLITE:
        return _not_run(GateName.DELEGATION, artifact, "told of TFLite files alone")
    from exporters.litert_runtime import LiteRtModel

    whole = LiteRtModel(artifact.path).delegated
    why = "XNNPACK leaves operators to others"
    if artifact.precision is Precision.DYNAMIC:
        why += ", as it does with depthwise convolutions of dynamic range"
    return Gate(
        name=GateName.DELEGATION,
        file=artifact.path.name,
        passed=whole,
        figures={"is_whole": whole, "delegate": "XNNPACK"},
        limit=1,
        text="XNNPACK takes the whole graph" if whole else why,
    )


def check_macs(artifact: Artifact, weight: Weight) -> Checked:
    """The file's multiply-adds, from the shapes of its own tensors, against the network's."""
    try:
        match artifact.format:
            case ModelFormat.TFLITE:
                found = file_macs(artifact.path)
            case ModelFormat.ONNX:
                found = onnx_macs(artifact.path)
            case ModelFormat.SAVED_MODEL:
                return _not_run(GateName.MACS, artifact, "told of TFLite and ONNX files")
    except OperationError as error:
        return _not_run(GateName.MACS, artifact, str(error))
    return Gate(
        name=GateName.MACS,
        file=artifact.path.name,
        passed=found == weight.macs,
        figures={"macs": found},
        limit=weight.macs,
        text=f"{found:,} multiply-adds, the network has {weight.macs:,}",
    )


def check_size(artifact: Artifact, weight: Weight) -> Gate:
    """The file's bytes against those of the network's weights."""
    each = BYTES[artifact.precision]
    if artifact.format is ModelFormat.ONNX and artifact.precision is Precision.DYNAMIC:
        each = BYTES[Precision.FP32]  # its convolutions stay as they are
    scales = SCALES * weight.channels if each == 1 else 0
    limit = int(SIZE_SPARE * (each * weight.numbers + scales)) + SIZE_BASE
    found = bytes_of(artifact.path)
    return Gate(
        name=GateName.SIZE,
        file=artifact.path.name,
        passed=found <= limit,
        figures={"bytes": found, "weights": weight.numbers},
        limit=limit,
        text=f"{found:,} bytes for {weight.numbers:,} weights, {limit:,} would do",
    )


def _not_run(name: GateName, artifact: Artifact, why: str) -> NotRun:
    return NotRun(name=name, file=artifact.path.name, why=why)
