"""Which trial of a run came from which: as text, in a table, and as a chart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from controller.guided_evolution import Guide
from pocketnas.report_page import GREEN, GREY, layout

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Run = Mapping[str, Any]
"""What ``pocketnas.view.view`` tells."""

_GUIDES = {
    Guide.WEIGHTS: "by the learned weights of their parents' connections",
    Guide.STOPPED: "by those of parents whose trainings were stopped early",
    Guide.SHUFFLED: "by shuffled weights (an ablation, not the method)",
    Guide.NOTHING: "by nothing",
}


def has_lineage(run: Run) -> bool:
    """Whether any trial was made from others."""
    return any(trial["parents"] for trial in run["trials"])


def told_of_lineage(run: Run) -> list[str]:
    """From which trials the best one descends, and what guided the mutations; no full stops."""
    best, sentences = run["best"], []
    if best is not None and has_lineage(run):
        steps = [" and ".join(map(str, step)) for step in descent(run, best["index"])]
        text = f"lineage of the best network: trial {' → '.join(steps)}"
        sentences.append(text if len(steps) > 1 else f"{text}, which has no parents")
    return [*sentences, *_told_of_guides(run)]


def descent(run: Run, index: int) -> list[tuple[int, ...]]:
    """The trial's line, its parents before it, as far back as each has one parent or none.

    Of one with several parents these come first, and their own are left out.
    """
    line: list[tuple[int, ...]] = [(index,)]
    while len(line[0]) == 1:
        parents = tuple(run["trials"][line[0][0]]["parents"])
        if not parents:
            break
        line.insert(0, parents)
    return line


def parent_columns(run: Run) -> tuple[str, ...]:
    """The heading of a trial's parents; nothing where no trial has any."""
    return ("parent",) if has_lineage(run) else ()


def parent_cells(run: Run, index: int) -> tuple[str, ...]:
    """A trial's parents; nothing where no trial has any."""
    parents = run["trials"][index]["parents"]
    return (", ".join(map(str, parents)) or "-",) if has_lineage(run) else ()


def lineage_charts(run: Run) -> list[tuple[str, Figure]]:
    """Lines from parents to children by trial and reward, under their heading; or nothing.

    Trials that failed have no reward and are left out; one that was too slow to be trained is
    where its reward could have been at most.
    """
    if not has_lineage(run):
        return []
    from plotly import graph_objects

    figure = graph_objects.Figure(layout=layout("trial", "reward"))
    line = set(descent(run, run["best"]["index"])) if run["best"] is not None else set()
    of_best = {index for step in line for index in step}
    for name, colour, width, edges in (
        ("parent to child", GREY, 1, [e for e in _edges(run) if not of_best.issuperset(e)]),
        ("lineage of the best", GREEN, 3, [e for e in _edges(run) if of_best.issuperset(e)]),
    ):
        x, y = _segments(run, edges)
        style = {"color": colour, "width": width}
        figure.add_scatter(x=x, y=y, mode="lines", line=style, name=name, hoverinfo="skip")
    for name, symbol, trials in _kinds(run):
        figure.add_scatter(
            x=[trial["index"] for trial in trials],
            y=[trial["reward"] for trial in trials],
            text=[_label(trial) for trial in trials],
            mode="markers",
            marker={"color": GREEN, "size": 8, "symbol": symbol},
            name=name,
        )
    return [("Lineage: parents to children", figure)]


def _told_of_guides(run: Run) -> list[str]:
    guides = Counter(trial["guide"] for trial in run["trials"] if trial["guide"])
    if not guides:
        return []
    found = [f"{guides[guide]} {text}" for guide, text in _GUIDES.items() if guides[guide]]
    text = f"of {guides.total()} mutations {', '.join(found)} were guided"
    unguided = [trial for trial in run["trials"] if trial["guide"] == Guide.NOTHING]
    if not unguided:
        return [text]
    last = unguided[-1]
    why = f"the last such parent, trial {last['parents'][0]}, so: {last['guide_why']}"
    return [f"{text} ({why})"]


def _edges(run: Run) -> Iterator[tuple[int, int]]:
    """From parents to children, of trials that have a reward."""
    trials = run["trials"]
    for trial in trials:
        for parent in trial["parents"]:
            if trial["reward"] is not None and trials[parent]["reward"] is not None:
                yield parent, trial["index"]


def _segments(
    run: Run, edges: Sequence[tuple[int, int]]
) -> tuple[list[int | None], list[float | None]]:
    """Coordinates of lines, with a gap after each."""
    x: list[int | None] = []
    y: list[float | None] = []
    for edge in edges:
        for index in edge:
            x.append(index)
            y.append(run["trials"][index]["reward"])
        x.append(None)
        y.append(None)
    return x, y


def _kinds(run: Run) -> Iterator[tuple[str, str, list[Mapping[str, Any]]]]:
    """Trials with a reward by where they come from: name, symbol, which."""
    shown = [trial for trial in run["trials"] if trial["reward"] is not None]
    kinds = (
        ("no parents", "circle-open", [one for one in shown if not one["parents"]]),
        ("child", "circle", [o for o in shown if o["parents"] and o["guide"] != Guide.NOTHING]),
        ("child, not guided", "diamond-open", [o for o in shown if o["guide"] == Guide.NOTHING]),
    )
    return (kind for kind in kinds if kind[2])


def _label(trial: Mapping[str, Any]) -> str:
    parents = " and ".join(map(str, trial["parents"]))
    text = f"trial {trial['index']}, {trial['kind']}, reward {trial['reward']:.4f}"
    return f"{text}, from trial {parents}" if parents else text
