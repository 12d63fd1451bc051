"""A scale-permuted network as the field draws it: blocks by level over depth, and what they read.

As in figure 1 of SpineNet (Du et al., CVPR 2020): from the stem on the left to the outputs, deep
levels with few pixels at the bottom.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from search_space.permuted_blocks import STEM, BlockKind
from workspace.errors import InputError, OperationError
from workspace.files import write_whole

if TYPE_CHECKING:
    from search_space.architecture import Architecture
    from search_space.spinenet import ScalePermutedArchitecture

_COLOURS = {
    BlockKind.BOTTLENECK: "#8fb8a0",
    BlockKind.RESIDUAL: "#f0d08a",
    BlockKind.MBCONV: "#9db9d6",
}
_STEM, _OUTPUT, _LINE, _TEXT = "#d8dee6", "#b3472d", "#5f7183", "#1c2733"
_STEP, _ROW, _LEFT, _TOP, _SIDE = 56, 60, 76, 44, 34  # pixels

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A feature.

    Attributes:
        centre: In pixels, from the upper left corner.
        colour: Of its kind.
        text: In it: its number.
        output: Its name in the pyramid; empty for no output.
        is_dead: Whether no output needs it.
    """

    centre: Point
    colour: str
    text: str
    output: str = ""
    is_dead: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """From one box to the next.

    Attributes:
        curve: Start, two points that it leans to, end (a cubic Bézier curve).
        adds: Whether the feature is added as it is, without resampling.
    """

    curve: tuple[Point, Point, Point, Point]
    adds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What is drawn, in pixels.

    Attributes:
        size: Width and height.
        boxes: In order of features.
        connections: Below the boxes.
        labels: Texts with the points where they begin: levels with their strides, kinds.
        key: Colours of the kinds that there are, with their names, and their left upper corners.
    """

    size: Point
    boxes: tuple[Box, ...]
    connections: tuple[Connection, ...]
    labels: tuple[tuple[Point, str], ...]
    key: tuple[tuple[Point, str, str], ...]


def picture_of(network: ScalePermutedArchitecture) -> Picture:
    """The network's picture."""
    levels = sorted({*network.stem_levels, *(block.level for block in network.blocks)})
    row = {level: _TOP + _ROW * (i + 0.5) for i, level in enumerate(levels)}
    live = len(network.live_blocks)
    boxes = [
        Box(centre=(_LEFT + _STEP * (i + 0.5), row[level]), colour=_STEM, text=str(i))
        for i, level in enumerate(network.stem_levels)
    ]
    boxes += [
        Box(
            centre=(_LEFT + _STEP * (i + STEM + 0.5), row[block.level]),
            colour=_COLOURS[block.kind],
            text=str(i + STEM),
            output=f"P{block.level}" if block.is_output else "",
            is_dead=i >= live,
        )
        for i, block in enumerate(network.blocks)
    ]
    connections = [
        _connection(boxes[source].centre, boxes[i].centre, adds=source in block.adds)
        for i, block in enumerate(network.blocks, start=STEM)
        for source in block.reads
    ]
    kinds = sorted({block.kind for block in network.blocks})
    key: list[tuple[Point, str, str]] = [((_LEFT, 12.0), _STEM, "stem")]
    key += [
        ((_LEFT + 110.0 * (i + 1), 12.0), _COLOURS[kind], kind.value)
        for i, kind in enumerate(kinds)
    ]
    return Picture(
        size=(_LEFT + _STEP * (len(boxes) + 1.0), _TOP + _ROW * len(levels) + 10.0),
        boxes=tuple(boxes),
        connections=tuple(connections),
        labels=tuple(
            ((8.0, row[level] + 4), f"L{level}  1/{network.stride_at(level)}") for level in levels
        ),
        key=tuple(key),
    )


def to_svg(network: ScalePermutedArchitecture) -> str:
    """The picture as an SVG element."""
    picture = picture_of(network)
    width, height = picture.size
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" font-family="sans-serif" font-size="12" '
        f'fill="{_TEXT}"><title>{html.escape(network.key)}</title>',
        *(
            f'<text x="{x:g}" y="{y:g}">{html.escape(text)}</text>'
            for (x, y), text in picture.labels
        ),
    ]
    for (x, y), colour, text in picture.key:
        parts.append(f'<rect x="{x:g}" y="{y:g}" width="14" height="14" fill="{colour}"/>')
        parts.append(f'<text x="{x + 20:g}" y="{y + 12:g}">{html.escape(text)}</text>')
    parts += [_svg_path(connection) for connection in picture.connections]
    parts += [text for box in picture.boxes for text in _svg_box(box)]
    return "\n".join([*parts, "</svg>"])


