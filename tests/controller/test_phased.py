import math

import pytest

from controller.algorithm import (
    AGAIN,
    START,
    Failed,
    FailureKind,
    Proposal,
    create,
    settings_named,
)
from controller.confirm import Confirming
from controller.constraints import ConstrainedPoints, Constraint
from controller.earlier import REWARD, Known, KnownFigure
from controller.evolution import RegularizedEvolution
from controller.network_figures import Figure
from controller.phased import Phased, PhaseTrials, mean_of, phase_of, planned
from controller.random_search import RandomSearch
from controller.settings import EvolutionSettings
from controller.testing import SPACE, Make, SearchAlgorithmContract, evaluated
from search_space.phases import Phase
from search_space.space import create as create_space
from workspace.errors import InputError

PLAIN = (0,) * len(SPACE.choices)
KERNEL = Phase(name="kernel", decisions=(0, 1))
LAYERS = Phase(name="layers", decisions=(2, 3, 4, 5))
PLAN = (PhaseTrials(phase=LAYERS, trials=24), PhaseTrials(phase=KERNEL, trials=36))

SETTINGS = {
    "random": {},
    "ppo": {"minibatch": "5"},
    "evolution": {"population": "6", "tournament": "3"},
    "nsga2": {"population": "6"},
    "tpe": {"startup": "4"},
    "surrogate": {"startup": "4", "noise": "0.01"},
}


def phased(name, seed, plan=PLAN, points=SPACE, earlier=(), options=None):
    """An algorithm of ours in phases."""
    settings = settings_named(name, SETTINGS[name] if options is None else options)
    return Phased(
        points,
        PLAIN,
        plan,
        lambda part, own_seed, known, start: create(
            settings, part, own_seed, earlier=known, start=start
        ),
        seed=seed,
        earlier=earlier,
    )


class PhasedContract(SearchAlgorithmContract):
    """Each of ours, whose phases change within the contract's 60 outcomes."""

    name = ""

    @pytest.fixture
    def make(self) -> Make:
        pytest.importorskip("torch" if self.name == "ppo" else "optuna")
        return lambda seed: phased(self.name, seed)


class TestPhasedRandomSearch(PhasedContract):
    name = "random"


class TestPhasedPpo(PhasedContract):
    name = "ppo"


class TestPhasedEvolution(PhasedContract):
    name = "evolution"


class TestPhasedNsga2(PhasedContract):
    name = "nsga2"


class TestPhasedTpe(PhasedContract):
    name = "tpe"


class TestPhasedSurrogate(PhasedContract):
    name = "surrogate"


class TestConfirmedPhases(SearchAlgorithmContract):
    @pytest.fixture
    def make(self) -> Make:
        return lambda seed: Confirming(phased("evolution", seed), after=50, again=9)


def worth(point):
    """Largest at the last option of each decision, with no difference where there is none."""
    return sum(point) / 16


def told(proposal):
    return evaluated(proposal, accuracy=worth(proposal.point), latency_ms=1.0)


def run(algorithm, count):
    """What it proposes when it is told each outcome at once."""
    made = []
    for _ in range(count):
        (proposal,) = algorithm.ask(1)
        made.append(proposal)
        algorithm.tell([told(proposal)])
    return made


@pytest.mark.parametrize("name", SETTINGS)
def test_each_phase_changes_its_own_decisions_and_keeps_what_was_found(name):
    made = run(phased(name, 3), 40)
    first, second = made[:24], made[24:]
    assert {one.point[:2] for one in first} == {PLAIN[:2]}
    assert len({one.point[2:] for one in first}) > 10
    found = max(first, key=lambda one: worth(one.point))
    assert {one.point[2:] for one in second} == {found.point[2:]}
    assert len({one.point[:2] for one in second}) > 1
    assert [phase_of(one) for one in made] == ["layers"] * 24 + ["kernel"] * 16


def test_the_trial_that_a_phase_starts_from_is_the_parent_of_what_has_no_other():
    made = run(phased("evolution", 3), 40)
    found = max(made[:24], key=lambda one: worth(one.point))
    assert all(one.parents for one in made[24:])
    assert made[24].parents == (found.index,)
    for one in made[24:]:
        assert all(parent == found.index or parent >= 24 for parent in one.parents)


@pytest.mark.parametrize("name", ["evolution", "nsga2"])
def test_a_phase_begins_with_mutations_of_what_it_starts_from(name):
    plan = (PhaseTrials(phase=KERNEL, trials=4), PhaseTrials(phase=LAYERS, trials=4))
    algorithm = phased(name, 3, plan, options={})  # populations of 20, which no phase fills
    made = run(algorithm, 4)
    found = max(made, key=lambda one: worth(one.point))
    for child in algorithm.ask(4):
        assert child.parents == (found.index,)
        assert sum(a != b for a, b in zip(child.point, found.point, strict=True)) == 1


@pytest.mark.parametrize("name", ["evolution", "nsga2", "surrogate"])
def test_a_phase_of_one_trial_proposes_what_is_not_known_yet(name):
    plan = (PhaseTrials(phase=LAYERS, trials=3), PhaseTrials(phase=KERNEL, trials=1))
    for seed in range(10):
        made = run(phased(name, seed, plan), 4)
        assert made[3].point not in {one.point for one in made[:3]}


