import json
import math
import random
import time
from dataclasses import replace

import pytest

from search_space import catalog
from search_space.architecture import Detector, from_json
from search_space.permuted_blocks import STEM, BlockKind
from search_space.phases import Part
from search_space.space import create as create_space
from search_space.spinenet import ScalePermutedArchitecture
from search_space.spinenet_space import SpineNetSpace
from search_space.testing import DecisionSpaceContract, PhasedSpaceContract
from workspace.errors import InputError

MEMBERS = 200
"""Random members of each space that are built and coded; ``benchmarks/spinenet_members.py`` takes
2,000 of each."""

SMALL = {
    "size": "64",
    "channels": "1",
    "strides": "small",
    "filter_scale": "0.125",
    "endpoint_filters": "8",
    "head_convs": "1",
    "head_filters": "8",
    "stem_filters": "8",
}


def create(name, options) -> SpineNetSpace:
    space = create_space(name, options)
    assert isinstance(space, SpineNetSpace)
    return space


BLOCK_SPACES = ("spinenet", "spinenet_v2", "spinenet_mbconv")


class SmallSpace(PhasedSpaceContract):
    @pytest.fixture
    def head(self):
        return Detector(classes=3)


class TestThePapersSpace(SmallSpace):
    @pytest.fixture
    def space(self):
        return create("spinenet", SMALL)


class TestThePublicSpace(SmallSpace):
    @pytest.fixture
    def space(self):
        return create("spinenet", {**SMALL, "definition": "public"})


class TestTheSecondVersion(SmallSpace):
    @pytest.fixture
    def space(self):
        return create("spinenet_v2", SMALL)


class TestTheMobileSpace(SmallSpace):
    @pytest.fixture
    def space(self):
        return create("spinenet_mbconv", SMALL)


class TestItsPoints(DecisionSpaceContract):
    @pytest.fixture
    def points(self):
        return create("spinenet", {}).points


def connections(blocks, window):
    """Pairs of parents of a number of blocks, from 2 features on."""
    return math.prod(math.comb(min(STEM + place, window), 2) for place in range(blocks))


