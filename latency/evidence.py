"""What is known of a device before its predictor is made: latencies of networks or of parts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from latency.signatures import Parts, Signature, distinct
from workspace.errors import InputError

if TYPE_CHECKING:  # a tenth of a second to import
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """A latency that is a sum over parts.

    Attributes:
        parts: Of a network, or those that an entry of a table stands for.
        latency_ms: Of all of them together.
        variance_ms2: What is known of its error; the predictor finds how large errors are beyond.
        whole: Whether it was a network with all that belongs to one, or only parts of it.
    """

    parts: Parts
    latency_ms: float
    variance_ms2: float = 0.0
    whole: bool = True

    def __post_init__(self) -> None:
        least = "above 0" if self.whole else "0 or more"
        fits = self.latency_ms > 0 if self.whole else self.latency_ms >= 0
        if not (fits and math.isfinite(self.latency_ms)):
            msg = f"a latency must be {least} and finite, got {self.latency_ms!r} ms"
            raise InputError(msg)
        if not (self.variance_ms2 >= 0 and math.isfinite(self.variance_ms2)):
            msg = f"a variance must be 0 or more and finite, got {self.variance_ms2!r} ms squared"
            raise InputError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherDevice:
    """A device that was measured before.

    Attributes:
        name: For people.
        measurements: On it; a table and whole networks may stand side by side.
    """

    name: str
    measurements: tuple[Measurement, ...]

    def __post_init__(self) -> None:
        if not self.measurements:
            msg = f"the device {self.name!r} has no measurements: at least one is needed"
            raise InputError(msg)

    @classmethod
    def of_table(
        cls,
        name: str,
        parts: Iterable[Signature],
        entries_ms: Mapping[str, float],
        constant_ms: float = 0.0,
    ) -> Self:
        """The device that a table tells of.

        Args:
            name: For people.
            parts: Those that the table may have; its other entries say nothing here.
            entries_ms: By key of a part.
            constant_ms: What a network takes beside its parts.

        Raises:
            InputError: If none of the parts is in the table, or an entry is no latency.
        """
        found = tuple(
            Measurement(parts=(part,), latency_ms=entries_ms[part.key], whole=False)
            for part in distinct([tuple(parts)])
            if part.key in entries_ms
        )
        if not found:
            msg = f"the table of {name!r} has none of the parts that are asked for"
            raise InputError(msg)
        if constant_ms > 0:
            found += (Measurement(parts=(), latency_ms=constant_ms),)
        return cls(name=name, measurements=found)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Basis:
    """Parts in a fixed order, and how often each comes in a typical network.

    Weights of a device are `[P + 1]` float64 in this order, the constant of a network last.

    Attributes:
        parts: Each once; `P` of them.
        typical: `[P + 1]` float64, mean counts; 1 for the constant.
        index: Where each key is.
    """

    parts: Parts
    typical: Array
    index: Mapping[str, int]

    @classmethod
    def of(cls, networks: Sequence[Parts], more: Iterable[Parts] = ()) -> Self:
        """The parts of ``networks``, which are typical, and of ``more``, which need not be.

        Raises:
            InputError: If there is no network.
        """
        import numpy as np

        if not networks:
            msg = "at least one network of the space is needed to know what is typical of it"
            raise InputError(msg)
        parts = distinct([*networks, *more])
        made = cls.from_parts(parts, np.zeros(len(parts) + 1))
        return cls.from_parts(parts, made.rows(networks).mean(axis=0))

    @classmethod
    def from_parts(cls, parts: Parts, typical: Array) -> Self:
        """As ``Basis.of`` made it."""
        index = {part.key: place for place, part in enumerate(parts)}
        return cls(parts=parts, typical=typical, index=index)

    def extended(self, parts: Parts) -> Self:
        """With ``parts`` behind its own, which are not typical."""
        import numpy as np

        typical = np.concatenate([self.typical[:-1], np.zeros(len(parts)), self.typical[-1:]])
        return self.from_parts((*self.parts, *parts), typical)

    def lacking(self, networks: Iterable[Parts]) -> Parts:
        """Parts of networks that are not here, each once."""
        return tuple(part for part in distinct(networks) if part.key not in self.index)

    def rows(self, networks: Sequence[Parts], whole: Sequence[bool] | None = None) -> Array:
        """How often each part comes: `[N, P + 1]` float64.

        Args:
            networks: Whose parts are all here.
            whole: For each, whether the constant comes too; by default it does.
        """
        import numpy as np

        rows = np.zeros((len(networks), len(self.parts) + 1))
        for row, parts in zip(rows, networks, strict=True):
            for part in parts:
                row[self.index[part.key]] += 1
        rows[:, -1] = 1.0 if whole is None else np.array(whole, np.float64)
        return rows

    def observed(self, measurements: Sequence[Measurement]) -> tuple[Array, Array, Array]:
        """Rows `[N, P + 1]`, latencies `[N]` in ms, their known variances `[N]` in ms squared."""
        import numpy as np

        rows = self.rows([m.parts for m in measurements], [m.whole for m in measurements])
        latencies = np.array([m.latency_ms for m in measurements], np.float64)
        return rows, latencies, np.array([m.variance_ms2 for m in measurements], np.float64)
