"""The snippets for Android: templates with the numbers of one file and one preprocessing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from delivery.int8_ends import int8_ends

if TYPE_CHECKING:
    from delivery.int8_ends import Scale
    from delivery.preprocessing import Preparation
    from exporters.artifact import Artifact

CARRIED = Path(__file__).parent / "carried"
"""Programs and templates that go into bundles."""


def classifier(preparation: Preparation, model: Artifact) -> str:
    """``Classifier.kt`` for one file; an int8 input is rounded there, an int8 output restored."""
    scores = int8_ends(model).get(model.outputs[0].name)
    own = {
        "READ": "restored(outputs[0].readInt8())" if scores else "outputs[0].readFloat()",
        "RESTORED": _RESTORED if scores else "",
        "OUTPUT": _scale("OUTPUT", scores),
    }
    return _filled("Classifier.kt", preparation, model, own)


def detector(preparation: Preparation, model: Artifact) -> str:
    """``Detector.kt`` for one file; likewise."""
    ends = int8_ends(model)
    scales = [ends.get(spec.name) for spec in model.outputs]
    is_int8 = any(scales)
    padded = preparation.padding is not None
    own = {
        "READ": "restored(outputs[it].readInt8(), it)" if is_int8 else "outputs[it].readFloat()",
        "RESTORED": _RESTORED_EACH if is_int8 else "",
        "OUTPUT": _scales(scales) if is_int8 else "",
        "OUTPUTS": ", ".join(f'"{spec.name}"' for spec in model.outputs),
        "SIDES": _PADDED_SIDES if padded else _WHOLE_SIDES,
    }
    return _filled("Detector.kt", preparation, model, own)


def _filled(name: str, preparation: Preparation, model: Artifact, own: dict[str, str]) -> str:
    """A template with what all have, and what is its own."""
    pixels, given = preparation.pixels, int8_ends(model).get(model.inputs[0].name)
    picture = "picture" if pixels.crop is None else "middle(picture)"
    values = {
        **own,
        "PREPARE": (CARRIED / "prepare.kt").read_text(encoding="utf-8"),
        "WRITE": "writeInt8(rounded(prepare(picture)))"
        if given
        else "writeFloat(prepare(picture))",
        "PICTURE": picture if preparation.padding is None else "padded(picture)",
        "MIDDLE": "" if pixels.crop is None else _MIDDLE,
        "PADDED": "" if preparation.padding is None else _PADDED,
        "GREY": str(preparation.padding),
        "CROP": "" if pixels.crop is None else f"\n        const val CROP = {pixels.crop:.9g}f",
        "ROUNDED": _ROUNDED if given else "",
        "INPUT": _scale("INPUT", given),
        "MODEL": model.path.name,
        "SIZE": str(preparation.size),
        "CHANNELS": str(preparation.channels),
        "COLOURS": str(pixels.channels),
        "MEAN": ", ".join(f"{value:.9g}f" for value in pixels.mean),
        "STD": ", ".join(f"{value:.9g}f" for value in pixels.std),
    }
    text = (CARRIED / name).read_text(encoding="utf-8")
    for place, value in values.items():
        text = text.replace(f"@{place}@", value)
    return text


_MIDDLE = """\
    /** The square in the middle. */
    private fun middle(picture: Bitmap): Bitmap {
        val side = Math.round(CROP * minOf(picture.width, picture.height)).coerceAtLeast(1)
        val left = (picture.width - side) / 2
        val top = (picture.height - side) / 2
        return Bitmap.createBitmap(picture, left, top, side, side)
    }

"""

_PADDED = """\
    /** A square with the picture at its upper left, its longer side as long, the rest grey. */
    private fun padded(picture: Bitmap): Bitmap {
        val square = Bitmap.createBitmap(SIZE, SIZE, Bitmap.Config.ARGB_8888)
        val scaled = Bitmap.createScaledBitmap(picture, columns(picture), rows(picture), true)
        square.eraseColor(Color.rgb(@GREY@, @GREY@, @GREY@))
        Canvas(square).drawBitmap(scaled, 0f, 0f, null)
        return square
    }

"""

_PADDED_SIDES = """\
    /** Columns and rows of the input that a picture takes. */
    private fun columns(picture: Bitmap) = side(picture.width, picture)

    private fun rows(picture: Bitmap) = side(picture.height, picture)

    private fun side(length: Int, picture: Bitmap) =
        Math.rint(SIZE.toDouble() * length / max(picture.width, picture.height)).toInt()
            .coerceAtLeast(1)
"""

_WHOLE_SIDES = """\
    /** Columns and rows of the input that a picture takes: all. */
    private fun columns(@Suppress("UNUSED_PARAMETER") picture: Bitmap) = SIZE

    private fun rows(@Suppress("UNUSED_PARAMETER") picture: Bitmap) = SIZE
"""

_ROUNDED = """\
    private fun rounded(numbers: FloatArray) = ByteArray(numbers.size) { index ->
        (Math.rint((numbers[index] / INPUT_SCALE).toDouble()).toInt() + INPUT_ZERO)
            .coerceIn(-128, 127).toByte()
    }

"""

_RESTORED = """\
    private fun restored(numbers: ByteArray) = FloatArray(numbers.size) { index ->
        (numbers[index] - OUTPUT_ZERO) * OUTPUT_SCALE
    }

"""

_RESTORED_EACH = """\
    private fun restored(numbers: ByteArray, output: Int) = FloatArray(numbers.size) { index ->
        (numbers[index] - ZEROS[output]) * SCALES[output]
    }

"""


def _scale(end: str, scale: Scale | None) -> str:
    if scale is None:
        return ""
    return (
        f"\n        const val {end}_SCALE = {scale.scale:.9g}f"
        f"\n        const val {end}_ZERO = {scale.zero_point}"
    )


def _scales(scales: list[Scale | None]) -> str:
    """Of each output, in order."""
    told = [(0.0, 0) if each is None else (each.scale, each.zero_point) for each in scales]
    return (
        f"\n        val SCALES = floatArrayOf({', '.join(f'{scale:.9g}f' for scale, _ in told)})"
        f"\n        val ZEROS = intArrayOf({', '.join(str(zero) for _, zero in told)})"
    )
