"""Trainings as one HTML file: learning curves by stage, accuracy against time, the results."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pocketnas.examples import examples_of
from pocketnas.report_page import (
    GREY,
    definitions,
    layout,
    require_plotly,
    section,
    table,
    write_page,
)
from pocketnas.training_plan import LOG, TrainingPlan, read_plan, read_result
from training.metric_name import heading, metric_of
from training.schedule_document import schedule_to_json
from training.training_log import read_log
from workspace.errors import InputError

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Line = Mapping[str, Any]

_COLOURS = ("#1f6f43", "#b3472d", "#2a5d9c", "#d99a00", "#6b4c9a", "#4a4a4a")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a training has told.

    Attributes:
        name: Of its folder.
        plan: What it is.
        lines: Of its log.
        result: What it gave; None if it is not done.
    """

    name: str
    plan: TrainingPlan
    lines: Sequence[Line]
    result: Mapping[str, Any] | None

    @classmethod
    def read(cls, folder: Path) -> Told:
        """Of a folder of ``pocketnas train``.

        Raises:
            InputError: If it is none, or has told nothing yet.
        """
        plan, log = read_plan(folder), folder / LOG
        if not log.is_file():
            msg = f"the training in {str(folder)!r} has told nothing yet"
            raise InputError(msg)
        return cls(
            name=folder.resolve().name,
            plan=plan,
            lines=read_log(log),
            result=read_result(folder),
        )

    def of(self, kind: str) -> list[Line]:
        """Lines of a kind."""
        return [line for line in self.lines if line["kind"] == kind]

    @property
    def stages(self) -> list[Line]:
        """The first line of each, as it began: logs of before tell one again that was resumed."""
        first: dict[int, Line] = {}
        for line in self.of("stage"):
            first.setdefault(line["stage"], line)
        return [*first.values()]

    @property
    def validations(self) -> list[Line]:
        """Evaluations on the validation split, on the way and at the end."""
        return [line for line in self.of("evaluation") if line["split"] == "validation"]


def write_training_report(folders: Sequence[Path], path: Path) -> None:
    """Write one page about a training, or about several side by side.

    Args:
        folders: Of ``pocketnas train``, one or more.
        path: Of the HTML file.

    Raises:
        InputError: If a folder is none, or the file cannot be written.
        OperationError: If plotly is not installed.
    """
    require_plotly()
    trainings = [Told.read(folder) for folder in folders]
    first, *others = _metrics(trainings)
    metric = " or ".join((heading(first), *others))
    many = _examples(trainings)
    charts = [
        (f"{metric} over training {many}", _accuracy_chart(trainings, "seen", f"training {many}")),
        (f"{metric} against time", _accuracy_chart(trainings, "seconds", "seconds of training")),
        ("Training loss", _loss_chart(trainings, f"training {many}")),
    ]
    title = ", ".join(f"{one.name}: {one.plan.name} on {one.plan.dataset}" for one in trainings)
    parts = [
        f"<p>{html.escape(_summary(trainings))}</p>",
        *(section(heading, chart, first=i == 0) for i, (heading, chart) in enumerate(charts)),
        "<h2>What was reached</h2>",
        _results(trainings),
    ]
    for one in trainings:
        parts += [f"<h2>Stages of {html.escape(one.name)}</h2>", _stages(one)]
        parts += [f"<p>{html.escape(note)}</p>" for note in one.plan.notes]
        settings = {n: v for n, v in schedule_to_json(one.plan.schedule).items() if n != "stages"}
        parts += ["<h3>Settings</h3>", definitions({**settings, "seed": one.plan.seed})]
    write_page(path, title, parts)


def _summary(trainings: Sequence[Told]) -> str:
    undone = [one.name for one in trainings if one.result is None]
    text = (
        "Figures on the way are of the validation split; seconds are of training steps, "
        "evaluations left out."
    )
    return f"{text} Not done yet: {', '.join(undone)}." if undone else text


