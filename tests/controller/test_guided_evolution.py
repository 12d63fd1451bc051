import random
from dataclasses import replace
from statistics import mean

import pytest

from controller.algorithm import Evaluated, Failed, FailureKind, Skipped, Stopped, create
from controller.guided_evolution import GUIDE, WHY, Guide, GuidedEvolution, shuffled
from controller.settings import Ablation, EvolutionSettings, GuidedSettings
from controller.testing import (
    GUIDED_SPACE,
    Make,
    SearchAlgorithmContract,
    evaluated,
    outcome_of,
    weights_of,
)
from search_space.guidance import Threshold
from search_space.stream_graph import StemKind
from search_space.stream_points import StreamPoints

SMALL = {"population": 8, "tournament": 3}


def guided(seed=0, space=GUIDED_SPACE, **settings):
    return GuidedEvolution(space, GuidedSettings(**{**SMALL, **settings}), seed=seed)


class Learned:
    """An algorithm whose evaluated outcomes have weights, by their points."""

    def __init__(self, algorithm):
        self._algorithm = algorithm

    def ask(self, count):
        return self._algorithm.ask(count)

    def tell(self, outcomes):
        self._algorithm.tell([with_weights(outcome) for outcome in outcomes])


def with_weights(outcome):
    if not isinstance(outcome, Evaluated):
        return outcome
    return replace(outcome, feedback=weights_of(outcome.proposal.point))


class OverGuidedSpace(SearchAlgorithmContract):
    def validate(self, proposal):
        GUIDED_SPACE.validate(proposal.point)


class TestGuidedEvolution(OverGuidedSpace):
    @pytest.fixture
    def make(self) -> Make:
        return lambda seed: Learned(guided(seed))


class TestThresholdsThatAreDrawn(OverGuidedSpace):
    @pytest.fixture
    def make(self) -> Make:
        return lambda seed: Learned(guided(seed, threshold=Threshold(value=None)))


class TestShuffledWeights(OverGuidedSpace):
    @pytest.fixture
    def make(self) -> Make:
        return lambda seed: Learned(guided(seed, ablation=Ablation.SHUFFLED_WEIGHTS))


class TestTrainingsThatTellNoWeights(OverGuidedSpace):
    @pytest.fixture
    def make(self) -> Make:
        return lambda seed: guided(seed)


def grown(algorithm, accuracy=lambda index: index / 10, count=8):
    """What was asked and told until the population is full."""
    asked = algorithm.ask(count)
    told = [evaluated(one, accuracy=accuracy(one.index), latency_ms=1.0) for one in asked]
    algorithm.tell([with_weights(one) for one in told])
    return asked


def edges_of(point):
    return set(GUIDED_SPACE.graph_of(point).edges)


def test_proposals_are_random_until_the_population_is_full():
    algorithm = guided()
    assert not any(one.parents or one.note for one in algorithm.ask(10))


def test_a_child_is_its_parent_reconnected_by_its_weights_then_restructured():
    algorithm = guided(tournament=8)
    asked = grown(algorithm)
    (child,) = algorithm.ask(1)
    rng = random.Random("0/8")
    rng.sample(range(8), 8)  # the tournament
    parent = asked[7].point
    between = GUIDED_SPACE.reconnect(parent, weights_of(parent), Threshold(value=0.5), rng)
    assert child.point == GUIDED_SPACE.restructure(between, rng)
    assert (child.parents, child.note) == ((7,), {GUIDE: Guide.WEIGHTS.value})


def test_weights_decide_what_the_child_is():
    children = set()
    for weight in (0.0, 1.0):
        algorithm = guided(tournament=8)
        asked = algorithm.ask(8)
        for one in asked:
            told = {
                name: (weight,) * count
                for name, count in GUIDED_SPACE.told_weights(one.point).items()
            }
            outcome = evaluated(one, accuracy=one.index / 10, latency_ms=1.0)
            algorithm.tell([replace(outcome, feedback=told)])
        children.add(algorithm.ask(1)[0].point)
    assert len(children) == 2


def test_weights_of_connections_are_found_among_what_else_a_training_tells():
    plain, more = guided(tournament=8), guided(tournament=8)
    grown(plain)
    for one in more.ask(8):
        told = with_weights(evaluated(one, accuracy=one.index / 10, latency_ms=1.0))
        more.tell([replace(told, feedback={"loss": (3.0,), **told.feedback})])
    assert more.ask(4) == plain.ask(4)


