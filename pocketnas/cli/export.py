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
    from pocketnas.exported import write_network
    from pocketnas.networks import resolve

    found = resolve(architecture, size=size, classes=classes, head=head)
    exported = write_network(found, model_format, output)
    if as_json:
        print_json(exported.to_json())
        return
    facts = exported.to_json()
    typer.echo(facts["path"])
    typer.echo(f"  {facts['bytes']:,} bytes, {facts['precision']}, written by {facts['tool']}")
    for spec in (*exported.artifact.inputs, *exported.artifact.outputs):
        typer.echo(f"  {spec.name} {list(spec.shape)} {spec.dtype}")
    typer.echo(f"  weights {exported.weights}")
    if exported.parity is not None:
        typer.echo(f"  outputs within {exported.parity.max_error:.1e} of torch's in LiteRT")