def test_a_warm_start_does_not_have_a_phase_begin_with_what_it_starts_from():
    figure = KnownFigure(name=REWARD, value=0.4, fidelity="an earlier run")
    earlier = [Known(point=PLAIN, figures=(figure,))]
    plan = (PhaseTrials(phase=LAYERS, trials=1), PhaseTrials(phase=KERNEL, trials=1))
    made = run(phased("evolution", 0, plan, earlier=earlier), 2)
    assert made[0].point == PLAIN
    assert made[1].point != PLAIN
    assert made[1].parents == (0,)


def test_a_point_that_is_evaluated_again_in_a_later_phase_gets_a_seed_of_its_own():
    plan = (PhaseTrials(phase=KERNEL, trials=2), PhaseTrials(phase=LAYERS, trials=4))
    algorithm = Phased(
        SPACE, PLAIN, plan, lambda part, *_: Confirming(_Same(part), after=2, again=2), seed=0
    )
    made = run(algorithm, 5)
    assert [one.point for one in made] == [PLAIN] * 5
    assert [one.again for one in made] == [0, 0, 0, 0, 1]


class _Same:
    """Always proposes the first point."""

    def __init__(self, part):
        self._point, self._made = (0,) * len(part.choices), 0

    def ask(self, count):
        first, self._made = self._made, self._made + count
        return tuple(Proposal(index=i, point=self._point) for i in range(first, self._made))

    def tell(self, outcomes):
        pass


def test_as_long_as_nothing_was_evaluated_the_first_phase_goes_on():
    algorithm = phased("random", 0)
    for _ in range(30):
        (proposal,) = algorithm.ask(1)
        assert phase_of(proposal) == "layers"
        algorithm.tell([Failed(proposal=proposal, kind=FailureKind.EXPORT, text="refused")])
    (last,) = algorithm.ask(1)
    algorithm.tell([told(last)])
    (first,) = algorithm.ask(1)
    assert (phase_of(first), first.parents, first.point[2:]) == ("kernel", (30,), last.point[2:])


def test_outcomes_that_come_after_their_phase_are_taken_and_change_no_start():
    algorithm = phased("evolution", 1)
    early = algorithm.ask(24)
    algorithm.tell([evaluated(one, accuracy=0.5, latency_ms=1.0) for one in early[:20]])
    (first,) = algorithm.ask(1)
    assert first.parents == (0,)
    algorithm.tell([evaluated(one, accuracy=0.9, latency_ms=1.0) for one in early[20:]])
    later = run(algorithm, 10)
    assert {one.point[2:] for one in (first, *later)} == {early[0].point[2:]}
    with pytest.raises(ValueError, match="told before"):
        algorithm.tell([told(early[23])])


def test_luck_does_not_decide_what_a_phase_starts_from():
    class Twice(RandomSearch):
        """Each of four points, then the first of them again."""

        def _propose(self, index):
            made = super()._propose(index if index < 4 else 0)
            note = {AGAIN: 1} if index == 4 else {}
            return Proposal(index=index, point=made.point, note=note)

    plan = (PhaseTrials(phase=LAYERS, trials=5), PhaseTrials(phase=KERNEL, trials=5))
    starts = []

    def make(part, seed, _, start):
        starts.append(start)
        return Twice(part, seed=seed)

    algorithm = Phased(SPACE, PLAIN, plan, make, seed=0)
    made = algorithm.ask(5)
    accuracies = (0.9, 0.6, 0.1, 0.1, 0.1)
    algorithm.tell(
        [
            evaluated(one, accuracy=accuracy, latency_ms=1.0)
            for one, accuracy in zip(made, accuracies, strict=True)
        ]
    )
    (first,) = algorithm.ask(1)
    assert first.parents == (1,)  # the mean of trial 0 and 4 is 0.5
    assert starts[0] is None
    assert starts[1].proposal == Proposal(index=START, point=PLAIN[:2])
    assert [one.value for one in starts[1].objectives] == [0.6, 1.0]


def test_phases_draw_by_seeds_of_their_own():
    same = Phase(name="one", decisions=(2, 3)), Phase(name="other", decisions=(4, 5))
    plan = [PhaseTrials(phase=phase, trials=10) for phase in same]
    made = run(phased("random", 0, plan), 20)
    assert [one.point[2:4] for one in made[:10]] != [one.point[4:] for one in made[10:]]


def test_a_point_that_was_trained_again_has_the_means_of_its_figures():
    proposal = Proposal(index=3, point=PLAIN)
    again = [evaluated(proposal, accuracy=a, latency_ms=2.0) for a in (0.5, 0.7)]
    mean = mean_of(again)
    assert mean.proposal == proposal
    assert mean.reward == pytest.approx(0.598)
    assert [one.value for one in mean.objectives] == [pytest.approx(0.6), 2.0]


