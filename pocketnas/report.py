"""A run as one HTML file: front, rewards over time, predicted against measured."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pocketnas import fleet_view, lineage, phase_view
from pocketnas.fleet_view import unit_of
from pocketnas.objective_text import figure_text, further, shown_names
from pocketnas.report_page import definitions, layout, require_plotly, section, write_page
from training.metric_name import heading

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Run = Mapping[str, Any]


def write_report(run: Run, path: Path) -> None:
    """Write what ``pocketnas.view.view`` tells of a run to ``path``.

    Raises:
        InputError: If the file cannot be written.
        OperationError: If plotly is not installed.
    """
    require_plotly()
    config = run["config"]
    write_page(path, f"{run['run']}: {config['algorithm']} in {config['space']}", _parts(run))


def _parts(run: Run) -> list[str]:
    others = [_objective_chart(run, name) for name in further(run["objectives"])]
    charts = [
        _front_chart(run),
        *others,
        _reward_chart(run),
        *lineage.lineage_charts(run),
        _prediction_chart(run),
    ]
    return [
        f"<p>{html.escape(_summary(run))}</p>",
        *(f'<p class="stand-in">Stand-in: {html.escape(text)}</p>' for text in run["stand_ins"]),
        *(
            f"<p>{html.escape(text)}.</p>"
            for text in (
                *run["warm_start"],
                *phase_view.told_of_phases(run),
                *lineage.told_of_lineage(run),
            )
        ),
        *_warnings(run),
        *_order(run),
        *_saving(run),
        *(section(heading, chart, first=i == 0) for i, (heading, chart) in enumerate(charts)),
        "<h2>The front</h2>",
        _front_table(run),
        *_drawing(run),
        fleet_view.page(run),
        _exported(run),
        _profile(run),
        "<h2>Conditions of the best network's latency</h2>",
        _conditions(run),
        "<h2>Failures</h2>",
        _failures(run),
        "<h2>Settings</h2>",
        definitions(run["config"]),
    ]


def _summary(run: Run) -> str:
    config = run["config"]
    state = "finished" if run["finished"] else "not finished"
    objectives = shown_names(run["objectives"], run["metric"])
    return (
        f"{run['told']} of {config['trials']} trials, {state}. Trained on {config['dataset']}, "
        f"timed on {fleet_view.timed_on(config)}, seed {config['seed']}. Objectives: "
        f"{objectives}. Hypervolume {run['hypervolume']:.4f} of "
        f"{run['hypervolume_box']}."
    )


def _evaluated(run: Run) -> list[Mapping[str, Any]]:
    return [trial for trial in run["trials"] if trial["kind"] == "evaluated"]


def _warnings(run: Run) -> list[str]:
    """That predictions were off, where they were."""
    check = run["predictions"]
    if check is None or not check["alarm"]:
        return []
    return [f'<p class="stand-in">Warning: {html.escape(check["alarm"])}</p>']


def _order(run: Run) -> list[str]:
    """How sure the best is the best, where networks were trained again."""
    ranking = run["ranking"]
    if ranking is None:
        return []
    rows = "".join(
        f"<tr><td>{one['index']}</td><td>{one['trainings']}</td>"
        f"<td>{one['accuracy_low']:.4f} to {one['accuracy_high']:.4f}</td>"
        f"<td>{one['best']:.0%}</td></tr>"
        for one in ranking["members"]
        if one["best"] > 0 or one["tied"]
    )
    head = "".join(
        f"<th>{name}</th>"
        for name in ("trial", "trainings", f"{run['metric']} on average (90 %)", "is the best")
    )
    return [
        f"<p>{html.escape(ranking['sentence'])}</p>",
        f"<table><tr>{head}</tr>{rows}</table>",
    ]


def _drawing(run: Run) -> list[str]:
    """The best network, where it is of a family that is drawn."""
    best = run["best"]
    from search_space import assemblenet, spinenet

    if best is None or not best["key"].startswith((spinenet.KEY_START, assemblenet.KEY_START)):
        return []
    from pocketnas.drawing import to_svg
    from pocketnas.network_picture import picture_of
    from pocketnas.runs import trial_of

    found = trial_of(Path(run["run"]), str(best["index"]))
    picture = picture_of(found.architecture, found.told)
    if picture is None:
        return []
    return [f"<h2>The best network, trial {best['index']}</h2>", to_svg(picture)]


def _saving(run: Run) -> list[str]:
    """How much was saved by stopping early, where any was."""
    saving = run["saving"]
    return [] if saving is None else [f"<p>{html.escape(saving['sentence'])}.</p>"]


def _front_chart(run: Run) -> tuple[str, Figure]:
    from plotly import graph_objects

    trials, front, unit = _evaluated(run), run["front"], unit_of(run["config"])
    latency = "load" if unit.key == "load" else "latency_ms"
    figure = graph_objects.Figure(layout=layout(unit.axis, run["metric"]))
    figure.add_scatter(
        x=[trial["latency"][latency] for trial in trials],
        y=[trial["accuracy"] for trial in trials],
        text=[f"trial {trial['index']}, reward {trial['reward']:.4f}" for trial in trials],
        mode="markers",
        marker={"color": "#8fa3b8", "size": 7},
        name="evaluated",
    )
    stopped = [trial for trial in run["trials"] if trial["kind"] == "stopped"]
    if stopped:
        figure.add_scatter(
            x=[trial["latency"]["latency_ms"] for trial in stopped],
            y=[trial["expected_accuracy"] for trial in stopped],
            text=[
                f"trial {trial['index']}, after {trial['samples']} samples" for trial in stopped
            ],
            mode="markers",
            marker={"color": "#8fa3b8", "size": 7, "symbol": "circle-open"},
            name="stopped early, expected",
        )
    figure.add_scatter(
        x=[member[f"predicted_{unit.key}"] for member in front],
        y=[member["accuracy"] for member in front],
        text=[f"trial {member['index']}" for member in front],
        mode="lines+markers" if not further(run["objectives"]) else "markers",
        line={"color": "#1f6f43", "shape": "hv"},
        name="front",
    )
    if unit.target is not None:
        figure.add_vline(x=unit.target, line={"dash": "dash", "color": "#b3472d"})
    against = "load" if unit.key == "load" else "latency"
    return f"{heading(run['metric'])} against {against}", figure


def _objective_chart(run: Run, name: str) -> tuple[str, Figure]:
    """Accuracy against an objective that is no latency."""
    from plotly import graph_objects

    figure = graph_objects.Figure(layout=layout(name, run["metric"]))
    found = (
        ("evaluated", "#8fa3b8", _evaluated(run)),
        ("front", "#1f6f43", run["front"]),
    )
    for label, colour, shown in found:
        figure.add_scatter(
            x=[one["objectives"][name] for one in shown],
            y=[one["accuracy"] for one in shown],
            text=[f"trial {one['index']}, reward {one['reward']:.4f}" for one in shown],
            mode="markers",
            marker={"color": colour, "size": 7},
            name=label,
        )
    return f"{heading(run['metric'])} against {name}", figure


def _reward_chart(run: Run) -> tuple[str, Figure]:
    from plotly import graph_objects

    trials = _evaluated(run)
    best, so_far = [], float("-inf")
    for trial in trials:
        so_far = max(so_far, trial["reward"])
        best.append(so_far)
    indices = [trial["index"] for trial in trials]
    figure = graph_objects.Figure(layout=layout("trial", "reward"))
    figure.add_scatter(
        x=indices,
        y=[trial["reward"] for trial in trials],
        mode="markers",
        marker={"color": "#8fa3b8", "size": 6},
        name="reward",
    )
    figure.add_scatter(
        x=indices, y=best, mode="lines", line={"color": "#1f6f43", "shape": "hv"}, name="best"
    )
    for place, name in phase_view.beginnings(run):
        line = {"dash": "dot", "color": "#8fa3b8"}
        figure.add_vline(x=place, line=line, annotation_text=name)
    return "Reward over trials", figure


def _prediction_chart(run: Run) -> tuple[str, Figure]:
    from plotly import graph_objects

    unit = unit_of(run["config"])
    predicted_key, measured_key = f"predicted_{unit.key}", f"measured_{unit.key}"
    pairs = [member for member in run["front"] if member[measured_key] is not None]
    figure = graph_objects.Figure(
        layout=layout(f"predicted in the search, {unit.name}", f"measured at the end, {unit.name}")
    )
    if pairs:
        measured = [member[measured_key] for member in pairs]
        span = [min(measured), max(measured)]
        figure.add_scatter(
            x=[member[predicted_key] for member in pairs],
            y=measured,
            text=[f"trial {member['index']}" for member in pairs],
            error_y=_error_bars(pairs, unit.key),
            mode="markers",
            marker={"color": "#1f6f43", "size": 8},
            name="front",
        )
        figure.add_scatter(
            x=span, y=span, mode="lines", line={"dash": "dot", "color": "#8fa3b8"}, name="equal"
        )
    else:
        figure.add_annotation(text="nothing was measured again: no device", showarrow=False)
    return f"Predicted against measured {'load' if unit.key == 'load' else 'latency'}", figure


def _error_bars(pairs: Sequence[Mapping[str, Any]], unit: str) -> dict[str, Any]:
    low, middle, high = f"ci_low_{unit}", f"measured_{unit}", f"ci_high_{unit}"
    return {
        "type": "data",
        "symmetric": False,
        "array": [member["latency"][high] - member[middle] for member in pairs],
        "arrayminus": [member[middle] - member["latency"][low] for member in pairs],
    }


def _front_table(run: Run) -> str:
    if not run["front"]:
        return "<p>No network was evaluated.</p>"
    others = further(run["objectives"])
    unit = unit_of(run["config"])
    head = (
        "trial",
        run["metric"],
        "reward",
        f"predicted {unit.name}",
        f"measured {unit.name}",
        "95 % interval",
        *others,
        *map(html.escape, fleet_view.device_columns(run)),
        "verdict",
        *lineage.parent_columns(run),
        *phase_view.phase_columns(run),
    )
    rows = []
    for member in run["front"]:
        latency, measured = member["latency"], member[f"measured_{unit.key}"]
        cells = (
            str(member["index"]),
            f"{member['accuracy']:.2%}",
            f"{member['reward']:.4f}",
            f"{member[f'predicted_{unit.key}']:.4g}",
            "-" if measured is None else f"{measured:.4g}",
            f"{latency[f'ci_low_{unit.key}']:.4g} to {latency[f'ci_high_{unit.key}']:.4g}",
            *(figure_text(member["objectives"][name]) for name in others),
            *fleet_view.device_cells(member),
            latency["verdict"],
            *lineage.parent_cells(run, member["index"]),
            *map(html.escape, phase_view.phase_cells(run, member["index"])),
        )
        mark = ' class="best"' if member["index"] == run["best"]["index"] else ""
        rows.append(f"<tr{mark}>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>")
    header = "".join(f"<th>{name}</th>" for name in head)
    return f"<table><tr>{header}</tr>{''.join(rows)}</table>"


def _exported(run: Run) -> str:
    exported = run["exported"]
    if exported is None:
        return ""
    return (
        f"<p>Exported: trial {exported['index']} as <code>{html.escape(exported['path'])}</code>, "
        f"{exported['bytes']:,} bytes, weights {html.escape(exported['weights'])}.</p>"
    )


def _profile(run: Run) -> str:
    """A bar for each block of the best network, beside its multiply-adds; nothing if not timed."""
    profile = run["profile"]
    if profile is None:
        return ""
    head = ("block", "ms", "share", "", "million MACs", "operators")
    most = max(block["share"] for block in profile["blocks"])
    rows = []
    for block in profile["blocks"]:
        half = block["half_width_ms"]
        cells = [
            html.escape(block["name"]),
            f"{block['ms']:.4g}" + ("" if half is None else f" ± {half:.2g}"),
            f"{block['share']:.1%}",
            f'<div class="bar" style="width: {max(0, block["share"] / most):.0%}"></div>',
            f"{block['macs'] / 1e6:.4g}",
            html.escape(", ".join(block["operators"])),
        ]
        rows.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    header = "".join(f"<th>{name}</th>" for name in head)
    told = f"{profile['whole_ms']:.4g} ms on {profile['device']}, by {profile['method']}."
    labels = " ".join(html.escape(label) + "." for label in profile["labels"])
    return (
        f"<h2>Where its time goes</h2><p>{html.escape(told)} {labels}</p>"
        f'<table class="blocks"><tr>{header}</tr>{"".join(rows)}</table>'
    )


def _conditions(run: Run) -> str:
    best = run["best"]
    if best is not None and "devices" in best["latency"]:
        return "".join(
            f"<h3>{html.escape(each['name'])}</h3>"
            f"{_conditions_on(each['latency']['conditions'], each['latency']['source'])}"
            for each in best["latency"]["devices"]
        )
    found = None if best is None else best["latency"]["conditions"]
    return _conditions_on(found, ", ".join(fleet_view.sources(run["config"])))


def _conditions_on(conditions: Mapping[str, Any] | None, source: str) -> str:
    if conditions is None:
        return f"<p>From {html.escape(source)}: no device was timed.</p>"
    return definitions(conditions)


def _failures(run: Run) -> str:
    if not run["failures"]:
        return "<p>None.</p>"
    items = (
        f"<li>trial {failure['index']}: {html.escape(failure['text'])}</li>"
        for failure in run["failures"]
    )
    return f"<ul>{''.join(items)}</ul>"
