import random

import pytest

from search_space.architecture import Classifier, VideoClassifier
from search_space.assemblenet_space import AssembleNetSpace
from search_space.space import create
from search_space.stream_parts import parts_of
from search_space.stream_reach import possible_parts
from workspace.errors import InputError

HEAD = VideoClassifier(classes=5)
SMALL = {"size": "32", "frames": "4", "repeats": "1,1,2,2", "dilations": "1,2"}


def space_of(name, **options) -> AssembleNetSpace:
    space = create(name, {**SMALL, **options})
    assert isinstance(space, AssembleNetSpace)
    return space


def drawn(space, count):
    """Keys of the parts of random members."""
    rng = random.Random(0)
    members = (space.decode(space.points.sample(rng)) for _ in range(count))
    return {part.key for member in members for part in parts_of(member, HEAD)}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("assemblenet", {}),
        ("assemblenet", {"stems": "rgb,flow,object", "attention": "peer", "nodes": "3"}),
        ("assemblenet", {"stems": "object", "attention": "self", "flow": "given"}),
        ("assemblenet_mobile", {"nodes": "2", "stems": "rgb,object,object"}),
        ("assemblenet_mobile", {"attention": "peer", "stems": "rgb,flow", "pooling": "softmax"}),
        ("assemblenet_mobile", {"stems": "flow", "strides": "small"}),
    ],
)
def test_every_part_of_random_members_is_among_those_that_are_possible(name, options):
    space = space_of(name, **options)
    possible = {part.key for part in possible_parts(space, HEAD)}
    assert drawn(space, 100) <= possible


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("assemblenet", {"stems": "rgb", "nodes": "1"}),
        ("assemblenet", {"stems": "rgb,flow", "nodes": "1"}),
        ("assemblenet_mobile", {"stems": "rgb,object", "nodes": "1", "pooling": "softmax"}),
    ],
)
def test_of_few_networks_next_to_every_possible_part_comes_in_one(name, options):
    """2,000 draws of some ten thousand graphs with some 60 parts."""
    space = space_of(name, **options)
    possible = {part.key for part in possible_parts(space, HEAD)}
    found = drawn(space, 2000)
    assert found <= possible
    assert len(possible - found) <= 1


def test_two_nodes_of_one_level_share_its_filters():
    """Of a level of 8 shares no sum of widths 7 and 7 can be, nor of 5 and 4."""
    space = space_of("assemblenet_mobile", stems="rgb", nodes="2")
    keys = [part.key for part in possible_parts(space, HEAD)]
    added = {int(key.rsplit("x", 1)[1]) for key in keys if key.startswith("add-")}
    levels = [space.filters[level] // 8 for level in range(3)]
    assert {4 * unit for unit in levels} <= added
    assert not {5 * unit for unit in levels} & added - {4 * unit for unit in levels}


def test_a_space_of_millions_of_graphs_has_some_thousands_of_parts():
    space = create("assemblenet_mobile", {})
    assert isinstance(space, AssembleNetSpace)
    assert len(possible_parts(space, HEAD)) == 1894
    assert space.count > 1e20


def test_a_head_that_its_networks_have_not_is_refused():
    with pytest.raises(InputError, match="only a classifier of videos"):
        possible_parts(space_of("assemblenet"), Classifier(classes=2))
