"""A network written as a model file, checked in its runtime, and what is known of it beside it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exporters.artifact import Artifact, ModelFormat
from exporters.exporter import ExportError
from exporters.verify import Parity
from latency.source import FileSubject, LatencyEstimate, LatencyRequest, LatencySource
from pocketnas.networks import Found, example_inputs
from workspace.errors import InputError, OperationError
from workspace.files import write_whole

if TYPE_CHECKING:
    from torch import nn

    from controller.evaluation import Evaluation
    from controller.finish import FrontMember
    from pocketnas.assembly import Assembly

WEIGHTS = "weights.safetensors"
"""Of a run's best network, in its folder ``best``."""

UNTRAINED = "untrained: drawn from the architecture's key"
"""What is said of weights that no training has touched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A model file and what was checked.

    Attributes:
        artifact: The file.
        weights: Where its weights are from.
        parity: Its outputs in the runtime against torch's on random inputs; None for a format
            that no runtime here runs.
    """

    artifact: Artifact
    weights: str
    parity: Parity | None

    def to_json(self) -> dict[str, Any]:
        """What ``pocketnas export --json`` prints."""
        artifact = self.artifact
        return {
            "path": str(artifact.path),
            "format": artifact.format.value,
            "sha256": artifact.sha256,
            "bytes": artifact.path.stat().st_size,
            "precision": artifact.precision.value,
            "inputs": [_spec(spec.name, spec.shape, spec.dtype) for spec in artifact.inputs],
            "outputs": [_spec(spec.name, spec.shape, spec.dtype) for spec in artifact.outputs],
            "tool": artifact.tool,
            "weights": self.weights,
            "max_error": None if self.parity is None else self.parity.max_error,
        }


def write_network(found: Found, exporter: str, folder: Path) -> Exported:
    """Export a network into ``folder``, which is made.

    Raises:
        InputError: If there is no such exporter.
        ExportError: If it cannot be expressed, or its outputs are not torch's.
    """
    from exporters.exporter import create

    writer = create(exporter)
    module, weights = _with_weights(found)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"the folder {str(folder)!r} cannot be made: {error}"
        raise InputError(msg) from error
    artifact = writer.export(module, example_inputs(found.architecture), folder)
    parity = _checked(module, artifact) if artifact.format is ModelFormat.TFLITE else None
    return Exported(artifact=artifact, weights=weights, parity=parity)


def export_best(
    folder: Path,
    parts: Assembly,
    evaluation: Evaluation,
    best: FrontMember,
    say: Callable[[str], None],
) -> None:
    """Export a run's best network into its folder ``best``, and time the very file.

    Its weights are those of its short training, which is done again to have them: the search keeps
    none. What was found is kept in ``best/export.json``.
    """
    target = folder / "best"
    index = best.candidate.index
    if _is_done(target, index):
        return
    say(f"exporting trial {index}, the best")
    target.mkdir(exist_ok=True)
    weights = target / WEIGHTS
    weights.unlink(missing_ok=True)
    if not parts.config.train_command and not _is_stand_in(best):
        job = evaluation.job(index, best.candidate.architecture, checkpoint=str(weights))
        evaluation.train(job)
    architecture = best.candidate.architecture
    if parts.evaluation.timed_size is not None:
        architecture = architecture.at(parts.evaluation.timed_size)
    found = Found(architecture=architecture, head=parts.evaluation.head, run=folder, index=index)
    try:
        exported = write_network(found, parts.config.exporter, target)
    except OperationError as error:
        say(f"not exported: {error}")
        return
    facts = {"index": index, **exported.to_json(), "latency": None}
    timed = _timed(parts.source, exported.artifact, parts.config.final_preset)
    if timed is not None:
        from pocketnas.latency_text import facts as latency_facts

        facts["latency"] = latency_facts(timed)
    write_whole(target / "export.json", json.dumps(facts, indent=1).encode())


def read_export(folder: Path) -> dict[str, Any] | None:
    """What ``export_best`` kept of a run; None if it has not come to that."""
    path = folder / "best" / "export.json"
    if not path.is_file():
        return None
    facts: dict[str, Any] = json.loads(path.read_text())
    return facts


def _is_done(folder: Path, index: int) -> bool:
    path = folder / "export.json"
    return path.is_file() and json.loads(path.read_text()).get("index") == index


def _timed(source: LatencySource, artifact: Artifact, preset: str) -> LatencyEstimate | None:
    """The file's latency; None where the source times no files, or could not."""
    request = LatencyRequest(id="best", subject=FileSubject(artifact=artifact), preset=preset)
    try:
        (answer,) = source.estimate([request])
    except InputError:
        return None
    return answer if isinstance(answer, LatencyEstimate) else None


def _with_weights(found: Found) -> tuple[nn.Module, str]:
    """The module, with the weights that its run kept where it is the run's best."""
    example_inputs(found.architecture)  # says what is missing where torch is
    module = found.architecture.build(found.head)
    if found.run is None or found.index is None:
        return module, UNTRAINED
    path = found.run / "best" / WEIGHTS
    kept = read_export(found.run)
    is_best = kept is None or kept["index"] == found.index
    if not path.is_file() or not is_best:
        return module, UNTRAINED
    from safetensors.torch import load_file

    module.load_state_dict(load_file(path))
    return module, f"trained: as in the search, trial {found.index} of {found.run}"


def _checked(module: nn.Module, artifact: Artifact) -> Parity:
    """Outputs of the file against the module's on a seeded random image.

    Raises:
        ExportError: If they differ by more than the tolerance; the file is removed.
    """
    import torch

    from exporters.litert_runtime import LiteRtModel
    from exporters.verify import channels_last, parity

    generator = torch.Generator().manual_seed(random.Random(0).getrandbits(32))
    images = [_channels_first(spec.shape) for spec in artifact.inputs]
    tensors = [torch.randn(shape, generator=generator) for shape in images]
    module.eval()
    with torch.no_grad():
        expected = module(*tensors)
    outputs = expected if isinstance(expected, tuple) else (expected,)
    reference = {
        spec.name: channels_last(value.numpy())
        for spec, value in zip(artifact.outputs, outputs, strict=True)
    }
    feeds = {
        spec.name: channels_last(value.numpy())
        for spec, value in zip(artifact.inputs, tensors, strict=True)
    }
    found = parity(LiteRtModel(artifact.path).run(feeds), reference)
    if not found.passed:
        artifact.path.unlink(missing_ok=True)
        msg = (
            f"the exported file's outputs differ from torch's by {found.max_error:.2g} of the "
            f"largest, more than {found.tolerance:g}; it was removed"
        )
        raise ExportError(msg)
    return found


def _channels_first(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[0], shape[3], shape[1], shape[2]) if len(shape) == 4 else shape


def _spec(name: str, shape: tuple[int, ...], dtype: str) -> Mapping[str, Any]:
    return {"name": name, "shape": list(shape), "dtype": dtype}


def _is_stand_in(best: FrontMember) -> bool:
    training = best.candidate.training
    return training is not None and bool(training.stand_in)
