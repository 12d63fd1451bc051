import random

from controller.point_codes import coding_of
from controller.testing import SPACE
from search_space.decisions import Choice, DecisionSpace


def test_a_decision_tuple_is_its_options():
    coding = coding_of(SPACE, [])
    assert coding.counts == SPACE.option_counts
    assert coding.codes([(2, 0, 1, 0, 3, 2)]).tolist() == [[2, 0, 1, 0, 3, 2]]


def test_options_that_are_numbers_stand_in_their_order():
    space = DecisionSpace(choices=(Choice(name="width", options=("1.4", "0.5", "1.0")),))
    assert coding_of(space, []).codes([(0,), (1,), (2,)]).tolist() == [[2], [0], [1]]


def test_no_points_are_no_rows():
    assert coding_of(SPACE, []).codes([]).shape == (0, 6)


def test_an_order_is_where_each_of_its_blocks_stands(nested):
    stages = ((3, "conv"),)
    points = [((0, 1, 2, 3), stages), ((0, 1, 3, 2), stages), ((3, 1, 2, 0), stages)]
    first, swapped, far = coding_of(nested, points).codes(points)
    assert (first != swapped).sum() == 2
    assert (first != far).sum() == 2


def test_different_points_of_any_space_have_different_codes(nested):
    rng = random.Random(0)
    points = list(dict.fromkeys(nested.sample(rng) for _ in range(200)))
    coding = coding_of(nested, points)
    codes = coding.codes(points)
    assert len({tuple(row) for row in codes.tolist()}) == len(points)
    assert (codes.max(axis=0) < coding.counts).all()


def test_what_was_not_known_is_an_option_of_its_own(nested):
    known = [((0, 1, 2, 3), ((3, "conv"),)), ((1, 0, 2, 3), ((5, "conv"),))]
    other = ((0, 1, 2, 3), ((1, "mbconv"), (3, "conv")))
    coding = coding_of(nested, known)
    (row,) = coding.codes([other])
    assert (row < coding.counts).all()
    assert not any((row == code).all() for code in coding.codes(known))
