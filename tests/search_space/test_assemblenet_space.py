import random
from dataclasses import replace

import pytest

from search_space.architecture import VideoClassifier
from search_space.assemblenet import MultiStreamArchitecture
from search_space.assemblenet_networks import create as create_network
from search_space.assemblenet_space import AssembleNetSpace
from search_space.guidance import Threshold
from search_space.space import create as create_space
from search_space.stream_points import SHARES
from search_space.testing import GuidedPointSpaceContract, SearchSpaceContract
from workspace.errors import InputError

SMALL = {
    "size": "32",
    "frames": "8",
    "channels": "1",
    "strides": "small",
    "width": "0.125",
    "repeats": "1,2,1,2",
    "flow_iterations": "2",
}


def create(name, options) -> AssembleNetSpace:
    space = create_space(name, options)
    assert isinstance(space, AssembleNetSpace)
    return space


class SmallSpace(SearchSpaceContract, GuidedPointSpaceContract):
    @pytest.fixture
    def head(self):
        return VideoClassifier(classes=7)


class TestTheSpace(SmallSpace):
    @pytest.fixture
    def space(self):
        return create("assemblenet", {**SMALL, "nodes": "3"})


class TestTheMobileSpace(SmallSpace):
    @pytest.fixture
    def space(self):
        return create("assemblenet_mobile", {**SMALL, "nodes": "2", "flow": "given"})


class TestTheSpaceWithAttentionAndObjectMaps(SmallSpace):
    @pytest.fixture
    def space(self):
        options = {"stems": "rgb, object", "nodes": "2", "attention": "peer"}
        return create("assemblenet", {**SMALL, **options})


def test_members_have_the_frame_of_assemblenet_50():
    space = create("assemblenet", {})
    network = create_network("assemblenet-50")
    for seed in range(20):
        member = space.decode(space.points.sample(random.Random(seed)))
        assert replace(member, graph=network.graph) == network
        for level in range(4):
            assert member.graph.filters_of(level) == network.graph.filters_of(level)


def test_the_width_multiplies_all_filters():
    space = create("assemblenet", {"width": "0.25"})
    assert space.filters == (32, 64, 128, 128)
    assert space.frame.inner == (16, 32, 64, 128)
    assert space.frame.stem.filters == 8
    assert all(
        each % SHARES == 0 for each in create("assemblenet_mobile", {"width": "0.3"}).filters
    )


def test_small_strides_leave_out_the_stems_maximum():
    assert create("assemblenet", {"strides": "small"}).frame.stem.reduction == 2
    assert create("assemblenet_mobile", {"strides": "small"}).frame.stem.reduction == 1


def test_dilations_are_those_that_the_frames_have_room_for():
    assert create("assemblenet", {"frames": "8"}).dilations == (1, 2, 4)
    assert create("assemblenet", {"frames": "32"}).dilations == (1, 2, 4, 8)
    assert create("assemblenet", {"dilations": "3, 1"}).dilations == (1, 3)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"frames": "8", "dilations": "1,8"}, "dilation of 8 needs clips of at least 9 frames"),
        ({"stems": "rgb,sound"}, "stems of a space are rgb, flow, object, got 'sound'"),
        ({"stems": "rgb,,flow"}, "'stems' .* must be a list with commas"),
        ({"repeats": "1,2,3"}, "repeats of a network of streams are 4"),
        ({"repeats": "1,2,x,3"}, "'repeats' .* must be whole numbers from 1 to 99 with commas"),
        ({"nodes": "9"}, "'nodes' .* from 1 to 8"),
        ({"depth": "50"}, "no option 'depth'"),
        ({"attention": "all"}, "none or peer or self"),
    ],
)
def test_options_that_cannot_be_are_refused_by_name(options, text):
    with pytest.raises(InputError, match=text):
        create("assemblenet", options)


def test_strangers_are_refused_with_what_has_no_place():
    space = create("assemblenet", {})
    network = create_network("assemblenet-50")
    for stranger, text in (
        (network, "its gates are fixed, not learned"),
        (create_network("assemblenet-26"), "its repeats is"),
        (create_network("assemblenet-101"), "its repeats is"),
    ):
        with pytest.raises(InputError, match=text):
            space.encode(stranger)
    few = create("assemblenet", {"nodes": "2"})
    member = space.decode(space.points.sample(random.Random(1)))
    with pytest.raises(InputError, match=r"not in the space 'assemblenet': .* nodes in this"):
        few.encode(member)


def test_a_guided_child_of_a_network_takes_what_its_training_told():
    space = create("assemblenet", SMALL)
    rng = random.Random(3)
    point = space.points.sample(rng)
    network = space.decode(point)
    assert isinstance(network, MultiStreamArchitecture)
    told = {name: (0.9,) * n for name, n in space.points.told_weights(point).items()}
    name, edges = max(network.graph.gates.items(), key=lambda pair: len(pair[1]))
    told[name] = (0.1, *told[name][1:])
    child = space.points.reconnect(point, told, Threshold(value=0.5), rng)
    assert edges[0] not in space.points.graph_of(child).edges or child != point
    assert space.decode(child).key != network.key


def test_all_points_of_one_key_are_told_weights_by_the_same_names():
    pytest.importorskip("torch")
    space, rng = create("assemblenet", {**SMALL, "nodes": "3"}), random.Random(4)
    for _ in range(3):
        point = space.points.sample(rng)
        network = space.decode(point).build(VideoClassifier(classes=2))
        told: dict[str, int] = {}
        for module in network.modules():
            gates = getattr(module, "gates", None)
            if callable(gates):
                told |= {name: len(values) for name, values in gates().items()}
        assert told == space.points.told_weights(point)
