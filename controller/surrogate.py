"""Search by a model of what candidates give, and of how sure that is (Bayesian optimization).

A Gaussian process for each figure (``controller.gaussian_process``), fitted again as outcomes
come. Proposed is the candidate of the largest expected improvement: of the reward (Jones et al.
1998), worked out from accuracy and latency where the reward is known, since a limit on latency is
no smooth function of decisions; or of the volume under the front (``objectives`` of 2 or more).
What is in flight is taken to give what is expected of it (a "kriging believer"; Ginsbourger et
al., "Kriging is well-suited to parallelize optimization", 2010), so that proposals asked together
stay apart.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice, product
from typing import TYPE_CHECKING

from controller.aims import Aim, KnownRewardAim, RewardAim
from controller.algorithm import AGAIN, Evaluated, Failed, Outcome, Proposal, Stopped
from controller.constraints import ConstrainedPoints
from controller.earlier import Known
from controller.fleet_aim import DeviceAim, EachAim
from controller.front_aim import FrontAim
from controller.ledger import Ledger
from controller.point_codes import PointCodes, coding_of
from controller.reward import Reward
from controller.settings import SurrogateSettings
from search_space.decisions import DecisionSpace, Point, PointSpace

if TYPE_CHECKING:  # a tenth of a second to import
    import numpy as np
    from numpy.typing import NDArray

    Codes = NDArray[np.int64]

_ALL = 4096
"""Points of a space that are all weighed for each proposal; of a larger one some are drawn."""

_DRAWN = 32
"""Candidates of a larger space: random ones, and changed versions of the best that are known."""

_LED = 8
"""Points that were known before and are candidates, too, of a larger space."""

_CLIMBS, _NEIGHBOURS = 2, 16
"""Times that the best candidate is changed in one decision, and in how many ways each time."""

_WARM = 6
"""First proposals where something was known before: the most promising, and points apart, in turn,
so that it soon shows whether the one is better than the other."""

_TRIES = 40
"""Draws for a point that was not proposed yet."""

_APART, _EARLIER = 16, 200
"""Draws of which the one farthest from the latest proposals is a first proposal."""


class Surrogate:
    """Proposes what is expected to improve most; a ``SearchAlgorithm``.

    Args:
        space: Of any kind.
        settings: How many proposals come first, what is to improve, how evaluations err.
        seed: With the outcomes told so far and the index of a proposal it fixes its point.
        reward: What outcomes' rewards are worked out by from accuracy and latency; None if that
            is not known, or there is no latency.
        devices: What each device of a fleet wants, where each will have a network of its own.
        earlier: What was known before, the most promising first.
        start: An outcome that is learnt from before any is told, the first of those that come
            before the models.
    """

    def __init__(
        self,
        space: PointSpace,
        settings: SurrogateSettings,
        *,
        seed: int,
        reward: Reward | None = None,
        devices: Mapping[str, DeviceAim] | None = None,
        earlier: Sequence[Known] = (),
        start: Evaluated | None = None,
    ) -> None:
        self._space = space
        inner = space.points if isinstance(space, ConstrainedPoints) else space
        self._inner: PointSpace = inner
        self._startup = settings.startup
        self._seed = seed
        self._aim = _aim(settings, reward, devices)
        self._ledger = Ledger()
        self._evaluated: set[Point] = set()
        self._trained: set[Point] = set()
        self._proposed: dict[Point, int] = {}
        self._flying: dict[int, Point] = {}
        self._coding: PointCodes | None = None
        self._every: tuple[Sequence[Point], Codes] | None = None
        self._fresh = False
        self._unbelieved: list[Point] = []
        if start is not None:
            self._learn(start)
            self._proposed[start.proposal.point] = 1
        points = dict.fromkeys(known.point for known in earlier)
        self._leads = [p for p in points if p not in self._proposed and self._keeps(p)]
        for known in earlier:
            self._aim.inform(known)

    def ask(self, count: int) -> tuple[Proposal, ...]:
        """See ``SearchAlgorithm.ask``."""
        return tuple(self._propose(index) for index in self._ledger.issue(count))

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """See ``SearchAlgorithm.tell``.

        Raises:
            ValueError: See there; also if an outcome lacks an objective that is needed.
        """
        for outcome in outcomes:
            if isinstance(outcome, Evaluated | Stopped):
                self._aim.check(outcome)
        self._ledger.settle(outcomes)
        for outcome in outcomes:
            proposal = outcome.proposal
            del self._flying[proposal.index]
            self._fresh = False
            if proposal.point in self._trained and not proposal.again:
                continue  # what was found before, told once more
            self._learn(outcome)

    def best(self) -> Point:
        """The point that a search which ends now would choose.

        Raises:
            ValueError: If nothing was evaluated.
        """
        if not self._evaluated:
            msg = "nothing was evaluated yet, so no point is the best"
            raise ValueError(msg)
        self._refreshed()
        return self._aim.best()

    def _learn(self, outcome: Outcome) -> None:
        point = outcome.proposal.point
        if not isinstance(outcome, Failed):
            self._aim.learn(outcome)
        if isinstance(outcome, Evaluated):
            self._evaluated.add(point)
        if isinstance(outcome, Evaluated | Stopped):
            self._trained.add(point)

    def _propose(self, index: int) -> Proposal:
        rng = random.Random(f"{self._seed}/{index}")
        point, again = self._next(rng) if self._started() else (self._first(index, rng), False)
        before = self._proposed.get(point, 0)
        self._proposed[point] = before + 1
        self._flying[index] = point
        return Proposal(index=index, point=point, note={AGAIN: before} if again else {})

    def _started(self) -> bool:
        """Whether models decide what is proposed.

        Early if they go by what was known before. Where that turns out to tell nothing, the search
        begins as it would have without it.
        """
        if not self._evaluated:
            return False
        count = len(self._trained)
        if count >= self._startup or not self._leads or count < _WARM:
            return count >= self._startup
        self._refreshed()
        return self._aim.models[0].follows

    def _first(self, index: int, rng: random.Random) -> Point:
        """While nothing is modelled: the most promising of before and points apart, in turn."""
        place, apart = divmod(index, 2)
        if apart or place >= min(_WARM // 2, len(self._leads)):
            return self._apart(rng)
        return self._leads[place]

    def _apart(self, rng: random.Random) -> Point:
        """A random point far from those that were proposed."""
        drawn = [self._new(rng) for _ in range(_APART)]
        earlier = list(self._proposed)[-_EARLIER:]
        if not earlier:
            return drawn[0]
        coding = coding_of(self._inner, [*earlier, *drawn])
        differ = coding.codes(drawn)[:, None, :] != coding.codes(earlier)[None]
        return drawn[int(differ.sum(axis=2).min(axis=1).argmax())]

    def _new(self, rng: random.Random) -> Point:
        """A random point, one that was not proposed if such is found."""
        for _ in range(_TRIES):
            point = self._space.sample(rng)
            if point not in self._proposed:
                break
        return point

    def _next(self, rng: random.Random) -> tuple[Point, bool]:
        """The best candidate, and whether it is one that was evaluated before."""
        coding = self._refreshed()
        found = self._climbed(rng, coding)
        flying = set(self._flying.values())
        known = {p: score for p, score in self._aim.again().items() if p not in flying}
        if known:
            point = max(known, key=known.__getitem__)
            if found is None or known[point] > found[1]:
                return point, True
        if found is None:
            return self._new(rng), False
        self._unbelieved = [found[0]]
        return found[0], False

    def _climbed(self, rng: random.Random, coding: PointCodes) -> tuple[Point, float] | None:
        """The best new point that is found, with its score; None if none is new."""
        best: tuple[Point, float] | None = None
        points, codes = self._candidates(rng, coding)
        for _ in range(1 + _CLIMBS):
            if not points:
                break
            scores = self._aim.scores(codes)
            place = int(scores.argmax())
            if best is not None and scores[place] <= best[1]:
                break
            best = points[place], float(scores[place])
            if self._every is not None:
                break
            points, codes = self._coded(self._near(best[0], rng), coding)
        return best

    def _refreshed(self) -> PointCodes:
        """Models that tell of all that is known and in flight."""
        if self._coding is None or (self._coding.grows and not self._fresh):
            known = dict.fromkeys([*self._leads, *self._proposed])
            self._coding = coding_of(self._inner, list(known))
        if not self._fresh:
            for model in self._aim.models:
                model.refresh(self._coding, self._aim.worth)
            self._fresh, self._unbelieved = True, list(dict.fromkeys(self._flying.values()))
        for model in self._aim.models:
            new = [point for point in self._unbelieved if not model.knows(point)]
            model.believe(self._coding.codes(new))
        self._unbelieved = []
        return self._coding

    def _candidates(self, rng: random.Random, coding: PointCodes) -> tuple[list[Point], Codes]:
        inner = self._inner
        if isinstance(inner, DecisionSpace) and inner.count <= _ALL:
            if self._every is None:
                every = [p for p in product(*map(range, inner.option_counts)) if self._keeps(p)]
                self._every = every, coding.codes(every)
            points, codes = self._every
            new = [place for place, point in enumerate(points) if point not in self._proposed]
            return [points[place] for place in new], codes[new]
        parents = self._aim.parents()
        if isinstance(inner, DecisionSpace):
            drawn: list[Point] = [*drawn_decisions(inner, parents, _DRAWN, rng)]
        else:
            drawn = _drawn(self._space, parents, _DRAWN, rng)
        led = (point for point in self._leads if point not in self._proposed)
        return self._coded([*islice(led, _LED), *drawn], coding)

    def _near(self, point: Point, rng: random.Random) -> list[Point]:
        """Points that differ from one in a decision."""
        if isinstance(self._inner, DecisionSpace):
            every = self._inner.neighbours(point)
            return rng.sample(every, min(len(every), _NEIGHBOURS))
        return [self._space.mutate(point, rng) for _ in range(_NEIGHBOURS)]

    def _coded(self, drawn: Iterable[Point], coding: PointCodes) -> tuple[list[Point], Codes]:
        """Those that may be proposed and were not, each once."""
        new = (point for point in dict.fromkeys(drawn) if point not in self._proposed)
        points = [point for point in new if self._keeps(point)]
        return points, coding.codes(points)

    def _keeps(self, point: Point) -> bool:
        return not isinstance(self._space, ConstrainedPoints) or self._space.keeps(point)


def drawn_decisions(
    space: DecisionSpace, parents: Sequence[Point], count: int, rng: random.Random
) -> list[Point]:
    """Candidates: a quarter random, a quarter from two parents, half from one, changed a little.

    Args:
        space: Where.
        parents: One or more.
        count: How many.
        rng: Decides which.
    """
    import numpy as np

    numbers = np.random.default_rng(rng.getrandbits(64))
    counts = np.array(space.option_counts)
    size = (count, len(counts))
    known = np.array(parents, np.int64)
    first, second = known[numbers.integers(len(known), size=(2, count))]
    kind = np.arange(count) % 4
    crossed = (kind == 1)[:, None] & (numbers.random(size) < 0.5)
    drawn = np.where(crossed, second, first)
    # one to three decisions, any of those with options, move on to another option
    order = np.where(counts > 1, numbers.random(size), 2.0).argsort(axis=1).argsort(axis=1)
    changed = (order < numbers.integers(1, 4, size=(count, 1))) & (counts > 1)
    steps = 1 + (numbers.random(size) * (counts - 1)).astype(np.int64)
    drawn = np.where(changed, (drawn + steps) % counts, drawn)
    anywhere = (numbers.random(size) * counts).astype(np.int64)
    drawn = np.where((kind == 0)[:, None], anywhere, drawn)
    return [tuple(point) for point in drawn.tolist()]


def _drawn(
    space: PointSpace, parents: Sequence[Point], count: int, rng: random.Random
) -> list[Point]:
    """The same in a space of any kind."""
    drawn: list[Point] = []
    for number in range(count):
        if number % 4 == 0:
            drawn.append(space.sample(rng))
            continue
        point = rng.choice(parents)
        if number % 4 == 1:
            point = space.crossover(point, rng.choice(parents), rng)
        for _ in range(rng.randrange(1, 4)):
            point = space.mutate(point, rng)
        drawn.append(point)
    return drawn


def _aim(
    settings: SurrogateSettings,
    reward: Reward | None,
    devices: Mapping[str, DeviceAim] | None,
) -> Aim:
    if settings.objectives > 1:
        return FrontAim(settings.objectives, settings.noise)
    if devices:
        return EachAim(devices, settings.noise)
    if reward is None:
        return RewardAim(settings.noise)
    return KnownRewardAim(reward, settings.noise)
