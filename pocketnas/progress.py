"""How a search shows what it does: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from controller.algorithm import Evaluated, Failed, Skipped, Stopped
from controller.objectives import DEFAULT, ObjectiveName, value_of

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from controller.progress import Progress
    from pocketnas.runs import RunObserver

EVERY_S = 10.0
"""Between plain lines, where there is no terminal."""


@contextmanager
def show_progress(trials: int, *, quiet: bool, has_loads: bool = False) -> Iterator[RunObserver]:
    """An observer for as long as the block runs; on stderr, so that stdout is the result's.

    Args:
        trials: How many there will be.
        quiet: Say nothing.
        has_loads: Whether latencies are loads of a fleet, in no unit.
    """
    import sys

    if quiet:
        yield _Silent()
    elif not sys.stderr.isatty():
        yield _Lines(has_loads=has_loads)
    else:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as NewBar

        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
        with NewBar(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task("starting", total=trials)
            yield _Bar(bar, task, has_loads=has_loads)


def describe(progress: Progress, *, has_loads: bool = False) -> str:
    """Best reward, front size, the front's hypervolume where others are weighed, time left."""
    best, shown = progress.best, "no result yet"
    if best is not None:
        shown = f"best reward {best.reward:.4f} {_figures(best, has_loads=has_loads)}"
    front = f"front of {len(progress.front)}"
    if progress.box.names != DEFAULT:
        front += f" (hypervolume {progress.hypervolume:.4f})"
    minutes, seconds = divmod(round(progress.left_s), 60)
    return f"{shown}, {front}, {minutes}:{seconds:02d} left"


def _figures(outcome: Evaluated, *, has_loads: bool) -> str:
    accuracy = value_of(outcome.objectives, ObjectiveName.ACCURACY)
    latency = value_of(outcome.objectives, ObjectiveName.LATENCY)
    return f"({accuracy:.2%} {_in_words(latency, has_loads=has_loads)})"


def _in_words(latency: float, *, has_loads: bool) -> str:
    return f"at load {latency:.4g}" if has_loads else f"in {latency:.4g} ms"


class _Silent:
    def on_progress(self, progress: Progress) -> None:
        """Nothing."""

    def on_step(self, text: str) -> None:
        """Nothing."""


class _Lines:
    """A line now and then, and one for each failure."""

    def __init__(self, *, has_loads: bool) -> None:
        self._last = -EVERY_S
        self._has_loads = has_loads

    def on_progress(self, progress: Progress) -> None:
        outcome = progress.outcome
        if isinstance(outcome, Failed):
            typer.echo(f"trial {outcome.proposal.index} failed: {outcome.text}", err=True)
        now = time.monotonic()
        if now - self._last >= EVERY_S or progress.told == progress.trials:
            self._last = now
            text = describe(progress, has_loads=self._has_loads)
            typer.echo(f"{progress.told}/{progress.trials} {text}", err=True)

    def on_step(self, text: str) -> None:
        typer.echo(text, err=True)


class _Bar:
    """A bar with the best so far beside it."""

    def __init__(self, bar: Bar, task: TaskID, *, has_loads: bool) -> None:
        self._bar = bar
        self._task = task
        self._has_loads = has_loads

    def on_progress(self, progress: Progress) -> None:
        outcome = progress.outcome
        if isinstance(outcome, Failed):
            self._bar.console.print(
                f"trial {outcome.proposal.index} failed: {outcome.text}", markup=False
            )
        elif isinstance(outcome, Skipped):
            too_slow = _in_words(outcome.latency_ms, has_loads=self._has_loads)
            self._bar.console.print(f"trial {outcome.proposal.index} not trained, {too_slow}")
        elif isinstance(outcome, Stopped):
            accuracy = value_of(outcome.objectives, ObjectiveName.ACCURACY)
            self._bar.console.print(
                f"trial {outcome.proposal.index} stopped early: {accuracy:.2%} was expected of it"
            )
        text = describe(progress, has_loads=self._has_loads)
        self._bar.update(self._task, completed=progress.told, description=text)

    def on_step(self, text: str) -> None:
        self._bar.update(self._task, description=text)