def test_three_phases_follow_one_another():
    parts = [(2,), (3, 4), (0, 5)]
    plan = [
        PhaseTrials(phase=Phase(name=str(number), decisions=part), trials=8)
        for number, part in enumerate(parts)
    ]
    made = run(phased("random", 0, plan), 24)
    assert [phase_of(one) for one in made] == ["0"] * 8 + ["1"] * 8 + ["2"] * 8
    best = max(made[:16], key=lambda one: worth(one.point))
    for one in made[16:]:
        assert [one.point[place] for place in (2, 3, 4)] == [best.point[p] for p in (2, 3, 4)]


def test_each_phase_is_told_what_is_known_of_its_points():
    seen = []

    def make(part, seed, known, _):
        seen.append(known)
        return RandomSearch(part, seed=seed)

    figure = KnownFigure(name=REWARD, value=0.4, fidelity="an earlier run")
    plain, adjusted = (0, 0, 3, 2, 1, 0), (1, 0, 3, 2, 1, 0)
    earlier = [Known(point=point, figures=(figure,)) for point in (adjusted, plain)]
    algorithm = Phased(SPACE, PLAIN, PLAN, make, seed=0, earlier=earlier)
    assert seen == [[Known(point=plain[2:], figures=(figure,))]]
    made = run(algorithm, 25)
    found = max(made[:24], key=lambda one: worth(one.point))
    own = [point[:2] for point in (plain, adjusted) if point[2:] == found.point[2:]]
    assert [known.point for known in seen[1]] == own


def test_limits_hold_in_every_phase():
    def costs(point):
        return {Figure.PARAMS: 1 + sum(point[2:]) + 0.1 * point[0]}

    limit = Constraint(figure=Figure.PARAMS, limit=7.15)
    points = ConstrainedPoints(SPACE, [limit], costs)
    made = run(phased("evolution", 2, points=points), 40)
    assert all(points.keeps(one.point) for one in made)
    assert max(sum(one.point[2:]) for one in made) == 6
    assert {one.point[0] for one in made} == {0, 1}
    assert {phase_of(one) for one in made} == {"layers", "kernel"}


def test_a_part_without_a_point_that_keeps_the_limits_is_said_so():
    def costs(point):
        return {Figure.PARAMS: 1.0 if point[0] else 100.0}

    points = ConstrainedPoints(SPACE, [Constraint(figure=Figure.PARAMS, limit=7.0)], costs)
    with pytest.raises(InputError, match=r"params<=7: the nearest has params of 100"):
        phased("evolution", 2, points=points)


def test_a_space_without_a_fixed_length_has_no_phases():
    class Chains:
        """Points of any length."""

    with pytest.raises(InputError, match=r"only a space that is a fixed tuple .* is a Chains"):
        phased("random", 0, points=Chains())


SPINENET = create_space("spinenet", {})


def test_a_plan_is_read_as_the_command_line_has_it():
    plan = planned(SPINENET, ["graph=20", "adjustments"], 30)
    assert [(one.phase.name, one.trials) for one in plan] == [("graph", 20), ("adjustments", 10)]
    whole = planned(SPINENET, ["adjustments=12", "graph=18"], 30)
    assert [(one.phase.name, one.trials) for one in whole] == [("adjustments", 12), ("graph", 18)]
    assert [one.trials for one in planned(SPINENET, ["graph"], 30)] == [30]


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["graph", "adjustments"], "only the last may be NAME alone, got 'graph'"),
        (["graph=10", "adjustments=10"], "leave 10 of 30 trials to none"),
        (["graph=31", "adjustments"], "at least 1 of the 30 trials .* got 'graph=31'"),
        (["graph=30", "adjustments"], "at least 1 of the 0 trials .* got 'adjustments'"),
        (["graph=0", "adjustments"], "got 'graph=0'"),
        (["graph=many", "adjustments"], "got 'graph=many'"),
        (["graph=10", "graph"], "are graph, adjustments, each once, got 'graph'"),
        (["kinds=10", "graph"], "are graph, adjustments, each once, got 'kinds=10'"),
    ],
)
def test_a_plan_that_does_not_fit_is_told_why(texts, said):
    with pytest.raises(InputError, match=said):
        planned(SPINENET, texts, 30)


def test_a_space_without_phases_is_searched_at_once():
    with pytest.raises(InputError, match="the space 'mnasnet' has no phases"):
        planned(create_space("mnasnet", {}), ["graph=10", "adjustments"], 30)


def test_evolution_of_a_phase_is_as_good_as_in_the_space_of_that_phase_alone():
    """A phase's search is that of its own decisions: trials do not get lost on others."""
    settings = EvolutionSettings(population=6, tournament=3)
    plan = (PhaseTrials(phase=LAYERS, trials=60),)
    inner = []

    def make(part, seed, *_):
        inner.append(part)
        return RegularizedEvolution(part, settings, seed=seed)

    in_phase = run(Phased(SPACE, PLAIN, plan, make, seed=5), 60)
    alone = run(RegularizedEvolution(inner[0], settings, seed=5), 60)
    assert [one.point[2:] for one in in_phase] == [one.point for one in alone]
    assert math.prod(inner[0].option_counts) == 256
