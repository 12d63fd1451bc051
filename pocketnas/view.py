"""A run as JSON: what ``show``, ``report`` and the end of ``search`` tell of it."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from controller.algorithm import Evaluated, Objective, Stopped
from controller.candidate import Candidate
from controller.early_stopping import Saving
from controller.finish import FrontMember
from controller.found_latency import FoundLatency
from controller.guided_evolution import GUIDE, WHY
from controller.objectives import DEFAULT, parse
from controller.phased import phase_of
from controller.prediction_check import PredictionCheck
from controller.ranking import Ranking
from controller.reward import create as create_reward
from controller.study import Study
from controller.summary import summarize
from exporters.artifact import STAND_IN_INT8, Precision
from pocketnas import warm_start
from pocketnas.fleet_view import fleet_facts, load_facts, unit_of
from pocketnas.phase_view import phase_facts
from search_space.architecture import Json
from training.metric_name import metric_of
from workspace.errors import InputError


def view(folder: Path) -> dict[str, Any]:
    """Everything about the run in ``folder``.

    Reads its files without pydantic, which takes longer to import than all of this takes to run.

    Raises:
        InputError: If it is no run, or of a newer version.
    """
    path = folder / "config.toml"
    if not path.is_file():
        msg = f"{str(folder)!r} is no run: it has no config.toml"
        raise InputError(msg)
    config = tomllib.loads(path.read_text(encoding="utf-8"))
    database = config.get("database", "")
    study = Study(database, str(folder.resolve())) if database else Study.in_folder(folder)
    unit = unit_of(config)
    reward = create_reward(
        config["reward"], target_ms=unit.target, target_macs=config.get("target_macs")
    )
    metric = metric_of(config["dataset"])
    names = parse(config["objectives"]) if "objectives" in config else DEFAULT
    summary = summarize(study, reward, names)
    earlier = warm_start.known_by(study.config)
    study.close()
    return {
        "run": str(folder),
        "created": summary.created,
        "versions": dict(summary.versions),
        "config": config,
        "unit": unit.key,
        "warm_start": [run.said for run in earlier.runs],
        "phases": phase_facts(summary.trials),
        "trials": [_trial(candidate) for candidate in summary.trials],
        "told": summary.told,
        "repeated": summary.repeated,
        "finished": summary.told >= config["trials"],
        "failures": [{"index": c.index, "text": c.text} for c in summary.trials if c.failure],
        "stand_ins": _stand_ins(summary.trials),
        "predictions": _predictions(summary.predictions),
        "ranking": _ranking(summary.ranking),
        "saving": _saving(summary.saving),
        "objectives": list(names),
        "metric": metric,
        "hypervolume": summary.hypervolume,
        "hypervolume_box": summary.box.text(load=unit.key == "load", metric=metric),
        "fleet": fleet_facts(config, summary.devices, _member),
        "front": [_member(member) for member in summary.front],
        "best": None if summary.best is None else _member(summary.best),
        "exported": _kept(folder, "export.json"),
        "profile": _profile(folder, summary.best),
    }


def _kept(folder: Path, name: str) -> dict[str, Any] | None:
    """What is kept of the run's best network."""
    path = folder / "best" / name
    if not path.is_file():
        return None
    facts: dict[str, Any] = json.loads(path.read_text())
    return facts


def _profile(folder: Path, best: FrontMember | None) -> dict[str, Any] | None:
    """Of the best network of today; one of an earlier best is not told."""
    kept = _kept(folder, "profile.json")
    if kept is None or best is None or kept.get("index") != best.candidate.index:
        return None
    return kept


def _trial(candidate: Candidate) -> dict[str, Any]:
    training = candidate.training
    told = candidate.outcome
    return {
        "index": candidate.index,
        "key": candidate.key,
        "point": list(candidate.proposal.point),
        "parents": list(candidate.proposal.parents),
        "guide": candidate.proposal.note.get(GUIDE),
        "guide_why": candidate.proposal.note.get(WHY),
        "phase": phase_of(candidate.proposal),
        "kind": None if candidate.kind is None else candidate.kind.value,
        "reward": candidate.reward,
        "objectives": _objectives(
            told.objectives if isinstance(told, Evaluated | Stopped) else ()
        ),
        "accuracy": None if training is None or training.stopped else training.accuracy,
        "expected_accuracy": None if candidate.expected is None else candidate.expected.accuracy,
        "samples": None if training is None else training.samples,
        "latency": _latency(candidate.latency),
        "final_latency": _latency(candidate.final),
        "same_as": candidate.same_as,
        "text": candidate.text,
    }


def _latency(found: FoundLatency | None) -> dict[str, Any] | None:
    if found is None:
        return None
    if found.devices:
        return load_facts(found, _latency)
    shown: dict[str, Any] = {
        "latency_ms": found.latency_ms,
        "predicted_ms": None if found.predicted is None else found.predicted.latency_ms,
        "ci_low_ms": found.low_ms,
        "ci_high_ms": found.high_ms,
        "origin": found.origin,
        "source": found.source,
        "verdict": found.verdict,
        "coverage": found.coverage,
        "artifact_sha256": found.artifact_sha256,
    }
    measured: dict[str, Any] = dict(found.measurement or {})
    return {
        **shown,
        "conditions": measured.get("conditions"),
        "sessions": measured.get("sessions", []),
        "preset": measured.get("preset"),
        "labels": [*found.labels, *measured.get("labels", [])],
    }


def _member(member: FrontMember) -> dict[str, Any]:
    unit = "load" if member.predicted.devices else "ms"
    return {
        "index": member.candidate.index,
        "key": member.candidate.key,
        "accuracy": member.accuracy,
        "reward": member.reward,
        "objectives": _objectives(member.objectives),
        f"predicted_{unit}": member.predicted.latency_ms,
        f"measured_{unit}": None if member.measured is None else member.measured.latency_ms,
        "latency": _latency(member.latency),
    }


def _objectives(told: Sequence[Objective]) -> dict[str, float]:
    return {one.name: one.value for one in told}


def _predictions(check: PredictionCheck | None) -> dict[str, Any] | None:
    return None if check is None else {**asdict(check), "alarm": check.alarm}


def _ranking(ranking: Ranking | None) -> dict[str, Any] | None:
    return None if ranking is None else {**asdict(ranking), "sentence": ranking.sentence}


def _saving(saving: Saving | None) -> dict[str, Any] | None:
    return None if saving is None else {**asdict(saving), "sentence": saving.sentence}


def _stand_ins(candidates: Sequence[Candidate]) -> list[str]:
    """What stood in for something real, each sentence once."""
    found: dict[str, None] = {}
    for candidate in candidates:
        if candidate.training is not None:
            found[candidate.training.stand_in] = None
        for conditions in _conditions(candidate.latency):
            for name in ("device_stand_in", "runner_stand_in"):
                found[str(conditions.get(name, ""))] = None
            if conditions.get("precision") == Precision.INT8:  # before anything is calibrated
                found[STAND_IN_INT8] = None
    return [text for text in found if text]


def _conditions(found: FoundLatency | None) -> Iterator[dict[str, Json]]:
    """Under which a latency was measured, on each device where there are several."""
    if found is None:
        return
    for one in [each.found for each in found.devices] or [found]:
        conditions = (one.measurement or {}).get("conditions")
        if isinstance(conditions, dict):
            yield conditions
