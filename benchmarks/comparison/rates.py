"""Learning rates of the networks of a comparison, by validation alone: one for all, or of each."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence

from benchmarks.comparison.script import Say
from benchmarks.comparison.trainings import Job, Trained
from workspace.errors import OperationError

MOST = 6
"""Learning rates that one network is trained at, at most, where each has its own."""

Training = Callable[[Sequence[Job]], Sequence[Trained]]
"""Trains jobs, and gives the result of each in their order."""


def best_rate(
    jobs: Mapping[float, Sequence[Job]], training: Training, say: Say, metric: str = "accuracy"
) -> float:
    """The learning rate with the best mean on validation.

    Args:
        jobs: By rate; if there is one rate alone, nothing is trained.
        training: Trains them.
        say: Is told the mean of each rate.
        metric: What the figure is called.

    Raises:
        OperationError: If a training diverged at every rate.
    """
    if len(jobs) == 1:
        return next(iter(jobs))
    every = [job for own in jobs.values() for job in own]
    results = dict(zip(every, training(every), strict=True))
    means = {
        rate: statistics.fmean(results[job].validation for job in own)
        for rate, own in jobs.items()
        if not any(results[job].failure for job in own)
    }
    if not means:
        msg = f"a training diverged at each of the rates {', '.join(f'{rate:g}' for rate in jobs)}"
        raise OperationError(msg)
    for rate, mean in means.items():
        say(f"learning rate {rate:g}: {metric} {mean:.2%} on validation, mean of all networks")
    return max(means, key=means.__getitem__)


def own_rates(
    names: Sequence[str],
    job: Callable[[str, float], Job],
    rates: Sequence[float],
    training: Training,
    say: Say,
    metric: str = "accuracy",
) -> dict[str, float]:
    """The learning rate of each network that is best for it on validation.

    Where the best is an end of those that were tried, one that is twice or half of it is tried
    too, up to ``MOST`` in all, so that no network is held back by the choice of rates.

    Args:
        names: Of the networks.
        job: What trains the one of a name at a rate.
        rates: That are tried first; if there is one alone, nothing is trained.
        training: Trains them.
        say: Is told the figure of each.
        metric: What the figure is called.

    Raises:
        OperationError: If a network's trainings diverged at every rate.
    """
    if len(rates) == 1:
        return dict.fromkeys(names, rates[0])
    tried: dict[str, dict[float, float]] = {name: {} for name in names}
    wanted = [(name, rate) for rate in rates for name in names]
    while wanted:
        results = training([job(name, rate) for name, rate in wanted])
        for (name, rate), result in zip(wanted, results, strict=True):
            tried[name][rate] = -math.inf if result.failure else result.validation
            told = "diverged" if result.failure else f"{metric} {result.validation:.2%}"
            say(f"learning rate {rate:g} of {name}: {told} on validation")
        wanted = [
            (name, further)
            for name, own in tried.items()
            if (further := _further(own)) is not None
        ]
    for name, own in tried.items():
        if max(own.values()) == -math.inf:
            msg = f"{name} diverged at each of the rates {', '.join(f'{one:g}' for one in own)}"
            raise OperationError(msg)
    return {name: _best(own) for name, own in tried.items()}


def _best(tried: Mapping[float, float]) -> float:
    """The best rate, of several the lowest."""
    return max(sorted(tried), key=tried.__getitem__)


def _further(tried: Mapping[float, float]) -> float | None:
    """The rate beyond the end that is the best; None if it is none, or enough were tried."""
    best = _best(tried)
    if len(tried) >= MOST:
        return None
    if best == min(tried):
        return best / 2
    return best * 2 if best == max(tried) else None
