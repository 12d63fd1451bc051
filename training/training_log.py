"""What happened in a training, as JSON lines and, where wished for, for TensorBoard.

Lines have a ``kind``: ``stage``, ``step`` (of at most a thousand of them, with the mean loss since
the one before), ``evaluation``. All have ``seen``, the training images until then; steps and
evaluations ``seconds``, the time of all steps until then, evaluations left out.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import fmean
from types import ModuleType
from typing import Any

from training.evaluation import Evaluation
from training.progress import Step
from training.schedule_document import stage_to_json
from training.stages import TrainingStage
from workspace.files import write_whole

STEPS = 1000
"""Lines of steps in a log, at most."""


class TrainingLog:
    """A ``TrainingObserver`` that keeps what it is told.

    A training that goes on from a checkpoint does some steps again: lines beyond it are dropped.
    A stage in whose middle it goes on is not told again.

    Args:
        path: Of the lines.
        board: Folder for TensorBoard; None for none.
    """

    def __init__(self, path: Path, board: Path | None = None) -> None:
        self._path, self._board_folder = path, board
        self._board: _Board | None = None
        self._has_begun = False
        self._losses: list[float] = []
        self._step: Step | None = None

    def on_stage(self, stage: int, part: TrainingStage, seen: int) -> None:
        """See ``TrainingObserver.on_stage``."""
        if not self._has_begun:
            kept = [line for line in self._lines() if line["seen"] <= seen]
            self._begin(kept, seen)
            if any(line["kind"] == "stage" and line["stage"] == stage for line in kept):
                return  # it had begun before
        self._add({"kind": "stage", "seen": seen, "stage": stage, **stage_to_json(part)})

    def on_step(self, step: Step) -> None:
        """See ``TrainingObserver.on_step``."""
        self._step = step
        if step.loss is not None:
            self._losses.append(step.loss)
        is_end = step.number == step.steps
        if not self._losses or (step.number % max(1, step.steps // STEPS) and not is_end):
            return
        loss = fmean(self._losses)
        self._losses.clear()
        self._add(
            {
                "kind": "step",
                "seen": step.seen,
                "step": step.number,
                "stage": step.stage,
                "size": step.part.size,
                "batch": step.images,
                "learning_rate": step.learning_rate,
                "loss": loss,
                "seconds": step.seconds,
            }
        )
        self._draw("train/loss", loss, step.seen)
        self._draw("train/learning_rate", step.learning_rate, step.seen)
        self._draw("train/size", step.part.size, step.seen)

    def on_evaluation(self, evaluation: Evaluation, seen: int) -> None:
        """See ``TrainingObserver.on_evaluation``."""
        if not self._has_begun:  # all steps are done, and what comes after them is done again
            kept = self._lines()
            while kept and kept[-1]["kind"] != "step":
                kept.pop()
            self._begin(kept, seen)
        step = self._step
        place = {} if step is None else {"stage": step.stage, "seconds": step.seconds}
        figures = evaluation.to_json()
        self._add({"kind": "evaluation", "seen": seen, **place, **figures})
        for name, value in figures.items():
            if isinstance(value, float):
                self._draw(f"{evaluation.split}/{name}", value, seen)

    def close(self) -> None:
        """Write what is left, and write no more."""
        if self._board is not None:
            self._board.close()

    def _draw(self, name: str, value: float, seen: int) -> None:
        if self._board is not None:
            self._board.add(name, value, seen)

    def _begin(self, kept: list[dict[str, Any]], seen: int) -> None:
        """Have the lines that are kept of before.

        Args:
            kept: Lines.
            seen: Where the training goes on.
        """
        self._has_begun = True
        if self._board_folder is not None:
            self._board = _Board(self._board_folder, seen)
        if self._path.is_file():
            write_whole(self._path, "".join(json.dumps(line) + "\n" for line in kept).encode())

    def _lines(self) -> list[dict[str, Any]]:
        return read_log(self._path) if self._path.is_file() else []

    def _add(self, line: dict[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def read_log(path: Path) -> list[dict[str, Any]]:
    """The lines of a log; one that a killed process left half written is left out."""
    found: list[dict[str, Any]] = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(text))
        except json.JSONDecodeError:
            continue
    return found


_NO_TENSORFLOW = "tensorboard.compat.notf"


class _Board:
    """Scalars for TensorBoard; those beyond ``seen`` of before are not shown any more."""

    def __init__(self, folder: Path, seen: int) -> None:
        # As tensorboard's builds without TensorFlow do: importing that takes seconds, for nothing.
        sys.modules.setdefault(_NO_TENSORFLOW, ModuleType(_NO_TENSORFLOW))
        from torch.utils.tensorboard.writer import SummaryWriter

        self._writer = SummaryWriter(str(folder), purge_step=seen)

    def add(self, name: str, value: float, seen: int) -> None:
        """A point of a curve."""
        self._writer.add_scalar(name, value, seen)

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()
