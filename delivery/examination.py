"""A bundle checked again: every byte, what its models and its network compute, and the gates."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controller.found_latency import FoundLatency
from delivery.accuracy import check_accuracy
from delivery.carried import verify as carried_verify
from delivery.file_gates import Weight, check_structure
from delivery.gates import Checked, Gate, GateName, NotRun
from delivery.network import batches
from delivery.timing import Place, Timed, Timers, check_int8_speed, check_latency
from devices.device import ClockTier, Delegate
from exporters.artifact import Artifact, ModelFormat, Precision, TensorSpec
from latency.source import SourceSettings
from search_space.architecture import from_json
from workspace.errors import InputError, OperationError

if TYPE_CHECKING:
    from search_space.architecture import Architecture, Json

DEADLINE_S = 1800.0
"""Of the process that runs the models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What the bundle's own program found of one file.

    Attributes:
        file: In the bundle.
        passed: Whether all is well.
        text: A sentence.
    """

    file: str
    passed: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that was found of a bundle.

    Attributes:
        verified: Hashes and outputs.
        unverified: File and reason, for what lacked a runtime.
        gates: Run again; warnings of the export are warnings again.
        timed: Latencies that were measured now.
    """

    verified: tuple[Verified, ...]
    unverified: tuple[tuple[str, str], ...] = ()
    gates: tuple[Checked, ...] = ()
    timed: tuple[Timed, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        fails = any(isinstance(each, Gate) and each.fails for each in self.gates)
        return not fails and all(each.passed for each in self.verified)

    def lines(self) -> Iterator[str]:
        """For people; what is wrong begins with ``FAILED``."""
        for found in self.verified:
            yield f"{'ok' if found.passed else 'FAILED':8} {found.file}: {found.text}"
        for file, why in self.unverified:
            yield f"{'not run':8} {file}: {why}"
        for each in self.gates:
            if isinstance(each, NotRun):
                yield f"{'not run':8} {each.file}, {each.name}: {each.why}"
            else:
                mark = "ok" if each.passed else "FAILED" if each.fails else "warning"
                yield f"{mark:8} {each.file}, {each.name}: {each.text}"

    def to_json(self) -> dict[str, Json]:
        """What ``pocketnas verify --json`` prints."""
        return {
            "passed": self.passed,
            "checks": [
                {"file": each.file, "passed": each.passed, "text": each.text}
                for each in self.verified
            ],
            "unverified": [{"file": file, "why": why} for file, why in self.unverified],
            "gates": [each.to_json() for each in self.gates if isinstance(each, Gate)],
            "not_run": [each.to_json() for each in self.gates if isinstance(each, NotRun)],
            "latencies": [each.to_json() for each in self.timed],
        }


def examine(
    bundle: Path,
    *,
    dataset: str | None = None,
    sources: Sequence[str] = (),
    preset: str = "search",
) -> Report:
    """Check a bundle; nothing of it is loaded or run if one byte has changed.

    Its models are run by our copy of its ``verify.py``, in a process of its own, and so is its
    ``network.py``.

    Args:
        bundle: The folder.
        dataset: Task whose test split is to be classified again; None for not at all.
        sources: Where files are to be timed again, with the threads, delegate and clock tier that
            the bundle tells of each; those timed there before are compared.
        preset: How hard that tries.

    Raises:
        InputError: If it is no bundle, or of a newer version, or there is no such dataset or
            source.
        OperationError: If it cannot be checked here, or the data of ``dataset`` is not there.
    """
    _require_bundle(bundle)
    answer = _by_its_own_program(bundle)
    verified = tuple(
        Verified(file=each["file"], passed=each["passed"], text=each["text"])
        for each in answer["checks"]
    )
    unverified = tuple((each["file"], each["why"]) for each in answer["not_run"])
    if not answer["is_unchanged"]:
        return Report(verified=verified, unverified=unverified)
    manifest = _manifest(bundle)
    models = _models(bundle, manifest)
    gates = [*_structure(manifest, models)]
    if dataset is not None:
        gates += _accuracies(bundle, manifest, models, dataset)
    document = json.loads((bundle / "latencies.json").read_text(encoding="utf-8"))
    with Timers(tuple(_places(sources, document["latencies"])), preset) as timers:
        timed = tuple(timers.time(models))
    if sources:
        gates += _speeds(manifest, document["latencies"], models, timed, sources[0])
    return Report(
        verified=verified,
        unverified=unverified,
        gates=tuple(_as_before(manifest, gates)),
        timed=timed,
    )


def _require_bundle(bundle: Path) -> None:
    lists = (carried_verify.MANIFEST, carried_verify.SUMS)
    if not any((bundle / name).is_file() for name in lists):
        msg = f"{str(bundle)!r} is no bundle: it has neither {' nor '.join(lists)}"
        raise InputError(msg)


def _by_its_own_program(bundle: Path) -> dict[str, Any]:
    program = Path(carried_verify.__file__)
    with tempfile.TemporaryDirectory() as folder:  # compiled files in a bundle are not read
        command = [sys.executable, "-I", "-X", f"pycache_prefix={folder}", str(program)]
        try:
            done = subprocess.run(
                [*command, str(bundle.absolute()), "--json"],
                capture_output=True,
                text=True,
                timeout=DEADLINE_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            msg = f"the bundle {str(bundle)!r} was not checked within {DEADLINE_S:g} s"
            raise OperationError(msg) from error
    if done.returncode not in (0, 1) or not done.stdout:
        said = " ".join(done.stderr.split())[-600:]
        msg = f"the bundle {str(bundle)!r} cannot be checked: {said}"
        raise OperationError(msg)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _manifest(bundle: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((bundle / carried_verify.MANIFEST).read_bytes())
    if found.get("version") != 1:
        msg = f"{str(bundle)!r} is a bundle of version {found.get('version')}, known is 1"
        raise InputError(msg)
    return found


def _models(bundle: Path, manifest: Mapping[str, Any]) -> tuple[Artifact, ...]:
    def specs(entries: Sequence[Mapping[str, Any]]) -> tuple[TensorSpec, ...]:
        return tuple(
            TensorSpec(name=each["name"], shape=tuple(each["shape"]), dtype=each["dtype"])
            for each in entries
        )

    return tuple(
        Artifact(
            path=bundle / each["file"],
            format=ModelFormat(each["format"]),
            sha256=each["sha256"],
            precision=Precision(each["precision"]),
            inputs=specs(each["inputs"]),
            outputs=specs(each["outputs"]),
            tool=each["tool"],
        )
        for each in manifest["models"]
    )


def _structure(manifest: Mapping[str, Any], models: Sequence[Artifact]) -> Iterator[Checked]:
    facts = manifest["network"]
    weight = Weight(macs=facts["macs"], numbers=facts["numbers"], channels=facts["channels"])
    for model in models:
        yield from check_structure(model, weight)


def _accuracies(
    bundle: Path, manifest: Mapping[str, Any], models: Sequence[Artifact], dataset: str
) -> Iterator[Checked]:
    from training.possible import anchored
    from training.task import Split, create

    task = create(dataset)
    architecture: Architecture = from_json(
        json.loads((bundle / "architecture.json").read_text(encoding="utf-8"))
    )
    if task.name != manifest["dataset"]:
        msg = f"the bundle's accuracies are on {manifest['dataset']!r}, got --dataset {dataset!r}"
        raise InputError(msg)
    task = anchored(task, manifest.get("anchor") or 0.0)
    next(batches(architecture.inputs, task, Split.TEST, count=1))  # the data is there, or we end
    for model in models:
        try:
            yield check_accuracy(architecture.inputs, task, model, manifest["torch_accuracy"])
        except OperationError as error:
            yield NotRun(name=GateName.ACCURACY, file=model.path.name, why=str(error))


def _places(sources: Sequence[str], latencies: Sequence[Mapping[str, Any]]) -> Iterator[Place]:
    """Each source as the bundle's files were timed there; as by default where they were not."""
    for name in dict.fromkeys(sources):
        told = (each.get("conditions") for each in latencies if each["source"] == name)
        conditions = next((each for each in told if each), None)
        yield Place(name=name, settings=_settings(conditions) if conditions else SourceSettings())


def _settings(conditions: Mapping[str, Any]) -> SourceSettings:
    try:
        return SourceSettings(
            threads=conditions["threads"],
            delegate=Delegate(conditions["delegate"]),
            clock_tier=ClockTier(conditions["clock_tier"]),
        )
    except (KeyError, ValueError) as error:
        msg = f"the bundle's latencies.json tells conditions that are not known here: {error}"
        raise InputError(msg) from error


def _speeds(
    manifest: Mapping[str, Any],
    latencies: Sequence[Mapping[str, Any]],
    models: Sequence[Artifact],
    timed: Sequence[Timed],
    chosen: str,
) -> Iterator[Checked]:
    """Each file against what the bundle says of it, and int8 against fp32."""
    found = {each.artifact.sha256: each for each in timed if each.on == chosen}
    before = {
        (each["sha256"], each["source"]): _kept(each) for each in latencies if "median_ms" in each
    }
    exporters = [each["exporter"] for each in manifest["models"]]
    fp32 = {
        exporter: model
        for exporter, model in zip(exporters, models, strict=True)
        if model.precision is Precision.FP32 and model.format is ModelFormat.TFLITE
    }
    for exporter, model in zip(exporters, models, strict=True):
        now = found.get(model.sha256)
        source = getattr(now.answer, "source", "") if now else ""
        yield check_latency(model, now, before.get((model.sha256, source)), "the bundle")
        whole = found.get(fp32[exporter].sha256) if exporter in fp32 else None
        speed = check_int8_speed(model, now, whole)
        if speed is not None:
            yield speed


def _kept(entry: Mapping[str, Any]) -> FoundLatency:
    return FoundLatency(
        latency_ms=entry["median_ms"],
        low_ms=entry["ci_low_ms"],
        high_ms=entry["ci_high_ms"],
        origin=entry["origin"],
        source=entry["source"],
        coverage=1.0,
        verdict=entry["verdict"],
        artifact_sha256=entry["sha256"],
        measurement={"conditions": entry["conditions"]} if "conditions" in entry else None,
    )


def _as_before(manifest: Mapping[str, Any], gates: Sequence[Checked]) -> Iterator[Checked]:
    """What only warned when the bundle was made only warns now."""
    warnings = {(each["gate"], each["file"]) for each in manifest["gates"] if each["is_warning"]}
    for each in gates:
        if isinstance(each, Gate) and (each.name.value, each.file) in warnings:
            yield replace(each, is_warning=True)
        else:
            yield each
