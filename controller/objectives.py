"""What a search weighs against each other: objectives by name, from whatever tells them.

An outcome carries its objectives in the order in which the search names them; the first of them
are what ``nsga2`` and the front of the surrogate weigh. Accuracy is told by the training, latency
by the source, memory and energy of a run by the sessions of a device, and the rest by the network
itself (``controller.network_figures``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from controller.algorithm import Goal, Objective
from workspace.errors import InputError


class ObjectiveName(StrEnum):
    """What can be named."""

    ACCURACY = "accuracy"
    """Of the training; the only one that is to be large."""
    LATENCY = "latency_ms"
    """Of the source."""
    PARAMS = "params"
    """See ``Figure.PARAMS``, as the next three."""
    MACS = "macs"
    SIZE_MB = "size_mb"
    ACTIVATION_MB = "activation_mb"
    PEAK_MEMORY_MB = "peak_memory_mb"
    """The most memory that a device's sessions saw the running program hold; where a phone's
    runner does not watch it, by how much it grew."""
    ENERGY_MJ = "energy_mj"
    """Of one inference, by the power rails that some phones have: a session's, its loading and
    warm-up too, over its timed runs."""
    TRAIN_STEP_MS = "train_step_ms"
    """Of one batch of the training, on whatever trains: its whole time over its steps."""


Names = tuple[ObjectiveName, ...]

DEFAULT: Names = (ObjectiveName.ACCURACY, ObjectiveName.LATENCY)
"""What a reward is of; the objectives of a search that names none."""

OF_TRAINING = frozenset({ObjectiveName.TRAIN_STEP_MS})
"""What only the training tells, beside the accuracy."""

OF_SESSIONS = frozenset({ObjectiveName.PEAK_MEMORY_MB, ObjectiveName.ENERGY_MJ})
"""What only a device's sessions tell."""


def parse(texts: Sequence[str]) -> Names:
    """Objectives as the command line names them.

    >>> [name.value for name in parse(["accuracy", "params"])]
    ['accuracy', 'params']

    Raises:
        InputError: If one is unknown or named twice, or accuracy is not among them.
    """
    known = ", ".join(ObjectiveName)
    unknown = [text for text in texts if text not in set(ObjectiveName)]
    if unknown:
        msg = f"unknown objective {unknown[0]!r}; there are {known}"
        raise InputError(msg)
    names = tuple(map(ObjectiveName, texts))
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        msg = f"objective {twice[0].value!r} is named twice, in {', '.join(names)}"
        raise InputError(msg)
    if ObjectiveName.ACCURACY not in names:
        msg = f"accuracy must be among the objectives, got {', '.join(names) or 'none'}"
        raise InputError(msg)
    return names


def with_latency(names: Names) -> Names:
    """Objectives on whose front the best for a reward of latency is."""
    return deciding(names, (ObjectiveName.LATENCY,))


def deciding(names: Names, weighed: Iterable[str]) -> Names:
    """Objectives on whose front the best for a reward is: ``names`` where they suffice.

    Args:
        names: Of the search.
        weighed: What the reward is of beside the accuracy.
    """
    wanted = (ObjectiveName.ACCURACY, *map(ObjectiveName, weighed))
    return names if set(wanted) <= set(names) else wanted


def goal_of(name: ObjectiveName) -> Goal:
    """Which way an objective is better."""
    return Goal.MAXIMIZE if name is ObjectiveName.ACCURACY else Goal.MINIMIZE


def in_order(names: Names, values: Mapping[str, float | None]) -> tuple[Objective, ...]:
    """The objectives of an outcome: those named, then what else was told.

    Args:
        names: At least accuracy.
        values: By name; None for what was not told.

    Raises:
        ValueError: If one that is named was not told.
    """
    untold = untold_of(names, values)
    if untold:
        msg = f"no {untold[0]} was told, of {values}"
        raise ValueError(msg)
    told = {name: value for name, value in values.items() if value is not None}
    order = dict.fromkeys((*names, *map(ObjectiveName, told)))
    return tuple(Objective(name=name, value=told[name], goal=goal_of(name)) for name in order)


def untold_of(names: Names, values: Mapping[str, float | None]) -> Names:
    """Those named that were not told."""
    return tuple(name for name in names if values.get(name) is None)


def value_of(objectives: Sequence[Objective], name: ObjectiveName) -> float:
    """One of them.

    Raises:
        ValueError: If it is not there.
    """
    (loss,) = losses_of(objectives, (name,))
    return -loss if goal_of(name) is Goal.MAXIMIZE else loss


def losses(objectives: Sequence[Objective]) -> tuple[float, ...]:
    """Their values, each turned so that smaller is better."""
    return tuple(
        objective.value if objective.goal is Goal.MINIMIZE else -objective.value
        for objective in objectives
    )


def losses_of(objectives: Sequence[Objective], names: Names) -> tuple[float, ...]:
    """Of those named, in that order; see ``losses``.

    Raises:
        ValueError: If one is not there.
    """
    found = {objective.name: objective for objective in objectives}
    missing = [name for name in names if name not in found]
    if missing:
        msg = f"objective {missing[0]} is needed, got {objectives}"
        raise ValueError(msg)
    return losses([found[name] for name in names])
