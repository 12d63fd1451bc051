"""A training to its end, with what is done on the way: looks, evaluations."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from copy import deepcopy

from torch import nn

from training.averages import look_average
from training.batch_statistics import take_statistics
from training.checkpoint import Checkpoints
from training.distributed import alone
from training.evaluation import Evaluation
from training.evaluator import Evaluator
from training.executor import Look, Rung
from training.loop import Loop
from training.progress import Step, TrainingObserver
from training.task import Split


class Course:
    """Runs a loop; whatever it evaluates on the way is a copy, so that nothing changes by it.

    Args:
        loop: Trains.
        evaluator: Evaluates.
        observer: Is told.
        size: Input size of evaluations, in pixels.
        seed: Of the examples that batch norms take their statistics from.
        evaluate_every: Training images between evaluations, of which there is one at the end of a
            stage, too; 0 for none.
        checkpoints: Where it goes on from, and where its state is kept; None for nowhere.
    """

    def __init__(
        self,
        loop: Loop,
        evaluator: Evaluator,
        observer: TrainingObserver,
        *,
        size: int,
        seed: int,
        evaluate_every: int = 0,
        checkpoints: Checkpoints | None = None,
    ) -> None:
        self._loop, self._evaluator, self._observer = loop, evaluator, observer
        self._size, self._seed, self._every = size, seed, evaluate_every
        self._checkpoints = checkpoints

    def run(self, module: nn.Module, rungs: Sequence[Rung]) -> list[Look]:
        """Train ``module`` to the end, or to the first rung that it misses; what looks showed."""
        looks, left = list[Look](), deque(rungs)
        average = look_average(module) if left else None
        stage = -1
        self._go_on()
        for step in self._loop.run():
            if step.stage != stage:
                stage = step.stage
                self._observer.on_stage(stage, step.part, step.seen - step.images)
            self._observer.on_step(step)
            if self._is_time(step):
                self._observer.on_evaluation(self._evaluated(), step.seen)
            self._keep(step)
            if not left or average is None:
                continue
            average.update_parameters(module)
            if step.seen >= left[0].samples:
                self._take_statistics(average.module)
                accuracy = self._evaluator.glance(average.module, step.seen).accuracy
                looks.append(Look(samples=step.seen, accuracy=accuracy))
                if accuracy < left.popleft().least:
                    break
        return looks

    def end(self, module: nn.Module) -> Evaluation:
        """Give ``module`` the weights and statistics that it keeps, and evaluate it.

        Raises:
            TrainingError: If an output is not finite.
        """
        if self._loop.average is not None:
            self._loop.average.put()
        self._take_statistics(module)
        return self._evaluator.whole(module, Split.VALIDATION)

    def _go_on(self) -> None:
        saved = None if self._checkpoints is None else self._checkpoints.latest()
        if saved is not None:
            self._loop.go_on_from(saved)
        self._loop.world.wait()  # until all have read it, the first process writes no other

    def _keep(self, step: Step) -> None:
        """Write a checkpoint if it is time for one, or the end."""
        if self._checkpoints is not None and (
            self._checkpoints.is_due or step.number == step.steps
        ):
            self._checkpoints.save(self._loop.saved())

    def _is_time(self, step: Step) -> bool:
        """Whether an evaluation on the way is due; the one at the end is another."""
        if not self._every or step.number == step.steps:
            return False
        is_over = self._loop.stage != step.stage
        return is_over or step.seen // self._every > (step.seen - step.images) // self._every

    def _evaluated(self) -> Evaluation:
        copy = alone(deepcopy(self._loop.latest))
        self._take_statistics(copy)
        return self._evaluator.whole(copy, Split.VALIDATION)

    def _take_statistics(self, module: nn.Module) -> None:
        take_statistics(
            module,
            self._loop.examples_at(self._size),
            self._loop.feed,
            size=self._size,
            batch=self._loop.schedule.batch,
            seed=self._seed + 1,
            world=self._loop.world,
        )
