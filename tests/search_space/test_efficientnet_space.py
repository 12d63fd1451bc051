import pytest

from search_space import catalog
from search_space.architecture import Classifier
from search_space.chain import Activation
from search_space.efficientnet_space import EfficientNetSpace
from search_space.layers import macs
from search_space.mnasnet import MnasNetSpace
from search_space.strides import Strides
from search_space.testing import DecisionSpaceContract, FactorizedSpaceContract
from workspace.errors import InputError


class TestTheSpace(FactorizedSpaceContract):
    @pytest.fixture
    def space(self):
        return EfficientNetSpace(size=64)


class TestASpaceForSmallImages(FactorizedSpaceContract):
    @pytest.fixture
    def space(self):
        return EfficientNetSpace(
            strides=Strides.SMALL, size=28, channels=1, width=0.25, head_filters=64
        )


class TestItsPoints(DecisionSpaceContract):
    @pytest.fixture
    def points(self):
        return EfficientNetSpace().points


def test_it_is_as_large_as_mnasnets():
    assert EfficientNetSpace().count == MnasNetSpace().count == 432**7


def test_b0_is_a_member():
    space, published = EfficientNetSpace(), catalog.create("efficientnet-b0")
    point = space.encode(published)
    assert space.decode(point).key == published.key
    described = space.points.describe(point)
    assert [described[f"block{i}.op"] for i in range(1, 8)] == ["dwsep"] + ["mbconv6"] * 6
    assert {described[f"block{i}.se"] for i in range(1, 8)} == {"0.25"}
    assert macs(space.decode(point), Classifier(classes=1000)) == 385_814_752


def test_no_network_with_another_activation_is_a_member():
    with pytest.raises(InputError, match="its activation is relu, not swish"):
        EfficientNetSpace().encode(catalog.create("mnasnet-a1"))


def test_widths_are_those_of_b0_times_three_factors():
    choices = {choice.name: choice.options for choice in EfficientNetSpace().points.choices}
    assert choices["block6.filters"] == ("144", "192", "240")
    assert choices["block6.layers"] == ("4", "5", "3")


def test_settings_come_as_text():
    space = EfficientNetSpace.from_options(
        {
            "size": "28", "channels": "1", "strides": "small", "width": "0.35",
            "stem_filters": "16", "head_filters": "256", "stochastic_depth": "0",
        }
    )  # fmt: skip
    network = space.decode((0,) * len(space.points.choices))
    assert (network.size, network.channels, network.total_stride) == (28, 1, 8)
    assert (network.stem.filters, network.head_filters) == (8, 256)
    assert (network.stochastic_depth, network.activation) == (0, Activation.SWISH)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"size": "31"}, "at least 32 pixels"),
        ({"strides": "tiny"}, "option 'strides' of space 'efficientnet' must be published or"),
        ({"stochastic_depth": "1"}, "must be a number from 0 to below 1, got '1'"),
        ({"stochastic_depth": "much"}, "must be a number from 0 to below 1, got 'much'"),
        ({"width": "0"}, "width multiplier .* got '0'"),
        ({"blocks": "5"}, "space 'efficientnet' has no option 'blocks'; it has size"),
    ],
)
def test_a_wrong_setting_says_what_would_be_right(options, said):
    with pytest.raises(InputError, match=said):
        EfficientNetSpace.from_options(options)