def without_weights(kind, proposal):
    whole = evaluated(proposal, accuracy=0.9, latency_ms=1.0)
    if kind is Skipped:
        return Skipped(proposal=proposal, latency_ms=300.0, bound=0.9)
    if kind is Stopped:
        return Stopped(proposal=proposal, objectives=whole.objectives, reward=0.9, deviation=0.02)
    return whole


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (Skipped, "it was not trained"),
        (Stopped, "told 0 connection weights"),
        (Evaluated, "told 0 connection weights"),
    ],
)
def test_the_child_of_a_parent_without_weights_is_a_plain_mutation_and_says_why(kind, why):
    algorithm = guided(population=1, tournament=1)
    (parent,) = algorithm.ask(1)
    algorithm.tell([without_weights(kind, parent)])
    (child,) = algorithm.ask(1)
    rng = random.Random("0/1")
    rng.sample(range(1), 1)
    assert child.point == GUIDED_SPACE.mutate(parent.point, rng)
    assert (child.parents, child.note[GUIDE]) == ((0,), Guide.NOTHING.value)
    assert why in child.note[WHY]


def test_a_parent_that_was_stopped_early_guides_by_its_weights_at_the_stop_and_that_is_said():
    whole, cut = (guided(population=1, tournament=1) for _ in range(2))
    children = []
    for algorithm, kind in ((whole, Evaluated), (cut, Stopped)):
        (parent,) = algorithm.ask(1)
        outcome = without_weights(kind, parent)
        algorithm.tell([replace(outcome, feedback=weights_of(parent.point))])
        children += algorithm.ask(1)
    assert children[0].point == children[1].point
    assert [child.note for child in children] == [
        {GUIDE: Guide.WEIGHTS.value},
        {GUIDE: Guide.STOPPED.value},
    ]


@pytest.mark.parametrize("wrong", [1.5, -0.1, float("nan")])
def test_weights_that_are_none_guide_nothing_and_the_search_goes_on(wrong):
    algorithm = guided(population=1, tournament=1)
    (parent,) = algorithm.ask(1)
    told = with_weights(evaluated(parent, accuracy=0.5, latency_ms=1.0))
    name = next(iter(told.feedback))
    values = (wrong, *told.feedback[name][1:])
    algorithm.tell([replace(told, feedback={**told.feedback, name: values})])
    (child,) = algorithm.ask(1)
    assert child.note[GUIDE] == Guide.NOTHING.value
    assert f"in [0, 1], got {wrong!r}" in child.note[WHY]


def test_a_failure_is_no_parent():
    algorithm = guided(population=2, tournament=2)
    asked = algorithm.ask(3)
    algorithm.tell([Failed(proposal=asked[0], kind=FailureKind.TRAINING, text="nan")])
    algorithm.tell([with_weights(evaluated(asked[1], accuracy=0.1, latency_ms=1.0))])
    assert not any(proposal.parents for proposal in algorithm.ask(3))


def test_points_that_come_first_are_trained_before_they_guide():
    first = tuple(GUIDED_SPACE.sample(random.Random(seed)) for seed in (11, 12))
    settings = GuidedSettings(population=2, tournament=2)
    algorithm = GuidedEvolution(GUIDED_SPACE, settings, seed=0, first=first)
    asked = algorithm.ask(2)
    assert [(one.point, one.parents) for one in asked] == [(point, ()) for point in first]
    algorithm.tell([with_weights(outcome_of(one)) for one in asked])
    (child,) = algorithm.ask(1)
    assert child.note == {GUIDE: Guide.WEIGHTS.value}


def test_a_space_without_other_nodes_has_its_connections_redrawn_alone():
    space = StreamPoints(
        stems=(StemKind.RGB, StemKind.FLOW), nodes=1, dilations=(1,), temporal=(False,) * 4
    )
    algorithm = guided(space=space, population=4, tournament=2)
    seen = []
    for _ in range(40):
        (one,) = algorithm.ask(1)
        seen.append(one)
        told = {name: (0.5,) * count for name, count in space.told_weights(one.point).items()}
        outcome = evaluated(one, accuracy=0.5, latency_ms=1.0)
        algorithm.tell([replace(outcome, feedback=told)])
    points = {one.index: one.point for one in seen}
    children = [one for one in seen if one.parents]
    assert len(children) == 36
    assert all(one.point != points[one.parents[0]] for one in children)


