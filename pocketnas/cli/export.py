"""``pocketnas export``: a network as a file that phones run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pocketnas.cli.arch import Architectures, Classes, HeadName, Size
from pocketnas.cli.output import AsJson, print_json


def export(
    architecture: Architectures,
    *,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder to write into; made if missing.")
    ] = Path("exported"),
    model_format: Annotated[
        str, typer.Option("--format", help="tflite, or package.module:NAME for yours.")
    ] = "tflite",
    size: Size = None,
    classes: Classes = None,
    head: HeadName = "classifier",
    as_json: AsJson = False,
) -> None:
    """Write a network as a model file, checked in the runtime against torch.

    A run's network has the weights of its short training where they were kept; a catalog network
    has untrained ones, and the output says which.

    Example: pocketnas export runs/first:best -o out
    """
    from pocketnas.delivery import deliver
    from pocketnas.networks import resolve

    found = resolve(architecture, size=size, classes=classes, head=head)
    delivered = deliver(found, model_format, output)
    if as_json:
        print_json(delivered.to_json())
        return
    typer.echo(f"{delivered.artifact.path}")
    for line in delivered.lines():
        typer.echo(f"  {line}")
