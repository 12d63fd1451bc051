"""Published networks by name.

``NAME@W`` is a network at a width multiplier, by the rounding of its published code; a name
without ``@W`` has the published widths, whether or not they are multiples of 8.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from search_space import assemblenet_networks, efficientnet, efficientnet_v2, spinenet_networks
from search_space.architecture import Architecture, from_json
from search_space.chain import Activation, ChainArchitecture, Op, Skip, Stage, Stem
from search_space.decisions import point_from_json
from search_space.space import create as create_space
from search_space.widths import parse_multiplier, scaled_depth, scaled_width
from workspace.errors import InputError

Row = tuple[int, int, int, int, int, float]
"""One block: repeats, kernel, stride, expansion, filters, squeeze-excitation ratio."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A network as its authors' code lists it.

    Attributes:
        rows: Its blocks.
        stem: Filters of the first convolution.
        size: Side of the input, in pixels.
        dropout: Before the classifier.
        activation: Everywhere.
        without_residual: Positions of the blocks in ``rows`` that add no input.
        scales_head: Whether a multiplier above 1 widens the last convolution (MobileNetV2).
    """

    rows: tuple[Row, ...]
    stem: int = 32
    size: int = 224
    dropout: float = 0.2
    activation: Activation = Activation.RELU
    without_residual: tuple[int, ...] = ()
    scales_head: bool = False

    def architecture(self, multiplier: float | None) -> ChainArchitecture:
        """The network, at a width multiplier where one is given."""

        def width(filters: int) -> int:
            return filters if multiplier is None else scaled_width(filters, multiplier)

        stages = (
            Stage(
                op=Op.MBCONV,
                kernel=kernel,
                stride=stride,
                expansion=expansion,
                filters=width(filters),
                repeats=repeats,
                se_ratio=se_ratio,
                skip=Skip.NONE if position in self.without_residual else Skip.IDENTITY,
            )
            for position, (repeats, kernel, stride, expansion, filters, se_ratio) in enumerate(
                self.rows
            )
        )
        return ChainArchitecture(
            size=self.size,
            stem=Stem(filters=width(self.stem)),
            stages=tuple(stages),
            head_filters=max(1280, width(1280)) if self.scales_head else 1280,
            activation=self.activation,
            dropout=self.dropout,
        )


_MNASNET_A1 = Published(  # MnasNet, figure 7a
    rows=(
        (1, 3, 1, 1, 16, 0.0),
        (2, 3, 2, 6, 24, 0.0),
        (3, 5, 2, 3, 40, 0.25),
        (4, 3, 2, 6, 80, 0.0),
        (2, 3, 1, 6, 112, 0.25),
        (3, 5, 2, 6, 160, 0.25),
        (1, 3, 1, 6, 320, 0.0),
    ),
    without_residual=(0,),
)
_MNASNET_B1 = Published(  # MnasNet, table 2: without squeeze-excitation
    rows=(
        (1, 3, 1, 1, 16, 0.0),
        (3, 3, 2, 3, 24, 0.0),
        (3, 5, 2, 3, 40, 0.0),
        (3, 5, 2, 6, 80, 0.0),
        (2, 3, 1, 6, 96, 0.0),
        (4, 5, 2, 6, 192, 0.0),
        (1, 3, 1, 6, 320, 0.0),
    ),
    without_residual=(0, 6),
)
_MNASNET_SMALL = Published(
    rows=(
        (1, 3, 1, 1, 8, 0.0),
        (1, 3, 2, 3, 16, 0.0),
        (2, 3, 2, 6, 16, 0.0),
        (4, 5, 2, 6, 32, 0.25),
        (3, 3, 1, 6, 32, 0.25),
        (3, 5, 2, 6, 88, 0.25),
        (1, 3, 1, 6, 144, 0.0),
    ),
    stem=8,
    dropout=0.0,
    # The published code declares 16 input channels for the first block where the stem gives 8,
    # and so adds no residual there; timm's copy does. Parameters and MACs are the same.
    without_residual=(0,),
)
_MNASNET_D1 = Published(  # the backbone that was searched together with MnasFPN
    rows=(
        (1, 3, 1, 9, 24, 0.0),
        (3, 3, 2, 9, 36, 0.0),
        (5, 3, 2, 9, 48, 0.0),
        (4, 5, 2, 9, 96, 0.0),
        (5, 7, 1, 3, 96, 0.0),
        (3, 3, 2, 9, 80, 0.0),
        (1, 7, 1, 6, 320, 0.0),
    ),
    without_residual=(6,),
)
_MNASNET_D1_320 = Published(
    rows=(
        (3, 5, 1, 6, 24, 0.0),
        (4, 7, 2, 9, 36, 0.0),
        (5, 5, 2, 9, 48, 0.0),
        (5, 7, 2, 6, 96, 0.0),
        (5, 3, 1, 9, 144, 0.0),
        (5, 5, 2, 6, 160, 0.0),
        (1, 7, 1, 9, 320, 0.0),
    ),
    size=320,
)
_MOBILENET_V2 = Published(  # MobileNetV2, table 2
    rows=(
        (1, 3, 1, 1, 16, 0.0),
        (2, 3, 2, 6, 24, 0.0),
        (3, 3, 2, 6, 32, 0.0),
        (4, 3, 2, 6, 64, 0.0),
        (3, 3, 1, 6, 96, 0.0),
        (3, 3, 2, 6, 160, 0.0),
        (1, 3, 1, 6, 320, 0.0),
    ),
    activation=Activation.RELU6,
    scales_head=True,
)

_SCALABLE: Mapping[str, Published] = MappingProxyType(
    {
        "mnasnet-a1": _MNASNET_A1,
        "mnasnet-b1": _MNASNET_B1,
        "mnasnet-small": _MNASNET_SMALL,
        "mnasnet-d1": _MNASNET_D1,
        "mnasnet-d1-320": _MNASNET_D1_320,
        "mobilenet-v2": _MOBILENET_V2,
    }
)
_DEEPER: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"mobilenet-v2-110d": (1.1, 1.2), "mobilenet-v2-120d": (1.2, 1.4)}
)
"""timm's: width and depth multipliers."""