def write_picture(architecture: Architecture, path: Path) -> None:
    """Draw a network into a file.

    Raises:
        InputError: If it is not scale-permuted, or the file is no .svg or .png.
        OperationError: If matplotlib is needed and not installed, or the file cannot be written.
    """
    from search_space.spinenet import ScalePermutedArchitecture

    if not isinstance(architecture, ScalePermutedArchitecture):
        msg = (
            f"only scale-permuted networks are drawn, this one is of family {architecture.family}"
        )
        raise InputError(msg)
    if path.suffix not in (".svg", ".png"):
        msg = f"a network is drawn into a file that ends in .svg or .png, got {str(path)!r}"
        raise InputError(msg)
    if path.suffix == ".png" and find_spec("matplotlib") is None:
        msg = "a .png needs matplotlib, which is not installed: pip install 'pocketnas[train]'"
        raise OperationError(msg)
    is_svg = path.suffix == ".svg"
    content = f"{to_svg(architecture)}\n".encode() if is_svg else _png(architecture)
    try:
        write_whole(path, content)
    except OSError as error:
        msg = f"the picture {str(path)!r} cannot be written: {error.strerror or error}"
        raise OperationError(msg) from error


def _connection(source: Point, target: Point, *, adds: bool) -> Connection:
    """Leaves on the right, arrives on the left; bent upwards where boxes lie between."""
    start, end = (source[0] + _SIDE / 2, source[1]), (target[0] - _SIDE / 2, target[1])
    reach = max(14.0, (end[0] - start[0]) / 2)
    lift = -0.35 * _ROW if source[1] == target[1] and end[0] - start[0] > _STEP else 0.0
    lean = (start[0] + reach, start[1] + lift), (end[0] - reach, end[1] + lift)
    return Connection(curve=(start, *lean, end), adds=adds)


def _svg_path(connection: Connection) -> str:
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = connection.curve
    dash = ' stroke-dasharray="5 3"' if connection.adds else ""
    return (
        f'<path d="M{ax:g} {ay:g} C{bx:g} {by:g} {cx:g} {cy:g} {dx:g} {dy:g}" fill="none" '
        f'stroke="{_LINE}" stroke-width="1.2"{dash}/>'
    )


def _svg_box(box: Box) -> list[str]:
    x, y = box.centre
    edge = f'stroke="{_OUTPUT}" stroke-width="2.5"' if box.output else f'stroke="{_LINE}"'
    faded = ' opacity="0.35"' if box.is_dead else ""
    drawn = [
        f'<rect x="{x - _SIDE / 2:g}" y="{y - 12:g}" width="{_SIDE}" height="24" rx="4" '
        f'fill="{box.colour}" {edge}{faded}/>',
        f'<text x="{x:g}" y="{y + 4:g}" text-anchor="middle"{faded}>{box.text}</text>',
    ]
    if box.output:
        drawn.append(
            f'<text x="{x:g}" y="{y + 26:g}" text-anchor="middle" fill="{_OUTPUT}">'
            f"{box.output}</text>"
        )
    return drawn


def _png(network: ScalePermutedArchitecture) -> bytes:
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch, PathPatch, Rectangle
    from matplotlib.path import Path as Curve

    picture = picture_of(network)
    width, height = picture.size
    figure = Figure(figsize=(width / 96, height / 96))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    for (x, y), text in picture.labels:
        axes.text(x, y, text, fontsize=9, color=_TEXT)
    for (x, y), colour, text in picture.key:
        axes.add_patch(Rectangle((x, y), 14, 14, facecolor=colour))
        axes.text(x + 20, y + 12, text, fontsize=9, color=_TEXT)
    for each in picture.connections:
        curve = Curve(each.curve, [Curve.MOVETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4])
        dash = "--" if each.adds else "-"
        axes.add_patch(PathPatch(curve, fill=False, edgecolor=_LINE, linestyle=dash))
    for box in picture.boxes:
        x, y = box.centre
        opacity = 0.35 if box.is_dead else 1.0
        axes.add_patch(
            FancyBboxPatch(
                (x - _SIDE / 2 + 3, y - 9),
                _SIDE - 6,
                18,
                boxstyle="round,pad=3",
                facecolor=box.colour,
                edgecolor=_OUTPUT if box.output else _LINE,
                linewidth=2 if box.output else 1,
                alpha=opacity,
            )
        )
        axes.text(x, y + 4, box.text, fontsize=9, ha="center", color=_TEXT, alpha=opacity)
        axes.text(x, y + 26, box.output, fontsize=9, ha="center", color=_OUTPUT)
    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=144, metadata={"Title": network.key})
    return stream.getvalue()
