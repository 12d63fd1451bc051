"""Networks as model files, exported once for all runs of this computer."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
import uuid
from contextlib import suppress
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import TypedDict, cast

from exporters.artifact import Artifact, ModelFormat, Precision, TensorSpec
from exporters.exporter import Exporter, ExporterName, NamedInput, create
from latency.source import NetworkSubject, Subject
from workspace.code import digest_of
from workspace.errors import InputError, OperationError
from workspace.files import sha256_of, write_whole
from workspace.home import home
from workspace.plugin import is_reference

CAP_BYTES = 4 * 2**30
"""Of all files together: about 250 networks of MnasNet's size, or ten thousand small ones."""

_IN_USE_S = 3600.0
_DESCRIPTION = "artifact.json"
_THIS_PROCESS = uuid.uuid4().hex


class _Tensor(TypedDict):
    name: str
    shape: list[int]
    dtype: str


class _Document(TypedDict):
    file: str
    format: str
    sha256: str
    precision: str
    inputs: list[_Tensor]
    outputs: list[_Tensor]
    tool: str


class ModelFiles:
    """Files of networks in ``POCKETNAS_HOME/artifacts``, one folder for each.

    A folder is named by what decides its bytes: the network's key, its head, the exporter, the
    precision and the code behind it. It appears at once or not at all, so that processes may
    export at the same time. An exporter of the user's own can change from run to run, so its files
    are made anew each run. Beyond ``CAP_BYTES`` the files that were not used for longest go, none
    of the last hour.

    Args:
        exporter: As ``exporters.exporter.create`` takes it.
        precision: That the files must have.

    Raises:
        InputError: If there is no such exporter.
    """

    def __init__(self, exporter: str, precision: Precision) -> None:
        self._exporter = exporter
        self._precision = precision
        self._folder = home() / "artifacts"
        if exporter != ExporterName.TFLITE:
            create(exporter, precision)  # refuses one that is not there; ours is imported later
        elif precision is Precision.DYNAMIC:
            msg = "no exporter writes dynamic for timing; fp32, fp16 and int8 can be timed"
            raise InputError(msg)

    def of(self, subject: Subject) -> Artifact:
        """The file of ``subject``, exported if it is not there yet.

        Raises:
            InputError: If the exporter's files have another precision.
            ExportError: If the network cannot be expressed in the format.
            OperationError: If the file cannot be written.
        """
        if not isinstance(subject, NetworkSubject):
            return subject.artifact
        folder = self._folder / self._key(subject)
        artifact = _read(folder)
        if artifact is None:
            try:
                artifact = self._export(subject, folder)
            except OSError as error:
                msg = f"a model file cannot be written to {str(folder)!r}: {error}"
                raise OperationError(msg) from error
        if artifact.precision is not self._precision:
            msg = (
                f"exporter {self._exporter!r} writes {artifact.precision}, "
                f"{self._precision} was asked for"
            )
            raise InputError(msg)
        return artifact

    def _key(self, subject: NetworkSubject) -> str:
        parts = [
            subject.architecture.key,
            repr(subject.head),
            self._exporter,
            self._precision.value,
            _code(),
        ]
        if is_reference(self._exporter):
            parts.append(_THIS_PROCESS)
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def _export(self, subject: NetworkSubject, folder: Path) -> Artifact:
        self._folder.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".making-", dir=self._folder))
        try:
            artifact = _exported(subject, create(self._exporter, self._precision), work)
            document = json.dumps(_to_document(artifact), indent=2)
            write_whole(work / _DESCRIPTION, document.encode())
            _put(work, folder)
            with suppress(FileNotFoundError):  # another process is at it
                _evict(self._folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return replace(artifact, path=folder / artifact.path.name)


def _exported(subject: NetworkSubject, exporter: Exporter, folder: Path) -> Artifact:
    import torch

    inputs = tuple(
        NamedInput(spec.name, torch.zeros(1, *spec.shape)) for spec in subject.architecture.inputs
    )
    module = subject.architecture.build(subject.head)
    return exporter.export(module, inputs, folder)


def _put(work: Path, folder: Path) -> None:
    """Make ``work`` appear as ``folder``; another process may have done so just now."""
    work.chmod(0o755)
    try:
        work.rename(folder)
    except OSError:
        if _read(folder) is not None:
            return
        shutil.rmtree(folder, ignore_errors=True)  # of a network whose file is damaged
        work.rename(folder)


def _read(folder: Path) -> Artifact | None:
    """The artifact in ``folder``; None if there is none, or its file is not what it was."""
    try:
        document = cast("_Document", json.loads((folder / _DESCRIPTION).read_bytes()))
        path = folder / document["file"]
        if sha256_of(path) != document["sha256"]:
            return None
        os.utime(folder)  # used just now
    except (OSError, ValueError):
        return None
    return Artifact(
        path=path,
        format=ModelFormat(document["format"]),
        sha256=document["sha256"],
        precision=Precision(document["precision"]),
        inputs=_tensors(document["inputs"]),
        outputs=_tensors(document["outputs"]),
        tool=document["tool"],
    )


def _tensors(documents: list[_Tensor]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(name=each["name"], shape=tuple(each["shape"]), dtype=each["dtype"])
        for each in documents
    )


def _to_document(artifact: Artifact) -> dict[str, object]:
    fields = asdict(artifact)
    del fields["path"]
    return {"file": artifact.path.name, **fields}


def _evict(root: Path) -> None:
    """Remove folders, the one unused for longest first, until what is left fits the cap."""
    now = time.time()
    folders = sorted((folder.stat().st_mtime, folder) for folder in root.iterdir())
    sizes = {folder: sum(f.stat().st_size for f in folder.iterdir()) for _, folder in folders}
    total = sum(sizes.values())
    for used, folder in folders:
        if total <= CAP_BYTES or now - used < _IN_USE_S:
            return
        shutil.rmtree(folder, ignore_errors=True)
        total -= sizes[folder]


@cache
def _code() -> str:
    """Digest of all that turns a network into a file: a change of ours makes new files."""
    return digest_of("exporters", "search_space")