def names() -> tuple[str, ...]:
    """Every network, without those at a width multiplier."""
    return (*_SCALABLE, *_of_fixed_width())


def _of_fixed_width() -> tuple[str, ...]:
    chains = (*_DEEPER, *efficientnet.COEFFICIENTS, *efficientnet_v2.VARIANTS)
    return (*chains, *spinenet_networks.SCALES, *assemblenet_networks.STRUCTURES)


def create(
    name: str, *, size: int | None = None, channels: int | None = None
) -> ChainArchitecture:
    """The published chain of stages called ``name``; MnasNet's and MobileNetV2 may end in ``@W``.

    ``resolve`` knows networks of other families too.

    Args:
        name: E.g. ``"mnasnet-a1"``, ``"mobilenet-v2@0.35"`` or ``"efficientnet-b0"``.
        size: Side of the input in pixels; the published one by default.
        channels: Of the input; 3 by default.

    Raises:
        InputError: If there is no such chain, or it cannot run at that size.
    """
    base, at, multiplier = name.partition("@")
    if base in _SCALABLE:
        found = _SCALABLE[base].architecture(parse_multiplier(multiplier) if at else None)
    elif name in _DEEPER:
        found = _deeper_mobilenet(*_DEEPER[name])
    elif name in efficientnet.COEFFICIENTS:
        found = efficientnet.create(name)
    elif name in efficientnet_v2.VARIANTS:
        found = efficientnet_v2.create(name)
    elif name in spinenet_networks.SCALES:
        msg = f"{name!r} is a scale-permuted network, not a chain of stages"
        raise InputError(msg)
    elif name in assemblenet_networks.STRUCTURES:
        msg = f"{name!r} is a network of several streams, not a chain of stages"
        raise InputError(msg)
    else:
        raise _unknown(name, base)
    return replace(
        found,
        size=found.size if size is None else size,
        channels=found.channels if channels is None else channels,
    )


def _deeper_mobilenet(width: float, depth: float) -> ChainArchitecture:
    """MobileNetV2 with more layers in all but the first and last block, stem and head kept."""
    wide = _MOBILENET_V2.architecture(width)
    first, *middle, last = wide.stages
    deeper = (replace(stage, repeats=scaled_depth(stage.repeats, depth)) for stage in middle)
    stem = Stem(filters=_MOBILENET_V2.stem)
    return replace(wide, stem=stem, stages=(first, *deeper, last), head_filters=1280)


def _unknown(name: str, base: str) -> InputError:
    if base in _of_fixed_width():
        free = f"{', '.join(f'{each}@W' for each in _SCALABLE)} take any"
        return InputError(f"{base} has a fixed width, got {name!r}; {free}")
    close = difflib.get_close_matches(base, names(), n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(names())}"
    return InputError(f"unknown network {name!r}; {hint}")


def resolve(text: str) -> Architecture:
    """The network that ``text`` names, for the command line.

    Args:
        text: One of ``names``, or as for ``create``; the path of a JSON file with what
            ``Architecture.to_json`` gave; or a space, a colon and a JSON list, e.g.
            ``"mnasnet:[0, 1, …]"``: that point of the space with its default options.

    Raises:
        InputError: If it is none of these, or what it names is not valid.
    """
    space, bracket, _ = text.partition(":[")
    if bracket:
        return _from_decisions(space, text[len(space) + 1 :])
    if text.endswith(".json") or Path(text).is_file():
        return _from_file(Path(text))
    if text in spinenet_networks.SCALES:
        return spinenet_networks.create(text)
    if text in assemblenet_networks.STRUCTURES:
        return assemblenet_networks.create(text)
    return create(text)


def _from_decisions(space: str, listed: str) -> Architecture:
    try:
        point = point_from_json(json.loads(listed))
    except ValueError as error:
        msg = f"the decisions of {space!r} must be a JSON list, got {listed!r} ({error})"
        raise InputError(msg) from error
    return create_space(space, {}).decode(point)


def _from_file(path: Path) -> Architecture:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"the network {str(path)!r} cannot be read: {error.strerror}"
        raise InputError(msg) from error
    except ValueError as error:
        msg = f"the network {str(path)!r} is no JSON document ({error})"
        raise InputError(msg) from error
    if not isinstance(document, dict):
        msg = f"the network {str(path)!r} must be a JSON object, got {type(document).__name__}"
        raise InputError(msg)
    return from_json(document)
