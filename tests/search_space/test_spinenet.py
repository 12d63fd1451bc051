import json
import random
from dataclasses import replace

import pytest

from search_space.architecture import Classifier, Detector, Family, VideoClassifier, from_json
from search_space.permuted_blocks import Block, BlockKind, canonical, connected
from search_space.space import create as create_space
from search_space.spinenet import MobileBlocks, PermutedStem, ScalePermutedArchitecture
from search_space.spinenet_networks import SCALES, create
from workspace.errors import InputError

B, R, M = BlockKind.BOTTLENECK, BlockKind.RESIDUAL, BlockKind.MBCONV


def block(level, first, second, *, kind=B, adds=(), output=False):
    return Block(level=level, kind=kind, parents=(first, second), adds=adds, is_output=output)


def tiny(*before, outputs=None, **settings):
    """A network of some blocks and five outputs, each of the stem alone."""
    found = outputs or tuple(block(level, 0, 1, output=True) for level in range(3, 8))
    given = {"size": 128, "filter_scale": 0.25, **settings}
    return ScalePermutedArchitecture(blocks=(*before, *found), **given)


def shuffled(blocks, rng):
    """The same graph, its blocks in another order after what they read, parents swapped."""
    names, found, left = {0: 0, 1: 1}, [], list(enumerate(blocks, start=2))
    while left:
        ready = [each for each in left if all(read in names for read in each[1].reads)]
        chosen = rng.choice(ready)
        left.remove(chosen)
        made = chosen[1].renumbered(names)
        names[chosen[0]] = len(names)
        found.append(replace(made, parents=made.parents[::-1]))
    return tuple(found)


@pytest.mark.parametrize("name", SCALES)
def test_blocks_in_another_order_are_the_same_network(name):
    rng, network = random.Random(0), create(name)
    for _ in range(20):
        other = replace(network, blocks=shuffled(network.blocks, rng))
        assert other == network
        assert other.key == network.key
        assert from_json(json.loads(json.dumps(other.to_json()))) == network


@pytest.mark.parametrize("name", ["spinenet", "spinenet_v2", "spinenet_mbconv"])
def test_random_networks_are_the_same_in_every_order(name):
    space, rng = create_space(name, {}), random.Random(1)
    for _ in range(100):
        network = space.decode(space.points.sample(rng))
        assert isinstance(network, ScalePermutedArchitecture)
        for _ in range(3):
            other = replace(network, blocks=shuffled(network.blocks, rng))
            assert other == network
            assert other.key == network.key


def test_blocks_that_are_alike_are_told_apart_by_what_reads_them():
    # Features 2 and 3 are the same; one is read by a block at level 4, one by one at level 5.
    def network(first, second):
        return tiny(
            block(2, 0, 1),
            block(2, 0, 1),
            block(4, 0, first),
            block(5, 1, second),
            block(6, 4, 5),
            outputs=tuple(block(level, 0, 6, output=True) for level in range(3, 8)),
        )

    assert network(2, 3) == network(3, 2)
    assert network(2, 2) != network(2, 3)


def test_blocks_with_the_same_surroundings_do_not_hide_another_graph():
    # Two pairs of alike blocks: their readers cross in one graph and do not in the other.
    def network(*pairs):
        return tiny(
            *(block(3, 0, 1) for _ in range(4)),
            *(block(4, *pair) for pair in pairs),
            *(block(5, first, second) for first, second in ((6, 7), (8, 9))),
            outputs=tuple(block(level, 10, 11, output=True) for level in range(3, 8)),
        )

    one = network((2, 3), (3, 4), (4, 5), (5, 2))
    same = network((5, 4), (4, 3), (3, 2), (2, 5))
    other = network((2, 3), (4, 5), (3, 4), (5, 2))
    assert one == same
    assert one.key == same.key
    assert one != other
    assert one.key != other.key


