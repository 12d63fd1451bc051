"""One folder with all that an app needs of a network, and the proof of every claim in it.

It is made in a hidden folder beside, checked there as its receiver will check it, and renamed.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from delivery import detection, kotlin
from delivery.card import card, requirements
from delivery.carried import verify as carried_verify
from delivery.export import Delivered, Delivery, Plan, Say, deliver, file_json, with_line
from delivery.file_gates import TOLERANCES, compares_maps
from delivery.kotlin import CARRIED
from delivery.network import Network, compared, outputs_of
from delivery.preprocessing import UNKNOWN, labels_of, preparation_of
from delivery.work_folder import put, work_folder
from exporters.artifact import ModelFormat
from exporters.exporter import ExporterName, ExportError
from search_space.architecture import Classifier, Detector
from workspace.errors import InputError, OperationError
from workspace.files import sha256_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from delivery.preprocessing import Preparation
    from search_space.architecture import Json

VERSION = 1
"""Of the manifest."""

EXAMPLES, KEPT = "examples.npz", 8
"""Where examples lie with the outputs that are expected of them, and how many."""

SHARED = ("pictures.py", "runtimes.py")
"""What the others there import."""

_PLAIN = {ExporterName.TFLITE, ExporterName.ONNX, ExporterName.SAVED_MODEL}
"""Exporters that need not be named in a file's name."""


def make(network: Network, plan: Plan, folder: Path, say: Say = lambda _: None) -> Delivery:
    """Export a network into a bundle.

    Args:
        network: What is delivered.
        plan: How.
        folder: Of the bundle; new, or empty.
        say: Is told what goes on.

    Returns:
        What is in it, the files at their places.

    Raises:
        InputError: If the network is neither a classifier nor a detector whose dataset is known,
            or the plan or the folder cannot be used; nothing was made.
        ExportError: If the network cannot be expressed in a format, or as one Python file.
        GateError: If a gate fails.
        OperationError: If something is not there, the disk is full, or the bundle does not verify.
    """
    found = _detection_of(network)
    _require_free(folder)
    _require_distinct(plan)
    preparation, labels = preparation_of(network), labels_of(network)
    source = _network_source(network)
    _make_parents(folder)
    with work_folder(folder.parent) as work:
        delivery = deliver(network, plan, work, _name, say)
        say("making the bundle")
        root = work / "bundle"
        try:
            (root / "snippets").mkdir(parents=True)
            (work / "final").rename(root / "models")
            delivery = _moved(delivery, root / "models")
            _write_network(network, source, root)
            _write_use(delivery, preparation, labels, root)
            if found is not None:
                _put_json(root / detection.FILE, found)
            _write_snippets(delivery, preparation, root)
            _write_examples(network, root)
            made = datetime.now(UTC).isoformat(timespec="seconds")
            words = str((preparation.to_json() if preparation else UNKNOWN)["words"])
            text = card(
                delivery,
                made=made,
                tool=_tool(),
                preprocessing=words,
                are_labels_known=labels is not None,
                snippets=tuple(sorted(each.name for each in (root / "snippets").iterdir())),
            )
            _put(root / "README.md", text)
            _write_lists(_manifest(delivery, made), root)
            say("checking the bundle")
            _require_verified(root)
            root.chmod(0o755)
            put(root, folder)
        except OSError as error:
            msg = f"the bundle {str(folder)!r} cannot be written: {error}"
            raise OperationError(msg) from error
    return _moved(delivery, folder / "models")


def verify(folder: Path) -> tuple[bool, list[str]]:
    """Whether a bundle is what it was, and what was found, a line each.

    Raises:
        InputError: If it is no bundle.
    """
    from delivery.examination import examine

    report = examine(folder)
    return report.passed, list(report.lines())


def _name(delivered: Delivered) -> str:
    """``network-int8.tflite``; with the exporter where it is not the format's usual one."""
    artifact = delivered.artifact
    by = "" if delivered.exporter in _PLAIN else f"-{_own_name(delivered.exporter)}"
    return f"network-{artifact.precision}{by}.{artifact.format}"


