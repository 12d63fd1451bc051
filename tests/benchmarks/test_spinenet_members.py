import random
from dataclasses import replace

import pytest

from search_space import catalog
from search_space.permuted_blocks import STEM
from search_space.spinenet import ScalePermutedArchitecture

NAMES = ("spinenet-49", "spinenet-r0-sp53", "spinenet-mobile-49")


def resolve(name) -> ScalePermutedArchitecture:
    network = catalog.resolve(name)
    assert isinstance(network, ScalePermutedArchitecture)
    return network


@pytest.mark.parametrize("name", NAMES)
def test_a_graph_in_another_order_is_the_same(script, name):
    network, rng = resolve(name), random.Random(0)
    for _ in range(10):
        other = script.reordered(network, rng)
        assert script.same_graph(network.blocks, other.blocks)
        assert script.parts_of(network) == script.parts_of(other)
        assert other.key == network.key


@pytest.mark.parametrize("name", NAMES)
def test_a_graph_with_one_other_parent_or_level_is_another(script, name):
    blocks = resolve(name).blocks
    told = 0
    for place, block in enumerate(blocks):
        first, second = block.parents
        others = [each for each in range(place + STEM) if each not in (first, second)]
        for changed in (
            *(replace(block, parents=(each, second)) for each in others[-2:]),
            *([] if block.is_output else [replace(block, level=block.level - 1)]),
        ):
            made = (*blocks[:place], changed, *blocks[place + 1 :])
            assert not script.same_graph(blocks, made)
            told += 1
    assert told > 20


def test_blocks_that_are_alike_are_not_one_block(script):
    """What outputs are made of is equal, and there is one block more."""
    blocks = list(resolve("spinenet-49").blocks)
    place = next(i for i, block in enumerate(blocks) if not block.is_output)
    twin = len(blocks) + STEM
    readers = [i for i, block in enumerate(blocks) if place + STEM in block.parents]
    assert len(readers) > 1
    first, second = blocks[readers[-1]].parents
    kept = second if first == place + STEM else first
    moved = replace(blocks[readers[-1]], parents=(twin, kept))
    made = [*blocks[: readers[-1]], moved, *blocks[readers[-1] + 1 :], blocks[place]]
    assert not script.same_graph(blocks, made)


def test_members_are_counted_by_what_they_survive(script):
    pytest.importorskip("torch")
    found = script.checked("spinenet_v2", 3)
    assert {found[name] for name in ("members", "five_outputs", "json", "coded", "keys")} == {3}
    assert found["wrong"] == 0
    assert found["same_key"] >= 6
    assert found["told_apart"] >= 3


def test_a_space_of_few_points_is_taken_whole(script):
    space = script.create("spinenet_scaling", {})
    assert len({network.key for network in script.members(space, 500)}) == space.count == 432
