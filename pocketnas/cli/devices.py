"""``pocketnas devices``: what can run a model file here, and what phones need."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pocketnas.cli.help import Command, Commands
from pocketnas.cli.output import AsJson, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from devices.device import Device
    from devices.pool import Appeared, Changed, Found, Gone

LEASE_WAIT_S = 60.0
"""How long a command waits for a phone that another process holds."""

LONGEST_POLL_S = 3600.0

app = typer.Typer(
    cls=Commands,
    help="Phones and other devices that can time a model.",
    invoke_without_command=True,
    no_args_is_help=False,
)

Serial = Annotated[
    str,
    typer.Argument(metavar="SERIAL", help="As 'devices list' names it, with or without adb:."),
]


@app.callback()
def devices(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List what can time a model: this computer, phones over adb, loopback phones."""
    if context.invoked_subcommand is None:
        _list(as_json=as_json)


@app.command(name="list", cls=Command)
def list_devices(*, as_json: AsJson = False) -> None:
    """List what can time a model: this computer, phones over adb, loopback phones."""
    _list(as_json=as_json)


@app.command(cls=Command)
def watch(
    *,
    poll_s: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.1)] = 1.0,
    as_json: AsJson = False,
) -> None:
    """Tell when phones come and go, a line each, until Ctrl-C; with --json an object a line."""
    import json

    from devices.pool import watch as events

    for event in events(poll_s=_seconds(poll_s)):
        name, found = _event(event)
        if as_json:
            typer.echo(json.dumps({"event": name, "device": found.id, **_facts(found)}))
        else:
            typer.echo(f"{name:9} {found.id}  {found.problem or found.description}")


