"""The objectives of a search, as its configuration names them, and whether they can be had."""

from __future__ import annotations

import random
from collections.abc import Set

from controller.algorithm import settings_named
from controller.found_latency import FoundLatency
from controller.network_figures import Figure, figures_of
from controller.objectives import (
    OF_SESSIONS,
    OF_TRAINING,
    Names,
    ObjectiveName,
    parse,
    untold_of,
)
from controller.settings import AlgorithmName, Nsga2Settings, SurrogateSettings
from exporters.artifact import Precision
from latency.source import LatencyEstimate
from pocketnas.config import ANALYTIC, PREDICTS, SearchConfig
from pocketnas.reward_settings import objectives_of_reward
from search_space.architecture import Architecture, Head
from search_space.space import SearchSpace
from workspace.errors import InputError

_DRAWS = 100
"""Points until one has a network."""


def objectives_of(config: SearchConfig) -> Names:
    """What the front of a search is of.

    Raises:
        InputError: If one is unknown or named twice, or accuracy is not among them.
    """
    return parse(config.objectives)


def algorithm_options(config: SearchConfig) -> dict[str, str]:
    """What the algorithm is set to: it weighs all objectives, if it can and nothing else is said.

    The surrogate aims at the reward, unless others are named than this is of.

    Raises:
        InputError: If there is no such objective.
    """
    names = objectives_of(config)
    options = dict(config.algorithm_options)
    others = set(names) != set(objectives_of_reward(config.reward)) and len(names) > 1
    if config.algorithm == AlgorithmName.NSGA2 or (
        config.algorithm == AlgorithmName.SURROGATE and others
    ):
        options.setdefault("objectives", str(len(names)))
    return options


def require_objectives(config: SearchConfig, space: SearchSpace, head: Head) -> None:
    """Do nothing if a new search can weigh its objectives, as far as is known before it times.

    Raises:
        InputError: If its algorithm weighs two at least and has one, or more than there are; if
            the source never tells one of them, or it is not known of such networks.
    """
    names = objectives_of(config)
    settings = settings_named(config.algorithm, algorithm_options(config))
    if isinstance(settings, Nsga2Settings) and settings.objectives < 2:
        msg = (
            "algorithm nsga2 weighs two objectives or more against each other, got "
            f"{', '.join(names[: settings.objectives])} alone: name another with --objective, or "
            "take one that searches for the reward, such as evolution or surrogate"
        )
        raise InputError(msg)
    if isinstance(settings, Nsga2Settings | SurrogateSettings):
        _require_as_many(config, names, settings.objectives)
    _require_asked(config, names)
    asked = {*names, *objectives_of_reward(config.reward)}
    _require_trained(config, asked)
    if not set(Figure).isdisjoint(asked):
        example = _example(space)
        timed = example if config.size is None else example.at(config.size)
        figures_of(timed, head, Precision(config.precision), asked)


def _example(space: SearchSpace) -> Architecture:
    """Some network of a space, not all points of which need have one.

    Raises:
        InputError: If none of many points has one.
    """
    rng = random.Random(0)
    for _ in range(_DRAWS):
        try:
            return space.decode(space.points.sample(rng))
        except InputError:
            continue
    msg = f"none of {_DRAWS} random points of the space {space.name!r} has a network"
    raise InputError(msg)


def _require_as_many(config: SearchConfig, names: Names, weighed: int) -> None:
    if weighed > len(names):
        msg = (
            f"algorithm {config.algorithm} is set to weigh {weighed} objectives, and the search "
            f"has {len(names)}, {', '.join(names)}: name more with --objective"
        )
        raise InputError(msg)


def _require_asked(config: SearchConfig, names: Names) -> None:
    """Raise if the source has no sessions where one of the objectives needs them."""
    wanted = [name for name in names if name in OF_SESSIONS]
    predicts = [text for text in config.sources if text.startswith(PREDICTS)]
    if wanted and predicts:
        msg = (
            f"nobody tells {wanted[0]} of every network: {predicts[0]!r} predicts; "
            "the sessions of a device tell it, as in --latency adb:SERIAL"
        )
        raise InputError(msg)
    if config.fleet and ObjectiveName.ENERGY_MJ in wanted:
        msg = f"{ObjectiveName.ENERGY_MJ} is of one device, and this search is for a fleet"
        raise InputError(msg)


def _require_trained(config: SearchConfig, asked: Set[str]) -> None:
    """Raise if no training is there, or not to its end, to tell what is asked for."""
    wanted = sorted(OF_TRAINING & asked)
    if not wanted:
        return
    if config.dataset == ANALYTIC:
        msg = f"nobody tells {wanted[0]}: {ANALYTIC!r} trains nothing; take a data set"
        raise InputError(msg)
    if config.stop_early:
        msg = (
            f"{wanted[0]} is told at the end of a training, and --stop-early judges before: "
            "leave one of the two out"
        )
        raise InputError(msg)


def require_told(names: Names, estimate: LatencyEstimate) -> None:
    """Do nothing if what a source answered for one network tells all it has to.

    Raises:
        InputError: If the sessions told nothing of an objective.
    """
    wanted = tuple(name for name in names if name in OF_SESSIONS)
    untold = untold_of(wanted, FoundLatency.of(estimate).told)
    if untold:
        msg = f"objective {untold[0]} cannot be had: the sessions of {estimate.source} tell none"
        if untold[0] is ObjectiveName.ENERGY_MJ:
            msg += "; phones do whose power rails can be read (some only with root)"
        raise InputError(msg)
