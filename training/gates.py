"""The learned weights of a network's connections ("gates"), as a controller is told of them.

A network of several streams learns one number for each of its connections, which says how much
goes through it (AssembleNet, arXiv 1905.13209, section 3). They travel in a result's ``feedback``,
and with it through executors and the store to whoever mutates the network.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import nn


@runtime_checkable
class Gated(Protocol):
    """A module that knows the weights of its connections; a network, or any part of one.

    Law: names are the same for every network of the same architecture, and no two parts of a
    network have one in common.
    """

    def gates(self) -> Mapping[str, Sequence[float]]:
        """What goes through connections, each in `(0, 1)`, by the name of where they lead to.

        Those that lead to one place are in the order of its inputs.
        """
        ...


def learned_gates(module: nn.Module) -> dict[str, tuple[float, ...]]:
    """The gates of a network and of all its parts by name; nothing for one that has none.

    Raises:
        ValueError: If two parts have a name in common, or a gate is not in `[0, 1]`.
    """
    found: dict[str, tuple[float, ...]] = {}
    for part in module.modules():
        if not isinstance(part, Gated):
            continue
        for name, values in part.gates().items():
            if name in found:
                msg = f"two parts of the network have gates called {name!r}"
                raise ValueError(msg)
            found[name] = tuple(float(value) for value in values)
            _require_shares(name, found[name])
    return found


def _require_shares(name: str, values: Sequence[float]) -> None:
    """Do nothing if all are in `[0, 1]`: the ends are what a sigmoid of many rounds to."""
    wrong = [value for value in values if not (math.isfinite(value) and 0 <= value <= 1)]
    if wrong:
        msg = f"gates are in [0, 1], those called {name!r} have {wrong[0]!r}"
        raise ValueError(msg)
