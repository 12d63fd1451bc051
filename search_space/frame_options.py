"""What all chains of a space have in common, read from its options."""

from __future__ import annotations

from typing import TypedDict

from search_space.options import OptionReader
from search_space.strides import Strides
from search_space.widths import parse_multiplier

FRAME = ("size", "channels", "strides", "stem_filters", "head_filters")
"""Names of the options that ``read_frame`` reads."""


class Frame(TypedDict):
    """Attributes of a space.

    Attributes:
        size: Side of the input in pixels.
        channels: Of the input.
        strides: For large or for small images.
        stem_filters: Of the first convolution.
        head_filters: Of the last convolution.
    """

    size: int
    channels: int
    strides: Strides
    stem_filters: int
    head_filters: int


def read_frame(reader: OptionReader) -> Frame:
    """Those that were given, else what is published.

    Raises:
        InputError: If one is out of range.
    """
    return Frame(
        size=reader.integer("size", 224, low=1, high=4096),
        channels=reader.integer("channels", 3, low=1, high=64),
        strides=reader.member("strides", Strides.PUBLISHED),
        stem_filters=reader.integer("stem_filters", 32, low=1, high=4096),
        head_filters=reader.integer("head_filters", 1280, low=1, high=16384),
    )


def read_width(reader: OptionReader) -> float | None:
    """The multiplier of widths; None where it was not given.

    Raises:
        InputError: If it is none.
    """
    return parse_multiplier(reader.text("width")) if "width" in reader else None
