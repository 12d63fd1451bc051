"""Contract tests: subclass one, give it the fixture, and inherit every law.

For a space of your own::

    class TestMySpace(SearchSpaceContract):
        @pytest.fixture
        def space(self):
            return MySpace()
"""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from search_space.architecture import Classifier, Head, from_json
from search_space.chain import ChainArchitecture, Op, Stage, Stem
from search_space.decisions import (
    Decisions,
    DecisionSpace,
    Point,
    PointSpace,
    point_from_json,
    same_network,
)
from search_space.factorized import FactorizedSpace
from search_space.guidance import GuidedPointSpace, Threshold
from search_space.phases import Part, PhasedSpace
from search_space.space import SearchSpace
from workspace.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor, nn

DRAWS = 50
"""Points that a law is tried on."""


class PointSpaceContract:
    """The laws of ``PointSpace``."""

    @pytest.fixture
    def points(self) -> PointSpace:
        """The space under test."""
        raise NotImplementedError

    def test_samples_are_in_the_space(self, points: PointSpace) -> None:
        """All of them; and they are not all the same."""
        drawn = _draw(points)
        for point in drawn:
            points.validate(point)
        assert len(set(drawn)) > 1

    def test_a_mutant_is_another_point_of_the_space(self, points: PointSpace) -> None:
        """Along a chain of mutations too; another network, where the space can tell."""
        rng = random.Random(1)
        point = points.sample(rng)
        for _ in range(DRAWS):
            mutant = points.mutate(point, rng)
            points.validate(mutant)
            assert mutant != point
            assert not same_network(points, mutant, point)
            point = mutant

    def test_a_child_of_two_parents_is_in_the_space(self, points: PointSpace) -> None:
        """Of two of the same, too."""
        rng = random.Random(2)
        for _ in range(DRAWS):
            first, second = points.sample(rng), points.sample(rng)
            points.validate(points.crossover(first, second, rng))
            points.validate(points.crossover(first, first, rng))

    def test_nothing_but_the_generator_decides(self, points: PointSpace) -> None:
        """Equal seeds give equal points, and Python's shared generator is left alone."""
        before = random.getstate()
        assert _walk(points, seed=3) == _walk(points, seed=3)
        assert random.getstate() == before

    def test_points_survive_json(self, points: PointSpace) -> None:
        """A study keeps them as text."""
        for point in _draw(points):
            assert point_from_json(json.loads(json.dumps(point))) == point

    def test_a_point_of_no_space_is_refused(self, points: PointSpace) -> None:
        """With an error that a command turns into exit code 2."""
        for stranger in ((), ("no", "point", -1.5)):
            with pytest.raises(InputError):
                points.validate(stranger)


class DecisionSpaceContract(PointSpaceContract):
    """The laws of a ``DecisionSpace`` beyond those of any ``PointSpace``."""

    def test_every_option_is_drawn_equally_often(self, points: DecisionSpace) -> None:
        """Within 6 standard deviations of 2000 draws: a fair one fails once in 1e8 options."""
        rng, draws = random.Random(4), 2000
        drawn = [points.sample(rng) for _ in range(draws)]
        for position, options in enumerate(points.option_counts):
            found = Counter(point[position] for point in drawn)
            share = 1 / options
            bound = 6 * (draws * share * (1 - share)) ** 0.5
            assert all(abs(found[option] - draws * share) <= bound for option in range(options))

    def test_a_mutant_differs_in_one_choice(self, points: DecisionSpace) -> None:
        """And every choice that has options can change."""
        rng = random.Random(5)
        point, changed = points.sample(rng), set[int]()
        open_choices = {i for i, options in enumerate(points.option_counts) if options > 1}
        for _ in range(60 * len(open_choices)):
            mutant = points.mutate(point, rng)
            (position,) = (i for i, (a, b) in enumerate(zip(point, mutant, strict=True)) if a != b)
            changed.add(position)
        assert changed == open_choices

    def test_a_child_takes_each_choice_from_a_parent(self, points: DecisionSpace) -> None:
        """And from both of them, over a few children."""
        rng = random.Random(6)
        first, second = points.sample(rng), points.sample(rng)
        children = [points.crossover(first, second, rng) for _ in range(DRAWS)]
        for child in children:
            pairs = zip(child, first, second, strict=True)
            assert all(value in parents for value, *parents in pairs)
        assert len(set(children)) > 1

    def test_each_decision_out_of_range_is_refused_by_name(self, points: DecisionSpace) -> None:
        """Also what is no whole number: 1.0 and True are not options."""
        point = points.sample(random.Random(7))
        for position, choice in enumerate(points.choices):
            for wrong in (-1, len(choice.options), 0.0, True, "0"):
                changed: Point = (*point[:position], wrong, *point[position + 1 :])
                with pytest.raises(InputError, match=choice.name):
                    points.validate(changed)