def _require_distinct(plan: Plan) -> None:
    """Refuse two exporters whose files would have one name."""
    named: dict[str, str] = {}
    for exporter in plan.formats:
        own = exporter if exporter in _PLAIN else f"-{_own_name(exporter)}"
        if own in named:
            msg = (
                f"the files of {named[own]!r} and {exporter!r} would have one name in the bundle: "
                "name one of them, or give its exporter another NAME"
            )
            raise InputError(msg)
        named[own] = exporter


def _own_name(exporter: str) -> str:
    return exporter.rpartition(":")[2]


def _moved(delivery: Delivery, folder: Path) -> Delivery:
    """The same files in another folder."""
    files = tuple(each.at(folder / each.artifact.path.name) for each in delivery.files)
    timed = tuple(
        replace(each, artifact=replace(each.artifact, path=folder / each.artifact.path.name))
        for each in delivery.timed
    )
    return replace(delivery, files=files, timed=timed)


def _detection_of(network: Network) -> dict[str, Json] | None:
    """What a detector's outputs mean; None for a classifier, whose scores mean themselves.

    Raises:
        InputError: If the network is neither, or nobody says what its outputs mean.
    """
    match network.head:
        case Classifier():
            return None
        case Detector():
            return detection.decoding(network)
    msg = (
        f"a bundle's snippets are for classifiers and detectors, and {network.name} ends in "
        f"{network.head}: export its files alone, without --bundle"
    )
    raise InputError(msg)


def _require_free(folder: Path) -> None:
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        msg = f"{str(folder)!r} is there already: a bundle needs a new folder"
        raise InputError(msg)


def _make_parents(folder: Path) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"the folder {str(folder.parent)!r} cannot be made: {error}"
        raise InputError(msg) from error


def _network_source(network: Network) -> str:
    from delivery.standalone import source

    shapes = {spec.name: spec.shape for spec in network.architecture.inputs}
    about = f"{network.name}, written by {_tool()}.\n\nWeights {network.weights}."
    try:
        return source(network.module, shapes, about)
    except ExportError as error:
        msg = f"the network cannot be written as one Python file: {with_line(error)}"
        raise ExportError(msg) from error


def _write_network(network: Network, source: str, root: Path) -> None:
    from delivery.standalone import WEIGHTS, state
    from delivery.tensors import safetensors

    _put(root / "network.py", source)
    (root / WEIGHTS).write_bytes(safetensors(state(network.module)))
    _put_json(root / "architecture.json", network.architecture.to_json())


def _write_use(
    delivery: Delivery, preparation: Preparation | None, labels: Sequence[str] | None, root: Path
) -> None:
    """What apps and people need: labels, preprocessing, snippets, latencies."""
    classes = delivery.network.head.classes
    numbered = labels or tuple(str(index) for index in range(classes))
    _put(root / "labels.txt", "".join(f"{name}\n" for name in numbered))
    _put_json(root / "preprocessing.json", preparation.to_json() if preparation else UNKNOWN)
    timed: list[Json] = [{**each.to_json()} for each in delivery.timed]
    searched = _searched(delivery.network)
    document: dict[str, Json] = {"version": VERSION, "latencies": timed, "searched": searched}
    _put_json(root / "latencies.json", document)
    formats = [each.artifact.format for each in delivery.files]
    _put(root / "requirements.txt", "".join(f"{line}\n" for line in requirements(formats)))
    _put(root / "verify.py", (CARRIED / "verify.py").read_text(encoding="utf-8"))


def _write_snippets(delivery: Delivery, preparation: Preparation | None, root: Path) -> None:
    """Programs that use a model: in Python, and in Kotlin where pictures can be prepared."""
    models = [each.artifact for each in delivery.files]
    tflite = [each for each in models if each.format is ModelFormat.TFLITE]
    is_detector = isinstance(delivery.network.head, Detector)
    if tflite or any(each.format is ModelFormat.ONNX for each in models):
        for name in ("detect.py" if is_detector else "classify.py", *SHARED):
            text = (CARRIED / name).read_text(encoding="utf-8")
            _put(root / "snippets" / name, text.replace("from delivery.carried.", "from "))
    if tflite and preparation and is_detector:
        _put(root / "snippets/Detector.kt", kotlin.detector(preparation, tflite[0]))
    elif tflite and preparation:
        _put(root / "snippets/Classifier.kt", kotlin.classifier(preparation, tflite[0]))


