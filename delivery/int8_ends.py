"""Files whose inputs and outputs are int8: what each number stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from exporters.artifact import Artifact, ModelFormat
from workspace.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Run = Callable[[Mapping[str, "NDArray[Any]"]], dict[str, "NDArray[Any]"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """A number of 8 bits stands for ``scale * (number - zero_point)``."""

    scale: float
    zero_point: int

    def rounded(self, value: NDArray[Any]) -> NDArray[np.int8]:
        """Numbers as the file takes them."""
        whole = np.rint(value / self.scale) + self.zero_point
        made: NDArray[np.int8] = np.clip(whole, -128, 127).astype(np.int8)
        return made

    def restored(self, value: NDArray[Any]) -> NDArray[np.float32]:
        """What the file's numbers stand for."""
        made: NDArray[np.float32] = (
            (value.astype(np.float32) - self.zero_point) * self.scale
        ).astype(np.float32)
        return made


def int8_ends(artifact: Artifact) -> dict[str, Scale]:
    """The scale of each int8 input and output by name; empty for a file of float32 ends.

    Raises:
        InputError: If the file does not say.
    """
    ends = (*artifact.inputs, *artifact.outputs)
    if artifact.format is not ModelFormat.TFLITE or all(each.dtype != "int8" for each in ends):
        return {}
    details = _details(artifact.path)
    if len(details) != len(ends):
        msg = f"{artifact.path.name!r} has {len(details)} inputs and outputs, {len(ends)} are told"
        raise InputError(msg)
    return {
        spec.name: _scale(artifact, spec.name, details[spec.name])
        for spec in ends
        if spec.dtype == "int8"
    }


def in_floats(run: Run, ends: Mapping[str, Scale]) -> Run:
    """``run`` with float32 on both sides, rounded and restored by the file's own scales."""

    def wrapped(feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        given = {
            name: ends[name].rounded(value) if name in ends else value
            for name, value in feeds.items()
        }
        return {
            name: ends[name].restored(value) if name in ends else value
            for name, value in run(given).items()
        }

    return wrapped


def _details(path: Path) -> dict[str, Mapping[str, Any]]:
    """Of every input and output, by the name of the file's first signature."""
    from ai_edge_litert.interpreter import Interpreter

    from exporters.litert_runtime import LiteRtModel

    model, interpreter = LiteRtModel(path), Interpreter(model_path=str(path))
    found = (*interpreter.get_input_details(), *interpreter.get_output_details())
    specs = (*model.inputs, *model.outputs)  # in the order of the graph, both
    return {spec.name: each for spec, each in zip(specs, found, strict=True)}


def _scale(artifact: Artifact, name: str, details: Mapping[str, Any]) -> Scale:
    scales = details["quantization_parameters"]["scales"]
    if len(scales) != 1:
        msg = f"{artifact.path.name!r} has {len(scales)} scales for {name!r}, needed is one"
        raise InputError(msg)
    zero_point = details["quantization_parameters"]["zero_points"][0]
    return Scale(scale=float(scales[0]), zero_point=int(zero_point))
