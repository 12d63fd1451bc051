"""What earlier runs tell a search that begins: read once, checked, and kept with the new study.

The study keeps it in the text from which the search can be put together again, so that a resumed
or replayed search knows exactly what it knew, whatever has become of the earlier runs.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from controller.algorithm import Evaluated, Skipped
from controller.candidate import Candidate
from controller.earlier import (
    ACCURACY,
    LATENCY,
    OWN,
    REWARD,
    Earlier,
    EarlierRun,
    Known,
    KnownFigure,
    promising,
)
from controller.reward import Reward
from workspace.errors import InputError, OperationError

if TYPE_CHECKING:  # pydantic, which takes longer to import than ``show`` takes to run
    from pocketnas.config import SearchConfig
    from search_space.decisions import Point
    from search_space.space import SearchSpace

_TABLE = "earlier"
"""Of the study's text, after the configuration."""

_CHECKED = 5
"""Networks of an earlier run that are compared."""

_ANSWERS = ("table:", "predictor:")
"""Sources that say the same of a network on any day, unless they were made anew."""


def read(config: SearchConfig) -> Earlier:
    """What the runs that ``config`` names tell a new search.

    Raises:
        InputError: If one is no run, has evaluated nothing, or is of another space.
    """
    from pocketnas.assembly import space_of

    if not config.warm_start:
        return Earlier()
    space = space_of(config)
    return Earlier(runs=tuple(_read(Path(text), config, space) for text in config.warm_start))


def kept(config: SearchConfig, earlier: Earlier) -> str:
    """The text of a study: the configuration, and what was known before it."""
    text = config.to_toml()
    if not earlier.runs:
        return text
    return f"{text}\n[{_TABLE}]\njson = {json.dumps(earlier.to_json(), ensure_ascii=False)}\n"


def known_by(text: str) -> Earlier:
    """What was known before the search of a study with this text.

    Raises:
        InputError: If it was kept by a newer version.
    """
    if f"\n[{_TABLE}]\n" not in text:
        return Earlier()
    return Earlier.from_json(tomllib.loads(text)[_TABLE]["json"])


def _read(folder: Path, config: SearchConfig, space: SearchSpace) -> EarlierRun:
    from pocketnas.runs import load_config, open_study

    before = load_config(folder)
    study = open_study(folder, before)
    candidates = [c for c in study.told() if c.same_as is None]
    study.close()
    trials = [c for c in candidates if isinstance(c.outcome, Evaluated | Skipped)]
    evaluated = [c for c in trials if isinstance(c.outcome, Evaluated)]
    if not evaluated:
        msg = (
            f"the run {str(folder)!r} has evaluated nothing, so it tells a new search nothing; "
            "name one with a trial that was trained"
        )
        raise InputError(msg)
    _require_same_space(folder, before, evaluated, config, space)
    accuracy = OWN
    if _trained(before, evaluated[0]) != _trained(config, evaluated[0]):
        accuracy = f"accuracy in {folder}"
    latency = OWN if _answers_alike(before, evaluated, config) else f"latency in {folder}"
    known = _known(trials, config, accuracy, latency)
    points = len({c.proposal.point for c in evaluated})
    said = (
        f"warm start from {folder}: {points} networks of {before.dataset} against "
        f"{', '.join(before.sources)}, {_worth(accuracy, latency)}"
    )
    return EarlierRun(run=str(folder), said=said, known=promising(known))


def _worth(accuracy: str, latency: str) -> str:
    """What figures of these fidelities are taken for."""
    good, trend = "as good as new ones", "as a trend"
    if accuracy == latency == OWN:
        return f"accuracies and latencies {good}"
    if OWN not in (accuracy, latency):
        return f"accuracies and latencies {trend}"
    return (
        f"accuracies {good if accuracy == OWN else trend}, "
        f"latencies {good if latency == OWN else trend}"
    )


