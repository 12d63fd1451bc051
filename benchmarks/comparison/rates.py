"""One learning rate for all networks of a comparison, by validation alone."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence

from benchmarks.comparison.script import Say
from benchmarks.comparison.trainings import Job, Trained
from workspace.errors import OperationError

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
