"""Contract tests: subclass one, give it the fixture, and inherit every law."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from controller.algorithm import (
    Evaluated,
    Failed,
    FailureKind,
    Goal,
    Objective,
    Outcome,
    Proposal,
    SearchAlgorithm,
    Skipped,
    Stopped,
)
from search_space.decisions import Choice, DecisionSpace, Point
from search_space.stream_graph import StemKind
from search_space.stream_points import StreamPoints

SPACE = DecisionSpace(
    choices=(
        Choice(name="kernel", options=("3", "5", "7")),
        Choice(name="op", options=("mbconv",)),
        *(
            Choice(name=f"stage{stage}.layers", options=("1", "2", "3", "4"))
            for stage in range(1, 5)
        ),
    )
)
"""768 points, one choice without a choice."""

GUIDED_SPACE = StreamPoints(
    stems=(StemKind.RGB, StemKind.FLOW),
    nodes=3,
    dilations=(1, 2),
    temporal=(False, True, True, True),
)
"""A space of networks whose connections carry weights."""

Make = Callable[[int], SearchAlgorithm]
"""A fresh algorithm over the contract's space, from a seed."""


def outcome_of(proposal: Proposal) -> Outcome:
    """What became of ``proposal``, by its index and point alone: every kind of outcome occurs."""
    if proposal.index % 7 == 3:
        return Failed(proposal=proposal, kind=FailureKind.TRAINING, text="the loss was nan")
    size = 1.0 + sum(_magnitude(item) for item in proposal.point)
    if proposal.index % 7 == 5:
        return Skipped(proposal=proposal, latency_ms=10 * size, bound=0.9)
    params = sum(place * _magnitude(item) for place, item in enumerate(proposal.point))
    whole = evaluated(proposal, accuracy=size / (size + 4), latency_ms=size, params=params)
    return _stopped(whole) if proposal.index % 7 == 6 else whole


def weights_of(point: Point) -> dict[str, tuple[float, ...]]:
    """Weights of all connections of a network of ``GUIDED_SPACE``, by its point alone."""
    rng = random.Random(repr(point))
    expected = GUIDED_SPACE.told_weights(point)
    return {name: tuple(rng.random() for _ in range(count)) for name, count in expected.items()}


def evaluated(
    proposal: Proposal, *, accuracy: float, latency_ms: float, params: float | None = None
) -> Evaluated:
    """An outcome whose reward is ``accuracy`` less a thousandth of ``latency_ms``.

    Of two objectives, or with ``params`` of three.
    """
    objectives = [
        Objective(name="accuracy", value=accuracy, goal=Goal.MAXIMIZE),
        Objective(name="latency_ms", value=latency_ms, goal=Goal.MINIMIZE),
    ]
    if params is not None:
        objectives.append(Objective(name="params", value=params, goal=Goal.MINIMIZE))
    reward = accuracy - latency_ms / 1000
    return Evaluated(proposal=proposal, objectives=tuple(objectives), reward=reward)


def _stopped(whole: Evaluated) -> Stopped:
    return Stopped(
        proposal=whole.proposal,
        objectives=whole.objectives,
        reward=whole.reward,
        deviation=0.02,
    )


def searched(algorithm: SearchAlgorithm, steps: int, width: int = 3) -> list[Proposal]:
    """What ``algorithm`` proposes when it is told everything at once, ``width`` at a time."""
    proposals: list[Proposal] = []
    for _ in range(steps):
        asked = algorithm.ask(width)
        proposals += asked
        algorithm.tell([outcome_of(proposal) for proposal in asked])
    return proposals


