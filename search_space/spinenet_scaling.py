"""How SpineNet is scaled, as a space: Vertex AI's ``spinenet_scaling``, around one block list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from search_space.architecture import Architecture
from search_space.decisions import Choice, Decisions, DecisionSpace, Point
from search_space.options import OptionReader
from search_space.spinenet import OUTPUT_LEVELS, ScalePermutedArchitecture
from search_space.spinenet_networks import SCALES
from search_space.spinenet_spaces import frame
from search_space.widths import parse_multiplier
from workspace.errors import InputError

_OPTIONS = ("base", "size", "width", "channels", "strides", "stem_filters", "stochastic_depth")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpineNetScalingSpace:
    """Sizes, widths and depths of one network.

    >>> SpineNetScalingSpace.from_options({}).count
    432

    Attributes:
        frame: The network; what is chosen is taken from the choices instead.
        size: The larger of two sizes; the smaller is four fifths of it, as published.
        width: Multiplies all widths that are chosen, for a proxy; 1 as published.
        points: The choices, in Vertex AI's order.
    """

    frame: ScalePermutedArchitecture
    size: int = 640
    width: float = 1.0
    points: DecisionSpace = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        least = self.frame.stride_at(OUTPUT_LEVELS[-1])
        if _smaller_size(self.size) < least:
            msg = (
                f"the size of the space {self.name!r} must be at least {larger_size(least)} "
                f"pixels, since four fifths of it is a size of its networks too and those need "
                f"{least}; got {self.size}"
            )
            raise InputError(msg)
        choices = tuple(
            Choice(name=name, options=tuple(map(str, options)))
            for name, options in self._options().items()
        )
        object.__setattr__(self, "points", DecisionSpace(choices=choices))
        self.decode((0,) * len(choices))

    @classmethod
    def from_options(cls, options: Mapping[str, str]) -> Self:
        """The space with settings as text.

        Args:
            options: ``base``, a scale-permuted network of the catalog (``spinenet-49``); size
                and width; and channels, strides, stem filters and stochastic depth of them all.

        Raises:
            InputError: If an option is unknown or out of range.
        """
        reader = OptionReader(options, "spinenet_scaling", _OPTIONS)
        shared = {name: text for name, text in options.items() if name != "size"}
        base = reader.text("base") if "base" in reader else "spinenet-49"
        if base not in SCALES:
            msg = f"unknown scale-permuted network {base!r}; there are {', '.join(SCALES)}"
            raise InputError(msg)
        return cls(
            frame=frame(OptionReader(shared, "spinenet_scaling", _OPTIONS), base),
            size=reader.integer("size", 640, low=1, high=4096),
            width=parse_multiplier(reader.text("width")) if "width" in reader else 1.0,
        )

    @property
    def name(self) -> str:
        """See ``SearchSpace.name``."""
        return "spinenet_scaling"

    @property
    def count(self) -> int:
        """See ``SearchSpace.count``."""
        return self.points.count

    def decode(self, point: Point) -> ScalePermutedArchitecture:
        """See ``SearchSpace.decode``."""
        chosen = zip(self._options().values(), self.points.checked(point), strict=True)
        size, endpoints, scale, alpha, repeats, convs, filters = (
            options[index] for options, index in chosen
        )
        return replace(
            self.frame,
            size=int(size),
            endpoint_filters=int(endpoints),
            filter_scale=scale,
            alpha=alpha,
            repeats=int(repeats),
            head_convs=int(convs),
            head_filters=int(filters),
        )

    def encode(self, architecture: Architecture) -> Decisions:
        """See ``SearchSpace.encode``."""
        if not isinstance(architecture, ScalePermutedArchitecture):
            msg = f"not in the space {self.name!r}: its family is {architecture.family}"
            raise InputError(msg)
        found = []
        for name, options in self._options().items():
            value = getattr(architecture, name)
            if value not in options:
                listed = ", ".join(map(str, options))
                msg = f"not in the space {self.name!r}: its {name} is {value}, not {listed}"
                raise InputError(msg)
            found.append(options.index(value))
        point = tuple(found)
        if self.decode(point) != architecture:
            msg = f"not in the space {self.name!r}: its blocks or what it starts with are others"
            raise InputError(msg)
        return point

    def _options(self) -> dict[str, tuple[float, ...]]:
        """Of each field of a network."""

        def wide(*filters: int) -> tuple[int, ...]:
            return tuple(max(1, int(self.width * each)) for each in filters)

        return {
            "size": (_smaller_size(self.size), self.size),
            "endpoint_filters": wide(192, 256),
            "filter_scale": tuple(round(self.width * each, 6) for each in (0.8, 1.0, 1.2)),
            "alpha": (0.75, 1.0, 1.25),
            "repeats": (2, 3, 4),
            "head_convs": (4, 5),
            "head_filters": wide(192, 256),
        }


def larger_size(smaller: int) -> int:
    """The least size of a space whose smaller networks have at least ``smaller`` pixels.

    >>> larger_size(512), larger_size(128)
    (640, 160)
    """
    return -(-5 * smaller // 4)


def _smaller_size(larger: int) -> int:
    return larger * 4 // 5
