"""Convolutions and pools over clips, as those over images: frames are images side by side.

A clip is `[N, T, H, W, C]` in the file. A window of one frame slides over `[N * T, H, W, C]`, one
of one pixel over `[N, T, H * W, C]`: both are new shapes, which cost little, and kernels of two
dimensions are the fast ones on phones. A window over frames and pixels at once is refused: write
it as two, (2+1)D (Tran et al. 2018, "A closer look at spatiotemporal convolutions").
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from torch import nn

from exporters.exporter import ExportError
from exporters.lowering import lower_convolution
from exporters.windows import lower_average_pool, lower_max_pool

if TYPE_CHECKING:
    from exporters.graph_builder import GraphBuilder, TensorNumber

Lower = Callable[[Any, Any, Any, str], Any]


def lower_convolution_3d(
    build: GraphBuilder, source: TensorNumber, layer: nn.Conv3d, name: str, *, tf_same: bool
) -> TensorNumber:
    """A convolution of one frame, or of one pixel over frames.

    Args:
        build: What it becomes part of.
        source: What it reads.
        layer: The convolution.
        name: Of what it makes.
        tf_same: Whether it pads as TensorFlow's 'SAME', over pixels alone.

    Raises:
        ExportError: If it is neither.
    """
    over_pixels = layer.kernel_size[0] == 1 and layer.stride[0] == 1
    flat = _flat(layer, ("kernel_size", "stride", "padding", "dilation"), over_pixels=over_pixels)
    with_weights = _convolution(layer, over_pixels=over_pixels, **flat)
    lower = partial(lower_convolution, tf_same=tf_same and over_pixels)
    return _as_images(build, source, with_weights, name, over_pixels=over_pixels, lower=lower)


def lower_pool_3d(
    build: GraphBuilder,
    source: TensorNumber,
    layer: nn.MaxPool3d | nn.AvgPool3d,
    name: str,
    *,
    tf_same: bool,
) -> TensorNumber:
    """A pool of one frame, or of one pixel over frames; see ``lower_convolution_3d``.

    Raises:
        ExportError: If it is neither.
    """
    over_pixels = _triple(layer.kernel_size)[0] == 1 and _triple(layer.stride)[0] == 1
    names = ("kernel_size", "stride", "padding")
    if isinstance(layer, nn.MaxPool3d):
        flat = _flat(layer, (*names, "dilation"), over_pixels=over_pixels)
        pool: nn.Module = nn.MaxPool2d(
            flat["kernel_size"],
            flat["stride"],
            flat["padding"],
            flat["dilation"],
            ceil_mode=layer.ceil_mode,
        )
        lower: Lower = partial(lower_max_pool, tf_same=tf_same and over_pixels)
    else:
        flat = _flat(layer, names, over_pixels=over_pixels)
        pool = nn.AvgPool2d(
            flat["kernel_size"],
            flat["stride"],
            flat["padding"],
            ceil_mode=layer.ceil_mode,
            count_include_pad=layer.count_include_pad,
        )
        lower = partial(lower_average_pool, tf_same=tf_same and over_pixels)
    return _as_images(build, source, pool, name, over_pixels=over_pixels, lower=lower)


def _as_images(
    build: GraphBuilder,
    source: TensorNumber,
    layer: nn.Module,
    name: str,
    *,
    over_pixels: bool,
    lower: Lower,
) -> TensorNumber:
    shape = build.shape(source)
    if len(shape) != 5:
        msg = f"needs a clip [N, C, T, H, W], got {shape}"
        raise ExportError(msg)
    batch, channels, frames, rows, columns = shape
    images = (
        (batch * frames, channels, rows, columns)
        if over_pixels
        else (batch, channels, frames, rows * columns)
    )
    made = lower(build, build.reshaped(source, images, f"{name}.images"), layer, name)
    _, filters, down, across = build.shape(made)
    clip = (
        (batch, filters, frames, down, across)
        if over_pixels
        else (batch, filters, down, rows, columns)
    )
    return build.reshaped(made, clip, f"{name}.clip")


def _convolution(
    layer: nn.Conv3d,
    *,
    over_pixels: bool,
    kernel_size: tuple[int, int],
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
) -> nn.Conv2d:
    """The same weights with two dimensions, shared."""
    made = nn.Conv2d(
        layer.in_channels,
        layer.out_channels,
        kernel_size,
        stride,
        padding,
        dilation,
        layer.groups,
        bias=layer.bias is not None,
        padding_mode=layer.padding_mode,
        device="meta",
    )
    weights = layer.weight.squeeze(2) if over_pixels else layer.weight.flatten(3)
    made.weight = nn.Parameter(weights.detach(), requires_grad=False)
    if layer.bias is not None:
        made.bias = nn.Parameter(layer.bias.detach(), requires_grad=False)
    return made


def _flat(
    layer: Any,  # noqa: ANN401 - torch's layers have these in common by name alone
    names: tuple[str, ...],
    *,
    over_pixels: bool,
) -> dict[str, tuple[int, int]]:
    """Settings of three dimensions as those of two."""
    still = {"kernel_size": 1, "stride": 1, "padding": 0, "dilation": 1}
    flat = {}
    for setting in names:
        frames, rows, columns = _triple(getattr(layer, setting))
        if over_pixels:
            fits, flat[setting] = frames == still[setting], (rows, columns)
        else:
            fits, flat[setting] = rows == columns == still[setting], (frames, still[setting])
        if not fits and setting != "dilation":
            msg = (
                f"operator {type(layer).__name__!r} with {setting}={getattr(layer, setting)} has "
                "no counterpart: write it as one over pixels and one over frames, (2+1)D"
            )
            raise ExportError(msg)
    return flat


def _triple(value: Any) -> tuple[int, int, int]:  # noqa: ANN401 - a number or three
    if isinstance(value, str):
        msg = f"padding {value!r} of a clip has no counterpart; numbers have"
        raise ExportError(msg)
    first, second, third = value if isinstance(value, tuple | list) else (value,) * 3
    return int(first), int(second), int(third)