def _require_same_space(
    folder: Path,
    before: SearchConfig,
    evaluated: Sequence[Candidate],
    config: SearchConfig,
    space: SearchSpace,
) -> None:
    """Do nothing if the points of a run mean the same networks here, their input sizes apart.

    Raises:
        InputError: If not; the text says how the spaces differ.
    """
    if before.space != config.space:
        msg = (
            f"a warm start needs a run in the same space: {str(folder)!r} is in {before.space}, "
            f"the new search in {config.space}"
        )
        raise InputError(msg)
    step = max(1, len(evaluated) // _CHECKED)
    for candidate in evaluated[::step]:
        old = candidate.architecture
        try:
            new = space.decode(candidate.proposal.point)
            same = new.at(_side(old.inputs[0].shape)).key == old.key
        except InputError:
            same = False
        if not same:
            options = _options_text(before, config)
            msg = (
                f"a warm start needs a run in the same space with the same options: trial "
                f"{candidate.index} of {str(folder)!r} is another network in the new search's "
                f"{config.space}{options}"
            )
            raise InputError(msg)


def _options_text(before: SearchConfig, config: SearchConfig) -> str:
    """How the options of two spaces of one name differ, as an addition to a sentence."""
    from pocketnas.assembly import space_options_of

    then, now = space_options_of(before), space_options_of(config)
    names = sorted(name for name in {**then, **now} if then.get(name) != now.get(name))
    names = [name for name in names if name != "size"] or names
    if not names:
        return ""
    parts = (
        f"{n}={then.get(n, 'its default')} then, {now.get(n, 'its default')} now" for n in names
    )
    return f"; --space-option {'; '.join(parts)}"


def _side(shape: Sequence[int]) -> int:
    return shape[-1]


def _trained(config: SearchConfig, example: Candidate) -> tuple[object, ...]:
    """What decides what an accuracy means; the seed does not, it is drawn."""
    from pocketnas.assembly import evaluation_of, space_of

    space = space_of(config)
    settings = evaluation_of(config, space)
    size = settings.train_size or _side(space.decode(example.proposal.point).inputs[0].shape)
    return (settings.task, config.train_command, settings.head, settings.schedule, size)


def _answers_alike(
    before: SearchConfig, evaluated: Sequence[Candidate], config: SearchConfig
) -> bool:
    """Whether the new search's source says of networks what the run's said.

    Only one that predicts can be relied on to do so; what a device takes has to be measured.
    """
    from latency.source import LatencyEstimate, LatencyRequest, NetworkSubject
    from pocketnas.assembly import evaluation_of, space_of
    from pocketnas.sources import source_of

    if before.latency != config.latency or not config.latency.startswith(_ANSWERS):
        return False
    space = space_of(config)
    settings = evaluation_of(config, space)
    step = max(1, len(evaluated) // _CHECKED)
    source = source_of(config, config.latency)
    try:
        for candidate in evaluated[::step]:
            network = space.decode(candidate.proposal.point)
            if settings.timed_size is not None:
                network = network.at(settings.timed_size)
            subject = NetworkSubject(architecture=network, head=settings.head)
            (answer,) = source.estimate([LatencyRequest(id="earlier", subject=subject)])
            found = candidate.latency
            if found is None or not isinstance(answer, LatencyEstimate):
                return False
            if not math.isclose(answer.latency_ms, found.latency_ms, rel_tol=1e-9):
                return False
    except (InputError, OperationError):
        return False
    finally:
        source.close()
    return True


def _known(
    trials: Iterable[Candidate], config: SearchConfig, accuracy: str, latency: str
) -> list[Known]:
    """Each point once; of one that was evaluated again the mean accuracy."""
    from pocketnas.assembly import reward_of

    reward = reward_of(config)
    by_point: dict[Point, list[Candidate]] = {}
    for trial in trials:
        by_point.setdefault(trial.proposal.point, []).append(trial)
    known = []
    for point, own in by_point.items():
        assert own[0].latency is not None
        time = own[0].latency.latency_ms
        figures = [KnownFigure(name=LATENCY, value=time, fidelity=latency)]
        trained = [c for c in own if isinstance(c.outcome, Evaluated) and c.training]
        if trained:
            mean = fmean(c.training.accuracy for c in trained if c.training)
            figures.append(KnownFigure(name=ACCURACY, value=mean, fidelity=accuracy))
            if latency == OWN and isinstance(reward, Reward):
                worth = reward.value(mean, time)
            else:
                worth = fmean(c.reward for c in trained if c.reward is not None)
            fidelity = accuracy or latency
            figures.append(KnownFigure(name=REWARD, value=worth, fidelity=fidelity))
        known.append(Known(point=point, figures=tuple(figures)))
    return known
