"""``pocketnas quickstart``: the first five minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def quickstart(
    *,
    folder: Annotated[Path, typer.Option("--folder", help="Where the two runs go.")] = Path(
        "runs"
    ),
    trials: Annotated[
        int, typer.Option(help="Networks to train and time in the second search.", min=1)
    ] = 24,
) -> None:
    """Run two real searches: on a published table, then with the device in the loop.

    The device is an authorised phone if one is attached, else this computer. The second search
    trains on scikit-learn's digits and takes a few minutes; both need the extras train and export.
    """
    from pocketnas import quickstart as tour

    tour.run(folder, trials=trials)
