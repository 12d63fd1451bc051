import math

import pytest

from benchmarks.comparison.scale_decreasing import scale_decreasing
from search_space.permuted_blocks import STEM
from search_space.space import create
from search_space.spinenet_space import SpineNetSpace


def space(name, **options) -> SpineNetSpace:
    made = create(name, options)
    assert isinstance(made, SpineNetSpace)
    return made


@pytest.mark.parametrize("name", ["spinenet", "spinenet_v2", "spinenet_mbconv"])
def test_it_has_the_blocks_of_the_space_by_falling_scale(name):
    own = space(name)
    blocks = scale_decreasing(own).blocks
    inner = [block.level for block in blocks if not block.is_output]
    assert sorted(inner) == sorted(own.bases)
    assert {block.kind for block in blocks} == {own.kinds[0]}
    for block in blocks:
        if not block.is_output:
            before = [blocks[p - STEM].level for p in block.parents if p >= STEM]
            assert all(level <= block.level for level in before)


def test_its_outputs_are_a_pyramid_from_p5_down_and_up():
    blocks = scale_decreasing(space("spinenet")).blocks
    place = {b.level: i + STEM for i, b in enumerate(blocks) if b.is_output}
    parents = {level: blocks[feature - STEM].parents for level, feature in place.items()}
    assert place[5] in parents[4]
    assert place[4] in parents[3]
    assert place[5] in parents[6]
    assert set(parents[7]) == {place[5], place[6]}
    for level in (3, 4):
        (lateral,) = set(parents[level]) - {place[level + 1]}
        assert blocks[lateral - STEM].level == level
        assert not blocks[lateral - STEM].is_output


def test_every_block_leads_to_an_output_and_all_levels_are_there():
    network = scale_decreasing(space("spinenet"))
    assert len(network.live_blocks) == len(network.blocks) == 15
    assert sorted(b.level for b in network.blocks if b.is_output) == [3, 4, 5, 6, 7]


def test_it_costs_about_what_members_without_adjustments_cost():
    """Parameters, which are the blocks' and the resamplings'; of these there are as many."""
    import random

    pytest.importorskip("torch")
    import torch

    from search_space.architecture import Detector

    own = space("spinenet", adjustments="no")

    def params(network):
        with torch.device("meta"):
            return sum(p.numel() for p in network.build(Detector(classes=10)).parameters())

    rng = random.Random(0)
    others = [params(own.decode(own.points.sample(rng))) for _ in range(3)]
    assert params(scale_decreasing(own)) == pytest.approx(math.fsum(others) / 3, rel=0.2)
