"""``pocketnas table``: latency tables, built here or brought from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pocketnas.cli.help import Command, Commands
from pocketnas.cli.output import AsJson, print_json, print_table
from pocketnas.cli.table_build import build, validate

if TYPE_CHECKING:
    from collections.abc import Mapping

app = typer.Typer(
    cls=Commands,
    help="Latency tables of a space on a device: build, validate, show, import, export, compare.",
    no_args_is_help=True,
)
app.command(cls=Command)(build)
app.command(cls=Command)(validate)

Name = Annotated[str, typer.Argument(metavar="TABLE", help="A table's name or path.")]
Classes = Annotated[
    int | None,
    typer.Option(help="Classes of the networks' heads.", show_default="the table's", min=1),
]


@app.command(cls=Command)
def show(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(metavar="TABLE", help="A table's name or path.", show_default="list all"),
    ] = None,
    *,
    space: Annotated[
        str | None, typer.Option(help="Also tell how much of this space it covers.")
    ] = None,
    space_option: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Setting of the space; may be repeated."),
    ] = None,
    classes: Classes = None,
    largest: Annotated[int, typer.Option(help="Entries to show, the largest first.", min=0)] = 5,
    as_json: AsJson = False,
) -> None:
    """Show what a table says: conditions, correction, validations, its largest entries.

    Example: pocketnas table show pixel1 --space proxyless
    """
    from pocketnas import tables
    from pocketnas.cli.given import refuse_given
    from pocketnas.config import options_from

    if name is None:
        refuse_given(context, ("space", "space_option", "classes", "largest"), "no table is named")
    if space is None:
        refuse_given(context, ("space_option", "classes"), "no --space is named")
    if name is None:
        _print_list(tables.listed(), as_json=as_json)
        return
    table = tables.table_of(name)
    facts = tables.facts_of(table, largest)
    if space is not None:
        options = options_from(space_option or [], "--space-option")
        facts["coverage"] = tables.coverage_of(table, space, options, classes)
    if as_json:
        print_json(facts)
    else:
        _print_table(facts)


@app.command(name="import", cls=Command)
def import_(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Of any of the forms.")],
    *,
    name: Annotated[str, typer.Option(help="That the table gets.")],
    form: Annotated[
        str,
        typer.Option(
            help="proxyless (YAML as ProxylessNAS published it), csv (key, and mean or median, "
            "in ms), profile (benchmark_model's operators, as CSV), or pocketnas (one of ours)."
        ),
    ] = "pocketnas",
    condition: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="What it was measured under, e.g. device_model='Pixel 6'; may be repeated.",
        ),
    ] = None,
    arch: Annotated[
        str | None, typer.Option(help="The network that a profile is of, as 'arch' takes it.")
    ] = None,
    size: Annotated[
        int | None, typer.Option(help="Its input size, in pixels.", show_default="its own")
    ] = None,
    classes: Annotated[
        int | None, typer.Option(help="Classes of its head.", show_default="1000", min=1)
    ] = None,
    merge: Annotated[
        bool, typer.Option("--merge", help="Add to a table of that name and conditions.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace a table of that name.")] = False,
    as_json: AsJson = False,
) -> None:
    r"""Make a table of a file, and keep it under a name for table:NAME.

    Example: pocketnas table import phone.csv --form csv --name lab-phone \
      --condition device_model="Pixel 6" --condition threads=1
    """
    from latency.table_conditions import conditions_from
    from latency.table_import import ImportForm, import_table
    from pocketnas import tables
    from pocketnas.cli.given import refuse_given
    from pocketnas.config import options_from

    if arch is None:
        refuse_given(context, ("size", "classes"), "no --arch is named")
    path = tables.place_for(name, merge=merge, force=force)
    kind = tables.form_of(ImportForm, form)
    conditions = conditions_from(options_from(condition or [], "--condition"))
    profiled = None if arch is None else tables.network_of(arch, size=size, classes=classes)
    written = tables.keep(import_table(file, kind, name, conditions, profiled), path, merge=merge)
    if as_json:
        facts = tables.facts_of(written.table, 0)
        print_json(
            {
                **facts,
                "path": str(path),
                "imported": written.imported,
                "merged": written.merged,
            }
        )
        return
    beside = f", {len(written.table.entries)} with those that were there" if written.merged else ""
    typer.echo(f"{path}: {written.imported} entries{beside}")
    for unknown in written.table.unknown:
        typer.echo(f"  not told: {unknown}")
    typer.echo(f"  use it: pocketnas search --latency table:{name} …")


@app.command(cls=Command)
def export(
    name: Name,
    *,
    out: Annotated[Path, typer.Option("--out", help="File to write.")],
    form: Annotated[
        str, typer.Option(help="csv, proxyless (for ProxylessNAS's code), or pocketnas.")
    ] = "csv",
    lossy: Annotated[
        bool,
        typer.Option("--lossy", help="Write medians and predictions as if they were means."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write a table for others.

    Example: pocketnas table export lab-phone --form csv --out lab-phone.csv
    """
    from latency.table_export import ExportForm, left_out
    from pocketnas import tables

    table = tables.table_of(name)
    kind = tables.form_of(ExportForm, form)
    tables.write_export(table, out, kind, lossy=lossy)
    missing = left_out(table, kind)
    if as_json:
        facts = {"table": table.name, "path": str(out), "entries": len(table.entries)}
        print_json({**facts, "form": kind.value, "left_out": list(missing)})
        return
    typer.echo(f"{out}: {len(table.entries)} entries of {table.name}, as {kind}")
    if missing:
        typer.echo(f"  left out, for want of a place: {', '.join(missing)}")