class SearchAlgorithmContract:
    """The laws of ``SearchAlgorithm``.

    ``make`` should give settings under which the algorithm starts to learn within some ten
    outcomes, so that the 60 of these tests hold the laws of its later life too. Outcomes have
    three objectives: one that weighs some takes the first of them, or all. One that searches
    another space than ``SPACE`` also overrides ``validate``.
    """

    @pytest.fixture
    def make(self) -> Make:
        """Build an algorithm over ``SPACE`` from a seed."""
        raise NotImplementedError

    def validate(self, proposal: Proposal) -> None:
        """Raise if the point is not in the space of ``make``."""
        SPACE.validate(proposal.point)

    def test_proposals_are_numbered_and_in_the_space(self, make: Make) -> None:
        """Before and after learning, whatever is told."""
        proposals = searched(make(0), steps=20)
        assert [proposal.index for proposal in proposals] == list(range(60))
        for proposal in proposals:
            self.validate(proposal)
            assert all(parent < proposal.index for parent in proposal.parents)

    def test_proposals_survive_json(self, make: Make) -> None:
        """A study writes them down: their notes and points come back equal."""
        import json

        from search_space.decisions import point_from_json

        for proposal in searched(make(0), steps=20):
            document = json.loads(json.dumps([proposal.point, dict(proposal.note)]))
            assert point_from_json(document[0]) == proposal.point
            assert document[1] == dict(proposal.note)

    @pytest.mark.parametrize("count", [0, -1])
    def test_less_than_one_proposal_cannot_be_asked(self, make: Make, count: int) -> None:
        """It is the caller's mistake."""
        with pytest.raises(ValueError, match=str(count)):
            make(0).ask(count)

    def test_asking_twice_asks_for_new_work(self, make: Make) -> None:
        """Workers that ask in parallel must not all get the same batch."""
        algorithm = make(0)
        first, second = algorithm.ask(8), algorithm.ask(8)
        assert [one.index for one in second] == list(range(8, 16))
        assert [one.point for one in first] != [one.point for one in second]

    def test_seeds_differ(self, make: Make) -> None:
        """Another seed is another search."""
        assert _points(make(0).ask(8)) != _points(make(1).ask(8))

    @pytest.mark.parametrize("seed", [-1, 0, 2**31, 2**40])
    def test_any_whole_number_is_a_seed(self, make: Make, seed: int) -> None:
        """Also those that a library under it would not take."""
        assert searched(make(seed), steps=2) == searched(make(seed), steps=2)

    def test_outcomes_may_be_late_or_lost(self, make: Make) -> None:
        """Half never arrives; the rest arrives backwards, after more was asked."""
        algorithm = make(0)
        for _ in range(8):
            first, _ = algorithm.ask(8), algorithm.ask(2)
            algorithm.tell([outcome_of(proposal) for proposal in reversed(first[:4])])
        for proposal in algorithm.ask(8):
            self.validate(proposal)

    @pytest.mark.parametrize("kind", [Failed, Skipped, Stopped])
    def test_survives_that_nothing_ever_succeeds(self, make: Make, kind: type[Outcome]) -> None:
        """All fail, or are too slow, or are stopped early."""
        algorithm = make(0)
        for _ in range(15):
            asked = algorithm.ask(4)
            algorithm.tell([_fruitless(kind, proposal) for proposal in asked])
        assert len(set(_points(algorithm.ask(8)))) > 1

    def test_survives_that_everything_is_equally_good(self, make: Make) -> None:
        """No difference to learn from is no reason to stop."""
        algorithm = make(0)
        for _ in range(15):
            asked = algorithm.ask(4)
            algorithm.tell(
                [evaluated(one, accuracy=0.5, latency_ms=1.0, params=1.0) for one in asked]
            )
        for proposal in algorithm.ask(8):
            self.validate(proposal)

    def test_the_same_calls_give_the_same_proposals(self, make: Make) -> None:
        """A resumed search goes on as the lost one would have, to the last bit."""
        lost, calls = make(7), _calls(seed=1)
        resumed = make(7)
        proposals = _played(lost, calls)
        assert _played(resumed, calls) == proposals
        assert resumed.ask(3) == lost.ask(3)

    def test_splitting_an_ask_makes_no_difference(self, make: Make) -> None:
        """Three at once are one and two more."""
        whole, split = make(7), make(7)
        for _ in range(20):
            asked = whole.ask(3)
            assert split.ask(1) + split.ask(2) == asked
            outcomes = [outcome_of(proposal) for proposal in asked]
            whole.tell(outcomes)
            split.tell(outcomes)

    def test_splitting_a_tell_makes_no_difference(self, make: Make) -> None:
        """Three outcomes at once are one after the other."""
        whole, split = make(7), make(7)
        for _ in range(20):
            asked = whole.ask(3)
            assert split.ask(3) == asked
            outcomes = [outcome_of(proposal) for proposal in asked]
            whole.tell(outcomes)
            split.tell([])
            for outcome in outcomes:
                split.tell([outcome])

    def test_refuses_outcomes_of_proposals_it_never_made(self, make: Make) -> None:
        """And learns nothing from the others told with them."""
        algorithm, other = make(7), make(7)
        asked = algorithm.ask(12)
        stranger = Proposal(index=12, point=asked[0].point, note=asked[0].note)
        outcomes = [outcome_of(proposal) for proposal in (*asked, stranger)]
        with pytest.raises(ValueError, match="12"):
            algorithm.tell(outcomes)
        other.ask(12)
        algorithm.tell(outcomes[:-1])
        other.tell(outcomes[:-1])
        assert algorithm.ask(3) == other.ask(3)

    def test_refuses_an_outcome_that_was_told_before(self, make: Make) -> None:
        """In an earlier call, or in the same one."""
        algorithm = make(0)
        first, second = map(outcome_of, algorithm.ask(2))
        algorithm.tell([first])
        with pytest.raises(ValueError, match="proposal 0"):
            algorithm.tell([first])
        with pytest.raises(ValueError, match="proposal 1"):
            algorithm.tell([second, second])
        algorithm.tell([second])

    def test_leaves_global_random_numbers_alone(self, make: Make) -> None:
        """They are the caller's, who may train with them in between."""
        random.seed(3)
        before = random.getstate()
        searched(make(0), steps=10)
        after = random.getstate()
        random.seed(4)
        assert after == before
        assert searched(make(0), steps=10) == searched(make(0), steps=10)


