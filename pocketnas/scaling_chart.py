"""The report of a search for scaling constants: accuracy against what networks cost, one page."""

from __future__ import annotations

import html
import math
from pathlib import Path

from controller.scaling_search import (
    CostAxis,
    FailedPoint,
    ScalingFound,
    ScalingPlan,
    TrainedPoint,
)
from pocketnas.examples import examples_of
from pocketnas.report_page import GREEN, GREY, RED, layout, section, table, write_page


def write_chart(path: Path, plan: ScalingPlan, found: ScalingFound, on: str) -> None:
    """Write the page; its table has what the chart shows.

    Args:
        path: Of the HTML file.
        plan: Of the search.
        found: By it.
        on: The latency source, where latency is the axis.

    Raises:
        InputError: If it cannot be written.
    """
    from plotly import graph_objects

    is_timed = plan.axis is CostAxis.LATENCY
    axis = f"latency on {on}, ms" if is_timed else "multiply-adds, millions"
    chart = layout(axis, "validation accuracy, mean over seeds")
    chart["xaxis"]["rangemode"] = "tozero"
    figure = graph_objects.Figure(layout=chart)
    tied = found.tied
    groups = (
        ("baseline", RED, (found.base,) if isinstance(found.base, TrainedPoint) else ()),
        ("best", GREEN, (found.best,)),
        ("not separated from the best", GREY, tied),
        ("other points", "#d5dde5", tuple(p for p in found.points[1:] if p not in tied)),
    )
    for name, colour, shown in groups:
        figure.add_scatter(
            x=[_cost(one, is_timed) for one in shown],
            y=[one.accuracy for one in shown],
            text=[f"alpha/beta/gamma {one.point.name}" for one in shown],
            error_y={"array": [_error(one, found.noise) for one in shown], "color": colour},
            mode="markers",
            marker={"color": colour, "size": 9},
            name=name,
        )
    parts = [
        f"<p>{html.escape(_told(plan, found))}</p>",
        section("Accuracy against cost", figure, first=True),
        "<h2>The grid</h2>",
        _table(plan, found, axis),
    ]
    write_page(path, f"Scaling constants for {plan.task}", parts)


def _cost(one: TrainedPoint | FailedPoint, is_timed: bool) -> float:  # noqa: FBT001 - one of two axes
    if is_timed and one.point.latency_ms is not None:
        return one.point.latency_ms
    return one.point.macs / 1e6


def _error(one: TrainedPoint, noise: float | None) -> float:
    """Standard error of its mean; 0 where nothing tells it."""
    return 0.0 if noise is None else noise / math.sqrt(len(one.accuracies))


def _told(plan: ScalingPlan, found: ScalingFound) -> str:
    many = examples_of(plan.base).many
    noise = "" if found.noise is None else f"; trainings differ by {100 * found.noise:.2g} points"
    failed = f"; {found.failures} trainings failed" if found.failures else ""
    return (
        f"{len(found.rows) - 1} networks of {plan.grid.growth:g} times the baseline's "
        f"{plan.axis}, each trained {plan.seeds} times on {plan.schedule.samples:,} {many} of "
        f"{plan.task}{noise}{failed}."
    )


def _table(plan: ScalingPlan, found: ScalingFound, axis: str) -> str:
    is_timed = plan.axis is CostAxis.LATENCY
    rows = (
        (
            f"{one.point.rule.alpha:g}",
            f"{one.point.rule.beta:g}",
            f"{one.point.rule.gamma:g}",
            str(one.point.network.inputs[0].shape[-1]),
            f"{one.point.growth:.2f}",
            f"{_cost(one, is_timed):.4g}",
            *_trained(one),
        )
        for one in found.rows
    )
    header = ("alpha", "beta", "gamma", "pixels", "growth", axis, "accuracy", "trainings")
    return table(header, rows, best=1)


def _trained(one: TrainedPoint | FailedPoint) -> tuple[str, str]:
    """Its accuracy, and how many trainings that is the mean of."""
    if isinstance(one, FailedPoint):
        return "failed", "0"
    return f"{one.accuracy:.2%}", str(len(one.accuracies))