def _searched(network: Network) -> Json:
    """What the search said of the network's latency."""
    found = network.searched
    if found is None:
        return None
    return {
        "median_ms": found.latency_ms,
        "ci_low_ms": found.low_ms,
        "ci_high_ms": found.high_ms,
        "origin": found.origin,
        "source": found.source,
        "verdict": found.verdict,
        "conditions": (found.measurement or {}).get("conditions"),
    }


def _write_examples(network: Network, root: Path) -> None:
    kept = {name: value[:KEPT] for name, value in compared(network).inputs.items()}
    arrays = {f"input:{name}": value.numpy() for name, value in kept.items()}
    outputs = outputs_of(network, kept)
    arrays |= {f"output:{name}": value.numpy() for name, value in outputs.items()}
    if isinstance(network.head, Detector):
        arrays |= _found(network, kept, outputs)
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type] # named arrays, and no pickle
    (root / EXAMPLES).write_bytes(content.getvalue())


def _found(
    network: Network, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]
) -> dict[str, NDArray[Any]]:
    """What the task finds in the kept examples, `[N, D, 6]`; one as a picture, and which."""
    task, (image,) = detection.task_of(network), inputs.values()
    found = task.predictions(tuple(outputs.values()), image.shape[-1])
    most = detection.most_told(found)
    picture = detection.picture_of(image[most, : task.channels])
    return {"detections": found.numpy(), "picture": picture, "pictured": np.array(most)}


def _manifest(delivery: Delivery, made: str) -> dict[str, Json]:
    """All that is known, but for the hashes."""
    network = delivery.network
    models: list[Json] = []
    for each in delivery.files:
        facts = file_json(each, network)
        del facts["path"]
        models.append(
            {
                "file": f"models/{each.artifact.path.name}",
                **facts,
                "tolerance": TOLERANCES[each.artifact.precision],
                **({"measure": "deviation"} if compares_maps(each.artifact) else {}),
                "accuracy": delivery.accuracy_of(each.artifact.path.name),
            }
        )
    inputs: list[Json] = [
        {"name": spec.name, "shape": [*spec.shape]} for spec in network.architecture.inputs
    ]
    return {
        "version": VERSION,
        "tool": _tool(),
        "made": made,
        "name": network.name,
        "network": {
            "key": network.architecture.key,
            "family": network.architecture.family.value,
            "head": type(network.head).__name__.lower(),
            "classes": network.head.classes,
            "inputs": inputs,
            "weights": network.weights,
            "macs": delivery.weight.macs,
            "numbers": delivery.weight.numbers,
            "channels": delivery.weight.channels,
        },
        "found": dict(network.found),
        "dataset": None if network.task is None else network.task.name,
        "anchor": _anchor_of(network),
        "torch_accuracy": delivery.accuracy_of_torch,
        "models": models,
        "examples": {"file": EXAMPLES, "count": KEPT, "what": compared(network).what},
        "gates": [each.to_json() for each in delivery.gates],
        "not_run": [each.to_json() for each in delivery.not_run],
    }


def _anchor_of(network: Network) -> float | None:
    """That a detector's boxes start from; see ``ObjectDetection.anchor``."""
    return detection.task_of(network).anchor if isinstance(network.head, Detector) else None


def _write_lists(manifest: Mapping[str, Json], root: Path) -> None:
    """The manifest with the hash of every file, and the hashes in the form of ``sha256sum``."""
    files: dict[str, Json] = {}
    sums: dict[str, str] = {}
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        name = path.relative_to(root).as_posix()
        sums[name] = sha256_of(path)
        files[name] = {"sha256": sums[name], "bytes": path.stat().st_size}
    _put_json(root / carried_verify.MANIFEST, {**manifest, "files": files})
    sums[carried_verify.MANIFEST] = sha256_of(root / carried_verify.MANIFEST)
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
    _put(root / carried_verify.SUMS, lines)


def _require_verified(root: Path) -> None:
    passed, lines = verify(root)
    if not passed:
        wrong = "; ".join(line for line in lines if line.startswith("FAILED"))
        msg = f"the bundle was not delivered, since it does not verify: {wrong}"
        raise OperationError(msg)


def _tool() -> str:
    return f"pocketnas-{version('pocketnas')}"


def _put(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _put_json(path: Path, document: Mapping[str, Json]) -> None:
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    _put(path, text + "\n")
