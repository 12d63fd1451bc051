"""The report of a search for scaling constants: accuracy against what networks cost, one page."""

from __future__ import annotations

import math
from html import escape
from pathlib import Path

from controller.scaling_search import CostAxis, ScalingFound, ScalingPlan, TrainedPoint
from workspace.files import write_whole

_GREEN, _GREY, _RED = "#1f6f43", "#8fa3b8", "#b3472d"


def write_chart(path: Path, plan: ScalingPlan, found: ScalingFound, on: str) -> None:
    """Write the page; its table has what the chart shows.

    Args:
        path: Of the HTML file.
        plan: Of the search.
        found: By it.
        on: The latency source, where latency is the axis.

    Raises:
        OSError: If it cannot be written.
    """
    from plotly import graph_objects

    is_timed = plan.axis is CostAxis.LATENCY
    axis = f"latency on {on}, ms" if is_timed else "multiply-adds, millions"
    figure = graph_objects.Figure(
        layout={
            "template": "simple_white",
            "xaxis": {"title": axis, "rangemode": "tozero"},
            "yaxis": {"title": "validation accuracy, mean over seeds"},
            "height": 480,
        }
    )
    tied = found.tied
    groups = (
        ("baseline", _RED, (found.base,)),
        ("best", _GREEN, (found.best,)),
        ("not separated from the best", _GREY, tied),
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
    chart = figure.to_html(full_html=False, include_plotlyjs=True)
    write_whole(path, _page(plan, found, chart, axis).encode())


def _cost(one: TrainedPoint, is_timed: bool) -> float:  # noqa: FBT001 - one of two axes
    if is_timed and one.point.latency_ms is not None:
        return one.point.latency_ms
    return one.point.macs / 1e6


def _error(one: TrainedPoint, noise: float | None) -> float:
    """Standard error of its mean; 0 where nothing tells it."""
    return 0.0 if noise is None else noise / math.sqrt(len(one.accuracies))


def _page(plan: ScalingPlan, found: ScalingFound, chart: str, axis: str) -> str:
    header = ("alpha", "beta", "gamma", "pixels", "growth", axis, "accuracy", "trainings")
    is_timed = plan.axis is CostAxis.LATENCY
    rows = "\n".join(
        "<tr>"
        + "".join(
            f"<td>{cell}</td>"
            for cell in (
                f"{one.point.rule.alpha:g}",
                f"{one.point.rule.beta:g}",
                f"{one.point.rule.gamma:g}",
                one.point.network.size,
                f"{one.point.growth:.2f}",
                f"{_cost(one, is_timed):.4g}",
                f"{one.accuracy:.2%}",
                len(one.accuracies),
            )
        )
        + "</tr>"
        for one in (found.base, *found.points)
    )
    noise = "" if found.noise is None else f"; trainings differ by {100 * found.noise:.2g} points"
    told = (
        f"{len(found.points)} networks of {plan.grid.growth:g} times the baseline's "
        f"{plan.axis}, each trained {plan.seeds} times on {plan.schedule.samples:,} images of "
        f"{plan.task}{noise}."
    )
    heads = "".join(f"<th>{escape(name)}</th>" for name in header)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Scaling constants</title>
<style>body{{font-family:sans-serif;max-width:60rem;margin:2rem auto}}
td,th{{padding:.2rem .8rem;text-align:right}}</style></head>
<body><h1>Scaling constants</h1><p>{escape(told)}</p>
{chart}
<table><tr>{heads}</tr>
{rows}
</table></body></html>
"""