def _metrics(trainings: Sequence[Told]) -> list[str]:
    """Of what they are about, each once."""
    return list(dict.fromkeys(metric_of(one.plan.dataset) for one in trainings))


def _accuracy_chart(trainings: Sequence[Told], x: str, name: str) -> Figure:
    """Validation accuracy, with a line where a stage of a single training begins."""
    from plotly import graph_objects

    figure = graph_objects.Figure(
        layout=layout(name, f"validation {' or '.join(_metrics(trainings))}")
    )
    for place, one in enumerate(trainings):
        shown = [line for line in one.validations if x in line]
        figure.add_scatter(
            x=[line[x] for line in shown],
            y=[line["accuracy"] for line in shown],
            mode="lines+markers",
            line={"color": _COLOURS[place % len(_COLOURS)]},
            name=one.name,
        )
    if len(trainings) == 1 and x == "seen":
        for line in trainings[0].stages:
            figure.add_vline(
                x=line["seen"],
                line={"dash": "dot", "color": GREY},
                annotation_text=f"{line['size']} px",
            )
    return figure


def _examples(trainings: Sequence[Told]) -> str:
    """What they were trained on."""
    return examples_of(*(one.plan.architecture for one in trainings)).many


def _loss_chart(trainings: Sequence[Told], axis: str) -> Figure:
    from plotly import graph_objects

    figure = graph_objects.Figure(layout=layout(axis, "loss, with regularization"))
    for place, one in enumerate(trainings):
        steps = one.of("step")
        figure.add_scatter(
            x=[line["seen"] for line in steps],
            y=[line["loss"] for line in steps],
            mode="lines",
            line={"color": _COLOURS[place % len(_COLOURS)]},
            name=one.name,
        )
    return figure


def _results(trainings: Sequence[Told]) -> str:
    header = (
        "training", "network", _examples(trainings), "seconds", "validation", "test", "test top-5",
        "test calibration error",
    )  # fmt: skip
    return table(header, [_result(one) for one in trainings])


def _result(one: Told) -> list[str]:
    start = [one.name, one.plan.name]
    if one.result is None:
        return [*start, *(["-"] * 6)]
    validation, test = (one.result["evaluations"][split] for split in ("validation", "test"))
    return [
        *start,
        f"{one.result['samples']:,}",
        f"{one.result['seconds']:.4g}",
        f"{validation['accuracy']:.2%}",
        f"{test['accuracy']:.2%}",
        f"{test['top5']:.2%}" if "top5" in test else "-",
        f"{test['calibration_error']:.4f}" if "calibration_error" in test else "-",
    ]


def _stages(one: Told) -> str:
    """Sizes, batches and strengths; how long each took, and what it had reached at its end."""
    header = (
        "stage",
        "from image",
        "pixels",
        "batch",
        "strength",
        "seconds",
        metric_of(one.plan.dataset),
    )
    rows = []
    for line in one.stages:
        steps = [step for step in one.of("step") if step["stage"] == line["stage"]]
        own = [each for each in one.validations if each.get("stage") == line["stage"]]
        earlier = [step["seconds"] for step in one.of("step") if step["stage"] < line["stage"]]
        taken = steps[-1]["seconds"] - (earlier[-1] if earlier else 0.0) if steps else None
        rows.append(
            [
                str(line["stage"] + 1),
                f"{line['seen']:,}",
                str(line["size"]),
                str(steps[-1]["batch"]) if steps else "-",
                _strength(line),
                "-" if taken is None else f"{taken:.4g}",
                f"{own[-1]['accuracy']:.2%}" if own else "-",
            ]
        )
    return table(header, rows)


def _strength(stage: Line) -> str:
    names = ("dropout", "randaugment", "mixup", "cutmix")
    return ", ".join(f"{name} {stage[name]:.4g}" for name in names if stage.get(name)) or "none"
