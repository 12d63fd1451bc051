"""``pocketnas show``: what a run has found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from pocketnas.cli.output import AsJson, print_json, print_table
from pocketnas.cli.replay import Run
from pocketnas.objective_text import figure_text, further, shown_names

if TYPE_CHECKING:
    from pocketnas.fleet_view import Unit

LONGEST_FRONT = 12
"""Rows of the front that are shown as text."""


def show(run: Run, *, as_json: AsJson = False) -> None:
    """Show what a run has found (its front, its best network, its failures) or a training gave.

    With --json: every trial with its conditions and sessions.
    """
    from pocketnas.training_plan import is_training

    if is_training(run):
        from pocketnas.cli.train import print_training

        print_training(run, as_json=as_json)
        return
    print_run(run, as_json=as_json)


def print_run(run: Path, *, as_json: bool) -> None:
    """Print what ``show`` prints."""
    from pocketnas.view import view

    facts = view(run)
    if as_json:
        print_json(facts)
        return
    _print_header(facts)
    _print_front(facts)
    _print_lineage(facts)
    if facts["saving"] is not None:
        typer.echo(facts["saving"]["sentence"])
    _print_failures(facts)
    _print_export(facts)


def _print_header(facts: dict[str, Any]) -> None:
    from pocketnas.fleet_view import timed_on, told_of_load
    from pocketnas.phase_view import told_of_phases

    config = facts["config"]
    state = "finished" if facts["finished"] else "not finished"
    typer.echo(
        f"{facts['run']}: {facts['told']} of {config['trials']} trials, {state}; "
        f"{config['algorithm']} in {config['space']}, {config['dataset']} against "
        f"{timed_on(config)}"
    )
    if facts["fleet"] is not None:
        typer.echo(f"  {told_of_load(facts)}")
    for said in (*facts["warm_start"], *told_of_phases(facts)):
        typer.echo(f"  {said}")
    for stand_in in facts["stand_ins"]:
        typer.echo(f"  stand-in: {stand_in}")


def _print_front(facts: dict[str, Any]) -> None:
    from pocketnas.fleet_view import device_columns, unit_of
    from pocketnas.lineage import parent_cells, parent_columns
    from pocketnas.phase_view import phase_cells, phase_columns
    from training.metric_name import marked

    front, best, unit = facts["front"], facts["best"], unit_of(facts["config"])
    if not front:
        typer.echo("no network was evaluated yet")
        return
    shown = sorted(front, key=lambda member: -member["reward"])[:LONGEST_FRONT]
    names = facts["objectives"]
    metric = facts["metric"]
    of = "" if names == ["accuracy", "latency_ms"] else f" of {shown_names(names, metric)}"
    typer.echo(f"front{of} of {len(front)}, {len(shown)} with the highest reward, fastest first:")
    others = further(names)
    ordered = sorted(shown, key=lambda member: member[f"predicted_{unit.key}"])
    head = ("trial", metric, "reward", f"predicted {unit.name}", f"measured {unit.name}")
    print_table(
        (
            *head,
            *others,
            *device_columns(facts),
            "verdict",
            *parent_columns(facts),
            *phase_columns(facts),
        ),
        [
            (
                *_row(each, best, unit, others),
                *parent_cells(facts, each["index"]),
                *phase_cells(facts, each["index"]),
            )
            for each in ordered
        ],
    )
    if all(member["index"] != best["index"] for member in front):
        taken = best["latency"].get("load", best["latency"].get("latency_ms"))
        typer.echo(
            f"best by the reward, not on this front: trial {best['index']}, "
            f"{marked(metric, best['accuracy'])} at {unit.figure(taken)}"
        )
    typer.echo(f"hypervolume {facts['hypervolume']:.4f} of {facts['hypervolume_box']}")
    for label, members in _labels(shown).items():
        typer.echo(f"  label of {members} of them: {label}")
    _print_predictions(facts["predictions"])
    if facts["ranking"] is not None:
        typer.echo(facts["ranking"]["sentence"])
    _print_devices(facts)


def _print_lineage(facts: dict[str, Any]) -> None:
    """From which trials the best one descends, where trials are made from others."""
    from pocketnas.lineage import told_of_lineage

    for said in told_of_lineage(facts):
        typer.echo(said)


def _print_devices(facts: dict[str, Any]) -> None:
    """Each device's own best network, where the search was for a fleet."""
    if facts["fleet"] is None:
        return
    from pocketnas.fleet_view import device_rows, told_of_each

    typer.echo(f"{told_of_each(facts)}:")
    print_table(*device_rows(facts))


def _labels(front: Sequence[dict[str, Any]]) -> Counter[str]:
    """What has to be said of latencies, with how many of them."""
    return Counter(label for member in front for label in member["latency"]["labels"])


def _print_predictions(check: dict[str, Any] | None) -> None:
    if check is None:
        return
    typer.echo(
        f"{check['networks']} networks were predicted and measured: median ratio "
        f"{check['median_ratio']:.3f}, {check['inside']} inside their 95 % intervals"
    )
    if check["alarm"]:
        typer.echo(f"  warning: {check['alarm']}")


def _row(
    member: dict[str, Any], best: dict[str, Any], unit: Unit, others: Sequence[str]
) -> tuple[str, ...]:
    from pocketnas.fleet_view import device_cells

    mark = " best" if member["index"] == best["index"] else ""
    measured = member[f"measured_{unit.key}"]
    latency = member["latency"]
    low, high = latency[f"ci_low_{unit.key}"], latency[f"ci_high_{unit.key}"]
    interval = f"{measured:.4g} [{low:.4g}, {high:.4g}]" if (measured is not None) else "-"
    return (
        f"{member['index']}{mark}",
        f"{member['accuracy']:.2%}",
        f"{member['reward']:.4f}",
        f"{member[f'predicted_{unit.key}']:.4g}",
        interval,
        *(figure_text(member["objectives"][name]) for name in others),
        *device_cells(member),
        latency["verdict"],
    )


def _print_failures(facts: dict[str, Any]) -> None:
    failures = facts["failures"]
    if failures:
        typer.echo(f"{len(failures)} trials failed, the last one so: {failures[-1]['text']}")


def _print_export(facts: dict[str, Any]) -> None:
    exported = facts["exported"]
    if exported is None:
        return
    typer.echo(f"exported trial {exported['index']}: {exported['path']}")
    typer.echo(f"  {exported['bytes']:,} bytes, weights {exported['weights']}")
    timed = [exported["latency"], *exported.get("on_devices", [])]
    for latency in [each for each in timed if each is not None]:
        typer.echo(
            f"  the file takes {latency['median_ms']:.4g} ms, 95 % interval "
            f"{latency['ci_low_ms']:.4g} to {latency['ci_high_ms']:.4g} ms, {latency['verdict']} "
            f"(on {latency['source']})"
        )
