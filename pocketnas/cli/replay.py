"""``pocketnas replay``: whether a run's proposals follow from its seed and outcomes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pocketnas.cli.output import AsJson, print_json

Run = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run.", show_default=False)]


def replay(run: Run, *, as_json: AsJson = False) -> None:
    """Ask a fresh algorithm for every proposal of a run again, and compare.

    Exit code 1 if one differs, as it may under another version of a library.
    """
    from pocketnas import runs

    report = runs.replay(run)
    if as_json:
        print_json({"run": str(run), "proposals": report.proposals, "outcomes": report.outcomes})
    else:
        typer.echo(
            f"{run}: {report.proposals} proposals and {report.outcomes} outcomes replayed, "
            "all the same"
        )
