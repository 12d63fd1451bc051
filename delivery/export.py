"""A network written in every format that was asked for, each file through every gate."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from delivery.accuracy import accuracy_of_torch, check_accuracy
from delivery.file_gates import Weight, bytes_of, check_file, weight_of
from delivery.gates import Checked, Gate, GateName, NotRun, require, warned
from delivery.int8_ends import Scale, int8_ends
from delivery.network import Network, batches, compared, laid_out
from delivery.timing import Place, Timed, Timers, check_int8_speed, check_latency
from exporters.artifact import Artifact, ModelFormat
from exporters.exporter import ExporterName, ExportError, NotWrittenError, create
from exporters.quantize import LEAST_SAMPLES, Quantization, quantize
from latency.source import SourceSettings
from training.task import Split
from workspace.errors import InputError, OperationError

if TYPE_CHECKING:
    from exporters.artifact import TensorSpec
    from exporters.quantize import Feeds
    from search_space.architecture import Json

CALIBRATION_SEED = 0
"""Of the choice of training examples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be made of a network.

    Attributes:
        formats: Names of exporters, as ``exporters.exporter.create`` takes them.
        quantizations: What each format is made in.
        calibration_samples: Training examples that int8 scales come from.
        only_warn: Gates that keep no file from being delivered.
        sources: Where files are timed, the chosen device first; empty for nowhere.
        settings: Of the sources.
        host_settings: Of this computer, where it has others; None where not.
        are_named: Whether somebody named the sources; one that nobody named and that does not
            answer is told, and fails nothing.
        preset: How hard timing tries.
        float_io: Whether int8 files take and give float32; else int8, which TFLite files can.
    """

    formats: tuple[str, ...] = (ExporterName.TFLITE.value,)
    quantizations: tuple[Quantization, ...] = (Quantization.NONE,)
    calibration_samples: int = 128
    only_warn: frozenset[GateName] = frozenset()
    sources: tuple[str, ...] = ()
    settings: SourceSettings = field(default_factory=SourceSettings)
    host_settings: SourceSettings | None = None
    are_named: bool = True
    preset: str = "search"
    float_io: bool = True

    @property
    def places(self) -> tuple[Place, ...]:
        """The sources, each with its settings."""
        host = self.host_settings or self.settings
        return tuple(
            Place(
                name=name,
                settings=host if name == "host" else self.settings,
                is_named=self.are_named,
            )
            for name in self.sources
        )

    def require_possible(self, network: Network) -> None:
        """Do nothing if it can be tried.

        Raises:
            InputError: If a format is unknown or has no int8 inputs, or int8 has nothing to be
                calibrated on.
        """
        if not self.formats or not self.quantizations:
            msg = "an export needs a format and a quantization, got none"
            raise InputError(msg)
        for name in self.formats:
            create(name)
        if not self.float_io:
            self._require_int8_ends()
        if Quantization.INT8 not in self.quantizations:
            return
        if network.task is None:
            msg = (
                "int8 takes its scales from training data, and no dataset is known: give "
                "--dataset, or the network of a run (RUN:best), which has its own"
            )
            raise InputError(msg)
        if self.calibration_samples < LEAST_SAMPLES:
            msg = (
                f"int8 needs at least {LEAST_SAMPLES} calibration samples, got "
                f"{self.calibration_samples}"
            )
            raise InputError(msg)

    def _require_int8_ends(self) -> None:
        if Quantization.INT8 not in self.quantizations:
            asked = ",".join(self.quantizations)
            msg = f"--int8-io is for int8 files: give --quantize int8, got {asked!r}"
            raise InputError(msg)
        if ExporterName.ONNX in self.formats:
            msg = (
                "an ONNX file keeps float32 inputs and outputs, only TFLite files can have int8 "
                "ones: leave out --int8-io, or --format onnx"
            )
            raise InputError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """One file.

    Attributes:
        artifact: The file.
        exporter: Which wrote it, as it was asked for.
        note: What else has to be said of it; empty for nothing.
    """

    artifact: Artifact
    exporter: str
    note: str = ""

    def at(self, path: Path) -> Delivered:
        """The same under another path."""
        return replace(self, artifact=replace(self.artifact, path=path))


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Files that passed their gates.

    Attributes:
        network: What they are of.
        files: In the order of formats, then quantizations.
        checked: What every gate found.
        timed: Every file on every source.
        weight: What the network has.
    """

    network: Network
    files: tuple[Delivered, ...]
    checked: tuple[Checked, ...]
    timed: tuple[Timed, ...]
    weight: Weight

    @property
    def gates(self) -> tuple[Gate, ...]:
        """Those that were run."""
        return tuple(each for each in self.checked if isinstance(each, Gate))

    @property
    def not_run(self) -> tuple[NotRun, ...]:
        """Those that were not, and why."""
        return tuple(each for each in self.checked if isinstance(each, NotRun))

    def of(self, name: GateName, file: str) -> Gate | None:
        """What a gate found of a file; None if it was not run."""
        found = (each for each in self.gates if each.name is name and each.file == file)
        return next(found, None)

    @property
    def accuracy_of_torch(self) -> float | None:
        """The metric of the network itself on the test split; None without a dataset."""
        gates = (each for each in self.gates if each.name is GateName.ACCURACY)
        return next((each.number("torch") for each in gates), None)

    def bytes_of(self, each: Delivered) -> int:
        """What a file or folder of the delivery takes."""
        gate = self.of(GateName.SIZE, each.artifact.path.name)
        value = None if gate is None else gate.number("bytes")
        assert value is not None, "runs on every file"
        return int(value)

    def accuracy_of(self, file: str) -> float | None:
        """The metric of a file on the test split; None without a dataset."""
        gate = self.of(GateName.ACCURACY, file)
        return None if gate is None else gate.number("accuracy")


