"""``pocketnas show``: what a run has found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from pocketnas.cli.output import AsJson, print_json, print_table
from pocketnas.cli.replay import Run

LONGEST_FRONT = 12
"""Rows of the front that are shown as text."""


def show(run: Run, *, as_json: AsJson = False) -> None:
    """Show what a run has found: its front, its best network, its failures.

    With --json: every trial with its conditions and sessions.
    """
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
    _print_failures(facts)
    _print_export(facts)


def _print_header(facts: dict[str, Any]) -> None:
    config = facts["config"]
    state = "finished" if facts["finished"] else "not finished"
    typer.echo(
        f"{facts['run']}: {facts['told']} of {config['trials']} trials, {state}; "
        f"{config['algorithm']} in {config['space']}, {config['dataset']} against "
        f"{config['latency']}, target {config['target_ms']:g} ms ({config['reward']})"
    )
    for said in facts["warm_start"]:
        typer.echo(f"  {said}")
    for stand_in in facts["stand_ins"]:
        typer.echo(f"  stand-in: {stand_in}")


def _print_front(facts: dict[str, Any]) -> None:
    front, best = facts["front"], facts["best"]
    if not front:
        typer.echo("no network was evaluated yet")
        return
    shown = sorted(front, key=lambda member: -member["reward"])[:LONGEST_FRONT]
    typer.echo(f"front of {len(front)}, {len(shown)} with the highest reward, fastest first:")
    rows = [
        _row(member, best) for member in sorted(shown, key=lambda member: member["predicted_ms"])
    ]
    print_table(("trial", "accuracy", "reward", "predicted ms", "measured ms", "verdict"), rows)
    typer.echo(
        f"hypervolume {facts['hypervolume']:.4f} of the box from accuracy 0 at "
        f"{2 * facts['config']['target_ms']:g} ms to accuracy 1 at 0 ms"
    )
    for label, members in _labels(shown).items():
        typer.echo(f"  label of {members} of them: {label}")
    _print_predictions(facts["predictions"])
    if facts["ranking"] is not None:
        typer.echo(facts["ranking"]["sentence"])


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


def _row(member: dict[str, Any], best: dict[str, Any]) -> tuple[str, ...]:
    mark = " best" if member["index"] == best["index"] else ""
    measured = member["measured_ms"]
    latency = member["latency"]
    interval = (
        f"{measured:.4g} [{latency['ci_low_ms']:.4g}, {latency['ci_high_ms']:.4g}]"
        if (measured is not None)
        else "-"
    )
    return (
        f"{member['index']}{mark}",
        f"{member['accuracy']:.2%}",
        f"{member['reward']:.4f}",
        f"{member['predicted_ms']:.4g}",
        interval,
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
    latency = exported["latency"]
    if latency is not None:
        typer.echo(
            f"  the file takes {latency['median_ms']:.4g} ms, 95 % interval "
            f"{latency['ci_low_ms']:.4g} to {latency['ci_high_ms']:.4g} ms, {latency['verdict']} "
            f"(on {latency['source']})"
        )