def test_keys_tell_all_that_matters_and_nothing_else():
    network = create("spinenet-49")
    changes = (
        {"size": 896},
        {"channels": 1},
        {"repeats": 2},
        {"filter_scale": 0.65},
        {"alpha": 1.0},
        {"endpoint_filters": 128},
        {"head_convs": 3},
        {"head_filters": 128},
        {"stem": PermutedStem(filters=32)},
        {"stem": PermutedStem(kernel=3)},
        {"stem": PermutedStem(reduction=2)},
        {"stochastic_depth": 0.2},
        {"blocks": (*network.blocks[:-1], replace(network.blocks[-1], parents=(0, 1)))},
    )
    keys = {replace(network, **change).key for change in changes}
    assert len(keys | {network.key}) == len(changes) + 1
    mobile = create("spinenet-mobile-49")
    assert replace(mobile, alpha=1.0).key == mobile.key
    blocks = (MobileBlocks(expansion=3), MobileBlocks(kernel=5), MobileBlocks(se_ratio=0.0))
    assert len({replace(mobile, mobile=each).key for each in (*blocks, MobileBlocks())}) == 4


def test_a_block_that_nobody_needs_is_not_in_the_key_and_is_not_built():
    whole, without = tiny(block(2, 0, 1), block(3, 0, 2)), tiny()
    assert whole.key == without.key
    assert whole != without
    assert whole.live_blocks == without.blocks
    assert from_json(whole.to_json()) == whole
    torch = pytest.importorskip("torch")
    ours, theirs = (each.build(Classifier(classes=3)).state_dict() for each in (whole, without))
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_what_nobody_reads_is_added_to_the_output_of_its_shape():
    rows = (
        block(5, 0, 1),
        block(5, 0, 1, kind=R),
        block(4, 0, 1),
        block(5, 0, 2, output=True),
        block(4, 0, 1, output=True),
    )
    adds = [each.adds for each in connected(rows)]
    assert adds == [(), (), (), (), (4,)]  # 2 has a reader, 3 is of another kind
    later = (rows[0], rows[1], replace(rows[3], parents=(0, 1)), replace(rows[2], parents=(0, 2)))
    assert connected(later)[2].adds == (2,)  # whoever reads it later does not matter


def test_the_published_networks_have_one_such_block_each():
    assert [each.adds for each in create("spinenet-49").blocks if each.adds] == [(11,)]
    assert [each.adds for each in create("spinenet-mobile-49").blocks if each.adds] == [(12,)]
    assert [each.adds for each in create("spinenet-r0-sp53").blocks if each.adds] == [(11,)]


def test_spinenet_49_has_49_layers():
    # SpineNet, section 4.3: convolutions of stem and blocks, without resamplings and endpoints.
    per_block = {B: 3, R: 2}
    stem = 2 + 2 * per_block[B]  # the convolution, the maximum, two bottlenecks
    layers = stem + sum(per_block[each.kind] for each in create("spinenet-49").blocks)
    assert layers == 49


@pytest.mark.parametrize(
    ("name", "levels"),
    [
        ("spinenet-49", {2: 1, 3: 2, 4: 4, 5: 4, 6: 2, 7: 2}),
        ("spinenet-r0-sp53", {2: 1, 3: 4, 4: 6, 5: 2, 6: 1, 7: 1}),
    ],
)
def test_blocks_are_at_the_levels_of_table_1(name, levels):
    found = [each.level for each in create(name).blocks]
    assert {level: found.count(level) for level in sorted(set(found))} == levels


def test_a_network_says_its_family_input_and_strides():
    network = create("spinenet-mobile-49xs")
    assert network.family is Family.SCALE_PERMUTED
    assert network.inputs[0].shape == (3, 256, 256)
    assert [network.stride_at(level) for level in range(1, 8)] == [2, 4, 8, 16, 32, 64, 128]
    small = tiny(size=96, stem=PermutedStem(reduction=2))
    assert [small.stride_at(level) for level in range(1, 8)] == [1, 2, 4, 8, 16, 32, 64]
    assert network.at(384).weights_key == network.weights_key


