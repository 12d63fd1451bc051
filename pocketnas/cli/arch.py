"""``pocketnas arch``: what a network is and costs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketnas.cli.output import AsJson, print_json

if TYPE_CHECKING:
    from search_space.architecture import Architecture, Head

Architectures = Annotated[
    str,
    typer.Argument(
        metavar="ARCH",
        help="A catalog name (mnasnet-a1, spinenet-49, assemblenet-50, mobilenet-v2@1.4), a run's "
        "network (RUN:best, RUN:12), a training's folder, a JSON file, or a space's decisions "
        "(mnasnet:[0,1,…]).",
        show_default=False,
    ),
]
Size = Annotated[
    int | None, typer.Option(help="Input size in pixels.", min=1, show_default="its own")
]
Classes = Annotated[
    int | None,
    typer.Option(
        help="Classes of its head.",
        min=1,
        show_default="the run's, else 1000, a detector's 91, or 339 of videos",
    ),
]
HeadName = Annotated[
    str | None,
    typer.Option(
        "--head",
        help="What it ends in: classifier, detector (RetinaNet's heads, for spinenet-…), or "
        "videoclassifier (for assemblenet-…).",
        show_default="the run's, else its family's classifier",
    ),
]


def arch(
    architecture: Architectures,
    *,
    size: Size = None,
    classes: Classes = None,
    head: HeadName = None,
    draw: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Draw a network into a .svg or .png: a scale-permuted one with its blocks by "
            "level over depth, one of several streams by level; connections as thick as the "
            "weights that are published, or that a run's or training's network has learned.",
            show_default="no picture",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a network is: key, input, parameters, multiply-adds, memory.

    MACs count convolutions and fully connected layers only, at batch 1. Peak activation memory
    is the largest sum of float32 activations that live at once in execution order.

    Example: pocketnas arch mnasnet-a1@0.75 --size 192 --json
    """
    from pocketnas.networks import resolve

    found = resolve(architecture, size=size, classes=classes, head=head)
    if draw is not None:
        from pocketnas.network_picture import write_picture

        write_picture(found.architecture, draw, found.told)
    facts = describe(found.architecture, found.head)
    if as_json:
        print_json(facts)
        return
    for name, value in facts.items():
        if name != "architecture":
            typer.echo(f"{name:22} {value:,}" if isinstance(value, int) else f"{name:22} {value}")


def describe(architecture: Architecture, head: Head) -> dict[str, object]:
    """What ``pocketnas arch --json`` prints."""
    return {
        "key": architecture.key,
        "family": architecture.family.value,
        "head": type(head).__name__.lower(),
        "classes": head.classes,
        "input_shape": [1, *architecture.inputs[0].shape],
        **_inputs(architecture),
        **_cost(architecture, head),
        "architecture": architecture.to_json(),
    }


def _inputs(architecture: Architecture) -> dict[str, object]:
    """The shapes of all inputs by name, where there are several."""
    shapes = {spec.name: [1, *spec.shape] for spec in architecture.inputs}
    return {"inputs": shapes} if len(shapes) > 1 else {}


def _cost(architecture: Architecture, head: Head) -> dict[str, int]:
    """Of a chain by its layers, which need no torch; of another network by its shapes in torch."""
    from controller.network_figures import MEGA, Figure, figures_of
    from exporters.artifact import Precision
    from search_space.architecture import Classifier
    from search_space.chain import ChainArchitecture
    from search_space.layers import statistics

    if isinstance(architecture, ChainArchitecture) and isinstance(head, Classifier):
        found = figures_of(architecture, head, Precision.FP32, set(Figure))
        return {
            "params": int(found[Figure.PARAMS]),
            "total_params": int(found[Figure.PARAMS]) + statistics(architecture, head),
            "macs": int(found[Figure.MACS]),
            "peak_activation_bytes": round(MEGA * found[Figure.ACTIVATION_MB]),
        }
    from controller.counted_figures import cost_of

    cost = cost_of(architecture, head)
    return {
        "params": cost.params,
        "total_params": cost.total_params,
        "macs": cost.macs,
        "peak_activation_bytes": cost.peak_activation_bytes,
    }
