import random

import pytest

from search_space.decisions import Choice, DecisionSpace
from search_space.phases import Part, Phase, PhasedSpace
from search_space.space import create
from workspace.errors import InputError

SPACE = DecisionSpace(
    choices=tuple(Choice(name=name, options=("0", "1", "2")) for name in ("a", "b", "c", "d"))
)
MIDDLE = Phase(name="middle", decisions=(1, 2))


def test_a_part_has_the_points_that_differ_in_its_decisions_alone():
    part = Part.of(SPACE, MIDDLE, (2, 0, 0, 1))
    assert part.points.count == 9
    rng = random.Random(0)
    wholes = {part.whole(part.points.sample(rng)) for _ in range(200)}
    assert len(wholes) == 9
    assert {(whole[0], whole[3]) for whole in wholes} == {(2, 1)}
    back = [part.within(whole) for whole in wholes]
    assert {part.whole(point) for point in back if point is not None} == wholes


@pytest.mark.parametrize(
    "point", [(0, 0, 0, 1), (2, 0, 0, 0), (2, 0, 0), (2, 0, 3, 1), (2, 0, "1", 1)]
)
def test_points_of_elsewhere_are_not_within_it(point):
    assert Part.of(SPACE, MIDDLE, (2, 0, 0, 1)).within(point) is None


@pytest.mark.parametrize("decisions", [(), (1, 0), (0, 0)])
def test_a_phase_has_ascending_positions(decisions):
    with pytest.raises(ValueError, match="'odd' needs ascending positions"):
        Phase(name="odd", decisions=decisions)


@pytest.mark.parametrize("decisions", [(3, 4), (-1, 2)])
def test_a_phase_of_decisions_that_a_space_lacks_is_no_part_of_it(decisions):
    with pytest.raises(InputError, match=r"phase 'odd' has a decision .*, and the space has 4"):
        Part.of(SPACE, Phase(name="odd", decisions=decisions), (0, 0, 0, 0))


def test_a_base_of_another_space_is_refused():
    with pytest.raises(InputError, match="has 4 decisions, got 2"):
        Part.of(SPACE, MIDDLE, (0, 0))


@pytest.mark.parametrize(
    ("name", "phased"),
    [("spinenet", True), ("spinenet_v2", True), ("spinenet_mbconv", True), ("mnasnet", False)],
)
def test_scale_permuted_spaces_are_phased(name, phased):
    assert isinstance(create(name, {}), PhasedSpace) is phased