class GuidedPointSpaceContract(PointSpaceContract):
    """The laws of a ``GuidedPointSpace`` beyond those of any ``PointSpace``."""

    def test_is_a_guided_space(self, points: GuidedPointSpace) -> None:
        """By what it offers."""
        assert isinstance(points, GuidedPointSpace)

    def test_reconnected_points_are_in_the_space(self, points: GuidedPointSpace) -> None:
        """Whatever the weights are, for a constant threshold and for one drawn for each edge."""
        rng = random.Random(11)
        for point in _draw(points):
            for threshold in (Threshold(), Threshold(value=0.5), Threshold(value=0.0)):
                points.validate(points.reconnect(point, _told(points, point, rng), threshold, rng))

    def test_connections_that_all_pass_stay(self, points: GuidedPointSpace) -> None:
        """And none is drawn, as none was taken away."""
        rng = random.Random(12)
        for point in _draw(points):
            told = {name: [0.9] * n for name, n in points.told_weights(point).items()}
            child = points.reconnect(point, told, Threshold(value=0.5), rng)
            assert points.told_weights(child) == points.told_weights(point)
            assert points.reconnect(child, told, Threshold(value=0.5), rng) == child

    def test_what_else_a_training_tells_is_passed_over(self, points: GuidedPointSpace) -> None:
        """The same child as without."""
        point = points.sample(random.Random(13))
        told = _told(points, point, random.Random(14))
        more = {**told, "something else": (7.0, -1.0)}
        first = points.reconnect(point, told, Threshold(), random.Random(15))
        assert points.reconnect(point, more, Threshold(), random.Random(15)) == first

    def test_weights_that_do_not_fit_are_refused(self, points: GuidedPointSpace) -> None:
        """Missing, too many, or out of range."""
        rng = random.Random(16)
        point = next(each for each in _draw(points) if points.told_weights(each))
        told = _told(points, point, rng)
        name = next(iter(told))
        wrong: tuple[dict[str, list[float]], ...] = (
            {},
            {**told, name: [*told[name], 0.5]},
            {**told, name: [1.5] * len(told[name])},
        )
        for each in wrong:
            with pytest.raises(InputError):
                points.reconnect(point, each, Threshold(), rng)

    def test_a_restructured_point_is_another_of_the_space(self, points: GuidedPointSpace) -> None:
        """Along a chain of changes too."""
        rng = random.Random(17)
        point = points.sample(rng)
        for _ in range(DRAWS):
            child = points.restructure(point, rng)
            points.validate(child)
            assert child != point
            point = child

    def test_nothing_but_the_generator_decides_a_child(self, points: GuidedPointSpace) -> None:
        """Equal seeds give equal children."""
        point = points.sample(random.Random(18))
        told = _told(points, point, random.Random(19))

        def child(seed: int) -> Point:
            rng = random.Random(seed)
            return points.restructure(points.reconnect(point, told, Threshold(), rng), rng)

        assert child(1) == child(1)
        assert len({child(seed) for seed in range(10)}) > 1