@pytest.mark.parametrize("threshold", [Threshold(value=0.5), Threshold()])
def test_no_child_is_its_parents_own_network(threshold):
    """Weights just above a half: most connections stay, and changes may undo each other."""
    algorithm = guided(population=1, tournament=1, threshold=threshold)
    (parent,) = algorithm.ask(1)
    for _ in range(300):
        counts = GUIDED_SPACE.told_weights(parent.point).items()
        told = {name: (0.6,) * count for name, count in counts}
        outcome = evaluated(parent, accuracy=0.5, latency_ms=1.0)
        algorithm.tell([replace(outcome, feedback=told)])
        (child,) = algorithm.ask(1)
        assert not GUIDED_SPACE.same_network(child.point, parent.point)
        parent = child


def test_shuffled_weights_are_the_same_numbers_at_other_connections():
    told = {"node4": (0.1, 0.2, 0.3), "node7": (0.4,), "node8": (0.5, 0.6)}
    found = shuffled(told, random.Random(0))
    assert {name: len(values) for name, values in found.items()} == {
        "node4": 3, "node7": 1, "node8": 2
    }  # fmt: skip
    assert sorted(value for each in found.values() for value in each) == [
        0.1,
        0.2,
        0.3,
        0.4,
        0.5,
        0.6,
    ]
    places = {shuffled(told, random.Random(seed))["node7"][0] for seed in range(60)}
    assert places == {0.1, 0.2, 0.3, 0.4, 0.5, 0.6}


def test_children_of_the_ablation_say_that_their_weights_were_shuffled():
    algorithm = guided(tournament=8, ablation=Ablation.SHUFFLED_WEIGHTS)
    grown(algorithm)
    assert algorithm.ask(1)[0].note == {GUIDE: "shuffled weights"}


WIDE = StreamPoints(
    stems=(StemKind.RGB,) * 2 + (StemKind.FLOW,) * 2,
    nodes=2,
    dilations=(1, 2),
    temporal=(False, True, True, True),
)


def reached(settings, seed, trials=60):
    """The best of a search for networks that read neither the flow nor a level twice over.

    What is wanted of a connection depends on the levels alone, so that it outlives changes of
    nodes; its weight is what a training would have learned of it, with an error.
    """

    def is_wanted(graph, edge):
        source, target = edge
        return graph.level_of(source) == graph.level_of(target) - 1 or (
            graph.level_of(source) < 0 and graph.stems[source].kind is StemKind.RGB
        )

    algorithm = create(settings, WIDE, seed=seed)
    rng = random.Random(seed)
    best = 0.0
    for _ in range(trials):
        (one,) = algorithm.ask(1)
        graph = WIDE.graph_of(one.point)
        right = sum(
            is_wanted(graph, edge) == (edge in set(graph.edges)) for edge in graph.possible_edges
        )
        accuracy = right / len(graph.possible_edges)
        best = max(best, accuracy)
        told = {
            name: tuple(
                min(1.0, max(0.0, rng.gauss(0.6 if is_wanted(graph, edge) else 0.4, 0.1)))
                for edge in edges
            )
            for name, edges in graph.gates.items()
        }
        outcome = evaluated(one, accuracy=accuracy, latency_ms=0.0)
        algorithm.tell([replace(outcome, feedback=told)])
    return best


def test_weights_that_tell_what_connections_are_worth_beat_shuffled_and_no_weights():
    """Means of 10 seeds, which fix them; they differ by several standard errors."""
    by_weights = GuidedSettings(population=10, tournament=5)
    arms = {
        "guided": by_weights,
        "shuffled": replace(by_weights, ablation=Ablation.SHUFFLED_WEIGHTS),
        "plain": EvolutionSettings(population=10, tournament=5),
    }
    found = {name: mean(reached(arm, seed) for seed in range(10)) for name, arm in arms.items()}
    assert found["guided"] > found["shuffled"] + 0.03
    assert found["guided"] > found["plain"] + 0.03
