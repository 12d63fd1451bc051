"""Predicted against measured latencies and what is between them, as one PNG or HTML file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from workspace.errors import InputError, OperationError
from workspace.files import write_whole

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_PACKAGES = {".png": "matplotlib", ".html": "plotly"}
"""What draws, by the ending of the file."""

_GREEN, _GREY = "#1f6f43", "#8fa3b8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Latencies of `N` networks in milliseconds.

    Attributes:
        title: What predicts, what measured, under which conditions.
        predicted_ms: In order of networks.
        measured_ms: In the same order.
        low_ms: Lower ends of the predictions' intervals; empty where there are none.
        high_ms: Upper ends; empty where there are none.
    """

    title: str
    predicted_ms: Sequence[float]
    measured_ms: Sequence[float]
    low_ms: Sequence[float] = ()
    high_ms: Sequence[float] = ()

    @property
    def residuals(self) -> list[float]:
        """Measured over predicted, less 1, in percent."""
        pairs = zip(self.measured_ms, self.predicted_ms, strict=True)
        return [100 * (measured / predicted - 1) for measured, predicted in pairs]

    @property
    def span(self) -> tuple[float, float]:
        """Least and greatest latency of all."""
        both = [*self.predicted_ms, *self.measured_ms]
        return min(both), max(both)

    @property
    def arms(self) -> tuple[list[float], list[float]] | None:
        """How far intervals reach below and above the predictions; None where there are none."""
        if not self.low_ms:
            return None
        low = [p - end for p, end in zip(self.predicted_ms, self.low_ms, strict=True)]
        high = [end - p for p, end in zip(self.predicted_ms, self.high_ms, strict=True)]
        return low, high


def require_drawable(path: Path) -> None:
    """Do nothing if a plot can be written there.

    Raises:
        InputError: If the ending is of no kind that there is, or its folder is not there.
        OperationError: If what draws it is not installed.
    """
    package = _PACKAGES.get(path.suffix)
    if package is None:
        msg = f"a plot is a .png or .html file, got {str(path)!r}"
        raise InputError(msg)
    if not path.parent.is_dir():
        msg = f"the plot {str(path)!r} cannot be written: there is no folder {str(path.parent)!r}"
        raise InputError(msg)
    if path.is_dir():
        msg = f"the plot {str(path)!r} cannot be written: {str(path)!r} is a folder"
        raise InputError(msg)
    if find_spec(package) is None:
        msg = (
            f"a {path.suffix} plot needs {package}, which is not installed: "
            "pip install 'pocketnas[train]'"
        )
        raise OperationError(msg)


def write_plot(compared: Compared, path: Path) -> None:
    """Write a plot: predicted against measured, and the residuals.

    Raises:
        InputError: If the ending is of no kind that there is, or its folder is not there.
        OperationError: If what draws it is not installed, or the file cannot be written.
    """
    require_drawable(path)
    content = _png(compared) if path.suffix == ".png" else _html(compared)
    try:
        write_whole(path, content)
    except OSError as error:
        msg = f"the plot {str(path)!r} cannot be written: {error.strerror or error}"
        raise OperationError(msg) from error


def _png(compared: Compared) -> bytes:
    from matplotlib.figure import Figure as Canvas

    figure = Canvas(figsize=(11, 5), layout="constrained")
    figure.suptitle(compared.title, fontsize=9, wrap=True)
    left, right = figure.subplots(1, 2)
    left.errorbar(
        compared.predicted_ms,
        compared.measured_ms,
        xerr=compared.arms,
        fmt="o",
        color=_GREEN,
        ecolor=_GREY,
        markersize=4,
        elinewidth=0.8,
    )
    left.plot(compared.span, compared.span, ":", color=_GREY)
    left.set(xlabel="predicted, ms", ylabel="measured, ms")
    right.plot(compared.measured_ms, compared.residuals, "o", color=_GREEN, markersize=4)
    right.axhline(0.0, linestyle=":", color=_GREY)
    right.set(xlabel="measured, ms", ylabel="measured over predicted, less 1, %")
    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=120, metadata={"Title": compared.title})
    return stream.getvalue()


def _html(compared: Compared) -> bytes:
    text: str = _figure(compared).to_html(full_html=True, include_plotlyjs=True)
    return text.encode()


def _figure(compared: Compared) -> Figure:
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=1, cols=2)
    dots = {"mode": "markers", "marker": {"color": _GREEN, "size": 7}, "showlegend": False}
    figure.add_scatter(
        x=compared.predicted_ms,
        y=compared.measured_ms,
        error_x=_error_bars(compared),
        row=1,
        col=1,
        **dots,
    )
    line = {"mode": "lines", "line": {"dash": "dot", "color": _GREY}, "showlegend": False}
    figure.add_scatter(x=compared.span, y=compared.span, row=1, col=1, **line)
    figure.add_scatter(x=compared.measured_ms, y=compared.residuals, row=1, col=2, **dots)
    figure.add_hline(y=0.0, line={"dash": "dot", "color": _GREY}, row=1, col=2)
    figure.update_xaxes(title_text="predicted, ms", row=1, col=1)
    figure.update_yaxes(title_text="measured, ms", row=1, col=1)
    figure.update_xaxes(title_text="measured, ms", row=1, col=2)
    figure.update_yaxes(title_text="measured over predicted, less 1, %", row=1, col=2)
    figure.update_layout(template="plotly_white", title={"text": compared.title})
    return figure


def _error_bars(compared: Compared) -> dict[str, object] | None:
    arms = compared.arms
    if arms is None:
        return None
    return {
        "type": "data",
        "symmetric": False,
        "array": arms[1],
        "arrayminus": arms[0],
        "color": _GREY,
    }
