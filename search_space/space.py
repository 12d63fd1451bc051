"""The contract of a search space, and the one place that names every space."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol, assert_never, cast

from search_space.architecture import Architecture
from search_space.decisions import Point, PointSpace
from workspace import plugin
from workspace.errors import InputError

Options = Mapping[str, str]
"""Settings of a space as configuration files and the command line give them, all text."""


class SearchSpace(Protocol):
    """A set of architectures: points, and the architecture that each point stands for.

    Laws, held by ``search_space.testing.SearchSpaceContract``: ``decode`` takes every valid point;
    ``decode(encode(a)).key == a.key`` for every member ``a``; equal points give equal keys.
    """

    @property
    def name(self) -> str:
        """As the command line names it."""
        ...

    @property
    def points(self) -> PointSpace:
        """Where algorithms draw from; a ``DecisionSpace`` where points have a fixed length."""
        ...

    @property
    def count(self) -> int:
        """Number of points, exactly."""
        ...

    def decode(self, point: Point) -> Architecture:
        """The architecture that ``point`` stands for.

        Raises:
            InputError: If ``point`` is not in the space.
        """
        ...

    def encode(self, architecture: Architecture) -> Point:
        """A point that stands for ``architecture``.

        Raises:
            InputError: If it is not a member; the text says which part has no place.
        """
        ...


class SpaceName(StrEnum):
    """Spaces that ship with the project, as the command line names them."""

    MNASNET = "mnasnet"
    PROXYLESS = "proxyless"
    EFFICIENTNET = "efficientnet"
    EFFICIENTNET_V2 = "efficientnetv2"
    SPINENET = "spinenet"
    SPINENET_V2 = "spinenet_v2"
    SPINENET_MBCONV = "spinenet_mbconv"
    SPINENET_SCALING = "spinenet_scaling"
    ASSEMBLENET = "assemblenet"
    ASSEMBLENET_MOBILE = "assemblenet_mobile"


WITH_WEIGHTS = (SpaceName.ASSEMBLENET, SpaceName.ASSEMBLENET_MOBILE)
"""Spaces whose networks' connections carry weights (``guidance.GuidedPointSpace``)."""

WITH_GATES = (SpaceName.SPINENET, SpaceName.SPINENET_V2, SpaceName.SPINENET_MBCONV)
"""Those whose networks' connections do with the option ``gates=yes``."""


def create(name: str, options: Options) -> SearchSpace:
    """The space called ``name``, or the user's own at ``package.module:NAME``.

    A user's NAME is a ``SearchSpace``, or a callable that takes ``options`` and returns one.

    Args:
        name: One of ``SpaceName``, or a reference.
        options: What the space lets one choose (``base``, ``size``, ``width``, …); see each.

    Raises:
        InputError: If there is no such space, or an option is unknown to it or out of range.
    """
    if plugin.is_reference(name):
        found = plugin.load(name, "a search space")
        made = _called(found, name, options)
        missing = [part for part in ("points", "decode", "encode") if not hasattr(made, part)]
        if missing:
            msg = f"{name!r} is no search space: it lacks {', '.join(missing)}"
            raise InputError(msg)
        return cast("SearchSpace", made)
    try:
        known = SpaceName(name)
    except ValueError:
        msg = (
            f"unknown space {name!r}; there are {', '.join(SpaceName)}, "
            "and package.module:NAME for one of yours"
        )
        raise InputError(msg) from None
    match known:
        case SpaceName.MNASNET:
            from search_space.mnasnet import MnasNetSpace

            return MnasNetSpace.from_options(options)
        case SpaceName.PROXYLESS:
            from search_space.proxyless import ProxylessSpace

            return ProxylessSpace.from_options(options)
        case SpaceName.EFFICIENTNET:
            from search_space.efficientnet_space import EfficientNetSpace

            return EfficientNetSpace.from_options(options)
        case SpaceName.EFFICIENTNET_V2:
            from search_space.efficientnet_v2_space import EfficientNetV2Space

            return EfficientNetV2Space.from_options(options)
        case SpaceName.SPINENET:
            from search_space.spinenet_spaces import spinenet

            return spinenet(options)
        case SpaceName.SPINENET_V2:
            from search_space.spinenet_spaces import spinenet_v2

            return spinenet_v2(options)
        case SpaceName.SPINENET_MBCONV:
            from search_space.spinenet_spaces import spinenet_mbconv

            return spinenet_mbconv(options)
        case SpaceName.SPINENET_SCALING:
            from search_space.spinenet_scaling import SpineNetScalingSpace

            return SpineNetScalingSpace.from_options(options)
        case SpaceName.ASSEMBLENET:
            from search_space.assemblenet_spaces import assemblenet

            return assemblenet(options)
        case SpaceName.ASSEMBLENET_MOBILE:
            from search_space.assemblenet_spaces import assemblenet_mobile

            return assemblenet_mobile(options)
    assert_never(known)


def _called(found: object, name: str, options: Options) -> object:
    """What the user's ``found`` gives for ``options``, or itself."""
    if not callable(found):
        return found
    try:
        return found(options)
    except InputError:
        raise
    except Exception as error:  # the user's code may raise anything
        msg = f"{name!r} gave no search space: {type(error).__name__}: {error}"
        raise InputError(msg) from error
