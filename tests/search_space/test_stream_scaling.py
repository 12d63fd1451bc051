import random
from dataclasses import replace

import pytest

from search_space.architecture import VideoClassifier
from search_space.assemblenet import MultiStreamArchitecture
from search_space.assemblenet_networks import DEPTHS, create
from search_space.scaling import EFFICIENTNET, Factors, Rounding, scaled
from search_space.space import create as create_space
from search_space.stream_parts import parts_of
from search_space.stream_scaling import scaled_streams
from workspace.errors import InputError

BASE = create("assemblenet-50")
LITE = create("assemblenet-plus-lite")


def grown(factors, rounding=Rounding.EFFICIENTNET, *, fixed_ends=False, base=BASE):
    return scaled_streams(base, factors, rounding, fixed_ends=fixed_ends)


def filters_of(network):
    return [node.filters for node in network.graph.nodes]


def test_depth_is_modules_width_is_filters_and_resolution_the_frames_sides():
    found = grown(Factors(depth=2.0, width=1.5, resolution=1.25))
    assert found.repeats == (6, 8, 12, 6)
    assert filters_of(found) == [each * 3 // 2 for each in filters_of(BASE)]
    assert found.inner == (96, 192, 384, 768)
    assert (found.stem.filters, found.size) == (48, 280)
    assert (found.frames, found.flow_iterations) == (BASE.frames, BASE.flow_iterations)


def test_graph_gates_and_dilations_stay():
    found = grown(Factors(depth=1.4, width=1.2, resolution=1.3)).graph
    assert found.edges == BASE.graph.edges
    assert [node.gates for node in found.nodes] == [node.gates for node in BASE.graph.nodes]
    assert [node.dilation for node in found.nodes] == [node.dilation for node in BASE.graph.nodes]


def test_factors_of_one_change_nothing():
    assert grown(Factors()) == BASE
    assert scaled(BASE, EFFICIENTNET.factors(0)) == BASE


def test_a_member_of_a_space_twice_as_wide_is_that_of_the_space_of_twice_the_width():
    narrow, wide = (create_space("assemblenet", {"width": width}) for width in ("0.5", "1.0"))
    for seed in range(5):
        point = narrow.points.sample(random.Random(seed))
        small = narrow.decode(point)
        assert isinstance(small, MultiStreamArchitecture)
        assert grown(Factors(width=2.0), base=small) == wide.decode(point)


def test_widths_go_to_the_nearest_whole_number_whatever_the_rounding():
    for rounding in Rounding:
        found = grown(Factors(width=1.1), rounding, base=LITE)
        assert found.inner == (30, 59, 167, 475)
        assert set(filters_of(found)) == {13, 26, 75, 211}


def test_fixed_ends_keep_stems_head_and_the_first_and_last_level():
    found = grown(Factors(depth=2.0, width=2.0), fixed_ends=True, base=LITE)
    assert found.repeats == (3, 10, 22, 7)
    assert (found.stem, found.head_filters) == (LITE.stem, LITE.head_filters)
    assert found.inner == tuple(2 * each for each in LITE.inner)


def test_depths_are_rounded_as_chosen():
    assert grown(Factors(depth=1.2)).repeats == (4, 5, 8, 4)
    assert grown(Factors(depth=1.2), Rounding.PYCLS).repeats == (4, 5, 7, 4)
    deeper = grown(Factors(depth=23 / 6), Rounding.PYCLS).repeats
    assert deeper[2] == DEPTHS[101][2]


def test_a_coefficient_of_one_doubles_the_multiply_adds_about():
    head = VideoClassifier(classes=10)
    costs = [
        sum(part.macs for part in parts_of(each, head))
        for each in (BASE, grown(EFFICIENTNET.factors(1.0)))
    ]
    assert costs[1] / costs[0] == pytest.approx(2.0, rel=0.15)


def test_a_level_that_loses_its_convolutions_over_frames_loses_its_dilation():
    shallow = replace(BASE, repeats=(2, 2, 2, 2))
    found = grown(Factors(depth=0.5), base=shallow)
    assert found.repeats == (1, 1, 1, 1)
    assert {node.dilation for node in found.graph.nodes} == {1}


@pytest.mark.parametrize(
    ("factors", "said"),
    [
        (Factors(resolution=0.01), "input size must be"),
        (Factors(width=1e-3), "a width of 0: take a larger coefficient"),
    ],
)
def test_what_no_network_can_be_is_refused(factors, said):
    with pytest.raises(InputError, match=said):
        grown(factors)
