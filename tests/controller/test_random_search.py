import random

import pytest

from controller.random_search import RandomSearch
from controller.testing import SPACE, Make, SearchAlgorithmContract
from search_space.decisions import Point


class TestRandomSearch(SearchAlgorithmContract):
    @pytest.fixture
    def make(self) -> Make:
        return lambda seed: RandomSearch(SPACE, seed=seed)


class AnyLength:
    """Points of no fixed length."""

    def sample(self, rng: random.Random) -> Point:
        return tuple(rng.randrange(5) for _ in range(rng.randrange(1, 6)))

    def mutate(self, point: Point, rng: random.Random) -> Point:
        return (*point, rng.randrange(5))

    def crossover(self, first: Point, second: Point, rng: random.Random) -> Point:
        return rng.choice((first, second))

    def validate(self, point: Point) -> None:
        assert point


def test_searches_spaces_without_a_fixed_length():
    points = [proposal.point for proposal in RandomSearch(AnyLength(), seed=0).ask(50)]
    assert {len(point) for point in points} == {1, 2, 3, 4, 5}


def test_a_proposal_depends_on_the_seed_and_its_index_alone():
    told, untold = RandomSearch(SPACE, seed=4), RandomSearch(SPACE, seed=4)
    told.ask(5)
    assert untold.ask(9)[5:] == told.ask(4)