Say = Callable[[str], None]
Name = Callable[[Delivered], str]


def deliver(
    network: Network, plan: Plan, work: Path, name: Name, say: Say = lambda _: None
) -> Delivery:
    """Write all files into ``work``, and run every gate.

    Args:
        network: What is exported.
        plan: How.
        work: A folder of its own, which the caller removes.
        name: The final name of a file.
        say: Is told what goes on.

    Raises:
        InputError: If the plan is impossible; nothing was written.
        ExportError: If a format cannot express the network; the text says where.
        NotWrittenError: If the disk refuses a file.
        GateError: If a gate fails.
        OperationError: If data, an extra or a device is not there, or the disk is full.
    """
    plan.require_possible(network)
    with Timers(plan.places, plan.preset) as timers:
        return _deliver(network, plan, work, name, say, timers)


@contextmanager
def _writing(work: Path) -> Iterator[None]:
    """Around what writes files into ``work``: a disk that refuses is told as that."""
    try:
        yield
    except OSError as error:
        msg = f"files cannot be written to {str(work.parent)!r}: {error}"
        raise OperationError(msg) from error


def _deliver(
    network: Network, plan: Plan, work: Path, name: Name, say: Say, timers: Timers
) -> Delivery:
    calibration = _Calibration(network, plan.calibration_samples)
    final = work / "final"
    with _writing(work):
        final.mkdir()
    files: list[Delivered] = []
    bases: dict[str, Artifact] = {}
    for exporter in plan.formats:
        with _writing(work):
            base = _written(network, exporter, work, say)
        for made in tuple(_quantized(network, base, plan, calibration, work, say)):
            target = final / name(made)
            if target.exists():
                say(f"{exporter} writes the very bytes of {target.name}, which is there already")
                continue
            with _writing(work):
                made.artifact.path.rename(target)
            files.append(made.at(target))
            base = files[-1] if made is base else base
            bases[made.artifact.sha256] = base.artifact
    if not files:
        msg = "a SavedModel is not quantized: ask for --quantize none, or for another format"
        raise InputError(msg)
    weight, examples, checked = weight_of(network), compared(network), list[Checked]()
    for each in files:
        say(f"checking {each.artifact.path.name}")
        checked += check_file(network, each.artifact, examples, weight)
    settled = warned([*checked, *_accuracies(network, files, say)], plan.only_warn)
    require(settled, "no file was kept")
    timed = tuple(_timed(timers, files, bases, say))
    speeds = _speeds(network, files, bases, timed, plan)
    settled += warned(speeds, plan.only_warn)
    require(settled, "no file was kept")
    shipped = {each.artifact.sha256 for each in files}
    places = {each.artifact.path.name: place for place, each in enumerate(files)}
    settled = tuple(sorted(settled, key=lambda each: places[each.file]))
    return Delivery(
        network=network,
        files=tuple(files),
        checked=settled,
        timed=tuple(each for each in timed if each.artifact.sha256 in shipped),
        weight=weight,
    )


class _Calibration:
    """Training examples as feeds, gathered when they are first asked for.

    Args:
        network: With its task.
        count: Of examples.
    """

    def __init__(self, network: Network, count: int) -> None:
        self._network = network
        self._count = count
        self._feeds: dict[ModelFormat, tuple[Feeds, ...]] = {}

    def of(self, artifact: Artifact) -> tuple[Feeds, ...]:
        """In the layout of a file."""
        if artifact.format not in self._feeds:
            self._feeds[artifact.format] = tuple(self._gathered(artifact))
        return self._feeds[artifact.format]

    def _gathered(self, artifact: Artifact) -> Iterator[Feeds]:
        task = self._network.task
        assert task is not None, "refused before"
        specs = self._network.architecture.inputs
        found = batches(specs, task, Split.TRAIN, count=self._count, seed=CALIBRATION_SEED)
        for inputs, _ in found:
            arrays = [laid_out(artifact.format, value) for value in inputs]
            for index in range(len(arrays[0])):
                yield {
                    spec.name: array[index : index + 1]
                    for spec, array in zip(artifact.inputs, arrays, strict=True)
                }


