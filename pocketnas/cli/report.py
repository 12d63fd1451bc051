"""``pocketnas report``: a run as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pocketnas.cli.output import AsJson, print_json
from pocketnas.cli.replay import Run


def report(
    run: Run,
    *,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write.", show_default="RUN/report.html"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a run as one HTML file that needs nothing else: front, rewards, predictions.

    Three charts: accuracy against latency with the front, reward over trials, and predicted
    against measured latency; then the front as a table and the conditions it holds under.
    """
    from pocketnas.report import write_report
    from pocketnas.view import view

    path = output or run / "report.html"
    write_report(view(run), path)
    if as_json:
        print_json({"run": str(run), "path": str(path)})
    else:
        typer.echo(str(path))
