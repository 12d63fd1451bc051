"""A network written as model files that passed their gates, and what is known of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controller.candidate import Candidate
from controller.counted_figures import example_inputs
from controller.found_latency import FoundLatency
from delivery.export import Delivered, Delivery, Plan, deliver, file_json
from delivery.gates import GateName, NotRun
from delivery.network import Network
from delivery.timing import Timed, check_latency
from delivery.work_folder import put, work_folder
from latency.fleet import FleetSource
from latency.source import (
    ANY_PHONE,
    FileSubject,
    LatencyEstimate,
    LatencyRequest,
    LatencySource,
    SourceSettings,
)
from pocketnas.networks import Found
from workspace.errors import InputError, OperationError
from workspace.files import sha256_of, sha256_of_folder, write_whole

if TYPE_CHECKING:
    from torch import nn

    from controller.evaluation import Evaluation
    from controller.finish import FrontMember
    from exporters.artifact import Artifact
    from exporters.quantize import Quantization
    from pocketnas.assembly import Assembly
    from pocketnas.config import SearchConfig
    from search_space.architecture import Json
    from training.task import Task

WEIGHTS = "weights-{index}.safetensors"
"""Of a run's best network, in its folder ``best``; whose they are is in the name."""

OLD_WEIGHTS = "weights.safetensors"
"""The same in older runs, where ``export.json`` says whose they are."""

HOST = "host"
"""This computer, as a source is named."""

UNTRAINED = "untrained: drawn from the architecture's key"
"""What is said of weights that no training has touched."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """Files under their final names.

    Attributes:
        delivery: The files, and what their gates found.
        bundle: The folder that they are bundled in; None if they lie alone.
    """

    delivery: Delivery
    bundle: Path | None = None

    def to_json(self) -> dict[str, Any]:
        """What ``pocketnas export --json`` prints: the first file's facts, then all."""
        delivery = self.delivery
        files = []
        for each in delivery.files:
            gate = delivery.of(GateName.PARITY, each.artifact.path.name)
            error = None if gate is None else gate.figures["max_error"]
            files.append({**file_json(each, delivery.network), "max_error": error})
        return {
            **files[0],
            "files": files,
            "gates": [each.to_json() for each in delivery.gates],
            "not_run": [each.to_json() for each in delivery.not_run],
            "latencies": [each.to_json() for each in delivery.timed],
            "bundle": None if self.bundle is None else str(self.bundle),
        }


