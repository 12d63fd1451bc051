"""Options that were given although nothing would come of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workspace.errors import InputError

if TYPE_CHECKING:
    import typer


def refuse_given(context: typer.Context, names: tuple[str, ...], why: str) -> None:
    """Refuse options of the running command that would be without effect.

    Args:
        context: Of the command.
        names: Of its parameters.
        why: Nothing would come of them; a clause.

    Raises:
        InputError: If one was given, whatever its value.
    """
    given = [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name in names and _is_given(context, parameter.name)
    ]
    if given:
        msg = f"{', '.join(given)} would be without effect, since {why}: leave it out"
        raise InputError(msg)


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