@app.command(cls=Command)
def diff(
    first: Name,
    second: Name,
    *,
    count: Annotated[int, typer.Option(help="Entries to show, the most apart first.", min=0)] = 5,
    as_json: AsJson = False,
) -> None:
    """Compare two tables: conditions, entries of one alone, how far the others are apart.

    Example: pocketnas table diff lab-phone lab-phone-in-june
    """
    from latency.table_diff import TableDiff
    from pocketnas import tables

    found = tables.diff_facts(TableDiff.of(tables.table_of(first), tables.table_of(second)), count)
    if as_json:
        print_json(found)
    else:
        _print_diff(found)


def _print_list(listed: list[dict[str, object]], *, as_json: bool) -> None:
    if as_json:
        print_json({"tables": listed})
        return
    rows = [
        (str(each["name"]), str(each["problem"]), "", "", "")
        if each["problem"]
        else (
            str(each["name"]),
            str(each["entries"]),
            str(each["device_model"] or "-"),
            str(each["space"] or "-"),
            str(each["validated"] or "-"),
        )
        for each in listed
    ]
    print_table(("table", "entries", "device", "space", "validated"), rows)


def _print_table(facts: Mapping[str, Any]) -> None:
    of = f" of {facts['space']}" if facts["space"] else ""
    typer.echo(
        f"{facts['table']}{of}: {facts['measured']} entries measured, "
        f"{facts['predicted']} predicted"
    )
    for name, value in facts["conditions"].items():
        typer.echo(f"  {name}: {value}")
    if facts["unknown"]:
        typer.echo(f"  not told: {', '.join(facts['unknown'])}")
    for label in facts["labels"]:
        typer.echo(f"  label: {label}")
    _print_correction(facts["correction"])
    for each in facts["validations"]:
        numbers = each["numbers"]
        typer.echo(
            f"  validated {each['date']}: {numbers['networks']:.0f} networks, "
            f"{numbers['within_10']:.0%} within 10 %, median error {numbers['median_error']:.1%}, "
            f"Spearman {numbers['spearman']:.3f}"
        )
    _print_coverage(facts.get("coverage"))
    rows = [
        (each["key"], f"{each['ms']:.4g}", str(each["count"]), each["known"])
        for each in facts["largest"]
    ]
    if rows:
        print_table(("largest entries", "ms", "count", "known"), rows)


def _print_correction(correction: Mapping[str, Any] | None) -> None:
    if correction is None:
        typer.echo("  no correction: a network takes the sum of its entries")
        return
    terms = "".join(f", {ms:+.4g} ms a {kind}" for kind, ms in correction["terms_ms"].items())
    typer.echo(
        f"  correction, of {len(correction['networks'])} networks: {correction['scale']:.4g} "
        f"times the sum, {correction['constant_ms']:+.4g} ms{terms}; "
        f"{correction['residual_share']:.1%} are left"
    )


def _print_coverage(coverage: Mapping[str, Any] | None) -> None:
    if coverage is None:
        return
    typer.echo(
        f"  of the space {coverage['space']}: {coverage['measured']} of {coverage['parts']} parts "
        f"measured, {coverage['predicted']} predicted, {len(coverage['missing'])} missing; "
        f"{coverage['networks']:.0%} of networks are covered"
    )
    for key in coverage["missing"][:5]:
        typer.echo(f"    missing: {key}")


def _print_diff(found: Mapping[str, Any]) -> None:
    for name, values in found["conditions"].items():
        typer.echo(f"  {name}: {values}")
    typer.echo(
        f"{found['common']} entries in both, {len(found['only_first'])} in the first alone, "
        f"{len(found['only_second'])} in the second alone"
    )
    if found["median_ratio"] is not None:
        rank = "-" if found["spearman"] is None else f"{found['spearman']:.3f}"
        typer.echo(
            f"  second over first: median {found['median_ratio']:.4g}, median deviation of its "
            f"logarithm {found['mad_log_ratio']:.3g}, Spearman {rank}"
        )
    rows = [
        (
            each["key"],
            f"{each['first_ms']:.4g}",
            f"{each['second_ms']:.4g}",
            "-" if each["ratio"] is None else f"{each['ratio']:.3f}",
        )
        for each in found["by_ratio"]
    ]
    if rows:
        print_table(("most apart", "first ms", "second ms", "ratio"), rows)
