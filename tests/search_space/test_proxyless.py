import dataclasses
import random

import pytest

from search_space import catalog
from search_space.architecture import Classifier
from search_space.chain import Skip
from search_space.layers import layers
from search_space.proxyless import SLOTS, ProxylessSpace, table_key
from search_space.strides import Strides
from search_space.testing import DecisionSpaceContract, FactorizedSpaceContract
from workspace.errors import InputError


class TestTheSpace(FactorizedSpaceContract):
    @pytest.fixture
    def space(self):
        return ProxylessSpace(size=64)


class TestTheSpaceForSmallImages(FactorizedSpaceContract):
    @pytest.fixture
    def space(self):
        return ProxylessSpace(size=32, strides=Strides.SMALL, head_filters=64)


class TestItsPoints(DecisionSpaceContract):
    @pytest.fixture
    def points(self):
        return ProxylessSpace().points


def test_the_size_of_the_space_is_exact():
    assert ProxylessSpace().count == 3 * (6 * 7**3) ** 5 * 6


def test_decisions_have_names_that_people_can_read():
    choices = {choice.name: choice.options for choice in ProxylessSpace().points.choices}
    assert len(choices) == 22
    six = ("mb3k3", "mb3k5", "mb3k7", "mb6k3", "mb6k5", "mb6k7")
    assert choices["stage1.layer1"] == ("mb1k3", "mb1k5", "mb1k7")
    assert choices["stage2.layer1"] == six
    assert choices["stage6.layer4"] == (*six, "skip")
    assert choices["stage7.layer1"] == six


def test_which_of_a_stages_layers_is_left_out_does_not_matter():
    space = ProxylessSpace()
    point = [0] * 22
    first, second = list(point), list(point)
    first[2], second[4] = 6, 6  # stage2.layer2 or stage2.layer4 left out
    one, other = space.decode(tuple(first)), space.decode(tuple(second))
    assert one.key == other.key
    assert space.encode(one) == space.encode(other) == tuple(second)


def test_layers_of_a_stage_may_differ_and_their_order_counts():
    space = ProxylessSpace()
    first, second = [0] * 22, [0] * 22
    first[2], second[3] = 5, 5
    assert space.decode(tuple(first)).key != space.decode(tuple(second)).key


def test_every_stage_keeps_its_first_layer():
    space = ProxylessSpace()
    shortest = tuple(6 if slot.layer else 0 for slot in SLOTS)
    network = space.decode(shortest)
    assert [stage.filters for stage in network.stages] == [16, 24, 40, 80, 96, 192, 320]
    assert [stage.stride for stage in network.stages] == [1, 2, 2, 2, 1, 2, 1]


def test_keys_are_those_of_the_published_table():
    space = ProxylessSpace()
    point = [0] * 22
    point[1], point[2] = 1, 5
    listed = layers(space.decode(tuple(point)), Classifier(classes=1000))
    keys = [table_key(layer) for layer in listed]
    assert keys[:4] == [
        "Conv-input:224x224x3-output:112x112x32",
        "expanded_conv-input:112x112x32-output:112x112x16-expand:1-kernel:3-stride:1-idskip:0",
        "expanded_conv-input:112x112x16-output:56x56x24-expand:3-kernel:5-stride:2-idskip:0",
        "expanded_conv-input:56x56x24-output:56x56x24-expand:6-kernel:7-stride:1-idskip:1",
    ]
    assert keys[-3:] == [
        "expanded_conv-input:7x7x192-output:7x7x320-expand:3-kernel:3-stride:1-idskip:0",
        "Conv_1-input:7x7x320-output:7x7x1280",
        "Logits-input:7x7x1280-output:1000",
    ]


def test_all_networks_together_have_69_block_keys():
    space = ProxylessSpace()
    rng = random.Random(0)
    found = {
        table_key(layer)
        for _ in range(300)
        for layer in layers(space.decode(space.points.sample(rng)), Classifier(classes=1000))
    }
    assert len(found) == 69 + 3


def test_a_layer_that_no_such_table_has_is_refused():
    squeezed = layers(catalog.create("mnasnet-a1"))[4]
    with pytest.raises(InputError, match="squeezed=6"):
        table_key(squeezed)
    pooled = dataclasses.replace(squeezed, squeezed=0, skip=Skip.POOL)
    with pytest.raises(InputError, match="POOL"):
        table_key(pooled)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kernel": 9}, "layer 2 .mb3k9s2f24"),
        ({"expansion": 4}, "layer 2 .mb4k3s2f24"),
        ({"se_ratio": 0.25}, "layer 2 .mb3k3s2f24se0.25"),
        ({"stride": 1}, "layer 2 .mb3k3s1f24"),
        ({"filters": 40}, "layer 2 .mb3k3s2f40"),
        ({"repeats": 2}, "layer 6 .mb3k3s1f24"),
    ],
)
def test_strangers_are_refused_with_what_differs(change, said):
    space = ProxylessSpace()
    member = space.decode((0,) * 22)
    first, second, *rest = member.stages
    stranger = dataclasses.replace(
        member, stages=(first, dataclasses.replace(second, **change), *rest)
    )
    with pytest.raises(InputError, match=f"its {said}.* has no place"):
        space.encode(stranger)


def test_a_network_that_ends_early_is_no_member():
    space = ProxylessSpace()
    member = space.decode((0,) * 22)
    with pytest.raises(InputError, match="layers are missing"):
        space.encode(dataclasses.replace(member, stages=member.stages[:-1]))


def test_settings_come_as_text():
    space = ProxylessSpace.from_options(
        {"size": "64", "channels": "1", "strides": "small", "stem_filters": "8",
         "head_filters": "64"}
    )  # fmt: skip
    network = space.decode((0,) * 22)
    assert (network.size, network.channels, network.head_filters) == (64, 1, 64)
    assert (network.stem.filters, network.total_stride) == (8, 8)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"width": "0.5"}, "'width'; it has size, channels"),
        ({"size": "28"}, "at least 32 pixels.* got 28"),
        ({"strides": "tiny"}, "must be published or small, got 'tiny'"),
    ],
)
def test_wrong_settings_are_quoted(options, said):
    with pytest.raises(InputError, match=said):
        ProxylessSpace.from_options(options)