class SearchSpaceContract(PointSpaceContract):
    """The laws of ``SearchSpace`` and of its ``points``; those of networks need torch."""

    @pytest.fixture
    def space(self) -> SearchSpace:
        """The space under test."""
        raise NotImplementedError

    @pytest.fixture
    def head(self) -> Head:
        """What its networks end in."""
        return Classifier(classes=7)

    @pytest.fixture
    def points(self, space: SearchSpace) -> PointSpace:
        """Its points."""
        return space.points

    def test_has_a_name_and_a_count(self, space: SearchSpace) -> None:
        """A count of points, exactly."""
        assert space.name
        assert type(space.count) is int
        assert space.count >= len(set(_draw(space.points))) > 0

    def test_an_encoded_member_decodes_to_the_same_key(self, space: SearchSpace) -> None:
        """And its point is valid."""
        for point in _draw(space.points):
            architecture = space.decode(point)
            encoded = space.encode(architecture)
            space.points.validate(encoded)
            assert space.decode(encoded).key == architecture.key

    def test_equal_networks_have_one_canonical_point(self, space: SearchSpace) -> None:
        """What ``encode`` gives is a fixed point of decoding and encoding."""
        for point in _draw(space.points):
            encoded = space.encode(space.decode(point))
            assert space.encode(space.decode(encoded)) == encoded

    def test_equal_points_give_equal_networks(self, space: SearchSpace) -> None:
        """Value, hash and key."""
        for point in _draw(space.points):
            first, second = space.decode(point), space.decode(point)
            assert first == second
            assert hash(first) == hash(second)
            assert first.key == second.key

    def test_keys_are_text_without_blanks(self, space: SearchSpace) -> None:
        """They go into file names, tables and log lines."""
        for point in _draw(space.points):
            key = space.decode(point).key
            assert key
            assert not any(letter.isspace() for letter in key)

    def test_networks_survive_json(self, space: SearchSpace) -> None:
        """To an equal value, with the same key."""
        for point in _draw(space.points):
            architecture = space.decode(point)
            restored = from_json(json.loads(json.dumps(architecture.to_json())))
            assert restored == architecture
            assert restored.key == architecture.key

    def test_a_network_of_no_space_is_refused(self, space: SearchSpace) -> None:
        """With an error that a command turns into exit code 2."""
        stage = Stage(op=Op.CONV, kernel=9, stride=1, expansion=1, filters=5, repeats=9)
        stranger = ChainArchitecture(size=9, stem=Stem(filters=3), stages=(stage,))
        with pytest.raises(InputError):
            space.encode(stranger)

    def test_a_point_of_no_space_is_not_decoded(self, space: SearchSpace) -> None:
        """The same error as from ``validate``."""
        with pytest.raises(InputError):
            space.decode(("no", "point", -1.5))

    def test_networks_are_built_alike_every_time(self, space: SearchSpace, head: Head) -> None:
        """The same weights, whatever was drawn before; torch's shared generator is left alone."""
        torch = pytest.importorskip("torch")
        architecture = space.decode(space.points.sample(random.Random(8)))
        torch.manual_seed(1)
        before = torch.random.get_rng_state()
        first = architecture.build(head)
        assert torch.equal(torch.random.get_rng_state(), before)
        torch.manual_seed(2)
        assert _same_weights(first, architecture.build(head))

    def test_the_size_does_not_change_the_weights(self, space: SearchSpace, head: Head) -> None:
        """What is trained at one size is timed at another."""
        pytest.importorskip("torch")
        architecture = space.decode(space.points.sample(random.Random(9)))
        size = architecture.inputs[0].shape[-1]
        other = architecture.at(2 * size)
        assert other.inputs[0].shape[-2:] == (2 * size, 2 * size)
        assert other.key != architecture.key
        assert _same_weights(architecture.build(head), other.build(head))

    def test_networks_take_their_inputs(self, space: SearchSpace, head: Head) -> None:
        """In training mode, and their outputs are finite and depend on the input."""
        torch = pytest.importorskip("torch")
        rng = random.Random(10)
        for _ in range(3):
            architecture = space.decode(space.points.sample(rng))
            network = architecture.build(head)
            assert network.training
            generator = torch.Generator().manual_seed(0)
            inputs = [torch.randn(2, *i.shape, generator=generator) for i in architecture.inputs]
            outputs = _flat(network.eval()(*inputs))
            assert all(bool(torch.isfinite(output).all()) for output in outputs)
            assert any(not torch.equal(output[0], output[1]) for output in outputs)


