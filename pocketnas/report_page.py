"""What all reports share: one HTML file that needs nothing else, its charts and its tables."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workspace.errors import InputError, OperationError
from workspace.files import write_whole

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

GREEN, GREY, RED = "#1f6f43", "#8fa3b8", "#b3472d"

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #1c2733; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2.5rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .3rem .6rem; border-bottom: 1px solid #d8dee6; }
th:first-child, td:first-child { text-align: left; }
table.blocks td { font-size: .85em; } table.blocks td:nth-child(4) { width: 30%; }
.bar { background: #1f6f43; height: .8rem; }
tr.best { background: #e8f3ec; font-weight: 600; }
.stand-in { background: #fff3d6; padding: .5rem .8rem; border-left: 4px solid #d99a00; }
dl { display: grid; grid-template-columns: 14rem 1fr; gap: .2rem 1rem; } dd { margin: 0; }
"""


def require_plotly() -> None:
    """Do nothing if plotly, which draws, is there.

    Raises:
        OperationError: If it is not installed.
    """
    if find_spec("plotly") is None:
        msg = "a report needs plotly, which is not installed: pip install 'pocketnas[train]'"
        raise OperationError(msg)


def write_page(path: Path, title: str, parts: Sequence[str]) -> None:
    """Write a page.

    Args:
        path: Of the HTML file.
        title: Plain text.
        parts: HTML, one after the other.

    Raises:
        InputError: If the file cannot be written.
    """
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>"
        + "\n".join([f"<h1>{html.escape(title)}</h1>", *parts])
        + "</body></html>\n"
    )
    try:
        write_whole(path, page.encode())
    except OSError as error:
        msg = f"the report {str(path)!r} cannot be written: {error}"
        raise InputError(msg) from error


def section(heading: str, figure: Figure, *, first: bool) -> str:
    """A chart under its heading.

    Args:
        heading: Plain text.
        figure: Of plotly.
        first: Whether it is the first of its page, which carries what draws all of them.
    """
    chart = figure.to_html(
        full_html=False, include_plotlyjs=first, config={"displaylogo": False, "responsive": True}
    )
    return f"<h2>{html.escape(heading)}</h2>{chart}"


def layout(x: str, y: str) -> dict[str, Any]:
    """Of a chart whose axes have these names."""
    return {
        "template": "plotly_white",
        "height": 420,
        "margin": {"l": 60, "r": 20, "t": 20, "b": 50},
        "xaxis": {"title": {"text": x}},
        "yaxis": {"title": {"text": y}},
    }


def table(header: Sequence[str], rows: Iterable[Sequence[str]], best: int | None = None) -> str:
    """Plain text in a table.

    Args:
        header: Names of the columns.
        rows: Cells.
        best: Row to be marked, from 0; None for none.
    """
    head = "".join(f"<th>{html.escape(name)}</th>" for name in header)
    lines = []
    for place, row in enumerate(rows):
        mark = ' class="best"' if place == best else ""
        cells = "".join(f"<td>{html.escape(cell)}</td>" for cell in row)
        lines.append(f"<tr{mark}>{cells}</tr>")
    return f"<table><tr>{head}</tr>{''.join(lines)}</table>"


def definitions(values: Mapping[str, Any]) -> str:
    """Names and what they stand for."""
    rows = (
        f"<dt>{html.escape(str(name))}</dt><dd>{html.escape(str(value))}</dd>"
        for name, value in values.items()
    )
    return f"<dl>{''.join(rows)}</dl>"
