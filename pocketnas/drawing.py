"""Networks as pictures: boxes, the curves between them, and texts, as SVG or PNG."""

from __future__ import annotations

import html
from dataclasses import dataclass
from io import BytesIO

STEM_COLOUR, END_COLOUR, LINE_COLOUR, TEXT_COLOUR = "#d8dee6", "#b3472d", "#5f7183", "#1c2733"
BOX_HEIGHT = 24
"""In pixels."""

THINNEST, THICKEST = 0.4, 4.4
"""In pixels, of lines that stand for the weights 0 and 1."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A part of a network.

    Attributes:
        centre: In pixels, from the upper left corner.
        colour: Inside.
        text: In it: its number, mostly.
        note: Below it.
        width: In pixels.
        is_end: Whether it is an output: it has an edge, and a note, of its own colour.
        is_dead: Whether no output needs it.
    """

    centre: Point
    colour: str
    text: str
    note: str = ""
    width: float = 34
    is_end: bool = False
    is_dead: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """From one box to the next.

    Attributes:
        curve: Start, two points that it leans to, end (a cubic Bézier curve).
        width: In pixels.
        is_dashed: As it is drawn.
    """

    curve: tuple[Point, Point, Point, Point]
    width: float = 1.2
    is_dashed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What is drawn, in pixels.

    Attributes:
        title: Of the whole, which is not drawn.
        size: Width and height.
        boxes: In the order of their numbers.
        connections: Below the boxes.
        labels: Texts with the points where they begin.
        key: Colours with what they stand for, and the left upper corners of their squares.
    """

    title: str
    size: Point
    boxes: tuple[Box, ...]
    connections: tuple[Connection, ...]
    labels: tuple[tuple[Point, str], ...]
    key: tuple[tuple[Point, str, str], ...]


def thickness(weight: float) -> float:
    """In pixels, of the line of a connection with a weight in [0, 1]."""
    return THINNEST + (THICKEST - THINNEST) * weight


def to_svg(picture: Picture) -> str:
    """The picture as an SVG element."""
    width, height = picture.size
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}" font-family="sans-serif" font-size="12" '
        f'fill="{TEXT_COLOUR}"><title>{html.escape(picture.title)}</title>',
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


def to_png(picture: Picture) -> bytes:
    """The picture as the content of a PNG file; needs matplotlib."""
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch, PathPatch, Rectangle
    from matplotlib.path import Path as Curve

    width, height = picture.size
    figure = Figure(figsize=(width / 96, height / 96))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    for (x, y), text in picture.labels:
        axes.text(x, y, text, fontsize=9, color=TEXT_COLOUR)
    for (x, y), colour, text in picture.key:
        axes.add_patch(Rectangle((x, y), 14, 14, facecolor=colour))
        axes.text(x + 20, y + 12, text, fontsize=9, color=TEXT_COLOUR)
    for each in picture.connections:
        curve = Curve(each.curve, [Curve.MOVETO, Curve.CURVE4, Curve.CURVE4, Curve.CURVE4])
        axes.add_patch(
            PathPatch(
                curve,
                fill=False,
                edgecolor=LINE_COLOUR,
                linewidth=0.75 * each.width,  # points, of which an inch has 72
                linestyle="--" if each.is_dashed else "-",
            )
        )
    for box in picture.boxes:
        x, y = box.centre
        opacity = 0.35 if box.is_dead else 1.0
        axes.add_patch(
            FancyBboxPatch(
                (x - box.width / 2 + 3, y - 9),
                box.width - 6,
                18,
                boxstyle="round,pad=3",
                facecolor=box.colour,
                edgecolor=END_COLOUR if box.is_end else LINE_COLOUR,
                linewidth=2 if box.is_end else 1,
                alpha=opacity,
            )
        )
        axes.text(x, y + 4, box.text, fontsize=9, ha="center", color=TEXT_COLOUR, alpha=opacity)
        colour = END_COLOUR if box.is_end else TEXT_COLOUR
        axes.text(x, y + 26, box.note, fontsize=9, ha="center", color=colour, alpha=opacity)
    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=144, metadata={"Title": picture.title})
    return stream.getvalue()


def _svg_path(connection: Connection) -> str:
    (ax, ay), (bx, by), (cx, cy), (dx, dy) = connection.curve
    dash = ' stroke-dasharray="5 3"' if connection.is_dashed else ""
    return (
        f'<path d="M{ax:g} {ay:g} C{bx:g} {by:g} {cx:g} {cy:g} {dx:g} {dy:g}" fill="none" '
        f'stroke="{LINE_COLOUR}" stroke-width="{connection.width:.3g}"{dash}/>'
    )


def _svg_box(box: Box) -> list[str]:
    x, y = box.centre
    edge = f'stroke="{END_COLOUR}" stroke-width="2.5"' if box.is_end else f'stroke="{LINE_COLOUR}"'
    faded = ' opacity="0.35"' if box.is_dead else ""
    drawn = [
        f'<rect x="{x - box.width / 2:g}" y="{y - BOX_HEIGHT / 2:g}" width="{box.width:g}" '
        f'height="{BOX_HEIGHT}" rx="4" fill="{box.colour}" {edge}{faded}/>',
        f'<text x="{x:g}" y="{y + 4:g}" text-anchor="middle"{faded}>'
        f"{html.escape(box.text)}</text>",
    ]
    if box.note:
        colour = f' fill="{END_COLOUR}"' if box.is_end else ""
        drawn.append(
            f'<text x="{x:g}" y="{y + 26:g}" text-anchor="middle"{colour}{faded}>'
            f"{html.escape(box.note)}</text>"
        )
    return drawn
