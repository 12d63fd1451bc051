"""Runs a SavedModel in TensorFlow, in a process of its own: to check it."""

from __future__ import annotations

import subprocess
import weakref
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from exporters.artifact import TensorSpec
from exporters.child import started
from exporters.to_tensorflow import SIGNATURE, require_tensorflow, tensorflow
from workspace.errors import InputError, OperationError

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEADLINE_S = 300.0
"""Of loading, and of each run."""

_DIED = "the process in which TensorFlow runs the SavedModel died"


class SavedModel:
    """A folder, loaded; inputs and outputs of its signature ``serving_default``.

    Args:
        path: Of the folder.

    Raises:
        InputError: If TensorFlow does not take it; the text has its words.
        OperationError: If TensorFlow is not installed, dies or does not answer.
    """

    def __init__(self, path: Path) -> None:
        require_tensorflow()
        self._connection, process = started(_serve, str(path))
        weakref.finalize(self, _end, self._connection, process)
        found = self._answer()
        if isinstance(found, str):
            msg = f"{str(path)!r} is no SavedModel that TensorFlow can run: {found}"
            raise InputError(msg)
        self.inputs, self.outputs = found

    def run(self, feeds: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """The outputs by name, for an array for each input by name.

        Raises:
            ValueError: If a name, shape or type does not fit.
            OperationError: If its process has died or does not answer.
        """
        try:
            self._connection.send(dict(feeds))
        except OSError as error:
            raise OperationError(_DIED) from error
        found = self._answer()
        if isinstance(found, str):
            raise ValueError(found)
        outputs: dict[str, NDArray[Any]] = found
        return outputs

    def _answer(self) -> Any:  # noqa: ANN401 - specs, arrays, or the words of an error
        try:
            if self._connection.poll(DEADLINE_S):
                return self._connection.recv()
        except (EOFError, OSError) as error:
            raise OperationError(_DIED) from error
        msg = f"TensorFlow did not answer for the SavedModel within {DEADLINE_S:g} s"
        raise OperationError(msg)


def _end(connection: Connection, process: subprocess.Popen[bytes]) -> None:
    connection.close()
    process.kill()
    process.wait()


def _serve(connection: Connection, path: str) -> None:
    """Load, tell the specs, then run what comes until the other end is closed."""
    try:
        library = tensorflow()
        loaded = library.saved_model.load(path)
        serve = loaded.signatures[SIGNATURE]
    except Exception as error:  # noqa: BLE001 - told to whoever asked
        connection.send(" ".join(str(error).split()) or type(error).__name__)
        return
    _, inputs = serve.structured_input_signature
    connection.send((_specs(inputs), _specs(serve.structured_outputs)))
    while True:
        try:
            feeds = connection.recv()
        except EOFError:
            return
        try:
            values = {name: library.constant(value) for name, value in feeds.items()}
            connection.send({name: np.asarray(v) for name, v in serve(**values).items()})
        except Exception as error:  # noqa: BLE001 - told to whoever asked
            connection.send(" ".join(str(error).split()))


def _specs(named: Mapping[str, Any]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(name=name, shape=tuple(spec.shape), dtype=spec.dtype.name)
        for name, spec in named.items()
    )
