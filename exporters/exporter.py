"""The contract of an exporter, and the one place that names every exporter."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from exporters.artifact import Artifact, Precision
from workspace import plugin
from workspace.errors import InputError, OperationError
from workspace.files import write_whole

if TYPE_CHECKING:  # torch takes seconds to import; a type does not need it
    from torch import Tensor, nn


class ExportError(OperationError):
    """The module cannot be expressed in the target format; names the operator and where it is."""


class NotWrittenError(ExportError):
    """The folder or the disk refuses a file; no other exporter would help."""


@dataclass(frozen=True, slots=True)
class NamedInput:
    """One argument of the exported module's ``forward``.

    Attributes:
        name: Its name in the exported file.
        value: An example of any rank, batch included; its shape and dtype become the file's.
    """

    name: str
    value: Tensor


class Exporter(Protocol):
    """Writes one kind of file.

    Laws, held by ``exporters.testing.ExporterContract``: the file computes what the module does in
    eval mode (max|a-b| <= 1e-4 * max|b|); exporting twice gives identical bytes; the module is not
    modified; when it fails no file is left.
    """

    def export(
        self, module: nn.Module, inputs: tuple[NamedInput, ...], directory: Path
    ) -> Artifact:
        """Write ``module`` into ``directory``.

        Args:
            module: Any torch module; exported as it behaves in eval mode.
            inputs: One for each argument of its ``forward``, in order.
            directory: Must exist; the exporter chooses the file name.

        Raises:
            ExportError: If an operator has no counterpart in the format.
            NotWrittenError: If the folder or the disk refuses the file.
        """
        ...


def write_by_digest(
    content: bytes, directory: Path, suffix: str, *, flush: bool = True
) -> tuple[Path, str]:
    """Write a file named after its content, whole or not at all; its path and sha256.

    Args:
        content: All of it.
        directory: Must exist.
        suffix: Of the name, without the dot.
        flush: Whether it is on the disk afterwards.

    Raises:
        NotWrittenError: If the folder or the disk refuses it.
    """
    sha256 = hashlib.sha256(content).hexdigest()
    path = directory / f"{sha256[:16]}.{suffix}"
    try:
        write_whole(path, content, flush=flush)
    except OSError as error:
        msg = f"{str(path)!r} cannot be written: {error}"
        raise NotWrittenError(msg) from error
    return path, sha256


class ExporterName(StrEnum):
    """Exporters of ours: the fast writer, and others' converters."""

    TFLITE = "tflite"
    LITERT = "litert"
    ONNX = "onnx"
    SAVED_MODEL = "savedmodel"
    TENSORFLOW = "tensorflow"


def create(name: str, precision: Precision = Precision.FP32) -> Exporter:
    """The exporter called ``name``, or the user's own at ``package.module:NAME``.

    A user's NAME is an ``Exporter``, or a class without arguments that makes one.

    Args:
        name: Of ``ExporterName``, or a reference.
        precision: Of the files. Only the fast writer writes another one than fp32 by itself; its
            int8 has stand-in scales and is for timing alone.

    Raises:
        InputError: If there is no such exporter, or it does not write that precision.
    """
    if precision is not Precision.FP32 and name != ExporterName.TFLITE:
        msg = (
            f"exporter {name!r} writes fp32, {precision} was asked for: 'tflite' writes it for "
            "timing, and 'pocketnas export --quantize' with calibration"
        )
        raise InputError(msg)
    if plugin.is_reference(name):
        found = plugin.load(name, "an exporter")
        try:
            made = found() if isinstance(found, type) else found
        except TypeError as error:
            msg = f"{name!r} is a class that cannot be made without arguments: {error}"
            raise InputError(msg) from error
        if not callable(getattr(made, "export", None)):
            msg = f"{name!r} is no exporter: it has no method export"
            raise InputError(msg)
        return cast("Exporter", made)
    match name:
        case ExporterName.TFLITE:
            from exporters.tflite import TFLiteExporter

            return TFLiteExporter(precision)
        case ExporterName.LITERT:
            from exporters.litert import LiteRtTorchExporter

            return LiteRtTorchExporter()
        case ExporterName.ONNX:
            from exporters.to_onnx import OnnxExporter

            return OnnxExporter()
        case ExporterName.SAVED_MODEL:
            from exporters.to_tensorflow import SavedModelExporter

            return SavedModelExporter()
        case ExporterName.TENSORFLOW:
            from exporters.to_tensorflow import TensorFlowLiteExporter

            return TensorFlowLiteExporter()
    known = ", ".join(ExporterName)
    msg = f"unknown format {name!r}; there are {known}, and package.module:NAME for one of yours"
    raise InputError(msg)