class PhasedSpaceContract(SearchSpaceContract):
    """The laws of ``PhasedSpace``."""

    def test_no_decision_is_in_two_phases(self, space: SearchSpace) -> None:
        """Nor do two phases have one name, or decisions that the space lacks."""
        assert isinstance(space, PhasedSpace)
        places = [place for phase in space.phases for place in phase.decisions]
        assert len(places) == len(set(places)) > 0
        assert set(places) <= set(range(len(space.points.choices)))
        assert len({phase.name for phase in space.phases}) == len(space.phases)

    def test_a_phase_changes_its_own_decisions_of_a_plain_network(
        self, space: SearchSpace
    ) -> None:
        """All points of a phase are networks, and those of two differ in its decisions alone."""
        assert isinstance(space, PhasedSpace)
        rng = random.Random(11)
        for phase in space.phases:
            part = Part.of(space.points, phase, space.plain)
            for _ in range(DRAWS):
                point = part.points.sample(rng)
                whole = part.whole(point)
                assert space.decode(whole).key
                assert part.within(whole) == point
                changed = {i for i, old in enumerate(space.plain) if old != whole[i]}
                assert changed <= {*phase.decisions}


class FactorizedSpaceContract(SearchSpaceContract):
    """The laws of ``FactorizedSpace``."""

    def test_each_decision_is_in_exactly_one_group(self, space: SearchSpace) -> None:
        """In any order."""
        factorized = _factorized(space)
        positions = [position for group in factorized.groups for position in group]
        assert sorted(positions) == list(range(len(factorized.points.choices)))

    def test_the_stages_of_a_point_are_those_of_its_groups(self, space: SearchSpace) -> None:
        """One after the other, each of its own decisions."""
        factorized = _factorized(space)
        for point in _decisions(factorized):
            expected = [
                stage
                for number, group in enumerate(factorized.groups)
                for stage in factorized.stages_of(number, tuple(point[place] for place in group))
            ]
            assert list(factorized.decode(point).stages) == expected

    def test_networks_differ_in_their_stages_alone(self, space: SearchSpace) -> None:
        """Size, stem and what follows the stages are the same."""
        factorized = _factorized(space)
        first, *others = (factorized.decode(point) for point in _decisions(factorized))
        for other in others:
            assert replace(other, stages=first.stages) == first


def _decisions(space: FactorizedSpace) -> list[Decisions]:
    rng = random.Random(0)
    return [space.points.sample(rng) for _ in range(DRAWS)]


def _factorized(space: SearchSpace) -> FactorizedSpace:
    assert isinstance(space, FactorizedSpace)
    return space


def _draw(points: PointSpace) -> list[Point]:
    rng = random.Random(0)
    return [points.sample(rng) for _ in range(DRAWS)]


def _told(points: GuidedPointSpace, point: Point, rng: random.Random) -> dict[str, list[float]]:
    """Weights of all connections of a point's network, at random."""
    expected = points.told_weights(point)
    return {name: [rng.random() for _ in range(count)] for name, count in expected.items()}


def _walk(points: PointSpace, seed: int) -> list[Point]:
    rng = random.Random(seed)
    first, second = points.sample(rng), points.sample(rng)
    return [first, second, points.mutate(first, rng), points.crossover(first, second, rng)]


def _same_weights(first: nn.Module, second: nn.Module) -> bool:
    ours, theirs = first.state_dict(), second.state_dict()
    return ours.keys() == theirs.keys() and all(
        bool((ours[name] == theirs[name]).all()) for name in ours
    )


def _flat(outputs: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return outputs if isinstance(outputs, tuple) else (outputs,)