def _written(network: Network, exporter: str, work: Path, say: Say) -> Delivered:
    """The fp32 file of one exporter; by litert-torch where our own writer lacks an operator."""
    folder = work / f"by-{exporter.replace(':', '-')}"
    folder.mkdir()
    say(f"writing {exporter}")
    try:
        artifact = create(exporter).export(network.module, network.example_inputs, folder)
        return Delivered(artifact=artifact, exporter=exporter)
    except NotWrittenError:
        raise
    except ExportError as error:
        lacking = with_line(error)
        if exporter != ExporterName.TFLITE:
            raise ExportError(lacking) from error
    say(f"{lacking}; falling back to litert-torch")
    try:
        second = create(ExporterName.LITERT)
        artifact = second.export(network.module, network.example_inputs, folder)
    except NotWrittenError:
        raise
    except ExportError as error:
        msg = f"{lacking}; litert-torch cannot write it either: {error}"
        raise ExportError(msg) from error
    except OperationError as error:
        msg = f"{lacking}; litert-torch may know more: {error}"
        raise ExportError(msg) from error
    note = f"written by litert-torch, since the fast writer said: {lacking}"
    return Delivered(artifact=artifact, exporter=exporter, note=note)


def with_line(error: ExportError) -> str:
    """The error's text, and the line of a ``forward`` that torch.fx stopped at."""
    cause = error.__cause__
    if cause is None or isinstance(cause, ExportError):
        return str(error)
    for frame in reversed(traceback.extract_tb(cause.__traceback__)):
        path = Path(frame.filename)
        if frame.name == "forward" and not path.is_relative_to(_torch_folder()):
            return f"{error} ({path.name}:{frame.lineno})"
    return str(error)


def _torch_folder() -> Path:
    import torch

    return Path(torch.__file__).parent


def _quantized(
    network: Network,
    base: Delivered,
    plan: Plan,
    calibration: _Calibration,
    work: Path,
    say: Say,
) -> Iterator[Delivered]:
    """The file in every number format of the plan."""
    from exporters.operators import float_parts

    parts = float_parts(network.module)
    for to in plan.quantizations:
        if to is Quantization.NONE:
            yield base
        elif base.artifact.format is not ModelFormat.SAVED_MODEL:
            say(f"quantizing {base.exporter} to {to}")
            samples = calibration.of(base.artifact) if to is Quantization.INT8 else ()
            with _writing(work):
                made = quantize(
                    base.artifact,
                    to,
                    base.artifact.path.parent,
                    calibration=samples,
                    float_io=plan.float_io,
                    float_parts=parts,
                )
            yield replace(base, artifact=made)


def _accuracies(network: Network, files: list[Delivered], say: Say) -> Iterator[Checked]:
    of_torch = None
    if network.task is not None:
        say(f"accuracy on the test split of {network.task.name}")
        of_torch = accuracy_of_torch(network, network.task)
    for each in files:
        inputs = network.architecture.inputs
        yield check_accuracy(inputs, network.task, each.artifact, of_torch)


def _timed(
    timers: Timers, files: list[Delivered], bases: Mapping[str, Artifact], say: Say
) -> Iterator[Timed]:
    """The files, and the fp32 ones that int8 files are to be held against."""
    if not timers.places:
        return
    say(f"timing on {', '.join(place.name for place in timers.places)}")
    fp32 = (bases[each.artifact.sha256] for each in files)
    yield from timers.time([*(each.artifact for each in files), *fp32])


def _speeds(
    network: Network,
    files: list[Delivered],
    bases: Mapping[str, Artifact],
    timed: tuple[Timed, ...],
    plan: Plan,
) -> Iterator[Checked]:
    chosen = {each.artifact.sha256: each for each in timed if each.on == plan.sources[0]}
    for each in files:
        artifact = each.artifact
        found = chosen.get(artifact.sha256)
        yield check_latency(artifact, found, network.searched)
        whole = chosen.get(bases[artifact.sha256].sha256)
        speed = check_int8_speed(artifact, found, whole)
        if speed is not None:
            yield speed


def file_json(delivered: Delivered, network: Network) -> dict[str, Json]:
    """A file as ``--json`` and manifests have it, without its gates."""
    artifact = delivered.artifact
    ends = int8_ends(artifact)
    return {
        "path": str(artifact.path),
        "exporter": delivered.exporter,
        "format": artifact.format.value,
        "sha256": artifact.sha256,
        "bytes": bytes_of(artifact.path),
        "precision": artifact.precision.value,
        "inputs": [_spec(spec, ends.get(spec.name)) for spec in artifact.inputs],
        "outputs": [_spec(spec, ends.get(spec.name)) for spec in artifact.outputs],
        "tool": artifact.tool,
        "note": delivered.note,
        "weights": network.weights,
    }


def _spec(spec: TensorSpec, end: Scale | None) -> Json:
    """An input or output; of an int8 one, what its numbers stand for."""
    told: dict[str, Json] = {"name": spec.name, "shape": [*spec.shape], "dtype": spec.dtype}
    if end is not None:
        told |= {"scale": end.scale, "zero_point": end.zero_point}
    return told
