import pytest

from search_space.architecture import Detector
from search_space.space import create
from search_space.spinenet_scaling import SpineNetScalingSpace
from search_space.testing import DecisionSpaceContract, SearchSpaceContract
from workspace.errors import InputError

SMALL = {"size": "80", "width": "0.05", "channels": "1", "strides": "small", "stem_filters": "4"}


class TestTheSpace(SearchSpaceContract):
    @pytest.fixture
    def space(self):
        return create("spinenet_scaling", SMALL)

    @pytest.fixture
    def head(self):
        return Detector(classes=3)


class TestItsPoints(DecisionSpaceContract):
    @pytest.fixture
    def points(self):
        return create("spinenet_scaling", {}).points


def test_the_choices_are_vertex_ais():
    space = SpineNetScalingSpace.from_options({})
    assert space.count == 2 * 2 * 3 * 3 * 3 * 2 * 2
    choices = {choice.name: choice.options for choice in space.points.choices}
    assert choices == {
        "size": ("512", "640"),
        "endpoint_filters": ("192", "256"),
        "filter_scale": ("0.8", "1.0", "1.2"),
        "alpha": ("0.75", "1.0", "1.25"),
        "repeats": ("2", "3", "4"),
        "head_convs": ("4", "5"),
        "head_filters": ("192", "256"),
    }


@pytest.mark.parametrize(("strides", "least"), [("published", 160), ("small", 80)])
def test_a_size_is_refused_unless_four_fifths_of_it_suffice(strides, least):
    made = SpineNetScalingSpace.from_options({"size": str(least), "strides": strides})
    sizes, *_ = made.points.choices
    assert sizes.options == (str(least * 4 // 5), str(least))
    for size in (least - 1, least * 4 // 5, 1):
        said = rf"at least {least} pixels, since four fifths .* need {least * 4 // 5}; got {size}"
        with pytest.raises(InputError, match=said):
            SpineNetScalingSpace.from_options({"size": str(size), "strides": strides})


def test_all_members_have_the_blocks_of_the_base():
    space = SpineNetScalingSpace.from_options({"base": "spinenet-r0-sp53"})
    blocks = {space.decode(point).blocks for point in ((0,) * 7, (1, 1, 2, 2, 2, 1, 1))}
    assert blocks == {space.frame.blocks}