def export(
    network: Network,
    plan: Plan,
    folder: Path,
    *,
    bundle: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Exported:
    """Write files into ``folder``, or make a bundle of it; all of it or nothing.

    Raises:
        InputError: If the plan or the folder cannot be used.
        ExportError: If the network cannot be expressed in a format.
        GateError: If a gate failed; nothing was kept.
        OperationError: If data, an extra or a device is not there, or the disk is full.
    """
    plan.require_possible(network)
    if bundle:
        from delivery.bundle import make

        return Exported(delivery=make(network, plan, folder, say), bundle=folder)
    is_new = not folder.exists()
    _make(folder)
    try:
        with work_folder(folder) as work:
            delivery = deliver(network, plan, work, lambda made: made.artifact.path.name, say)
            aside = work / "aside"
            files = _put_all(delivery.files, folder, aside)
        return Exported(delivery=replace(delivery, files=files))
    except BaseException:
        if is_new and not any(folder.iterdir()):
            folder.rmdir()
        raise


def network_of(found: Found, *, dataset: str | None = None, name: str = "") -> Network:
    """What a command's ARCH is, with its weights and what its run knows of it.

    Args:
        found: As ``pocketnas.networks.resolve`` gives it.
        dataset: Name of the task that it is checked on; a run's own where None.
        name: For people.

    Raises:
        InputError: If there is no such dataset, or the network does not fit it or its weights.
        OperationError: If torch is not installed.
    """
    module, weights = _with_weights(found)
    facts, searched, own = _of_run(found)
    task = own if dataset is None else _task_for(dataset, own)
    return Network(
        architecture=found.architecture,
        head=found.head,
        module=module,
        name=name or found.architecture.key,
        weights=weights,
        task=task,
        found=facts,
        searched=searched,
    )


def _task_for(dataset: str, own: Task | None) -> Task:
    """Another data set; boxes start from the anchors that the network was trained with."""
    from training.detection import ObjectDetection
    from training.task import create

    task = create(dataset)
    if isinstance(task, ObjectDetection) and isinstance(own, ObjectDetection):
        return task.anchored(own.anchor)
    return task


def own_source(found: Found) -> str | None:
    """The device that a network's run timed candidates on; None where that is no one device.

    Of a fleet's run it is the one that the network is the best for, if it was named as that.
    """
    if found.run is None:
        return None
    from pocketnas.runs import load_config

    config = load_config(found.run)
    name = next((e.latency for e in config.fleet if e.name == found.device), config.latency)
    is_device = name == HOST or (name.startswith("adb:") and name != ANY_PHONE)
    return name if is_device else None


def host_settings_of(found: Found) -> SourceSettings:
    """How files are timed on this computer: by its CPU, clock free, unless the run did so too."""
    settings = settings_of(found)
    if own_source(found) == HOST:
        return settings
    from devices.device import ClockTier, Delegate

    return replace(settings, delegate=Delegate.CPU, clock_tier=ClockTier.FREE)


def settings_of(found: Found) -> SourceSettings:
    """How files of a network are timed: as its run timed candidates, else by default."""
    if found.run is None:
        return SourceSettings()
    from devices.device import ClockTier, Delegate
    from pocketnas.runs import load_config

    config = load_config(found.run)
    return SourceSettings(
        threads=config.threads,
        delegate=Delegate(config.delegate),
        clock_tier=ClockTier(config.clock_tier),
    )


def export_best(
    folder: Path,
    parts: Assembly,
    evaluation: Evaluation,
    best: FrontMember,
    say: Callable[[str], None],
) -> None:
    """Export a run's best network into its folder ``best``, and time the very file.

    Its weights are those of its short training, which is done again to have them: the search keeps
    none. It is exported in the precision that candidates were timed in, and in fp32. What was
    found is kept in ``best/export.json``.
    """
    target = folder / "best"
    index = best.candidate.index
    if _is_done(target, index):
        return
    say(f"exporting trial {index}, the best")
    target.mkdir(exist_ok=True)
    for stale in (*target.glob("weights*.safetensors"), target / "export.json"):
        stale.unlink(missing_ok=True)
    keep_weights(folder, parts, evaluation, best.candidate, lambda _: None)
    architecture = best.candidate.architecture
    if parts.evaluation.timed_size is not None:
        architecture = architecture.at(parts.evaluation.timed_size)
    found = Found(architecture=architecture, head=parts.evaluation.head, run=folder, index=index)
    try:
        network = network_of(found, name=f"trial {index}")
        exported, left_out = _export_in(network, parts, target, say)
    except OperationError as error:
        say(f"not exported: {error}")
        return
    facts = {"index": index, **exported.to_json(), "left_out": left_out, "latency": None}
    _time(facts, exported.delivery.files[0].artifact, parts, network.searched, best, say)
    write_whole(target / "export.json", json.dumps(facts, indent=1).encode())


def keep_weights(
    folder: Path,
    parts: Assembly,
    evaluation: Evaluation,
    candidate: Candidate,
    say: Callable[[str], None],
) -> None:
    """Train a trial's network as in the search, and keep its weights in the run's ``best``.

    Nothing is done where they are there already, or the run's trainings are not ours.
    """
    training = candidate.training
    is_stand_in = training is not None and bool(training.stand_in)
    weights = folder / "best" / WEIGHTS.format(index=candidate.index)
    if parts.config.train_command or is_stand_in or weights.is_file():
        return
    say(f"training trial {candidate.index} again, for its weights")
    weights.parent.mkdir(exist_ok=True)
    job = evaluation.job(candidate.index, candidate.architecture, checkpoint=str(weights))
    evaluation.train(job)


def _time(
    facts: dict[str, Any],
    artifact: Artifact,
    parts: Assembly,
    searched: FoundLatency | None,
    best: FrontMember,
    say: Callable[[str], None],
) -> None:
    """Add to ``facts`` what the file takes, on each device of a fleet, and how that compares."""
    from pocketnas.latency_text import facts as latency_facts

    source, preset = parts.final_source, parts.config.final_preset
    if not isinstance(source, FleetSource):
        timed = _timed(source, artifact, preset)
        if timed is not None:
            facts["latency"] = latency_facts(timed)
            _compare(facts, Timed(artifact=artifact, on=source.name, answer=timed), searched, say)
        return
    found = {one.name: one.found for one in best.latency.devices}
    facts["on_devices"] = []
    for device in source.devices:
        timed = _timed(device.source, artifact, preset)
        if timed is not None:
            facts["on_devices"].append({"name": device.name, **latency_facts(timed)})
            answer = Timed(artifact=artifact, on=device.source.name, answer=timed)
            _compare(facts, answer, found.get(device.name), say)


def _compare(
    facts: dict[str, Any],
    timed: Timed,
    searched: FoundLatency | None,
    say: Callable[[str], None],
) -> None:
    """Add the gate of a file's latency in place of its not having been run."""
    gate = check_latency(timed.artifact, timed, searched)
    facts["not_run"] = [
        each
        for each in facts["not_run"]
        if (each["gate"], each["file"]) != (GateName.LATENCY, timed.artifact.path.name)
    ]
    if isinstance(gate, NotRun):
        facts["not_run"].append(gate.to_json())
    else:
        facts["gates"].append(replace(gate, is_warning=True).to_json())
        say(gate.text if gate.passed else f"warning: {gate.text}")


def _export_in(
    network: Network, parts: Assembly, target: Path, say: Callable[[str], None]
) -> tuple[Exported, dict[str, str]]:
    """The files in a search's precision and in fp32, and why the first is missing if it is."""
    from exporters.quantize import Quantization

    whole = Plan(formats=(parts.config.exporter,))
    wanted = {"int8": Quantization.INT8, "fp16": Quantization.FP16}.get(parts.config.precision)
    if wanted is None:
        return export(network, whole, target), {}
    why = _impossible(wanted, network)
    if not why:
        try:
            plan = replace(whole, quantizations=(wanted, Quantization.NONE))
            return export(network, plan, target), {}
        except (InputError, OperationError) as error:
            why = str(error)
    say(f"not exported as {wanted}: {why}")
    return export(network, whole, target), {wanted.value: why}


def _impossible(wanted: Quantization, network: Network) -> str:
    """Why a number format has no file; empty if nothing speaks against it."""
    if wanted != "int8" or network.task is not None:
        return ""
    return (
        "the search timed int8 files with stand-in scales, which are for timing alone, and the "
        "run has no data to calibrate real ones on"
    )


def read_export(folder: Path) -> dict[str, Any] | None:
    """What ``export_best`` kept of a run; None if it has not come to that."""
    path = folder / "best" / "export.json"
    if not path.is_file():
        return None
    facts: dict[str, Any] = json.loads(path.read_text())
    return facts


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"the folder {str(folder)!r} cannot be made: {error}"
        raise InputError(msg) from error


def _put_all(files: tuple[Delivered, ...], folder: Path, aside: Path) -> tuple[Delivered, ...]:
    """Every file under its final name in ``folder``, or none.

    Args:
        files: Named after their content.
        folder: Where they go.
        aside: Not there yet; takes what has such a name and another content.

    Raises:
        OperationError: If one cannot be put; the folder is as it was.
    """
    put_now: list[Path] = []
    try:
        aside.mkdir()
        for each in files:
            target = folder / each.artifact.path.name
            if _is_there(each.artifact, target):
                continue
            if target.exists():
                target.rename(aside / target.name)
            put_now.append(target)
            put(each.artifact.path, target)
    except BaseException as error:
        for target in put_now:
            _take_back(target, aside / target.name)
        if not isinstance(error, OSError):
            raise
        msg = f"files cannot be written to {str(folder)!r}: {error}"
        raise OperationError(msg) from error
    return tuple(each.at(folder / each.artifact.path.name) for each in files)


def _is_there(artifact: Artifact, target: Path) -> bool:
    """Whether the very content is under its final name already."""
    if target.is_dir():
        return sha256_of_folder(target) == artifact.sha256
    return target.is_file() and sha256_of(target) == artifact.sha256


def _take_back(target: Path, before: Path) -> None:
    """Remove what was put, and put back what had its name."""
    with suppress(OSError):
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)
        if before.exists():
            before.rename(target)


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
    """The module, with the weights that its run kept where it is the run's best.

    Raises:
        InputError: If it ends in something else than they do, or they cannot be read.
        OperationError: If torch is not installed.
    """
    example_inputs(found.architecture)  # says what is missing where torch is
    module = found.architecture.build(found.head)
    if found.training is not None:
        from pocketnas.trained import load_trained

        return module, load_trained(module, found, found.training)
    if found.run is None or found.index is None:
        return module, UNTRAINED
    path = _kept_weights(found.run, found.index)
    if path is None:
        return module, UNTRAINED
    own = _head_of(found.run)
    if found.head != own:
        msg = (
            f"trial {found.index} of {str(found.run)!r} was trained to end in {own}, "
            f"{found.head} was asked for: leave out --classes"
        )
        raise InputError(msg)
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        module.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError, OSError) as error:
        said = " ".join(str(error).split())[:300]
        msg = f"{str(path)!r} has no weights for trial {found.index}: {said}"
        raise InputError(msg) from error
    return module, f"trained: as in the search, trial {found.index} of {found.run.name}"


