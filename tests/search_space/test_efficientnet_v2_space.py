import pytest

from search_space import catalog
from search_space.chain import Activation, ChainArchitecture, Op
from search_space.efficientnet_v2_space import EfficientNetV2Space
from search_space.strides import Strides
from search_space.testing import DecisionSpaceContract, FactorizedSpaceContract
from workspace.errors import InputError


class TestTheSpace(FactorizedSpaceContract):
    @pytest.fixture
    def space(self):
        return EfficientNetV2Space(size=64)


class TestASpaceForSmallImages(FactorizedSpaceContract):
    @pytest.fixture
    def space(self):
        return EfficientNetV2Space(
            strides=Strides.SMALL, size=28, channels=1, width=0.25, head_filters=64
        )


class TestItsPoints(DecisionSpaceContract):
    @pytest.fixture
    def points(self):
        return EfficientNetV2Space().points


def test_its_size_is_exact():
    # Operator, expansion, kernel, squeeze-excitation, width, activation; layers.
    block = 2 * 4 * 2 * 2 * 3 * 2
    assert EfficientNetV2Space().count == (block * 2) * (block * 3) ** 5 == 384 * 576**5


def test_decisions_have_names_that_people_can_read():
    choices = {choice.name: choice.options for choice in EfficientNetV2Space().points.choices}
    names = ("op", "expansion", "kernel", "se", "filters", "layers", "activation")
    assert list(choices) == [f"block{i}.{name}" for i in range(1, 7) for name in names]
    assert choices["block3.op"] == ("mbconv", "fused")
    assert choices["block3.expansion"] == ("1", "2", "4", "6")
    assert choices["block3.kernel"] == ("3", "5")
    assert choices["block3.se"] == ("0", "0.25")
    assert choices["block3.filters"] == ("36", "48", "60")
    assert choices["block3.layers"] == ("2", "1", "3")
    assert choices["block1.layers"] == ("1", "2")
    assert choices["block3.activation"] == ("swish", "relu")


def test_b0_is_a_member():
    space, published = EfficientNetV2Space(), catalog.create("efficientnetv2-b0")
    point = space.encode(published)
    assert space.decode(point).key == published.key
    described = space.points.describe(point)
    assert [described[f"block{i}.op"] for i in range(2, 7)] == ["fused"] * 2 + ["mbconv"] * 3


def chosen(**options: str) -> ChainArchitecture:
    """The network of the options named, ``block3_kernel="5"``, and the first of all others."""
    space, left = EfficientNetV2Space(), dict(options)
    point = []
    for choice in space.points.choices:
        wanted = left.pop(choice.name.replace(".", "_"), choice.options[0])
        point.append(choice.options.index(wanted))
    assert not left
    return space.decode(tuple(point))


def test_each_block_has_its_own_activation():
    network = chosen(block2_activation="relu", block2_op="fused", block2_expansion="4")
    assert network.activation is Activation.SWISH
    assert [stage.activation for stage in network.stages] == [None, "relu", *[None] * 4]
    assert network.stages[1].op is Op.FUSED
    assert EfficientNetV2Space().encode(network)[13] == 1


def test_an_activation_apart_keeps_equal_layers_apart():
    same = {"block4_filters": "120", "block5_filters": "112"}
    assert chosen(**same).key != chosen(**same, block5_activation="relu").key


def test_widths_have_no_10_percent_rule():
    wide = EfficientNetV2Space(width=1.2)
    choices = {choice.name: choice.options for choice in wide.points.choices}
    assert choices["block1.filters"] == ("16", "16", "24")


def test_settings_come_as_text():
    space = EfficientNetV2Space.from_options(
        {"size": "28", "strides": "small", "width": "0.35", "stochastic_depth": "0.1"}
    )
    network = space.decode((0,) * len(space.points.choices))
    assert (network.size, network.total_stride, network.stochastic_depth) == (28, 8, 0.1)
    assert [stage.stride for stage in network.stages] == [1, 2, 1, 1, 1, 2]


def test_a_network_of_a_larger_sibling_has_no_place():
    with pytest.raises(InputError, match="not in the space 'efficientnetv2'"):
        EfficientNetV2Space(size=384, stem_filters=24).encode(catalog.create("efficientnetv2-s"))
    with pytest.raises(InputError, match="no option 'definition'"):
        EfficientNetV2Space.from_options({"definition": "paper"})
