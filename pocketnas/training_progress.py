"""How a training shows what it does: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from pocketnas.examples import IMAGES, Examples, examples_of
from training.metric_name import marked, metric_of
from training.progress import Step, Unwatched
from training.task import ACCURACY

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from pocketnas.training_plan import TrainingPlan
    from pocketnas.training_runs import TrainingShown
    from training.evaluation import Evaluation
    from training.stages import TrainingStage

EVERY_S = 10.0
"""Between plain lines, where there is no terminal."""


@contextmanager
def show_training(*, quiet: bool) -> Iterator[TrainingShown]:
    """An observer for as long as the block runs; on stderr, so that stdout is the result's."""
    import sys

    if quiet:
        yield _Silent()
    elif not sys.stderr.isatty():
        yield _Lines()
    else:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as NewBar

        with NewBar(
            BarColumn(), TextColumn("{task.description}"), console=Console(stderr=True)
        ) as bar:
            yield _Bar(bar, bar.add_task("starting", total=None))


def stage_in_words(stage: int, part: TrainingStage, seen: int, examples: Examples = IMAGES) -> str:
    """A line for the beginning of a stage."""
    strength, batch = part.regularization, part.batch
    named = {
        "dropout": strength.dropout,
        "RandAugment": strength.randaugment,
        "mixup": strength.mixup,
        "CutMix": strength.cutmix,
    }
    said = "".join(f", {name} {value:.3g}" for name, value in named.items() if value)
    size = part.size
    return f"stage {stage + 1} from {examples.one} {seen:,} on: {size} pixels, batch {batch}{said}"


def step_in_words(step: Step, loss: float, left_s: float, examples: Examples = IMAGES) -> str:
    """How far it is, and how well it goes."""
    minutes, seconds = divmod(round(left_s), 60)
    return (
        f"{step.seen:,}/{step.samples:,} {examples.many}, loss {loss:.4f}, "
        f"rate {step.learning_rate:.4g}, {minutes}:{seconds:02d} left"
    )


def evaluation_in_words(
    evaluation: Evaluation, seen: int, examples: Examples = IMAGES, metric: str = ACCURACY
) -> str:
    """What an evaluation on the way found."""
    found = marked(metric, evaluation.accuracy)
    return f"{evaluation.split} {found} after {seen:,} {examples.many}"


class _Words:
    """What the training's examples and its figure are called."""

    def __init__(self) -> None:
        self.examples, self.metric = IMAGES, ACCURACY

    def on_plan(self, plan: TrainingPlan) -> None:
        self.examples = examples_of(plan.architecture)
        self.metric = metric_of(plan.dataset)


class _Pace:
    """The latest loss, and the time that is left if pixels take as long as in this sitting."""

    def __init__(self) -> None:
        self._began: tuple[float, float] | None = None
        self.loss = float("nan")

    def left_s(self, step: Step) -> float:
        if step.loss is not None:
            self.loss = step.loss
        now = time.monotonic()
        if self._began is None:
            self._began = (now, step.done)
        since, before = self._began
        done = step.done - before
        return (now - since) / done * (1 - step.done) if done else 0.0


class _Silent(Unwatched):
    def on_plan(self, plan: TrainingPlan) -> None:
        """Nothing."""

    def on_text(self, text: str) -> None:
        """Nothing."""


class _Lines(_Words):
    """A line now and then, and one for each stage and evaluation."""

    def __init__(self) -> None:
        super().__init__()
        self._last = -EVERY_S
        self._pace = _Pace()

    def on_stage(self, stage: int, part: TrainingStage, seen: int) -> None:
        self.on_text(stage_in_words(stage, part, seen, self.examples))

    def on_step(self, step: Step) -> None:
        left_s = self._pace.left_s(step)
        now = time.monotonic()
        if now - self._last >= EVERY_S or step.number == step.steps:
            self._last = now
            self.on_text(step_in_words(step, self._pace.loss, left_s, self.examples))

    def on_evaluation(self, evaluation: Evaluation, seen: int) -> None:
        self.on_text(evaluation_in_words(evaluation, seen, self.examples, self.metric))

    def on_text(self, text: str) -> None:
        typer.echo(text, err=True)


class _Bar(_Words):
    """A bar with the loss beside it."""

    def __init__(self, bar: Bar, task: TaskID) -> None:
        super().__init__()
        self._bar, self._task = bar, task
        self._pace = _Pace()

    def on_stage(self, stage: int, part: TrainingStage, seen: int) -> None:
        text = stage_in_words(stage, part, seen, self.examples)
        self._bar.console.print(text, markup=False)

    def on_step(self, step: Step) -> None:
        left_s = self._pace.left_s(step)
        text = step_in_words(step, self._pace.loss, left_s, self.examples)
        self._bar.update(self._task, completed=step.seen, total=step.samples, description=text)

    def on_evaluation(self, evaluation: Evaluation, seen: int) -> None:
        text = evaluation_in_words(evaluation, seen, self.examples, self.metric)
        self._bar.console.print(text, markup=False)

    def on_text(self, text: str) -> None:
        self._bar.update(self._task, description=text)
