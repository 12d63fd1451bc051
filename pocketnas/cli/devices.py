"""``pocketnas devices``: what can run a model file here."""

from __future__ import annotations

import typer

from pocketnas.cli.output import AsJson, print_json, print_table

app = typer.Typer(
    help="Phones and other devices that can time a model.",
    invoke_without_command=True,
    no_args_is_help=False,
)


@app.callback()
def devices(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List what can time a model: this computer, phones over adb, loopback phones."""
    if context.invoked_subcommand is None:
        _list(as_json=as_json)


@app.command(name="list")
def list_devices(*, as_json: AsJson = False) -> None:
    """List what can time a model: this computer, phones over adb, loopback phones."""
    _list(as_json=as_json)


def _list(*, as_json: bool) -> None:
    from dataclasses import asdict

    from devices.pool import discover

    found = discover()
    if as_json:
        print_json({"devices": [asdict(device) for device in found]})
        return
    rows = [(d.id, d.kind, d.description, d.problem or "ready") for d in found]
    print_table(("device", "kind", "what", "state"), rows)
    if all(device.id == "host" for device in found):
        typer.echo(
            "\nNo phone: switch on USB debugging and plug one in, or 'pocketnas phone up' "
            "for a loopback phone."
        )
