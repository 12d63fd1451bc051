"""What a network is, as a value: hashable, printable, free of torch.

Three families share this contract: a chain of stages (``search_space.chain``), a scale-permuted
backbone (``search_space.spinenet``) and a multi-stream graph (``search_space.assemblenet``).
``from_json`` is the one place that names them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, Self

from workspace.errors import InputError

if TYPE_CHECKING:  # torch takes seconds to import; a type does not need it
    from torch import nn

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
"""What a JSON document can hold."""


class Family(StrEnum):
    """The kinds of network, as JSON documents name them."""

    CHAIN = "chain"
    SCALE_PERMUTED = "scale_permuted"
    MULTI_STREAM = "multi_stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec:
    """One named input of a network, batch left out.

    Attributes:
        name: As exported files and feeds name it.
        shape: Without the batch, channels first: `[C, H, W]` an image, `[C, T, H, W]` a clip.
    """

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Classifier:
    """A head that gives one score a class.

    Attributes:
        classes: Number of scores, at least 1.
    """

    classes: int

    def __post_init__(self) -> None:
        if self.classes < 1:
            msg = f"a classifier needs at least 1 class, got {self.classes}"
            raise InputError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """A head that gives boxes and class scores on every level of a feature pyramid.

    Attributes:
        classes: Number of object classes, background not counted, at least 1.
    """

    classes: int

    def __post_init__(self) -> None:
        if self.classes < 1:
            msg = f"a detector needs at least 1 class, got {self.classes}"
            raise InputError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoClassifier:
    """A head that gives one score a class for a whole clip.

    Attributes:
        classes: Number of scores, at least 1.
    """

    classes: int

    def __post_init__(self) -> None:
        if self.classes < 1:
            msg = f"a classifier of videos needs at least 1 class, got {self.classes}"
            raise InputError(msg)


Head = Classifier | Detector | VideoClassifier


class Architecture(Protocol):
    """A frozen, hashable value that says what a network is, down to the last channel.

    Laws:

    * Equal architectures have equal keys; architectures that build the same function have the
      same key where the family can tell (a kernel size that no layer uses is not in the key).
    * ``from_json(a.to_json()) == a``, and the document is stable across versions.
    * ``build`` gives the same weights for the same key on every machine: they are drawn from a
      seed derived from the key without its size, so that ``a.at(s)`` has the weights of ``a``.
    """

    @property
    def family(self) -> Family:
        """Which of the families it belongs to."""
        ...

    @property
    def key(self) -> str:
        """Canonical text, without blanks: the primary key in every table, file and log line."""
        ...

    @property
    def inputs(self) -> tuple[InputSpec, ...]:
        """Its named inputs, in order."""
        ...

    def at(self, size: int) -> Self:
        """The same network, and the same weights, for inputs of ``size`` pixels a side.

        Raises:
            InputError: If the network cannot run at that size.
        """
        ...

    def to_json(self) -> dict[str, Json]:
        """A document with ``family`` and ``version``; ``from_json`` makes an equal value of it."""
        ...

    def build(self, head: Head) -> nn.Module:
        """The torch module with its untrained weights, in training mode.

        Its ``forward`` takes the inputs in order, each `[N, *shape]` float32.

        Raises:
            InputError: If the family has no such head.
        """
        ...


def from_json(document: Mapping[str, Json]) -> Architecture:
    """The architecture that ``Architecture.to_json`` wrote.

    Raises:
        InputError: If it is no such document, or of a family or version not known here.
    """
    family = document.get("family")
    match family:
        case Family.CHAIN:
            from search_space.chain import ChainArchitecture

            return ChainArchitecture.from_json(document)
        case Family.SCALE_PERMUTED:
            from search_space.spinenet import ScalePermutedArchitecture

            return ScalePermutedArchitecture.from_json(document)
        case Family.MULTI_STREAM:
            from search_space.assemblenet import MultiStreamArchitecture

            return MultiStreamArchitecture.from_json(document)
    known = ", ".join(Family)
    msg = f"no architecture: family is {family!r}, known are: {known}"
    raise InputError(msg)
