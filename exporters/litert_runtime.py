"""Runs a model file in LiteRT in this process: to check a file, never to time it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from exporters.artifact import TensorSpec
from workspace.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray


class LiteRtModel:
    """A file, loaded.

    Inputs and outputs have the names of its first signature, or of its tensors where it has none,
    and the order of its graph.

    Args:
        path: Of a ``.tflite`` file.
        threads: Given to the runtime.

    Raises:
        InputError: If the runtime does not take it; the text has its words.
    """

    def __init__(self, path: Path, *, threads: int = 1) -> None:
        from ai_edge_litert.interpreter import Interpreter

        try:
            self._interpreter: Any = Interpreter(model_path=str(path), num_threads=threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            said = " ".join(str(error).split())
            msg = f"{str(path)!r} is no TFLite file that LiteRT can run: {said}"
            raise InputError(msg) from error
        key = next(iter(self._interpreter.get_signature_list()), None)
        runner = None if key is None else self._interpreter.get_signature_runner(key)
        self._inputs = _named(
            self._interpreter.get_input_details(), runner and runner.get_input_details()
        )
        self._outputs = _named(
            self._interpreter.get_output_details(), runner and runner.get_output_details()
        )

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """In the order of the graph."""
        return tuple(_spec(name, details) for name, details in self._inputs)

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """In the order of the graph."""
        return tuple(_spec(name, details) for name, details in self._outputs)

    @property
    def delegated(self) -> bool:
        """Whether XNNPACK runs all of it, and no operator is left to the plain kernels."""
        operators = self._interpreter._get_ops_details()
        delegates = [entry for entry in operators if entry["op_name"] == "DELEGATE"]
        if len(delegates) != 1:
            return False
        (whole,) = delegates
        made = {i for entry in operators if entry is not whole for i in entry["outputs"]}
        results = {details["index"] for _, details in self._outputs}
        return made.isdisjoint(whole["inputs"]) and results == set(whole["outputs"])

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """The outputs by name.

        Args:
            feeds: An array for each input by name, of the shape and type the file has.

        Raises:
            ValueError: If a name, shape or type does not fit.
        """
        names = [name for name, _ in self._inputs]
        if set(names) != feeds.keys():
            msg = f"inputs are {names}, got {list(feeds)}"
            raise ValueError(msg)
        for name, details in self._inputs:
            self._interpreter.set_tensor(details["index"], feeds[name])
        self._interpreter.invoke()
        return {
            name: np.array(self._interpreter.get_tensor(details["index"]))
            for name, details in self._outputs
        }


def ends_of(path: Path) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Inputs and outputs of a file; for a process of its own, which it may crash.

    Raises:
        InputError: If the runtime does not take it.
    """
    model = LiteRtModel(path)
    return model.inputs, model.outputs


Details = Mapping[str, Any]


def _named(
    graph: list[Details], signature: Mapping[str, Details] | None
) -> tuple[tuple[str, Details], ...]:
    """Name and details of each tensor in the graph's order; a signature lists them by name."""
    order = [int(details["index"]) for details in graph]
    if signature is None or {int(d["index"]) for d in signature.values()} != set(order):
        return tuple((str(details["name"]), details) for details in graph)
    return tuple(sorted(signature.items(), key=lambda item: order.index(int(item[1]["index"]))))


def _spec(name: str, details: Details) -> TensorSpec:
    shape = tuple(int(length) for length in details["shape"])
    return TensorSpec(name=name, shape=shape, dtype=np.dtype(details["dtype"]).name)
