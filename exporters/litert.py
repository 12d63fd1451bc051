"""TFLite files by Google's litert-torch, from torch.export: slow, and knows more operators.

The reference that our own writer is held against, and what ``pocketnas export`` falls back to for
an operator that the writer lacks. Needs the extra ``litert``, which brings jax and runs in a
process of its own: beside TensorFlow it crashes.
"""

from __future__ import annotations

import contextlib
import copy
import io
import tempfile
import warnings
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from exporters.artifact import Artifact, ModelFormat
from exporters.child import in_child
from exporters.exporter import ExportError, NamedInput, NotWrittenError, write_by_digest
from exporters.walk import named_outputs
from workspace.errors import OperationError

if TYPE_CHECKING:
    from torch import Tensor


class LiteRtTorchExporter:
    """Writes ``.tflite`` files; an ``Exporter``.

    Images are `[1, H, W, C]` in the file, as in our own writer's.
    """

    def export(
        self, module: nn.Module, inputs: tuple[NamedInput, ...], directory: Path
    ) -> Artifact:
        """See ``Exporter.export``.

        Raises:
            OperationError: If the extra is not installed.
        """
        if find_spec("litert_torch") is None:
            msg = "this needs litert-torch, which is not installed: "
            msg += "pip install 'pocketnas[litert]'"
            raise OperationError(msg)
        with tempfile.TemporaryDirectory() as folder:
            part = Path(folder) / "network.pt2"
            saved = _saved(module, inputs)
            try:
                part.write_bytes(saved)
            except OSError as error:
                msg = f"{str(part)!r} cannot be written: {error}"
                raise NotWrittenError(msg) from error
            content = in_child(convert, part)
        return _written(content, [given.name for given in inputs], directory)


def _saved(module: nn.Module, inputs: tuple[NamedInput, ...]) -> bytes:
    """The bytes of torch.export's program; in memory, since it ends the process on a full disk."""
    saved = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.export.save(program_of(module, inputs), saved)
    except Exception as error:  # torch.export raises anything
        said = " ".join(str(error).split())[:600]
        msg = f"torch.export cannot trace {type(module).__name__}: {said}"
        raise ExportError(msg) from error
    return saved.getvalue()


def program_of(module: nn.Module, inputs: tuple[NamedInput, ...]) -> torch.export.ExportedProgram:
    """``module`` in eval mode on channels-last inputs by name, as torch.export has it."""
    wrapped = ChannelsLast(copy.deepcopy(module).eval(), inputs)
    examples = {given.name: to_channels_last(given.value) for given in inputs}
    return torch.export.export(wrapped, (), examples)


def convert(path: Path) -> bytes:
    """The bytes of a TFLite file for a saved program; for a process of its own.

    Raises:
        ExportError: If litert-torch fails.
        NotWrittenError: If the disk refuses what it goes through.
    """
    warnings.simplefilter("ignore")
    program = torch.export.load(str(path))
    return converted(program)


def converted(program: torch.export.ExportedProgram) -> bytes:
    """Likewise for a program that is there; jax and its like are imported into this process.

    Raises:
        ExportError: If litert-torch fails.
        NotWrittenError: If the disk refuses what it goes through.
    """
    import litert_torch

    _, examples = program.example_inputs or ((), {})
    try:
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            made = litert_torch.convert(program.module(), sample_kwargs=examples)
            part = Path(folder) / "model.tflite"
            made.export(str(part))
            return part.read_bytes()
    except OSError as error:
        msg = f"litert-torch's file cannot be written to {tempfile.gettempdir()!r}: {error}"
        raise NotWrittenError(msg) from error
    except Exception as error:  # its passes raise anything
        said = " ".join(str(error).split())[:600]
        msg = f"litert-torch cannot convert the network: {said}"
        raise ExportError(msg) from error


class ChannelsLast(nn.Module):
    """The same network on images and clips whose channels are last, with arguments by name.

    Args:
        module: In eval mode.
        inputs: One for each argument of its ``forward``, in order.
    """

    def __init__(self, module: nn.Module, inputs: tuple[NamedInput, ...]) -> None:
        super().__init__()
        self.module = module
        self._names = [given.name for given in inputs]

    def forward(self, **inputs: Tensor) -> dict[str, Tensor]:
        """Outputs by name."""
        made = self.module(*(to_channels_first(inputs[name]) for name in self._names))
        named = named_outputs(made, self.module)
        return {name: to_channels_last(value) for name, value in named.items()}


def to_channels_last(value: Tensor) -> Tensor:
    """`[N, C, H, W]` as `[N, H, W, C]`, clips likewise; others as they are."""
    return value.movedim(1, -1) if value.ndim >= 4 else value


def to_channels_first(value: Tensor) -> Tensor:
    """Likewise the other way."""
    return value.movedim(-1, 1) if value.ndim >= 4 else value


def _written(content: bytes, names: list[str], directory: Path) -> Artifact:
    from exporters.litert_runtime import LiteRtModel

    path, sha256 = write_by_digest(content, directory, "tflite")
    model = LiteRtModel(path)
    by_name = {spec.name: spec for spec in model.inputs}
    return Artifact(
        path=path,
        format=ModelFormat.TFLITE,
        sha256=sha256,
        inputs=tuple(by_name[name] for name in names),
        outputs=model.outputs,
        tool=f"litert-torch-{version('litert-torch')}",
    )
