"""Checks on what was exported that take arrays, files and callables, and no task or device."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from exporters.tflite_file import FileOperator, operators, read_operators
from workspace.errors import InputError, OperationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOLERANCE = 1e-4
"""Largest difference of outputs, as a share of the largest output."""

_LEVEL = re.compile(r"_p\d+$")
"""At the end of the name of a level's map."""

_WINDOWED = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D"})

RESOLUTION = 1 / 64
"""Of numbers of 8 bits with a sign, as a share of the largest, and as much again to spare."""

LAYOUT_OPERATORS = frozenset({"TRANSPOSE", "PAD", "PADV2", "MIRROR_PAD"})
"""Operators that move numbers about without computing, which a good export does without."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """How far outputs are from what they should be.

    Attributes:
        max_error: ``max|a - b| / max|b|``, the worst of all outputs; of maps see ``map_parity``.
        tolerance: What is allowed.
    """

    max_error: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether it is within the tolerance; never for outputs that are not finite."""
        return self.max_error <= self.tolerance


def parity(
    outputs: Mapping[str, NDArray[Any]],
    reference: Mapping[str, NDArray[Any]],
    tolerance: float = TOLERANCE,
) -> Parity:
    """Compare outputs by name.

    Raises:
        ValueError: If names or shapes differ.
    """
    if outputs.keys() != reference.keys():
        msg = f"outputs are {sorted(outputs)}, expected {sorted(reference)}"
        raise ValueError(msg)
    errors = [_error(outputs[name], reference[name]) for name in reference]
    return Parity(max_error=max(errors), tolerance=tolerance)


def map_parity(
    outputs: Mapping[str, NDArray[Any]], reference: Mapping[str, NDArray[Any]], tolerance: float
) -> Parity:
    """Compare maps in numbers of 8 bits, of which the worst of thousands says little.

    ``max_error`` is the root mean square of the differences as a share of the standard deviation
    of what should be there, levels of one kind (``box_codes_p3``, ``box_codes_p4``, …) taken
    together: nothing, noise, or maps in another layout or scale are 1 and more. Maps that are
    about the same everywhere, as of a network that was not trained, are held against
    ``RESOLUTION`` of their largest number: numbers of 8 bits tell no less apart.

    Raises:
        ValueError: If names or shapes differ.
    """
    parity(outputs, reference)  # raises
    kinds: dict[str, list[str]] = {}
    for name in reference:
        kinds.setdefault(_LEVEL.sub("", name), []).append(name)
    errors = [_deviation(outputs, reference, names) for names in kinds.values()]
    return Parity(max_error=max(errors), tolerance=tolerance)


def _deviation(
    outputs: Mapping[str, NDArray[Any]], reference: Mapping[str, NDArray[Any]], names: list[str]
) -> float:
    made, wanted = (
        np.concatenate([each[name].astype(np.float64).ravel() for name in names])
        for each in (outputs, reference)
    )
    if not (np.isfinite(made).all() and np.isfinite(wanted).all()):
        return float("inf")
    difference = float(np.sqrt(((made - wanted) ** 2).mean()))
    spread = max(float(wanted.std()), RESOLUTION * float(np.abs(wanted).max()))
    if spread == 0:
        return 0.0 if difference == 0 else float("inf")
    return difference / spread


def channels_last(value: NDArray[Any]) -> NDArray[Any]:
    """An image `[N, C, H, W]` as TFLite files have it, `[N, H, W, C]`, a clip likewise."""
    return np.ascontiguousarray(np.moveaxis(value, 1, -1)) if value.ndim >= 4 else value


def layout_operators(path: Path) -> tuple[str, ...]:
    """The layout operators of a TFLite file, in order.

    Raises:
        InputError: If it is no TFLite file.
    """
    return tuple(name for name in operators(path) if name in LAYOUT_OPERATORS)


def layout_faults(path: Path) -> tuple[str, ...]:
    """Layout operators of a TFLite file that a good export does without, a sentence each.

    A PAD is none where what reads it could not pad so by itself.

    Raises:
        InputError: If it is no TFLite file.
    """
    found = read_operators(path)
    return tuple(
        f"operator {index} is a {operator.name} of {operator.shapes[0]}"
        for index, operator in enumerate(found)
        if operator.name in LAYOUT_OPERATORS
        and (operator.name == "TRANSPOSE" or _is_needless(operator, found))
    )


