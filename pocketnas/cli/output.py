"""What the commands print, and the option that makes it JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

import typer

QUIET_S = 5.0
"""Between two lines that tell what goes on."""

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


def print_json(result: Mapping[str, object]) -> None:
    """Print ``result`` as one JSON object; a number that is not finite is a fault of ours."""
    typer.echo(json.dumps(result, indent=1, allow_nan=False, ensure_ascii=False))


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print aligned columns: the first to the left, the others to the right."""
    lines = [list(header), *[list(row) for row in rows]]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    for line in lines:
        cells = [
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        typer.echo("  ".join(cells).rstrip())


def teller() -> Callable[[str], None]:
    """Prints what it is told on stderr, a line every ``QUIET_S`` at most; others are dropped."""
    last_s = time.monotonic()

    def tell(text: str) -> None:
        nonlocal last_s
        if time.monotonic() - last_s >= QUIET_S:
            last_s = time.monotonic()
            typer.echo(text, err=True)

    return tell
