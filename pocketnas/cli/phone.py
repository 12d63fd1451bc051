"""``pocketnas phone``: loopback phones, for work without a phone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pocketnas.cli.help import Command, Commands
from pocketnas.cli.output import AsJson, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from devices.loopback.state import Phone

app = typer.Typer(
    cls=Commands,
    help="Loopback phones: Google's adbd in a box on this computer, for work without a phone.",
    no_args_is_help=True,
)


@app.command(cls=Command)
def up(
    *,
    count: Annotated[int, typer.Option(help="How many more phones to bring up.")] = 1,
    scenario: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="What they do: heat up, run down, reboot …; a shipped one or a TOML file.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring up loopback phones. Needs root on Linux; the first time builds them a root.

    A loopback phone is no phone: it runs real adb and real LiteRT on this computer's processor,
    and its benchmark_model is a stand-in. Whatever is timed on it says so.
    """
    from devices.loopback.phone import up as bring_up

    phones = bring_up(count, say=lambda step: typer.echo(step, err=True), scenario=scenario)
    _print(phones, as_json=as_json)
    if not as_json:
        typer.echo(f"\nNext: pocketnas measure MODEL --on adb:{phones[0].serial}")
        typer.echo("      pocketnas phone down")


@app.command(cls=Command)
def down(
    serial: Annotated[
        str | None, typer.Argument(help="Which one, e.g. 10.213.0.2:5555; all if left out.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Take loopback phones down; no process, mount or network namespace of theirs remains."""
    from devices.loopback.phone import down as take_down

    phones = take_down(serial.removeprefix("adb:") if serial else None)
    if as_json:
        print_json({"down": [phone.serial for phone in phones]})
    else:
        typer.echo("Down: " + (", ".join(phone.serial for phone in phones) or "none was up"))


@app.command(name="list", cls=Command)
def list_phones(*, as_json: AsJson = False) -> None:
    """List the loopback phones that are up."""
    from devices.loopback.state import running

    _print(running(), as_json=as_json)


def _print(phones: Sequence[Phone], *, as_json: bool) -> None:
    if as_json:
        from dataclasses import asdict

        print_json({"phones": [{"device": f"adb:{p.serial}", **asdict(p)} for p in phones]})
    elif not phones:
        typer.echo("No loopback phone is up; 'pocketnas phone up' starts one.")
    else:
        rows = [
            (f"adb:{p.serial}", p.unit, p.scenario or "none", str(p.pid), p.started_at)
            for p in phones
        ]
        print_table(("device", "unit", "scenario", "process", "up since"), rows)