def test_stochastic_depth_grows_with_the_place():
    rates = replace(create("spinenet-49"), stochastic_depth=0.3).drop_rates
    assert rates[0] == pytest.approx(0.02)
    assert rates[-1] == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: tiny(block(4, 0, 3), block(3, 0, 1)),
            r"block 1 \(feature 2\) reads feature 3; those built before it are 0 to 1",
        ),
        (
            lambda: tiny(block(4, 0, 2)),
            r"block 1 \(feature 2\) reads feature 2; those built before it are 0 to 1",
        ),
        (lambda: tiny(block(4, 1, 1)), "reads a feature twice: 1, 1"),
        (
            lambda: tiny(outputs=tuple(block(x, 0, 1, output=True) for x in (3, 4, 5, 7))),
            "one output block at each of the levels 3, 4, 5, 6, 7, got outputs at 3, 4, 5, 7: "
            "wrong at 6",
        ),
        (
            lambda: tiny(outputs=tuple(block(x, 0, 1, output=True) for x in (3, 4, 5, 6, 7, 7))),
            "got outputs at 3, 4, 5, 6, 7, 7: wrong at 7",
        ),
        (lambda: tiny(outputs=(block(3, 0, 1),)), "got outputs at none"),
        (lambda: tiny(block(2, 0, 1, output=True)), "wrong at 2"),
        (lambda: tiny(block(8, 0, 1)), "block 1 .* has level 8; levels are from 1 to 7"),
        (lambda: tiny(size=127), "at least 128 pixels, which are one at level 7, .* got 127"),
        (lambda: create("spinenet-mobile-49").at(100), "at least 128 pixels, .* got 100"),
        (
            lambda: tiny(size=63, stem=PermutedStem(reduction=2)),
            "at least 64 pixels, which are one at level 7, the deepest of this network; got 63",
        ),
        (lambda: tiny(block(3, 0, 1, kind=M)), "'mbconv' in a network without settings of mobile"),
        (lambda: tiny(mobile=MobileBlocks()), "'bottleneck' in a network with settings of mobile"),
        (
            lambda: tiny(block(3, 0, 1), block(4, 0, 1, adds=(2,))),
            "adds feature 2 as it is, which has another level or kind",
        ),
        (lambda: tiny(filter_scale=0), "filter scale must be in .1/32, 16., got 0"),
        (lambda: tiny(alpha=-1.0), "alpha must be in .1/32, 16., got -1.0"),
        (lambda: tiny(stochastic_depth=1), "stochastic depth must be in .0, 1., got 1"),
        (lambda: tiny(head_convs=-1), "head convolutions must be .* got -1"),
        (lambda: tiny(repeats=0), "repeats of a network's blocks must be .* at least 1, got 0"),
        (lambda: PermutedStem(reduction=3), "reduction of a stem must be 2 or 4, got 3"),
        (lambda: PermutedStem(kernel=4), "kernel of a stem must be an odd number .* got 4"),
        (lambda: MobileBlocks(kernel=2), "kernel of mobile blocks must be an odd .* got 2"),
        (lambda: MobileBlocks(se_ratio=2), "ratio of mobile blocks is in .0, 1., got 2"),
        (
            lambda: tiny().build(VideoClassifier(classes=3)),
            "a scale-permuted network has a classifier or a detector, got VideoClassifier",
        ),
        (lambda: Detector(classes=0), "a detector needs at least 1 class, got 0"),
    ],
)
def test_bad_input_is_told_in_one_sentence(make, said):
    with pytest.raises(InputError, match=said) as caught:
        make()
    assert "\n" not in str(caught.value)


def without(document, name):
    return {key: value for key, value in document.items() if key != name}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: without(d, "alpha"), "lacks the field 'alpha'"),
        (lambda d: d | {"depth": 1}, "unknown fields: depth"),
        (lambda d: d | {"version": 3}, "'version' of a scale-permuted network must be"),
        (lambda d: d | {"version": 2}, "lacks the field 'gated'"),
        (lambda d: d | {"gated": True}, "unknown fields: gated"),
        (lambda d: d | {"mobile": 3}, "'mobile' of a scale-permuted network must be a JSON"),
        (
            lambda d: d | {"blocks": [d["blocks"][0] | {"parents": [0]}]},
            "'parents' of a block must be two features, got .0.",
        ),
        (
            lambda d: d | {"blocks": [d["blocks"][0] | {"parents": [0, "1"]}]},
            "a block reads features by their numbers, got '1'",
        ),
        (
            lambda d: d | {"blocks": [d["blocks"][0] | {"is_output": 1}]},
            "'is_output' of a block must be true or false, got 1",
        ),
        (
            lambda d: d | {"blocks": [d["blocks"][0] | {"kind": "dense"}]},
            "'kind' of a block must be one of bottleneck, residual, mbconv, got 'dense'",
        ),
    ],
)
def test_documents_with_mistakes_say_which(change, said):
    with pytest.raises(InputError, match=said):
        from_json(change(create("spinenet-49").to_json()))


def test_canonical_order_is_a_fixed_point():
    for name in SCALES:
        blocks = create(name).blocks
        assert canonical(blocks) == blocks