ORDERS = {inner: math.factorial(inner) * math.factorial(5) for inner in (10, 11)}
OUTPUTS = {inner: connections(inner + 5, 99) // connections(inner, 99) for inner in (10, 11)}


def test_the_papers_numbers_are_exact():
    # SpineNet, section 3.1 and 3.2, for 15 blocks: 10 intermediate ones and 5 outputs.
    assert ORDERS[10] == 435_456_000
    assert connections(15, 99) == 834_966_920_275_488_000_000
    adjustments = 1_048_576 * 32_768
    whole = create("spinenet", {"window": "17"}).count
    assert whole == 435_456_000 * 834_966_920_275_488_000_000 * adjustments
    assert whole == pytest.approx(1.25e40, rel=5e-3)
    unadjusted = create("spinenet", {"window": "17", "adjustments": "no"}).count
    assert unadjusted == 435_456_000 * 834_966_920_275_488_000_000
    assert unadjusted == pytest.approx(3.64e29, rel=5e-3)


@pytest.mark.parametrize(
    ("name", "options", "inner", "window", "adjustments"),
    [
        ("spinenet", {}, 10, 5, 4**10 * 2**15),
        ("spinenet", {"adjustments": "no"}, 10, 5, 1),
        ("spinenet", {"definition": "public"}, 11, 4, 4**11 * 2**16),
        ("spinenet_v2", {}, 10, 4, 3**10),
        ("spinenet_mbconv", {}, 11, 4, 4**11),
    ],
)
def test_parents_come_from_a_window_and_sizes_are_exact(name, options, inner, window, adjustments):
    expected = ORDERS[inner] * connections(inner, window) * OUTPUTS[inner] * adjustments
    assert create(name, options).count == expected


@pytest.mark.parametrize(
    ("space", "name"),
    [
        ("spinenet", "spinenet-49"),
        ("spinenet", "spinenet-r0-sp53"),
        ("spinenet_mbconv", "spinenet-mobile-49"),
    ],
)
def test_published_networks_are_members(space, name):
    space, published = create(space, {}), catalog.resolve(name)
    assert space.decode(space.encode(published)) == published


def test_decisions_have_names_that_people_can_read():
    choices = {choice.name: choice.options for choice in create("spinenet", {}).points.choices}
    assert len(choices[f"block{1}.base"]) == 10
    assert "block10.base" not in choices  # the last takes what is left
    assert choices["block2.parents"] == ("0,1", "0,2", "1,2")
    assert choices["block5.parents"][0] == "1,2"
    assert len(choices["output5.parents"]) == math.comb(16, 2)
    assert choices["block1.offset"] == ("-1", "0", "1", "2")
    assert choices["output1.kind"] == ("bottleneck", "residual")
    assert "output1.offset" not in choices


def test_what_the_paper_decides_last_is_told_apart():
    space = create("spinenet", {})
    names = [space.points.choices[place].name for place in space.adjustments]
    assert len(names) == 10 + 15
    assert all(name.endswith((".offset", ".kind")) for name in names)
    assert create("spinenet", {"adjustments": "no"}).adjustments == ()


def test_phases_are_those_of_the_paper_and_begin_with_no_adjustment():
    space = create("spinenet", {})
    graph, adjustments = space.phases
    assert (graph.name, adjustments.name) == ("graph", "adjustments")
    assert (len(graph.decisions), adjustments.decisions) == (13 + 15 - 1, space.adjustments)
    whole = create("spinenet", {"adjustments": "no"})
    assert [phase.name for phase in whole.phases] == ["graph"]
    rng, part = random.Random(6), Part.of(space.points, graph, space.plain)
    for _ in range(50):
        point = part.points.sample(rng)
        assert space.decode(part.whole(point)) == whole.decode(point)


@pytest.mark.parametrize("name", BLOCK_SPACES)
def test_members_have_the_blocks_of_their_space(name):
    space, rng = create(name, SMALL), random.Random(0)
    for _ in range(MEMBERS):
        blocks = space.decode(space.points.sample(rng)).blocks
        assert len(blocks) == len(space.bases) + 5
        assert {block.level for block in blocks if block.is_output} == {3, 4, 5, 6, 7}
        assert {block.kind for block in blocks} <= set(space.kinds)
        assert all(1 <= block.level <= 7 for block in blocks)


@pytest.mark.parametrize("name", BLOCK_SPACES)
def test_members_survive_json_and_the_encoding_both_ways(name):
    space, rng = create(name, {}), random.Random(1)
    for _ in range(MEMBERS):
        network = space.decode(space.points.sample(rng))
        point = space.encode(network)
        assert space.decode(point) == network
        assert space.encode(space.decode(point)) == point
        assert from_json(json.loads(json.dumps(network.to_json()))) == network


@pytest.mark.parametrize("name", BLOCK_SPACES)
def test_keys_are_equal_where_graphs_are(name):
    """Graphs told apart by something other than the code of keys: what each output is made of."""

    def made_of(blocks, feature):
        if feature < STEM:
            return (feature,)
        block = blocks[feature - STEM]
        parts = sorted(repr(made_of(blocks, each)) for each in block.parents)
        adds = sorted(repr(made_of(blocks, each)) for each in block.adds)
        return (block.level, block.kind.value, block.is_output, tuple(parts), tuple(adds))

    space, rng = create(name, SMALL), random.Random(2)
    seen: dict[str, tuple[str, ...]] = {}
    for _ in range(40):
        point = space.points.sample(rng)
        for each in (point, *(space.points.mutate(point, rng) for _ in range(10))):
            network = space.decode(each)
            blocks = network.blocks
            unrolled = tuple(
                sorted(
                    repr(made_of(blocks, i + STEM)) for i, b in enumerate(blocks) if b.is_output
                )
            )
            assert seen.setdefault(network.key, unrolled) == unrolled
    assert len(set(seen.values())) > 100


@pytest.mark.slow
@pytest.mark.parametrize("name", BLOCK_SPACES)
def test_members_run_and_have_all_five_outputs(name):
    torch = pytest.importorskip("torch")
    from search_space.spinenet_network import PermutedBackbone

    options = {"size": "128", "filter_scale": "0.25", "endpoint_filters": "16"}
    space, rng = create(name, options), random.Random(3)
    for _ in range(MEMBERS):
        network = space.decode(space.points.sample(rng))
        with torch.no_grad():
            levels = PermutedBackbone(network).eval()(torch.zeros(1, 3, 128, 128))
        assert [tuple(each.shape) for each in levels] == [
            (1, 16, side, side) for side in (16, 8, 4, 2, 1)
        ]


@pytest.mark.parametrize("name", BLOCK_SPACES)
def test_members_of_full_size_have_shapes(name):
    torch = pytest.importorskip("torch")
    space, rng = create(name, {}), random.Random(4)
    for _ in range(3):
        network = space.decode(space.points.sample(rng))
        with torch.device("meta"):
            module = network.build(Detector(classes=91))
            outputs = module(torch.zeros(1, *network.inputs[0].shape))
        sides = [network.size // 2**level for level in range(3, 8)]
        assert [each.shape[2] for each in outputs] == sides * 2


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("spinenet", {"size": "100"}, "at least 128 pixels, which are one at level 7"),
        ("spinenet", {"size": "63", "strides": "small"}, "at least 64 pixels"),
        ("spinenet", {"definition": "later"}, "must be paper or public, got 'later'"),
        ("spinenet", {"window": "1"}, "'window' .* a whole number from 2 to 99, got '1'"),
        ("spinenet", {"adjustments": "maybe"}, "must be yes or no, got 'maybe'"),
        ("spinenet", {"filter_scale": "wide"}, "a number from 0.03125 to 16, got 'wide'"),
        ("spinenet_v2", {"alpha": "99"}, "a number from 0.03125 to 16, got '99'"),
        ("spinenet_mbconv", {"head_convs": "-1"}, "a whole number from 0 to 16, got '-1'"),
        (
            "spinenet_scaling",
            {"base": "mnasnet-a1"},
            "unknown scale-permuted network 'mnasnet-a1'",
        ),
    ],
)
def test_options_out_of_range_are_named(name, options, said):
    with pytest.raises(InputError, match=said):
        create_space(name, options)


