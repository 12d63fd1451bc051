"""How ``--help`` is laid out: examples as they are typed, options by what they are for."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import typer
from typer.core import TyperCommand, TyperGroup

KEEP_LINES = "\b\n"
"""Before a paragraph whose lines click leaves as they are."""

EXAMPLES = ("Example:", "Examples:")


class Formatter(Protocol):
    """What this needs of click's formatter of help pages."""

    def section(self, name: str) -> AbstractContextManager[None]:
        """Indent what is written inside, under a heading."""

    def indentation(self) -> AbstractContextManager[None]:
        """Indent what is written inside."""

    def write_paragraph(self) -> None:
        """Leave a line empty."""

    def write_text(self, text: str) -> None:
        """Write paragraphs in lines as long as the terminal's."""

    def write_dl(self, rows: Sequence[tuple[str, str]]) -> None:
        """Write terms and what they mean in two columns."""


class Command(TyperCommand):
    """Keeps the lines of examples, and puts options under their ``rich_help_panel``."""

    def format_help_text(self, _: typer.Context, formatter: Formatter) -> None:  # type: ignore[override]
        """Write what the command does."""
        paragraphs = inspect.cleandoc(self.help or "").split("\n\n")
        kept = [KEEP_LINES + one if one.startswith(EXAMPLES) else one for one in paragraphs]
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text("\n\n".join(kept))

    def format_options(self, ctx: typer.Context, formatter: Formatter) -> None:  # type: ignore[override]
        """Write arguments, options by panel, and those of no panel."""
        sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for parameter in self.get_params(ctx):
            row = parameter.get_help_record(ctx)
            is_option = parameter.param_type_name == "option"
            panel = getattr(parameter, "rich_help_panel", None)
            if row is not None:
                name = panel or ("Options" if is_option else "Arguments")
                sections.setdefault(name, []).append(row)
        rest = sections.pop("Options")
        for name, rows in {**sections, "Options": rest}.items():
            if rows:
                with formatter.section(name):
                    formatter.write_dl(rows)


class Commands(TyperGroup):
    """A group that tells of each command in a whole sentence."""

    def format_commands(self, ctx: typer.Context, formatter: Formatter) -> None:  # type: ignore[override]
        """Write all that are not hidden."""
        found = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        rows = [
            (name, command.get_short_help_str(limit=1_000))
            for name, command in found
            if command is not None and not command.hidden
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
