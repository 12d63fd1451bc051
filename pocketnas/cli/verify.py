"""``pocketnas verify``: a bundle checked again, on any machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pocketnas.cli.output import AsJson, print_json


def verify(
    bundle: Annotated[
        Path,
        typer.Argument(help="Folder that 'pocketnas export --bundle' made.", metavar="BUNDLE"),
    ],
    *,
    dataset: Annotated[
        str | None,
        typer.Option(
            help="Classify this dataset's test split again.", show_default="accuracy as it is"
        ),
    ] = None,
    on: Annotated[
        list[str] | None,
        typer.Option(
            help="Time the files again on this source, and compare with the bundle's latencies; "
            "may be given again.",
            show_default="nowhere",
        ),
    ] = None,
    preset: Annotated[
        str, typer.Option(help="How hard timing tries: quick, search or final.")
    ] = "search",
    as_json: AsJson = False,
) -> None:
    """Check a bundle: every byte, the outputs of every model and of network.py, and the gates.

    network.py of the bundle is run, unless a byte has changed: verify bundles you trust.

    Example: pocketnas verify bundle --dataset fashion-mnist --on host
    """
    from delivery.examination import examine
    from workspace.errors import OperationError

    report = examine(bundle, dataset=dataset, sources=on or (), preset=preset)
    if as_json:
        print_json({"bundle": str(bundle), **report.to_json()})
    else:
        for line in report.lines():
            typer.echo(line)
    if not report.passed:
        wrong = "; ".join(
            line.removeprefix("FAILED").strip()
            for line in report.lines()
            if line.startswith("FAILED")
        )
        msg = f"the bundle {str(bundle)!r} is not what it should be: {wrong}"
        raise OperationError(msg)