@pytest.mark.parametrize(
    ("space", "options", "member", "said"),
    [
        ("spinenet", {"definition": "public"}, "spinenet-49", "it has 10 blocks that .* not 11"),
        ("spinenet", {}, "spinenet-96", "its size is 1024, not 640"),
        ("spinenet", {"size": "1024"}, "spinenet-96", "its repeats is 2, not 1"),
        ("spinenet", {}, "mnasnet-a1", "its family is chain, not scale_permuted"),
        ("spinenet_v2", {}, "spinenet-49", "it has residual blocks, not only bottleneck"),
        ("spinenet_v2", {}, "spinenet-r0-sp53", "no order .* among the 4 features before it"),
        ("spinenet_scaling", {}, "spinenet-49", "its alpha is 0.5, not 0.75, 1.0, 1.25"),
    ],
)
def test_what_is_no_member_is_told_why(space, options, member, said):
    with pytest.raises(InputError, match=f"not in the space '{space}': .*{said}"):
        create_space(space, options).encode(catalog.resolve(member))


def test_a_network_whose_outputs_add_otherwise_is_no_member():
    space, network = create("spinenet", {}), catalog.resolve("spinenet-49")
    assert isinstance(network, ScalePermutedArchitecture)
    blocks = tuple(replace(block, adds=()) for block in network.blocks)
    with pytest.raises(InputError, match="its outputs add other features"):
        space.encode(replace(network, blocks=blocks))


def test_points_are_coded_in_milliseconds():
    """The longest search for an order may take longer; a search of 2,000 trials spends seconds."""
    space, rng = create("spinenet_mbconv", {}), random.Random(5)
    start = time.process_time()
    for _ in range(50):
        space.encode(space.decode(space.points.sample(rng)))
    assert (time.process_time() - start) / 50 < 0.1


def test_every_kind_is_one_of_the_two_of_the_paper():
    assert create("spinenet", {}).kinds == (BlockKind.BOTTLENECK, BlockKind.RESIDUAL)
