"""Two searches for someone who has just installed this: on a table, and with a device."""

from __future__ import annotations

from pathlib import Path

import typer

from pocketnas import runs
from pocketnas.cli.show import print_run
from pocketnas.config import ANALYTIC, SearchConfig
from pocketnas.progress import show_progress
from search_space.decisions import Choice
from workspace.errors import OperationError

TABLE_TRIALS = 500
"""Of the first search: some seconds."""

SAMPLES, BATCH = 1280, 32
"""Training images each network of the second search sees, and how many a step."""

OF_BASE = 0.8
"""The second search's target, as a share of what the space's own base network takes."""


def run(folder: Path, *, trials: int) -> None:
    """Both searches, each in a new folder of ``folder``, and what to do next.

    Raises:
        OperationError: If a device fails, or an extra is not installed.
    """
    device, first_line = choose_device()
    typer.echo(first_line)
    typer.echo(
        f"\n1. {TABLE_TRIALS} networks of ProxylessNAS's space for 75 ms on a Pixel 1, whose "
        "published table gives the latencies. Accuracies are a formula's: nothing is trained."
    )
    table_run = runs.new_folder(folder)
    _search(
        table_run,
        SearchConfig(
            space="proxyless",
            dataset=ANALYTIC,
            latency="table:pixel1",
            target_ms=75.0,
            reward="hard",
            trials=TABLE_TRIALS,
        ),
    )
    target_ms = round(OF_BASE * base_latency_ms(device), 4)
    typer.echo(
        f"\n2. {trials} networks of MnasNet's space, each trained on handwritten digits and timed "
        f"on {device}. Target: {target_ms:g} ms, {OF_BASE:.0%} of what the space's base takes."
    )
    device_run = runs.new_folder(folder)
    _search(
        device_run,
        SearchConfig(
            latency=device,
            dataset="digits",
            target_ms=target_ms,
            trials=trials,
            preset="quick",
            final_preset="search",
            samples=SAMPLES,
            batch=BATCH,
        ),
    )
    typer.echo("\nNext:")
    for command in (
        f"pocketnas report {device_run}",
        f"pocketnas export {device_run}:best -o exported",
        f"pocketnas search --dataset fashion-mnist --latency {device} "
        f"--target-ms {target_ms:g} --trials 100",
    ):
        typer.echo(f"  {command}")


def choose_device() -> tuple[str, str]:
    """The first phone that is ready, else this computer; and the line that says so."""
    from devices.pool import discover

    for found in discover():
        if found.kind == "phone" and not found.problem:
            return found.id, f"The device is {found.id}: {found.description}."
    return "host", (
        "No phone is attached: this computer stands in as the device, and its times say nothing "
        "about a phone's."
    )


def base_latency_ms(device: str) -> float:
    """What the middle of the space takes: every block as MobileNetV2 has it."""
    from latency.source import LatencyRequest, NetworkSubject, SourceSettings, create
    from pocketnas.assembly import head_of, space_of
    from pocketnas.latency_text import require_estimate
    from search_space.decisions import DecisionSpace

    config = SearchConfig(latency=device, dataset="digits", target_ms=1.0)
    space = space_of(config)
    if not isinstance(space.points, DecisionSpace):
        msg = f"the space {space.name!r} has no base network"
        raise OperationError(msg)
    point = tuple(base_option(choice) for choice in space.points.choices)
    subject = NetworkSubject(architecture=space.decode(point), head=head_of(config))
    source = create(device, SourceSettings())
    try:
        (answer,) = source.estimate([LatencyRequest(id="base", subject=subject)])
        return require_estimate(answer).latency_ms
    finally:
        source.close()


def _search(folder: Path, config: SearchConfig) -> None:
    with show_progress(config.trials, quiet=False) as observer:
        runs.start(folder, config, observer)
    print_run(folder, as_json=False)


def base_option(choice: Choice) -> int:
    """The option that MobileNetV2 has; widths are listed around the base's, counts from it."""
    match choice.name.rpartition(".")[2]:
        case "op":
            return choice.options.index("mbconv6")
        case "skip":
            return choice.options.index("identity")
        case "filters":
            return 1
    return 0
