"""How a search shows what it does: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import typer

from controller.algorithm import Evaluated, Failed, Skipped, Stopped
from controller.objectives import DEFAULT, ObjectiveName, value_of
from training.metric_name import marked, metric_of
from training.task import ACCURACY

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from controller.progress import Progress
    from pocketnas.config import SearchConfig
    from pocketnas.runs import RunObserver

EVERY_S = 10.0
"""Between plain lines, where there is no terminal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """How figures of a search are said.

    Attributes:
        has_loads: Whether latencies are loads of a fleet, in no unit.
        metric: What the figure of its task is called.
    """

    has_loads: bool = False
    metric: str = ACCURACY

    @classmethod
    def of(cls, config: SearchConfig) -> Self:
        """Of a search, by its configuration."""
        return cls(has_loads=bool(config.fleet), metric=metric_of(config.dataset))

    def latency(self, latency: float) -> str:
        """A latency, or a load."""
        return f"at load {latency:.4g}" if self.has_loads else f"in {latency:.4g} ms"

    def accuracy(self, accuracy: float) -> str:
        """The figure of the task."""
        return marked(self.metric, accuracy)


_PLAIN = Words()


@contextmanager
def show_progress(trials: int, *, quiet: bool, words: Words = _PLAIN) -> Iterator[RunObserver]:
    """An observer for as long as the block runs; on stderr, so that stdout is the result's.

    Args:
        trials: How many there will be.
        quiet: Say nothing.
        words: How figures are said.
    """
    import sys

    if quiet:
        yield _Silent()
    elif not sys.stderr.isatty():
        yield _Lines(words)
    else:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as NewBar

        columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
        with NewBar(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task("starting", total=trials)
            yield _Bar(bar, task, words)


def describe(progress: Progress, words: Words = _PLAIN) -> str:
    """Best reward, front size, the front's hypervolume where others are weighed, time left."""
    best, shown = progress.best, "no result yet"
    if best is not None:
        shown = f"best reward {best.reward:.4f} {_figures(best, words)}"
    front = f"front of {len(progress.front)}"
    if progress.box.names != DEFAULT:
        front += f" (hypervolume {progress.hypervolume:.4f})"
    minutes, seconds = divmod(round(progress.left_s), 60)
    return f"{shown}, {front}, {minutes}:{seconds:02d} left"


def _figures(outcome: Evaluated, words: Words) -> str:
    accuracy = value_of(outcome.objectives, ObjectiveName.ACCURACY)
    latency = value_of(outcome.objectives, ObjectiveName.LATENCY)
    return f"({words.accuracy(accuracy)} {words.latency(latency)})"


class _Silent:
    def on_progress(self, progress: Progress) -> None:
        """Nothing."""

    def on_step(self, text: str) -> None:
        """Nothing."""


class _Lines:
    """A line now and then, and one for each failure."""

    def __init__(self, words: Words) -> None:
        self._last = -EVERY_S
        self._words = words

    def on_progress(self, progress: Progress) -> None:
        outcome = progress.outcome
        if isinstance(outcome, Failed):
            typer.echo(f"trial {outcome.proposal.index} failed: {outcome.text}", err=True)
        now = time.monotonic()
        if now - self._last >= EVERY_S or progress.told == progress.trials:
            self._last = now
            text = describe(progress, self._words)
            typer.echo(f"{progress.told}/{progress.trials} {text}", err=True)

    def on_step(self, text: str) -> None:
        typer.echo(text, err=True)


class _Bar:
    """A bar with the best so far beside it."""

    def __init__(self, bar: Bar, task: TaskID, words: Words) -> None:
        self._bar = bar
        self._task = task
        self._words = words

    def on_progress(self, progress: Progress) -> None:
        outcome = progress.outcome
        if isinstance(outcome, Failed):
            self._bar.console.print(
                f"trial {outcome.proposal.index} failed: {outcome.text}", markup=False
            )
        elif isinstance(outcome, Skipped):
            too_slow = self._words.latency(outcome.latency_ms)
            self._bar.console.print(f"trial {outcome.proposal.index} not trained, {too_slow}")
        elif isinstance(outcome, Stopped):
            accuracy = value_of(outcome.objectives, ObjectiveName.ACCURACY)
            self._bar.console.print(
                f"trial {outcome.proposal.index} stopped early: "
                f"{self._words.accuracy(accuracy)} was expected of it"
            )
        text = describe(progress, self._words)
        self._bar.update(self._task, completed=progress.told, description=text)

    def on_step(self, text: str) -> None:
        self._bar.update(self._task, description=text)
