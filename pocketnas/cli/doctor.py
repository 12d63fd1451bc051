"""``pocketnas doctor``."""

from __future__ import annotations

import typer

from pocketnas.cli.output import AsJson, print_json


def doctor(*, as_json: AsJson = False) -> None:
    """What works on this machine, what is missing, and how to get it.

    For each phone: what of the measurement protocol it supports, and what to do about the rest;
    nothing on it is changed. Exit code 1 if something is broken; what is only missing is no
    failure.
    """
    from dataclasses import asdict

    from pocketnas.doctor import Health, examine

    findings = examine()
    if as_json:
        print_json({"findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            typer.echo(f"{finding.health:8} {finding.part}: {finding.detail}")
            if finding.remedy:
                typer.echo(f"{'':8}   -> {finding.remedy}")
    if any(finding.health is Health.BROKEN for finding in findings):
        raise typer.Exit(1)
