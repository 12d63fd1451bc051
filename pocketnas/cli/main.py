"""The ``pocketnas`` program: names every command, and turns errors into exit codes.

Exit code 0: done. 1: understood, and could not be done. 2: wrong use, nothing was changed.
130: ended by Ctrl-C.
"""

from __future__ import annotations

import gc
from importlib.metadata import version
from typing import Annotated, Any

import typer

from pocketnas.cli import (
    arch,
    devices,
    doctor,
    export,
    measure,
    phone,
    predictor,
    proxy,
    quickstart,
    replay,
    report,
    resume,
    scale,
    search,
    show,
    table,
    train,
    verify,
)
from pocketnas.cli.help import Command, Commands
from workspace.errors import InputError, OperationError

_EXTRA_OF = {
    **dict.fromkeys(("torch", "flatbuffers"), "export"),
    **dict.fromkeys(
        (
            "matplotlib",
            "optuna",
            "pycocotools",
            "safetensors",
            "sklearn",
            "tensorboard",
            "timm",
            "torchvision",
        ),
        "train",
    ),
    "av": "video",
}
"""What the core does without, and the extra that brings it."""


class _Commands(Commands):
    """Turns our errors into one sentence and an exit code; wrong options are typer's own."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override] # noqa: ANN401
        try:
            return super().invoke(ctx)
        except InputError as error:
            typer.echo(f"pocketnas: {error}", err=True)
            ctx.exit(2)
        except OperationError as error:
            typer.echo(f"pocketnas: {error}", err=True)
            ctx.exit(1)
        except ModuleNotFoundError as error:
            extra = _EXTRA_OF.get((error.name or "").partition(".")[0])
            if extra is None:
                raise
            remedy = f"pip install 'pocketnas[{extra}]'"
            text = f"pocketnas: this needs {error.name}, which is not installed: {remedy}"
            typer.echo(text, err=True)
            ctx.exit(1)
        except KeyboardInterrupt:
            ctx.exit(130)


app = typer.Typer(
    name="pocketnas",
    cls=_Commands,
    help="Neural architecture search with the phone in the loop.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for command in (
    quickstart.quickstart,
    doctor.doctor,
    search.search,
    resume.resume,
    show.show,
    report.report,
    replay.replay,
    arch.arch,
    scale.scale,
    train.train,
    measure.measure,
    export.export,
    verify.verify,
):
    app.command(cls=Command)(command)
app.add_typer(devices.app, name="devices")
app.add_typer(phone.app, name="phone")
app.add_typer(table.app, name="table")
app.add_typer(predictor.app, name="predictor")
app.add_typer(proxy.app, name="proxy")


def _print_version(asked: bool) -> None:  # noqa: FBT001 - typer's callback protocol
    if asked:
        typer.echo(f"pocketnas {version('pocketnas')}")
        raise typer.Exit


@app.callback()
def _options(
    *,
    _: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version."
        ),
    ] = False,
) -> None:
    """Neural architecture search with the phone in the loop."""


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit with its code.

    As a program of its own, the collector looks less often than by default, and not at all at the
    exit: what a command imports is all alive, and going through it is a fifth of a short command.

    Args:
        arguments: Of the command line; None for the program's own.
    """
    if arguments is not None:
        app(args=arguments, prog_name="pocketnas")
        return
    gc.set_threshold(50_000)
    try:
        app(prog_name="pocketnas")
    finally:
        gc.freeze()
