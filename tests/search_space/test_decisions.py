import random

import pytest

from search_space.decisions import Choice, DecisionSpace, point_from_json
from search_space.testing import DecisionSpaceContract
from workspace.errors import InputError


def space_of(*counts: int) -> DecisionSpace:
    choices = (
        Choice(name=f"choice{i}", options=tuple(map(str, range(count))))
        for i, count in enumerate(counts)
    )
    return DecisionSpace(choices=tuple(choices))


class TestADecisionSpace(DecisionSpaceContract):
    @pytest.fixture
    def points(self):
        return space_of(2, 3, 1, 7, 4)


def test_the_count_is_exact_beyond_floating_point():
    assert space_of(*[3] * 100).count == 3**100


def test_a_point_is_described_by_names():
    assert space_of(2, 3).describe((1, 2)) == {"choice0": "1", "choice1": "2"}


def test_a_space_with_one_point_has_no_mutants():
    with pytest.raises(InputError, match="no mutations"):
        space_of(1, 1).mutate((0, 0), random.Random(0))


def test_a_point_of_the_wrong_length_says_both_lengths():
    with pytest.raises(InputError, match="has 2 decisions, got 3"):
        space_of(2, 2).validate((0, 0, 0))


def test_choices_with_one_name_are_refused():
    choice = Choice(name="k", options=("3",))
    with pytest.raises(ValueError, match="k"):
        DecisionSpace(choices=(choice, choice))


def test_a_choice_without_options_is_refused():
    with pytest.raises(ValueError, match="'k'"):
        Choice(name="k", options=())


@pytest.mark.parametrize("value", [1, "a", {"a": 1}, None])
def test_a_point_must_come_as_a_list(value):
    with pytest.raises(InputError, match="must be a list"):
        point_from_json(value)


def test_neighbours_are_all_points_that_differ_in_one_choice():
    assert space_of(2, 1, 3).neighbours((0, 0, 1)) == [(1, 0, 1), (0, 0, 0), (0, 0, 2)]
