"""``pocketnas report``: a run, or trainings side by side, as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pocketnas.cli.output import AsJson, print_json


def report(
    run: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...",
            help="Folder of a search, or of one or more trainings of 'pocketnas train'.",
            show_default=False,
        ),
    ],
    *,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write.", show_default="RUN/report.html"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write one HTML file that needs nothing else.

    Of a search three charts: accuracy against latency with the front, reward over trials, and
    predicted against measured latency; then the front as a table and the conditions it holds
    under. Of trainings: accuracy over images and against time, the loss, what each stage took.

    Example: pocketnas report trained/plain trained/progressive -o compared.html
    """
    from pocketnas.training_plan import is_training

    path = output or run[0] / "report.html"
    if is_training(run[0]) or len(run) > 1:
        from pocketnas.training_report import write_training_report

        write_training_report(run, path)
    else:
        from pocketnas.report import write_report
        from pocketnas.view import view

        write_report(view(run[0]), path)
    if as_json:
        print_json({"run": str(run[0]), "path": str(path)})
    else:
        typer.echo(str(path))
