"""TensorFlow SavedModels, and TFLite files by TensorFlow's converter, from the operator graph.

Needs the extra ``tensorflow``, which runs in a process of its own: beside torch and jax it
crashes.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import warnings
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exporters.artifact import Artifact, ModelFormat, TensorSpec
from exporters.child import in_child
from exporters.exporter import ExportError, NamedInput, NotWrittenError, write_by_digest
from workspace.errors import OperationError
from workspace.files import sha256_of_folder

if TYPE_CHECKING:
    from torch import nn

    from exporters.graph import Graph

SIGNATURE = "serving_default"


class SavedModelExporter:
    """Writes folders that TensorFlow loads; images are `[1, H, W, C]`, batch norms are folded."""

    def export(
        self, module: nn.Module, inputs: tuple[NamedInput, ...], directory: Path
    ) -> Artifact:
        """See ``Exporter.export``.

        Raises:
            OperationError: If the extra is not installed.
        """
        graph = _graph(module, inputs)
        require_tensorflow()
        work = Path(tempfile.mkdtemp(prefix=".making-", dir=_existing(directory)))
        try:
            in_child(save, graph, work / "model")
            sha256 = sha256_of_folder(work / "model")
            path = directory / f"{sha256[:16]}.savedmodel"
            if not path.exists():
                (work / "model").rename(path)
        except OSError as error:
            msg = f"a SavedModel cannot be written to {str(directory)!r}: {error}"
            raise NotWrittenError(msg) from error
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return _artifact(graph, path, ModelFormat.SAVED_MODEL, sha256)


class TensorFlowLiteExporter:
    """Writes ``.tflite`` files by TensorFlow's converter; an ``Exporter``."""

    def export(
        self, module: nn.Module, inputs: tuple[NamedInput, ...], directory: Path
    ) -> Artifact:
        """See ``Exporter.export``.

        Raises:
            OperationError: If the extra is not installed.
        """
        graph = _graph(module, inputs)
        require_tensorflow()
        content = in_child(convert, graph)
        path, sha256 = write_by_digest(content, directory, "tflite")
        return _artifact(graph, path, ModelFormat.TFLITE, sha256)


def convert(graph: Graph) -> bytes:
    """The bytes of a TFLite file by TensorFlow's converter; for a process of its own.

    Raises:
        ExportError: If the converter fails.
        NotWrittenError: If the disk refuses what it goes through.
    """
    try:
        with tempfile.TemporaryDirectory() as folder:
            save(graph, Path(folder) / "model")
            converter = tensorflow().lite.TFLiteConverter.from_saved_model(
                str(Path(folder) / "model"), signature_keys=[SIGNATURE]
            )
            return bytes(converter.convert())
    except Exception as error:  # its passes raise anything
        msg = "TensorFlow's converter cannot convert the network"
        raise _failure(msg, error) from error


def save(graph: Graph, folder: Path) -> None:
    """Write ``graph`` as a SavedModel with one signature; for a process of its own.

    Raises:
        ExportError: If TensorFlow does not take the graph.
        NotWrittenError: If the folder or the disk refuses the files.
    """
    try:
        library = tensorflow()
        module, concrete = _served(library, graph)
        library.saved_model.save(module, str(folder), signatures={SIGNATURE: concrete})
        (folder / "fingerprint.pb").unlink(missing_ok=True)  # holds a random number
    except Exception as error:  # TensorFlow raises anything
        msg = "TensorFlow cannot save the network"
        raise _failure(msg, error) from error


_REFUSALS = frozenset(
    f"{name}Error"
    for name in (
        "FailedPrecondition",
        "NotFound",
        "OutOfRange",
        "PermissionDenied",
        "ResourceExhausted",
        "Unknown",
    )
)
"""What TensorFlow makes of errno when a folder or disk refuses a file."""


def _failure(what: str, error: Exception) -> ExportError:
    """Ours for whatever was raised: TensorFlow's own cannot be unpickled without TensorFlow."""
    if isinstance(error, ExportError):
        return error
    said = " ".join(str(error).split())[:600] or type(error).__name__
    is_refused = isinstance(error, OSError) or type(error).__name__ in _REFUSALS
    return NotWrittenError(f"{what}: {said}") if is_refused else ExportError(f"{what}: {said}")


def _served(library: Any, graph: Graph) -> tuple[Any, Any]:  # noqa: ANN401 - untyped library
    """A module that computes ``graph``, and its function for the signature."""
    from exporters.graph_tensorflow import compute

    specs = [
        library.TensorSpec(graph.shapes[tensor], library.float32, name=name)
        for name, tensor in graph.inputs
    ]

    def serve(*values: Any) -> dict[str, Any]:  # noqa: ANN401
        return compute(library, graph, values)

    module = library.Module()
    module.serve = library.function(serve, input_signature=specs, autograph=False)
    return module, module.serve.get_concrete_function()


def _graph(module: nn.Module, inputs: tuple[NamedInput, ...]) -> Graph:
    from exporters.trace import to_graph

    return to_graph(module, inputs)


def _artifact(graph: Graph, path: Path, kind: ModelFormat, sha256: str) -> Artifact:
    def specs(named: tuple[tuple[str, int], ...]) -> tuple[TensorSpec, ...]:
        return tuple(
            TensorSpec(name=name, shape=graph.shapes[tensor], dtype="float32")
            for name, tensor in named
        )

    return Artifact(
        path=path,
        format=kind,
        sha256=sha256,
        inputs=specs(graph.inputs),
        outputs=specs(graph.outputs),
        tool=f"tensorflow-{version('tensorflow')}",
    )


def _existing(directory: Path) -> Path:
    if not directory.is_dir():
        msg = f"{str(directory)!r} is no folder to write to"
        raise ExportError(msg)
    return directory


def require_tensorflow() -> None:
    """Do nothing if TensorFlow is installed; it is not imported.

    Raises:
        OperationError: If it is not; the text says how to get it.
    """
    if find_spec("tensorflow") is None:
        msg = "this needs tensorflow, which is not installed: pip install 'pocketnas[tensorflow]'"
        raise OperationError(msg)


def tensorflow() -> Any:  # noqa: ANN401 - untyped library
    """The library, told to keep its notes to itself; for a process of its own."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    warnings.simplefilter("ignore")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    import tensorflow as library

    return library
