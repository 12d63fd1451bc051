"""What is known of points without this search having evaluated them, as from an earlier search.

Nothing of it is an outcome: it never counts as a trial, stands on the front or is the best.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any, Self

from controller.pareto import FrontPoint, front_of
from search_space.decisions import Point, point_from_json
from workspace.errors import InputError

OWN = ""
"""The fidelity of a search's own evaluations."""

ACCURACY, LATENCY, REWARD = "accuracy", "latency_ms", "reward"
"""Names of figures."""

LEADS = 8
"""Points that an algorithm without a model proposes first, where some were known before."""

_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFigure:
    """One figure of a point.

    Attributes:
        name: As of an ``Objective``, or ``REWARD``.
        value: Finite.
        fidelity: How it was found: values of one fidelity can be compared. ``OWN`` if as this
            search finds its own, so that it is worth as much.
    """

    name: str
    value: float
    fidelity: str

    def __post_init__(self) -> None:
        if not math.isfinite(self.value):
            msg = f"figure {self.name!r} must be finite, got {self.value!r}"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of a point that this search did not evaluate.

    Attributes:
        point: In the search's space.
        figures: Each with its fidelity.
    """

    point: Point
    figures: tuple[KnownFigure, ...]

    def figure(self, name: str) -> KnownFigure | None:
        """The one of that name; None if it is not known."""
        return next((figure for figure in self.figures if figure.name == name), None)

    def value(self, name: str) -> float | None:
        """Of the figure of that name; None if it is not known."""
        figure = self.figure(name)
        return None if figure is None else figure.value


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierRun:
    """An earlier search, as far as it tells a new one something.

    Attributes:
        run: Its folder as it was named, for people.
        said: What it tells, one sentence without its end.
        known: Its points, the most promising first.
    """

    run: str
    said: str
    known: tuple[Known, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """All that a search knows before it begins; kept with it, so that a replay needs no more.

    Attributes:
        runs: In the order in which they were named.
    """

    runs: tuple[EarlierRun, ...] = ()

    @property
    def known(self) -> tuple[Known, ...]:
        """Of all runs in turn, the most promising of each first."""
        turns = zip_longest(*(run.known for run in self.runs))
        return tuple(known for known in chain.from_iterable(turns) if known is not None)

    def to_json(self) -> str:
        """A document from which ``from_json`` makes an equal value."""
        runs = [
            {
                "run": run.run,
                "said": run.said,
                "known": [
                    [one.point, [[f.name, f.value, f.fidelity] for f in one.figures]]
                    for one in run.known
                ],
            }
            for run in self.runs
        ]
        return json.dumps({"version": _VERSION, "runs": runs}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What ``to_json`` made.

        Raises:
            InputError: If it is of a newer version.
        """
        document = json.loads(text)
        if document["version"] != _VERSION:
            msg = (
                f"what is known from earlier searches is of version {document['version']}, this "
                f"PocketNAS reads version {_VERSION}"
            )
            raise InputError(msg)
        return cls(runs=tuple(map(_run_from, document["runs"])))


NOTHING_KNOWN = Earlier()
"""Of a search that starts cold."""


def promising(known: Iterable[Known]) -> tuple[Known, ...]:
    """The largest rewards and members of the front in turn, then all others by their rewards.

    Of a front that is larger than ``LEADS`` some that are spread over it. What has no reward comes
    last.
    """
    by_reward = sorted(known, key=_reward, reverse=True)
    front = _front(by_reward)
    front = front[:: max(1, len(front) // LEADS)]
    turns = zip(by_reward, front, strict=False)
    first = chain.from_iterable(turns)
    return tuple({one.point: one for one in chain(first, by_reward)}.values())


def _reward(known: Known) -> float:
    reward = known.value(REWARD)
    return -math.inf if reward is None else reward


def _front(known: Sequence[Known]) -> list[Known]:
    """Those that no other beats in accuracy and latency, fastest first."""
    told = (
        FrontPoint(index=index, losses=(-accuracy, latency))
        for index, one in enumerate(known)
        if (accuracy := one.value(ACCURACY)) is not None
        and (latency := one.value(LATENCY)) is not None
    )
    return [known[member.index] for member in front_of(told)]


def _run_from(document: Mapping[str, Any]) -> EarlierRun:
    return EarlierRun(
        run=document["run"],
        said=document["said"],
        known=tuple(
            Known(
                point=point_from_json(point),
                figures=tuple(KnownFigure(name=n, value=v, fidelity=f) for n, v, f in figures),
            )
            for point, figures in document["known"]
        ),
    )