def _magnitude(item: object) -> float:
    """A number that stands for an entry of a point, the same in every process."""
    if isinstance(item, int | float):
        return float(item)
    if isinstance(item, tuple):
        return sum(_magnitude(inner) for inner in item)
    return float(len(str(item)))


def _points(proposals: Sequence[Proposal]) -> list[object]:
    return [proposal.point for proposal in proposals]


def _fruitless(kind: type[Outcome], proposal: Proposal) -> Outcome:
    if kind is Failed:
        return Failed(proposal=proposal, kind=FailureKind.LATENCY, text="the phone was unplugged")
    if kind is Stopped:
        return _stopped(evaluated(proposal, accuracy=0.1, latency_ms=1.0, params=1.0))
    return Skipped(proposal=proposal, latency_ms=500.0 + proposal.index, bound=0.8)


def _calls(seed: int) -> list[tuple[int, int]]:
    """How many to ask for, and how many of those in flight to tell, in turn."""
    rng = random.Random(seed)
    return [(rng.randrange(1, 5), rng.randrange(0, 5)) for _ in range(25)]


def _played(algorithm: SearchAlgorithm, calls: Sequence[tuple[int, int]]) -> list[Proposal]:
    """Every proposal under ``calls``; what is told is drawn from those in flight."""
    rng = random.Random(0)
    proposals: list[Proposal] = []
    flying: list[Proposal] = []
    for asked, told in calls:
        new = algorithm.ask(asked)
        proposals += new
        flying += new
        rng.shuffle(flying)
        algorithm.tell([outcome_of(proposal) for proposal in flying[:told]])
        del flying[:told]
    return proposals
