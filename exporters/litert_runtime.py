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
            msg = f"{str(path)!r} is no TFLite file that LiteRT can run: {error}"
            raise InputError(msg) from error
        signatures = self._interpreter.get_signature_list()
        self._signature = next(iter(signatures), None)
        self._names = signatures.get(self._signature, {"inputs": [], "outputs": []})

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """Of its first signature, or of the graph where it has none."""
        return self._specs("inputs")

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """Of its first signature, or of the graph where it has none."""
        return self._specs("outputs")

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """The outputs by name.

        Args:
            feeds: An array for each input by name, of the shape and type the file has.

        Raises:
            ValueError: If a name, shape or type does not fit.
        """
        for name, index in self._indices("inputs"):
            self._interpreter.set_tensor(index, feeds[name])
        self._interpreter.invoke()
        return {
            name: np.array(self._interpreter.get_tensor(index))
            for name, index in self._indices("outputs")
        }

    def _specs(self, which: str) -> tuple[TensorSpec, ...]:
        details = self._details(which)
        return tuple(
            TensorSpec(
                name=name,
                shape=tuple(int(length) for length in details[index]["shape"]),
                dtype=np.dtype(details[index]["dtype"]).name,
            )
            for name, index in self._indices(which)
        )

    def _indices(self, which: str) -> list[tuple[str, int]]:
        details = self._details(which)
        if self._signature is None:
            return [(str(entry["name"]), index) for index, entry in details.items()]
        runner = self._interpreter.get_signature_runner(self._signature)
        named = runner.get_input_details() if which == "inputs" else runner.get_output_details()
        return [(name, int(named[name]["index"])) for name in self._names[which]]

    def _details(self, which: str) -> dict[int, dict[str, Any]]:
        get = (
            self._interpreter.get_input_details
            if which == "inputs"
            else self._interpreter.get_output_details
        )
        return {int(entry["index"]): entry for entry in get()}
