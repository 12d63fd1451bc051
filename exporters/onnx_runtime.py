"""Runs an ONNX file in onnxruntime in this process: to check a file, never to time it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from exporters.artifact import TensorSpec
from workspace.errors import InputError, OperationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
}


class OnnxModel:
    """A file, loaded; inputs and outputs in the order of its graph.

    Args:
        path: Of an ``.onnx`` file.
        threads: Given to the runtime.

    Raises:
        InputError: If the runtime does not take it; the text has its words.
        OperationError: If onnxruntime is not installed.
    """

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        try:
            import onnxruntime
        except ModuleNotFoundError as error:
            msg = "this needs onnxruntime, which is not installed: pip install 'pocketnas[onnx]'"
            raise OperationError(msg) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self._session: Any = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its own exceptions have no common parent
            said = " ".join(str(error).split())
            msg = f"{str(path)!r} is no ONNX file that onnxruntime can run: {said}"
            raise InputError(msg) from error
        self.inputs = tuple(_spec(each) for each in self._session.get_inputs())
        self.outputs = tuple(_spec(each) for each in self._session.get_outputs())

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """The outputs by name.

        Args:
            feeds: An array for each input by name, of the shape and type the file has.

        Raises:
            ValueError: If a name does not fit.
        """
        names = [spec.name for spec in self.inputs]
        if set(names) != feeds.keys():
            msg = f"inputs are {names}, got {list(feeds)}"
            raise ValueError(msg)
        found = self._session.run(None, dict(feeds))
        return {
            spec.name: np.asarray(value) for spec, value in zip(self.outputs, found, strict=True)
        }


def _spec(node: Any) -> TensorSpec:  # noqa: ANN401 - untyped library
    return TensorSpec(
        name=node.name,
        shape=tuple(int(length) for length in node.shape),
        dtype=_TYPES.get(node.type, node.type),
    )