@app.command(cls=Command)
def provision(
    serial: Serial,
    *,
    runner: Annotated[
        Path | None, typer.Option(help="A benchmark_model binary of your own.")
    ] = None,
    release: Annotated[
        str | None,
        typer.Option(
            help="Fetch the one that Google published with this version of LiteRT.",
            show_default="a pinned one",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Put benchmark_model on a phone: checked for its processor, its digest kept.

    Example: pocketnas devices provision R5CT10 --runner ./benchmark_model
    """
    from dataclasses import asdict

    from devices.pool import lease
    from devices.provision import provision as put
    from devices.releases import DEFAULT_RELEASE
    from devices.transport import open_transport

    if runner is None and release is None:
        release = DEFAULT_RELEASE
    device_id, name = _named(serial)
    with lease(device_id, wait_s=LEASE_WAIT_S):
        transport = open_transport(device_id, name)
        try:
            found = put(transport, device_id, runner=runner, release=release)
        finally:
            transport.close()
    if as_json:
        print_json({"device": device_id, **asdict(found)})
        return
    done = "pushed" if found.pushed else "was there already"
    typer.echo(f"{found.path}: {done}, {found.dialect} dialect, {found.abi}")
    typer.echo(f"  version {found.version or 'unknown'}, sha256 {found.sha256}")


@app.command(cls=Command)
def accept(
    serial: Serial,
    *,
    minutes: Annotated[
        float, typer.Option(help="How long it may take; fewer are fewer pairs.", min=0.1)
    ] = 15.0,
    as_json: AsJson = False,
) -> None:
    """Test whether a phone's latencies may be believed, and keep the result beside its numbers.

    One file under two names, a ladder of widths, pairs of networks 3 % apart in two passes,
    whether a heated phone is refused, and whether its settings are as before. The least that it
    compares takes some minutes however few are given. Exit code 1 if it fails.
    """
    from devices.pool import lease, open_device
    from latency.acceptance import accept as test
    from latency.history import History
    from latency.protocol import Bench
    from latency.store import MeasurementStore
    from pocketnas.acceptances import note

    device_id = "host" if serial == "host" else _named(serial)[0]
    with lease(device_id, wait_s=LEASE_WAIT_S) as held:
        device = open_device(device_id)
        try:
            result = test(
                Bench(device=device, guard=held.require),
                minutes=minutes,
                say=lambda part: typer.echo(part, err=True),
                settings=_settings_of(device),
            )
        finally:
            device.close()
    unit, report = result.conditions.setup.info.unit, result.report()
    History(MeasurementStore.shared()).add_acceptance(unit, report)
    note(device_id, unit, passed=result.passed)
    if as_json:
        print_json({"device": device_id, **report})
    else:
        _print_acceptance(report)
    if not result.passed:
        raise typer.Exit(1)


def _settings_of(device: Device) -> Callable[[], Mapping[str, str]] | None:
    """Reads what a test changes on a phone; None for what has no settings."""
    from devices.adb import AdbDevice
    from devices.phone_support import settings_now

    return (lambda: settings_now(device.transport)) if isinstance(device, AdbDevice) else None


@app.command(cls=Command)
def clean(
    serial: Serial,
    *,
    everything: Annotated[
        bool, typer.Option("--all", help="The provisioned benchmark_model as well.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Remove models and leftovers from a phone, and put back what a killed process had changed."""
    from devices.held_changes import Journal
    from devices.phone_cache import PhoneCache
    from devices.pool import lease
    from devices.transport import open_transport

    device_id, name = _named(serial)
    with lease(device_id, wait_s=LEASE_WAIT_S):
        transport = open_transport(device_id, name)
        try:
            noted = Journal(device_id).read()
            failed = Journal(device_id).put_back(transport)
            still = {change.name for change in Journal(device_id).read()}
            done = [change.name for change in noted if change.name not in still]
            removed = PhoneCache(transport, device_id).clean(runner=everything)
        finally:
            transport.close()
    if as_json:
        print_json(
            {
                "device": device_id,
                "files": removed.files,
                "bytes": removed.bytes,
                "put_back": done,
                "failed": [*failed],
            }
        )
        return
    typer.echo(f"removed {removed.files} files, {removed.bytes / 1e6:.1f} MB")
    for change in done:
        typer.echo(f"put back: {change}")
    for problem in failed:
        typer.echo(problem)


@app.command(cls=Command)
def release(serial: Serial, *, as_json: AsJson = False) -> None:
    """Take a phone out of quarantine by hand."""
    from devices.quarantine import release as let_out

    device_id, _ = _named(serial)
    was = let_out(device_id)
    if as_json:
        print_json({"device": device_id, "was_in_quarantine": was})
    else:
        typer.echo(f"{device_id} {'is free again' if was else 'was not in quarantine'}")


def _named(serial: str) -> tuple[str, str]:
    """The id and the serial of a phone that was given as either."""
    from workspace.errors import InputError

    name = serial.removeprefix("adb:")
    if not name or name in ("host", "any"):
        msg = f"this is for one phone, got {serial!r}: 'pocketnas devices list' names them"
        raise InputError(msg)
    return f"adb:{name}", name


def _event(event: Appeared | Gone | Changed) -> tuple[str, Found]:
    return type(event).__name__.lower(), event.found


def _facts(found: Found) -> dict[str, str]:
    return {
        "kind": found.kind,
        "description": found.description,
        "problem": found.problem,
    }


def _seconds(poll_s: float) -> float:
    """Of a pause that ends: an option's own bounds let through what is no number."""
    from workspace.errors import InputError

    if not 0.1 <= poll_s <= LONGEST_POLL_S:
        msg = f"--poll-s takes 0.1 to {LONGEST_POLL_S:g} seconds, got {poll_s!r}"
        raise InputError(msg)
    return poll_s


_SHOWN = (
    ("sessions", "sessions of each file"),
    ("aa_pairs", "pairs of one file under two names"),
    ("aa_covered", "of these, intervals that hold 1"),
    ("aa_false_failures", "how often a good phone fails in that"),
    ("ladder_ms", "ladder, ms"),
    ("pairs", "pairs 3 % apart"),
    ("flips", "of these, in another order in pass 2"),
    ("told_apart", "of these, told apart twice"),
    ("flips_told_apart", "of these, in another order"),
    ("heat", "heated phone"),
    ("settings", "settings that were compared"),
    ("minutes", "minutes"),
)


def _print_acceptance(report: dict[str, object]) -> None:
    typer.echo("passed" if report["passed"] else "failed")
    for name in ("failed", "stand_ins", "labels"):
        found = report[name]
        for text in found if isinstance(found, list | tuple) else ():
            typer.echo(f"  {name.removesuffix('s').replace('_', '-')}: {text}")
    for name, meaning in _SHOWN:
        typer.echo(f"  {meaning:38} {_shown(report[name])}")


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(f"{each:.4g}" for each in value)
    return f"{value:.2g}" if isinstance(value, float) else str(value)


def _list(*, as_json: bool) -> None:
    from devices.leases import who_holds
    from devices.pool import discover
    from pocketnas.acceptances import last_acceptance

    found = discover()
    tests = {device.id: last_acceptance(device.id) for device in found}
    holders = {device.id: who_holds(device.id) for device in found}
    if as_json:
        rows = [
            {
                "id": each.id,
                **_facts(each),
                "in_use_by": holders[each.id],
                "accepted": None if (test := tests[each.id]) is None else test.passed,
            }
            for each in found
        ]
        print_json({"devices": rows})
        return
    table = []
    for device in found:
        holder, test = holders[device.id], tests[device.id]
        state = device.problem or (f"in use by {holder}" if holder else "ready")
        told = "never" if test is None else str(test)
        table.append((device.id, device.kind, device.description, state, told))
    print_table(("device", "kind", "what", "state", "accepted"), table)
    if all(device.id == "host" for device in found):
        typer.echo(
            "\nNo phone: switch on USB debugging and plug one in, or 'pocketnas phone up' "
            "for a loopback phone."
        )
