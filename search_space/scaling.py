"""Compound scaling: a network made deeper, wider and finer at once (Tan and Le 2019, 1905.11946).

Three kinds of rule say how much of each: powers of three constants (EfficientNet, equation 3),
shares of a cost factor ("fast compound scaling", Dollar et al. 2021, arXiv 2103.06877), and tables
of hand-picked factors (EfficientNet's releases; EfficientNet-X's, made for the latency of an
accelerator). All leave the layers what they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol, assert_never, overload

from search_space.architecture import Architecture
from search_space.assemblenet import MultiStreamArchitecture
from search_space.chain import ChainArchitecture, Stage
from search_space.permuted_scaling import scaled_permuted
from search_space.spinenet import ScalePermutedArchitecture
from search_space.stream_scaling import scaled_streams
from search_space.widths import require_width, scaled_depth, scaled_width, scaled_width_v2
from workspace.errors import InputError

PHI_LIMIT = 64.0
"""Of compound coefficients: 2 to this power is no network's cost."""

FACTOR_LIMIT = 2.0**PHI_LIMIT
"""Of what a network is multiplied by, likewise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Factors:
    """By what a network is multiplied.

    Attributes:
        depth: Layers of each stage.
        width: Channels.
        resolution: Pixels a side.
    """

    depth: float = 1.0
    width: float = 1.0
    resolution: float = 1.0

    def __post_init__(self) -> None:
        for name, value in self.named.items():
            if not 0 < value <= FACTOR_LIMIT:
                msg = (
                    f"{name} must be multiplied by a finite number above 0 and at most "
                    f"{FACTOR_LIMIT:.2g}, got {value!r}"
                )
                raise InputError(msg)

    @property
    def named(self) -> dict[str, float]:
        """All three, by name."""
        return {"depth": self.depth, "width": self.width, "resolution": self.resolution}

    @property
    def cost(self) -> float:
        """By which they multiply multiply-adds, before anything is rounded: d * w^2 * r^2."""
        return self.depth * self.width**2 * self.resolution**2


class ScalingRule(Protocol):
    """How much deeper, wider and finer a network of a compound coefficient is.

    Law: ``factors(0)`` changes nothing.
    """

    def factors(self, phi: float) -> Factors:
        """What multiplies a network.

        Args:
            phi: The compound coefficient: about 2 to this power is what the cost is multiplied
                by; below 0 the network gets smaller.

        Raises:
            InputError: If there is none for that coefficient.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CompoundRule:
    """Constants to the power of the compound coefficient (EfficientNet, equation 3).

    Attributes:
        alpha: Of depth, at least 1.
        beta: Of width, at least 1.
        gamma: Of resolution, at least 1.
    """

    alpha: float
    beta: float
    gamma: float

    def __post_init__(self) -> None:
        for name, value in (("alpha", self.alpha), ("beta", self.beta), ("gamma", self.gamma)):
            if not (math.isfinite(value) and value >= 1):
                msg = (
                    f"{name} must be a finite number of at least 1, got {value!r}; a compound "
                    "coefficient below 0 makes networks smaller"
                )
                raise InputError(msg)

    @property
    def product(self) -> float:
        """Alpha * beta^2 * gamma^2: by what the cost grows for each 1 of the coefficient.

        >>> round(EFFICIENTNET.product, 5)
        1.92027
        """
        return self.factors(1.0).cost

    def factors(self, phi: float) -> Factors:
        """See ``ScalingRule.factors``."""
        _check_phi(phi)
        constants = (self.alpha, self.beta, self.gamma)
        depth, width, resolution = (_power(constant, phi) for constant in constants)
        return Factors(depth=depth, width=width, resolution=resolution)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShareRule:
    """Shares of a cost factor s = 2^phi: d = s^e_d, w = s^(e_w / 2), r = s^(e_r / 2).

    Dollar et al. 2021, section 4; pycls ``scaler.py``.

    Attributes:
        depth: Share e_d, at least 0; the three make 1.
        width: Share e_w, likewise.
        resolution: Share e_r, likewise.
    """

    depth: float
    width: float
    resolution: float

    def __post_init__(self) -> None:
        shares = (self.depth, self.width, self.resolution)
        if not (all(share >= 0 for share in shares) and abs(sum(shares) - 1) < 1e-9):
            msg = (
                "shares of depth, width and resolution must be at least 0 and make 1, got "
                f"{shares}"
            )
            raise InputError(msg)

    @classmethod
    def fast(cls, alpha: float) -> ShareRule:
        """The paper's form: width has the share ``alpha``, depth and resolution half the rest.

        ``alpha`` 1/3 is uniform compound scaling, 1 is width alone, 0.8 is recommended.

        Raises:
            InputError: If ``alpha`` is not in [0, 1].
        """
        if not 0 <= alpha <= 1:
            msg = f"alpha of fast compound scaling must be in [0, 1], got {alpha!r}"
            raise InputError(msg)
        return cls(depth=(1 - alpha) / 2, width=alpha, resolution=(1 - alpha) / 2)

    def factors(self, phi: float) -> Factors:
        """See ``ScalingRule.factors``."""
        _check_phi(phi)
        cost = 2.0**phi
        return Factors(
            depth=cost**self.depth,
            width=cost ** (self.width / 2),
            resolution=cost ** (self.resolution / 2),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRule:
    """Factors that were picked by hand, for whole coefficients.

    Attributes:
        name: For people.
        rows: Depth, width and pixels a side, of coefficients 1, 2, …
        size: Pixels a side of coefficient 0.
        first: The coefficient of the first row.
    """

    name: str
    rows: tuple[tuple[float, float, int], ...]
    size: int = 224
    first: int = 1

    def factors(self, phi: float) -> Factors:
        """See ``ScalingRule.factors``."""
        if phi == 0:
            return Factors()
        place = float(phi) - self.first
        if not (place.is_integer() and 0 <= place < len(self.rows)):
            last = self.first + len(self.rows) - 1
            msg = (
                f"the table {self.name} has coefficients 0 and {self.first} to {last}, whole "
                f"numbers, got {phi:g}"
            )
            raise InputError(msg)
        depth, width, size = self.rows[int(place)]
        return Factors(depth=depth, width=width, resolution=size / self.size)


EFFICIENTNET = CompoundRule(alpha=1.2, beta=1.1, gamma=1.15)
"""EfficientNet, section 3.3: found for B0 by a grid search."""


class RuleName(StrEnum):
    """Rules that are known by name."""

    EFFICIENTNET = "efficientnet"
    """Powers of 1.2, 1.1 and 1.15."""
    RELEASED = "released"
    """The rounded factors of EfficientNet B1 to B8."""
    FAST = "fast"
    """Fast compound scaling: a tenth of the cost to depth and to resolution, the rest to width."""
    DEPTH = "depth"
    """Deeper alone."""
    WIDTH = "width"
    """Wider alone."""
    RESOLUTION = "resolution"
    """Finer alone."""
    TPU = "tpu"
    """EfficientNet-X's table for the latency of a TPU v3."""
    GPU = "gpu"
    """EfficientNet-X's table for the latency of a GPU."""
    H = "h"
    """EfficientNet-H's table, of coefficients 5 to 7."""


_TABLES: Mapping[RuleName, TableRule] = MappingProxyType(
    {
        RuleName.TPU: TableRule(  # EfficientNet-X's published code, and so the others
            name="tpu",
            rows=(
                (1.09, 1.05, 229),
                (1.29, 1.13, 244),
                (1.62, 1.27, 263),
                (2.38, 1.54, 299),
                (2.76, 1.96, 332),
                (3.01, 2.75, 328),
                (3.44, 3.26, 350),
            ),
        ),
        RuleName.GPU: TableRule(
            name="gpu",
            rows=(
                (1.09, 1.05, 229),
                (1.24, 1.13, 237),
                (1.63, 1.31, 255),
                (2.40, 1.63, 282),
                (3.29, 1.94, 306),
                (4.28, 2.25, 328),
                (5.46, 2.58, 350),
            ),
        ),
        RuleName.H: TableRule(
            name="h",
            rows=((2.2, 1.92, 456), (2.6, 2.16, 528), (3.1, 2.4, 600)),
            first=5,
        ),
    }
)


def rule(name: RuleName) -> ScalingRule:
    """The rule of that name."""
    match name:
        case RuleName.EFFICIENTNET:
            return EFFICIENTNET
        case RuleName.FAST:
            return ShareRule.fast(0.8)
        case RuleName.DEPTH:
            return ShareRule(depth=1, width=0, resolution=0)
        case RuleName.WIDTH:
            return ShareRule(depth=0, width=1, resolution=0)
        case RuleName.RESOLUTION:
            return ShareRule(depth=0, width=0, resolution=1)
        case RuleName.RELEASED:
            from search_space.efficientnet import RELEASED

            return RELEASED
        case RuleName.TPU | RuleName.GPU | RuleName.H:
            return _TABLES[name]
    assert_never(name)


class Rounding(StrEnum):
    """How factors become whole numbers of layers, channels and pixels."""

    EFFICIENTNET = "efficientnet"
    """Channels to the next multiple of 8, at most 10 % less; layers up; pixels to the nearest."""
    EFFICIENTNETV2 = "efficientnetv2"
    """The same, without the limit of 10 % (EfficientNetV2's published code)."""
    PYCLS = "pycls"
    """Channels to multiples of 8, layers to the nearest, pixels to multiples of 4."""

    def depth(self, layers: int, factor: float) -> int:
        """Layers of a stage, 1 at least.

        >>> Rounding.EFFICIENTNET.depth(10, 1.1), Rounding.PYCLS.depth(3, 1.1)
        (11, 3)
        """
        if self is Rounding.PYCLS:
            return max(1, round(round(layers * factor, 9)))
        return scaled_depth(layers, factor)

    def width(self, filters: int, factor: float) -> int:
        """Channels, 8 at least, as the published rules have it.

        Raises:
            InputError: If not even one would be left before that.
        """
        require_width(filters, factor)
        match self:
            case Rounding.EFFICIENTNET:
                return scaled_width(filters, factor)
            case Rounding.EFFICIENTNETV2:
                return scaled_width_v2(filters, factor)
            case Rounding.PYCLS:
                return max(1, round(filters * factor / 8)) * 8
        assert_never(self)

    def size(self, pixels: int, factor: float) -> int:
        """Pixels a side.

        >>> Rounding.EFFICIENTNET.size(224, 1.15), Rounding.PYCLS.size(224, 1.15)
        (258, 256)
        """
        exact = pixels * factor
        return max(4, round(exact / 4) * 4) if self is Rounding.PYCLS else max(1, round(exact))


@overload
def scaled(
    architecture: ChainArchitecture,
    factors: Factors,
    rounding: Rounding = ...,
    *,
    fixed_ends: bool = ...,
) -> ChainArchitecture: ...


@overload
def scaled(
    architecture: Architecture,
    factors: Factors,
    rounding: Rounding = ...,
    *,
    fixed_ends: bool = ...,
) -> Architecture: ...


def scaled(
    architecture: Architecture,
    factors: Factors,
    rounding: Rounding = Rounding.EFFICIENTNET,
    *,
    fixed_ends: bool = False,
) -> Architecture:
    """A network made deeper, wider and finer.

    Args:
        architecture: Of any family; of a chain, layers, strides, expansions and dropout stay, of a
            scale-permuted network what ``permuted_scaling`` says, of one of several streams what
            ``stream_scaling`` does.
        factors: By what; those that are 1 round nothing.
        rounding: To whole numbers.
        fixed_ends: Whether the stem and the last convolution keep their channels, and the first
            and the last stage their layers, as in EfficientNet-Lite.

    Raises:
        InputError: If the family is none of these, channels would be 0, or the network cannot run
            at the new size.
    """
    if isinstance(architecture, ChainArchitecture):
        return _scaled_chain(architecture, factors, rounding, fixed_ends=fixed_ends)
    if isinstance(architecture, ScalePermutedArchitecture):
        return scaled_permuted(architecture, factors, rounding, fixed_ends=fixed_ends)
    if isinstance(architecture, MultiStreamArchitecture):
        return scaled_streams(architecture, factors, rounding, fixed_ends=fixed_ends)
    msg = f"networks of the family {architecture.family} cannot be scaled by factors"
    raise InputError(msg)


def _scaled_chain(
    chain: ChainArchitecture, factors: Factors, rounding: Rounding, *, fixed_ends: bool
) -> ChainArchitecture:
    def width(filters: int) -> int:
        return filters if factors.width == 1 else rounding.width(filters, factors.width)

    def deeper(place: int, stage: Stage) -> Stage:
        is_end = place in (0, len(chain.stages) - 1)
        repeats = stage.repeats
        if factors.depth != 1 and not (fixed_ends and is_end):
            repeats = rounding.depth(repeats, factors.depth)
        expands = None if stage.expands is None else width(stage.expands)
        return replace(stage, filters=width(stage.filters), expands=expands, repeats=repeats)

    stem, head, size = chain.stem, chain.head_filters, chain.size
    return replace(
        chain,
        size=size if factors.resolution == 1 else rounding.size(size, factors.resolution),
        stem=stem if fixed_ends else replace(stem, filters=width(stem.filters)),
        stages=tuple(deeper(place, stage) for place, stage in enumerate(chain.stages)),
        head_filters=head if fixed_ends else width(head),
    )


def _power(constant: float, phi: float) -> float:
    """``constant ** phi``; infinite where that is beyond floats."""
    try:
        return math.pow(constant, phi)
    except OverflowError:
        return math.inf


def _check_phi(phi: float) -> None:
    if not (math.isfinite(phi) and abs(phi) <= PHI_LIMIT):
        msg = (
            f"a compound coefficient must be a number from {-PHI_LIMIT:g} to {PHI_LIMIT:g}, "
            f"got {phi!r}"
        )
        raise InputError(msg)
