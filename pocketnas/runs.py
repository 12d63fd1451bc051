"""Runs in their folders: started, resumed, replayed, looked at."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from controller import run_folder
from controller.earlier import Earlier
from controller.evaluation import Evaluation
from controller.finish import FrontMember, best, measure_front
from controller.fleet import device_results
from controller.prediction_check import PredictionCheck
from controller.progress import Observer
from controller.search import Search
from controller.study import Study
from latency.source import LatencyFailure, LatencySource
from pocketnas import warm_start
from pocketnas.assembly import Assembly, algorithm_of, assemble, head_of, reward_of, space_of
from pocketnas.config import SearchConfig
from pocketnas.networks import Found
from pocketnas.objectives import objectives_of
from workspace.errors import InputError
from workspace.files import write_whole

if TYPE_CHECKING:
    from controller.replay import ReplayReport


class RunObserver(Observer, Protocol):
    """Is told how a run goes, its end included."""

    def on_step(self, text: str) -> None:
        """Called when something else than trials begins."""
        ...


def new_folder(parent: Path) -> Path:
    """A folder in ``parent`` that is not there yet, named after the time."""
    stamp = datetime.now().astimezone().strftime("%Y-%m-%d-%H%M%S")
    folder = parent / stamp
    number = 1
    while folder.exists():
        number += 1
        folder = parent / f"{stamp}-{number}"
    return folder


def start(folder: Path, config: SearchConfig, observer: RunObserver) -> None:
    """Run a new search to its end in ``folder``.

    Raises:
        InputError: If the folder is taken, a setting cannot be used, or an earlier run tells it
            nothing; nothing was made.
        OperationError: If the search cannot go on; it can be resumed.
        KeyboardInterrupt: At Ctrl-C, likewise.
    """
    run_folder.require_free(folder)
    earlier = warm_start.read(config)
    parts = assemble(config, earlier, check_target=True)
    try:
        with run_folder.create(folder):
            write_whole(folder / "config.toml", config.to_toml().encode())
            study = _made(folder, config, earlier)
            for run in earlier.runs:
                observer.on_step(run.said)
            _run(folder, parts, study, observer)
    finally:
        parts.close()


def resume(folder: Path, observer: RunObserver) -> None:
    """Go on with a search that was cut off; a finished one ends at once.

    Raises:
        InputError: If it is no run, is at work elsewhere, or is of a newer version.
        OperationError: If the search cannot go on.
        KeyboardInterrupt: At Ctrl-C.
    """
    with run_folder.resume(folder):
        config = SearchConfig.load(folder / "config.toml", {})
        study = _study(folder, config)
        parts = assemble(config, warm_start.known_by(study.config), check_target=False)
        try:
            _run(folder, parts, study, observer)
        finally:
            parts.close()


def replay(folder: Path) -> ReplayReport:
    """Ask a fresh algorithm for all proposals of a run again.

    Raises:
        InputError: If it is no run, or of a newer version.
        ReplayError: If a proposal differs.
    """
    from controller import replay as replaying

    config = load_config(folder)
    study = open_study(folder, config)
    earlier = warm_start.known_by(study.config)
    return replaying.replay(study, algorithm_of(config, space_of(config), earlier))


def load_config(folder: Path) -> SearchConfig:
    """The configuration of a run.

    Raises:
        InputError: If ``folder`` is no run's.
    """
    path = folder / "config.toml"
    if not path.is_file():
        msg = f"{str(folder)!r} is no run: it has no config.toml"
        raise InputError(msg)
    return SearchConfig.load(path, {})


def open_study(folder: Path, config: SearchConfig) -> Study:
    """The study of a run that is there.

    Raises:
        InputError: If it is not, or is of a newer version.
    """
    if config.database:
        return Study(config.database, str(folder.resolve()))
    return Study.in_folder(folder)


def _study(folder: Path, config: SearchConfig) -> Study:
    """The study of a run, made where a crash came before it was."""
    if config.warm_start:
        try:  # what it knows must not be read again from runs that may have changed
            return open_study(folder, config)
        except InputError:
            pass  # it is not there yet; whatever else is wrong is said again when it is made
    return _made(folder, config, warm_start.read(config))


def _made(folder: Path, config: SearchConfig, earlier: Earlier) -> Study:
    """A new study, or the one that is there."""
    text = warm_start.kept(config, earlier)
    if config.database:
        return Study(config.database, str(folder.resolve()), config=text, exist_ok=True)
    return Study.in_folder(folder, config=text, exist_ok=True)


def _run(folder: Path, parts: Assembly, study: Study, observer: RunObserver) -> None:
    evaluation = Evaluation(parts.evaluation, parts.source, parts.executor, parts.reward, study)
    search = Search(
        parts.settings,
        parts.space,
        parts.algorithm,
        evaluation,
        study,
        observer,
        stopping=parts.stopping,
    )
    search.run()
    observer.on_step("measuring the front again")
    final = Evaluation(parts.evaluation, parts.final_source, parts.executor, parts.reward, study)
    also = _best_for_devices(study, parts)
    for found in measure_front(study, final, parts.config.final_preset, also=also):
        if isinstance(found, LatencyFailure):
            observer.on_step(f"front: {found.text}")
        else:
            observer.on_step(f"front: {found.in_words}, {found.verdict}")
    _say_use(parts.source, observer)
    check = PredictionCheck.of(study.candidates())
    if check is not None and check.alarm:
        observer.on_step(f"warning: {check.alarm}")
    chosen = best(study, parts.reward, parts.evaluation.objectives)
    if chosen is not None:
        from pocketnas.exported import export_best, keep_weights

        export_best(folder, parts, evaluation, chosen, observer.on_step)
        for index in _best_for_devices(study, parts):
            keep_weights(folder, parts, evaluation, study.candidate(index), observer.on_step)


def _best_for_devices(study: Study, parts: Assembly) -> tuple[int, ...]:
    """The best trial for each device of a fleet alone, each once; none without a fleet."""
    if not parts.config.fleet:
        return ()
    results = device_results(tuple(study.candidates()), parts.reward)
    found = (result.best.candidate.index for result in results if result.best is not None)
    return tuple(dict.fromkeys(found))


def _say_use(source: LatencySource, observer: RunObserver) -> None:
    """How well each phone was used, where the latencies were measured on several."""
    report = getattr(source, "report", None)
    lanes = report() if report is not None else ()
    for lane in lanes if len(lanes) > 1 else ():
        factor = "unknown" if lane.unit_factor is None else f"{lane.unit_factor:.3f}"
        observer.on_step(
            f"{lane.device}: {lane.measurements} measurements, "
            f"{lane.measurements_per_hour:.0f} an hour, busy {lane.utilisation:.0%}, cooling "
            f"{lane.cooling:.0%}, {lane.refused_sessions} sessions refused, unit factor {factor}"
        )


def trial_of(folder: Path, which: str) -> Found:
    """The network of ``RUN:best``, ``RUN:best@DEVICE`` or ``RUN:12``, at the size that is timed.

    Raises:
        InputError: If the run has no such trial, or no such device.
    """
    config = load_config(folder)
    study = open_study(folder, config)
    named, at, device = which.partition("@")
    if named == "best" and at:
        chosen = _best_for(device, study, config)
    elif named == "best":
        chosen = best(study, reward_of(config), objectives_of(config))
    if named == "best":
        if chosen is None:
            msg = f"the run {str(folder)!r} has no best network: none was evaluated yet"
            raise InputError(msg)
        candidate = chosen.candidate
    elif which.isdecimal():
        candidate = study.candidate(int(which))
    else:
        msg = f"{folder!s}:{which} names no trial: give {folder}:best or {folder}:12"
        raise InputError(msg)
    if candidate.document is None:
        msg = f"trial {candidate.index} of {str(folder)!r} has no network: {candidate.text}"
        raise InputError(msg)
    architecture = candidate.architecture
    return Found(
        architecture=architecture if config.size is None else architecture.at(config.size),
        head=head_of(config),
        run=folder,
        index=candidate.index,
        device=device,
        told=None if candidate.training is None else candidate.training.feedback,
    )


def _best_for(device: str, study: Study, config: SearchConfig) -> FrontMember | None:
    """The best for one device of a run's fleet alone; None if nothing was evaluated.

    Raises:
        InputError: If there is no fleet, or no such device in it.
    """
    names = [entry.name for entry in config.fleet]
    if device not in names:
        there = f"there is {', '.join(names)}" if names else "it was no search for a fleet"
        msg = f"the run has no device {device!r}: {there}"
        raise InputError(msg)
    results = device_results(tuple(study.candidates()), reward_of(config))
    return next((result.best for result in results if result.name == device), None)
