"""The contract of an exporter, and the one place that names every exporter."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from exporters.artifact import Artifact, ModelFormat
from workspace import plugin
from workspace.errors import InputError, OperationError

if TYPE_CHECKING:  # torch takes seconds to import; a type does not need it
    from torch import Tensor, nn


class ExportError(OperationError):
    """The module cannot be expressed in the target format; names the operator and where it is."""


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
        """
        ...


def create(name: str) -> Exporter:
    """The exporter called ``name``, or the user's own at ``package.module:NAME``.

    A user's NAME is an ``Exporter``, or a class without arguments that makes one.

    Raises:
        InputError: If there is no such exporter.
    """
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
        case ModelFormat.TFLITE:
            from exporters.tflite import TFLiteExporter

            return TFLiteExporter()
    msg = f"unknown format {name!r}; there is tflite, and package.module:NAME for one of yours"
    raise InputError(msg)