def _is_needless(pad: FileOperator, found: Sequence[FileOperator]) -> bool:
    """Whether the file computes the same without ``pad``: nothing added, or all readers could."""
    amounts = pad.constants.get(1)
    if amounts is None:
        return False
    if not amounts.any():
        return True
    readers = [each for each in found if pad.makes[0] in each.reads]
    return bool(readers) and all(_could_pad_itself(pad, reader) for reader in readers)


def _could_pad_itself(pad: FileOperator, reader: FileOperator) -> bool:
    """Whether ``reader`` with SAME on the image before ``pad`` is what the two do.

    The mean of an average pool leaves out what SAME adds, and counts what a PAD does.
    """
    from ai_edge_litert.schema_py_generated import Padding

    amounts, options = pad.constants[1], reader.options
    if reader.name not in _WINDOWED or reader.reads[0] != pad.makes[0]:
        return False
    if options.padding != Padding.VALID or not _fills_as_same(pad, reader):
        return False
    if amounts.shape != (4, 2) or amounts[0].any() or amounts[3].any():
        return False
    window: tuple[int, ...]
    if reader.name == "MAX_POOL_2D":
        window, gaps = (options.filterHeight, options.filterWidth), (1, 1)
    else:
        window = reader.shapes[1][1:3]
        gaps = (options.dilationHFactor, options.dilationWFactor)
    strides = (options.strideH, options.strideW)
    for axis in (0, 1):
        length, step = pad.shapes[0][1 + axis], strides[axis]
        reach = (window[axis] - 1) * gaps[axis] + 1
        total = max((-(-length // step) - 1) * step + reach - length, 0)
        if (total // 2, total - total // 2) != tuple(amounts[1 + axis]):
            return False
    return True


def _fills_as_same(pad: FileOperator, reader: FileOperator) -> bool:
    """Whether ``pad`` adds what SAME would: zeros, or what no maximum takes."""
    if reader.name != "MAX_POOL_2D":
        return pad.name == "PAD"
    value = pad.constants.get(2)
    if pad.name != "PADV2" or value is None:
        return False
    limits = np.finfo(value.dtype) if value.dtype.kind == "f" else np.iinfo(value.dtype)
    return bool((value <= limits.min).all())


def file_macs(path: Path) -> int:
    """Multiply-adds of a TFLite file, from the shapes of its own tensors.

    Raises:
        InputError: If it is no TFLite file.
    """
    return sum(operator.macs for operator in read_operators(path))


def onnx_macs(path: Path) -> int:
    """Multiply-adds of an ONNX file, from the shapes of its own tensors.

    Raises:
        InputError: If it is no ONNX file.
        OperationError: If onnx is not installed, or cannot tell the shapes.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ModuleNotFoundError as error:
        msg = "this needs onnx, which is not installed: pip install 'pocketnas[onnx]'"
        raise OperationError(msg) from error
    try:
        graph = onnx.shape_inference.infer_shapes(onnx.load(str(path)), data_prop=True).graph
    except (OSError, DecodeError) as error:
        msg = f"{str(path)!r} is no ONNX file: {error}"
        raise InputError(msg) from error
    shapes = {each.name: tuple(each.dims) for each in graph.initializer}
    for value in (*graph.input, *graph.output, *graph.value_info):
        shapes[value.name] = tuple(axis.dim_value for axis in value.type.tensor_type.shape.dim)
    return sum(_onnx_node_macs(node, shapes) for node in graph.node)


def _onnx_node_macs(node: Any, shapes: Mapping[str, tuple[int, ...]]) -> int:  # noqa: ANN401 - untyped
    """Of a convolution or matrix product with constant weights, else none."""
    if node.op_type not in ("Conv", "Gemm", "MatMul", "MatMulInteger", "ConvInteger"):
        return 0
    try:
        weights, output = shapes[node.input[1]], shapes[node.output[0]]
    except KeyError as error:
        msg = f"the shape of {error} in an ONNX file is not known"
        raise OperationError(msg) from error
    if node.op_type.startswith("Conv"):
        return math.prod(weights) * output[0] * math.prod(output[2:])
    return math.prod(weights) * math.prod(output[:-1])


def _error(output: NDArray[Any], reference: NDArray[Any]) -> float:
    if output.shape != reference.shape:
        msg = f"an output has shape {output.shape}, expected {reference.shape}"
        raise ValueError(msg)
    if not (np.isfinite(output).all() and np.isfinite(reference).all()):
        return float("inf")
    largest = float(np.abs(reference).max())
    difference = float(np.abs(output.astype(np.float64) - reference).max())
    if largest == 0:
        return 0.0 if difference == 0 else float("inf")
    return difference / largest
