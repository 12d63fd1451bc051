"""Images in other sizes: what torch's interpolation becomes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from exporters.exporter import ExportError
from exporters.graph import BinaryKind, Resize, ResizeKind
from exporters.windows import image_shape, pair

if TYPE_CHECKING:
    from exporters.graph_builder import GraphBuilder, TensorNumber

_KINDS = {"nearest": ResizeKind.NEAREST, "bilinear": ResizeKind.BILINEAR}


def lower_resize(
    build: GraphBuilder,
    source: TensorNumber,
    *,
    size: Any,  # noqa: ANN401 - torch takes a number or several
    scale: Any,  # noqa: ANN401
    mode: str,
    align_corners: bool,
    name: str,
) -> TensorNumber:
    """``interpolate`` and ``Upsample``, by nearest pixels or bilinear.

    Both frameworks take the pixel at ``floor(out * rows / out_rows)`` for the nearest one, and
    centers at a half for bilinear ones without ``align_corners``. Pixels that are repeated a whole
    number of times, which XNNPACK leaves to others, are multiplied by ones, which it takes.

    Raises:
        ExportError: If there is no such mode, or the size is not known.
    """
    batch, channels, rows, columns = image_shape(build, source)
    if mode not in _KINDS:
        msg = f"interpolation {mode!r} has no counterpart in TFLite; nearest and bilinear have"
        raise ExportError(msg)
    down, across = pair(size) if size is not None else _scaled((rows, columns), scale)
    grows, shrinks = not (down % rows or across % columns), not (rows % down or columns % across)
    if mode == "nearest" and not (grows or shrinks):
        msg = f"nearest pixels of {rows}x{columns} as {down}x{across} are rounded differently"
        raise ExportError(msg)
    if mode == "nearest" and grows:
        return _repeated(build, source, (down // rows, across // columns), name)
    resize = Resize(
        kind=_KINDS[mode],
        align_corners=align_corners and mode == "bilinear",
        half_pixel=mode == "bilinear" and not align_corners,
    )
    return build.append(resize, (source,), (batch, channels, down, across), name)


def _repeated(
    build: GraphBuilder, source: TensorNumber, times: tuple[int, int], name: str
) -> TensorNumber:
    """Each pixel as often in its row, then each row as often, as products that broadcast.

    Each is of four dimensions: `[N, H * W, 1, C]`, then `[N, H, 1, W * C]`, times so many ones.
    """
    batch, channels, rows, columns = image_shape(build, source)
    down, across = times
    if across > 1:
        pixels = build.reshaped(source, (batch, channels, rows * columns, 1), f"{name}.pixels")
        ones = build.constant(np.ones((1, 1, 1, across)), f"{name}.across")
        source = build.binary(BinaryKind.MUL, pixels, ones, f"{name}.wide")
        columns *= across
    if down > 1:
        lines = build.reshaped(source, (batch, columns * channels, rows, 1), f"{name}.lines")
        ones = build.constant(np.ones((1, 1, 1, down)), f"{name}.down")
        source = build.binary(BinaryKind.MUL, lines, ones, f"{name}.high")
    whole = (batch, channels, rows * down, columns)
    return source if build.shape(source) == whole else build.reshaped(source, whole, name)


def _scaled(size: tuple[int, int], scale: Any) -> tuple[int, int]:  # noqa: ANN401
    if scale is None:
        msg = "an interpolation needs a size or a scale_factor"
        raise ExportError(msg)
    factors = scale if isinstance(scale, Sequence) else (scale, scale)
    found = [length * factor for length, factor in zip(size, factors, strict=True)]
    if any(length != int(length) for length in found):
        msg = f"an interpolation of {size} by {scale} gives no whole pixels"
        raise ExportError(msg)
    return int(found[0]), int(found[1])
