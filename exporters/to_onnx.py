"""ONNX files by torch's own exporter: batch norms folded, channels first, one file."""

from __future__ import annotations

import ast
import copy
import logging
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from exporters.artifact import Artifact, ModelFormat, TensorSpec
from exporters.exporter import ExportError, NamedInput, write_by_digest
from exporters.walk import named_outputs
from workspace.errors import OperationError

if TYPE_CHECKING:
    from torch import Tensor

OPSET = 18
"""The oldest that torch's exporter writes without conversion; runtimes of 2023 on take it."""

_SCOPES = "pkg.torch.onnx.name_scopes"
"""Where torch's exporter notes which modules a node is of."""


class OnnxExporter:
    """Writes ``.onnx`` files; an ``Exporter``.

    Images are `[1, C, H, W]` in the file. Batch norms are folded by the exporter's optimizer.
    Needs the extra ``onnx``.
    """

    def export(
        self, module: nn.Module, inputs: tuple[NamedInput, ...], directory: Path
    ) -> Artifact:
        """See ``Exporter.export``.

        Raises:
            OperationError: If the extra is not installed.
        """
        try:
            import onnx
            import onnxscript
        except ModuleNotFoundError as error:
            msg = "this needs onnx and onnxscript, which are not installed: "
            msg += "pip install 'pocketnas[onnx]'"
            raise OperationError(msg) from error
        del onnxscript  # torch imports it by itself
        model = _exported(_by_name(module, inputs), inputs)
        content = _whole(onnx, model)
        path, sha256 = write_by_digest(content, directory, "onnx")
        return Artifact(
            path=path,
            format=ModelFormat.ONNX,
            sha256=sha256,
            inputs=tuple(_spec(each) for each in model.graph.input),
            outputs=tuple(_spec(each) for each in model.graph.output),
            tool=f"torch-{version('torch')}, opset {OPSET}",
        )


class _ByName(nn.Module):
    """Gives a tuple, and remembers the names of its parts."""

    def __init__(self, module: nn.Module, inputs: tuple[NamedInput, ...]) -> None:
        super().__init__()
        self.module = module
        with torch.no_grad():
            made = module(*(given.value.clone() for given in inputs))
        self.names = list(named_outputs(made, module))

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        return tuple(named_outputs(self.module(*inputs), self.module).values())


def _by_name(module: nn.Module, inputs: tuple[NamedInput, ...]) -> _ByName:
    """A copy in eval mode.

    Raises:
        ExportError: If it cannot be copied, or its ``forward`` fails on the inputs.
    """
    try:
        return _ByName(copy.deepcopy(module).eval(), inputs)
    except Exception as error:  # forward is the user's and may raise anything
        said = " ".join(str(error).split())[:600] or type(error).__name__
        msg = (
            f"{type(module).__name__} cannot be run on the inputs that it is exported for: {said}"
        )
        raise ExportError(msg) from error


def _exported(module: _ByName, inputs: tuple[NamedInput, ...]) -> Any:  # noqa: ANN401 - untyped
    """The model as onnx's message."""
    quiet = logging.getLogger("torch.onnx")
    before = quiet.level
    quiet.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.onnx.export(
                module,
                tuple(given.value for given in inputs),
                input_names=[given.name for given in inputs],
                output_names=module.names,
                opset_version=OPSET,
                dynamo=True,
                optimize=True,
                verbose=False,
            )
    except Exception as error:  # torch.export and its own passes raise anything
        said = " ".join(str(error).split())[:600]
        msg = f"torch cannot export {type(module.module).__name__} as ONNX: {said}"
        raise ExportError(msg) from error
    finally:
        quiet.setLevel(before)
    assert program is not None
    return program.model_proto


def _whole(onnx: Any, model: Any) -> bytes:  # noqa: ANN401 - untyped library
    """Its bytes, without what differs from one export to the next: file names and stack traces.

    Raises:
        ExportError: If it is no valid model.
    """
    for node in model.graph.node:
        node.name = ".".join((*_part_of(node), node.name))
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    for weights in model.graph.initializer:
        del weights.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.metadata_props[:]
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        msg = f"torch wrote an ONNX model that is none: {error}"
        raise ExportError(msg) from error
    return bytes(model.SerializeToString(deterministic=True))


def _part_of(node: Any) -> Iterator[str]:  # noqa: ANN401 - untyped library
    """The path of the module's part that a node is of, where torch noted one."""
    noted = {each.key: each.value for each in node.metadata_props}.get(_SCOPES, "[]")
    *scopes, _ = ast.literal_eval(noted) or [""]  # of modules around it, then its own name
    if len(scopes) > 2:
        yield scopes[-1].removeprefix("module.")


def _spec(value: Any) -> TensorSpec:  # noqa: ANN401 - untyped library
    shape = tuple(int(axis.dim_value) for axis in value.type.tensor_type.shape.dim)
    return TensorSpec(name=value.name, shape=shape, dtype="float32")
