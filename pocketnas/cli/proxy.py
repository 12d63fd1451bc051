"""``pocketnas proxy``: is a short training enough to tell good networks from bad ones?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketnas.cli.help import Command, Commands
from pocketnas.cli.output import AsJson, print_json, print_table
from training.task import FORMS

if TYPE_CHECKING:
    from controller.proxy_check import Agreement, ProxyCheck

app = typer.Typer(
    cls=Commands,
    help="The short training that stands for the full one in a search.",
    no_args_is_help=True,
)


@app.command(cls=Command)
def check(
    *,
    dataset: Annotated[
        str,
        typer.Option(help=f"What it is trained on: {FORMS}."),
    ],
    proxy: Annotated[
        list[str],
        typer.Option(
            metavar="samples=N[,size=PIXELS][,width=W]",
            help="A cheaper training; may be repeated.",
        ),
    ],
    samples: Annotated[
        int | None,
        typer.Option(
            help="Training images or clips of the full training.",
            show_default="the data set's",
            min=1,
        ),
    ] = None,
    space: Annotated[str, typer.Option(help="mnasnet, proxyless or package.module:NAME.")] = (
        "mnasnet"
    ),
    space_option: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Setting of the space; may be repeated."),
    ] = None,
    train_command: Annotated[
        str, typer.Option(help="Your own training, as of search.", show_default="ours")
    ] = "",
    networks: Annotated[int, typer.Option(help="Random networks of the space.", min=4)] = 8,
    seeds: Annotated[int, typer.Option(help="Trainings of each by each task.", min=1)] = 2,
    seed: Annotated[int, typer.Option(help="Of the networks.")] = 0,
    least: Annotated[
        float, typer.Option(help="Rank correlation that is enough.", min=0.0, max=1.0)
    ] = 0.8,
    out: Annotated[
        Path, typer.Option(help="Keeps every training; a check that was cut off goes on.")
    ] = Path("proxy-check.jsonl"),
    as_json: AsJson = False,
) -> None:
    r"""Train a few networks in full and by cheaper proxies, and compare their order.

    Says what each proxy costs, its rank correlation with the full training and the interval of
    that, how far two seeds differ, and which proxy is the cheapest that keeps the order. Exit code
    1 if none does.

    Example: pocketnas proxy check --dataset fashion-mnist --samples 24000 \
      --proxy samples=3000 --proxy samples=6000,width=0.5
    """
    from pocketnas.config import SearchConfig, options_from
    from pocketnas.proxying import checked

    config = SearchConfig.load(
        None,
        {
            "dataset": dataset,
            "space": space,
            "space_options": options_from(space_option or [], "--space-option"),
            "samples": samples,
            "train_command": train_command,
            "seed": seed,
            "target_ms": 1.0,  # nothing is timed
        },
    )
    found = checked(
        config,
        proxy,
        networks=networks,
        seeds=seeds,
        log=out,
        least=least,
        say=lambda text: typer.echo(text, err=True),
    )
    if as_json:
        print_json(_facts(found))
    else:
        _print(found)
    if found.cheapest is None:
        typer.echo(
            f"pocketnas: no proxy has a rank correlation of {least:g}; give it more samples",
            err=True,
        )
        raise typer.Exit(1)


def _facts(found: ProxyCheck) -> dict[str, object]:
    def told(one: Agreement) -> dict[str, object]:
        return {**asdict(one), "task": str(one.task)}

    return {
        "networks": found.networks,
        "seeds": found.seeds,
        "full": told(found.full),
        "proxies": [told(one) for one in found.proxies],
        "least": found.least,
        "cheapest": None if found.cheapest is None else str(found.cheapest.task),
    }


def _print(found: ProxyCheck) -> None:
    rows = [_row("full: ", found.full), *(_row("", one) for one in found.proxies)]
    header = ("task", "cost", "s a training", "seeds differ", "rank correlation", "90 % interval")
    print_table(header, rows)
    typer.echo(
        f"{found.networks} networks, {found.seeds} seeds each; that of the full task is of its "
        "seeds with each other"
    )
    if found.cheapest is not None:
        typer.echo(f"cheapest that keeps the order: {found.cheapest.task}")


def _row(mark: str, one: Agreement) -> tuple[str, ...]:
    interval = "-" if one.low is None or one.high is None else f"{one.low:.2f} to {one.high:.2f}"
    return (
        f"{mark}{one.task}",
        f"{one.cost:.1%}",
        f"{one.seconds:.1f}",
        "-" if one.noise is None else f"{100 * one.noise:.2f} points",
        "-" if one.spearman is None else f"{one.spearman:.2f}",
        interval,
    )