def _kept_weights(run: Path, index: int) -> Path | None:
    """Where a trial's weights are; None if the run kept none of it."""
    folder = run / "best"
    named = folder / WEIGHTS.format(index=index)
    if named.is_file():
        return named
    kept = read_export(run)
    is_its = kept is not None and kept["index"] == index
    old = folder / OLD_WEIGHTS
    return old if is_its and old.is_file() else None


def _of_run(found: Found) -> tuple[dict[str, Json], FoundLatency | None, Task | None]:
    """How a network was found, what it took, and on what it was trained; nothing without a run."""
    if found.training is not None:
        from pocketnas.trained import facts_of

        return facts_of(found, found.training)
    if found.run is None or found.index is None:
        return {}, None, None
    from pocketnas.config import ANALYTIC
    from pocketnas.runs import load_config, open_study
    from training.task import create

    config = load_config(found.run)
    study = open_study(found.run, config)
    candidate = study.candidate(found.index)
    training = candidate.training
    facts: dict[str, Json] = {
        "run": found.run.resolve().name,
        "trial": found.index,
        "seed": config.seed,
        "space": config.space,
        "algorithm": config.algorithm,
        "trials": config.trials,
        "dataset": config.dataset,
        **_aim_of(config, found.device),
        "created": study.created,
        "versions": dict(study.versions),
        "validation_accuracy": None if training is None else training.accuracy,
        "training_stand_in": "" if training is None else training.stand_in,
    }
    at = candidate.architecture if config.size is None else candidate.architecture.at(config.size)
    is_same = at == found.architecture and found.head == _head_of(found.run)
    searched = _searched(candidate, found.device) if is_same else None
    is_known = config.dataset != ANALYTIC and not config.train_command
    task = create(config.dataset) if is_known else None
    if task is not None and task.head != found.head:
        task = None
    return facts, searched, task


def _head_of(run: Path) -> object:
    from pocketnas.assembly import head_of
    from pocketnas.runs import load_config

    return head_of(load_config(run))


def _aim_of(config: SearchConfig, device: str) -> dict[str, Json]:
    """Target and source of a search; of a fleet's those of the device, or of all."""
    if not config.fleet:
        source: dict[str, Json] = {"latency_source": config.latency}
        if config.target_ms is not None:
            return {"target_ms": config.target_ms, **source}
        macs: dict[str, Json] = {}
        if config.target_macs is not None:
            macs = {"target_macs": config.target_macs}
        return {"reward": config.reward, **macs, **source}
    for entry in config.fleet:
        if entry.name == device:
            return {"target_ms": entry.target_ms, "latency_source": entry.latency}
    fleet: list[Json] = [{**entry.model_dump()} for entry in config.fleet]
    return {"fleet": fleet, "fleet_rule": config.fleet_rule}


def _searched(candidate: Candidate, device: str) -> FoundLatency | None:
    """What a search found a network to take: of a fleet on the one device; a load is none."""
    found = candidate.final or candidate.latency
    if found is None or not found.devices:
        return found
    return next((one.found for one in found.devices if one.name == device), None)
