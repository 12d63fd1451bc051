import itertools
import random
from collections import Counter

import pytest

from search_space.decisions import same_network
from search_space.stream_graph import LEVELS, StemKind
from search_space.stream_points import SHARES, StreamPoints
from search_space.testing import GuidedPointSpaceContract
from workspace.errors import InputError

RGB, FLOW, OBJECT = StemKind.RGB, StemKind.FLOW, StemKind.OBJECT
ALL = (True,) * LEVELS


class TestFourStreams(GuidedPointSpaceContract):
    @pytest.fixture
    def points(self):
        return StreamPoints(
            stems=(RGB, RGB, FLOW, FLOW), nodes=5, dilations=(1, 2, 4, 8), temporal=ALL
        )


class TestTwoStreamsOfFewNodes(GuidedPointSpaceContract):
    @pytest.fixture
    def points(self):
        return StreamPoints(
            stems=(RGB, FLOW), nodes=2, dilations=(1, 2), temporal=(False, True, False, True)
        )


def small(**settings):
    given = {"stems": (RGB,), "nodes": 2, "dilations": (1, 2), "temporal": ALL, **settings}
    return StreamPoints(**given)


def every_point(points):
    """All points, one after the other: for tiny spaces."""

    def levels(level, lower):
        if level == LEVELS:
            yield ()
            return
        subsets = [tuple(n for n in range(lower) if bits >> n & 1) for bits in range(1, 2**lower)]
        for count in range(1, points.nodes + 1):
            for shares in itertools.product(range(1, SHARES + 1), repeat=count):
                if sum(shares) != SHARES:
                    continue
                rows = itertools.product(points.node_dilations(level), subsets)
                for chosen in itertools.product(list(rows), repeat=count):
                    row = tuple((s, d, i) for s, (d, i) in zip(shares, chosen, strict=True))
                    for rest in levels(level + 1, lower + count):
                        yield (row, *rest)

    for stems in itertools.product(*map(points.stem_dilations, points.stems)):
        for found in levels(0, len(stems)):
            yield (stems, *found)


def test_the_count_is_that_of_all_points():
    points = small(nodes=1, temporal=(True, False, True, True))
    found = set(every_point(points))
    assert len(found) == points.count == 2 * 2**3 * 1 * 3 * 7 * 15
    for point in found:
        points.validate(point)


def test_levels_of_more_nodes_count_all_ways_to_share_their_filters():
    one = small(stems=(FLOW,), nodes=1, dilations=(1,))
    two = small(stems=(FLOW,), nodes=2, dilations=(1,))
    assert one.count == 1 * 3 * 7 * 15
    levels = [
        sum(
            7 ** ((a == 2) + (b == 2) + (c == 2) + (d == 2))
            * (2**1 - 1) ** a
            * (2 ** (1 + a) - 1) ** b
            * (2 ** (1 + a + b) - 1) ** c
            * (2 ** (1 + a + b + c) - 1) ** d
            for a, b, c, d in itertools.product((1, 2), repeat=4)
        )
    ]
    assert two.count == sum(levels)


def test_every_number_of_nodes_is_drawn_equally_often():
    # 2000 draws: within 6 standard deviations, which a fair one leaves once in 5e8
    points, rng = small(nodes=4), random.Random(0)
    drawn = [points.sample(rng) for _ in range(2000)]
    bound = 6 * (2000 * 0.25 * 0.75) ** 0.5
    for level in range(1, 1 + LEVELS):
        found = Counter(len(point[level]) for point in drawn)
        assert all(abs(found[nodes] - 500) <= bound for nodes in range(1, 5))


def test_points_of_as_many_nodes_are_drawn_equally_often():
    # Level 1 reads the stem, the node of level 0, or both: 3 subsets in 3000 draws.
    points, rng = small(nodes=1, dilations=(1,)), random.Random(1)
    found = Counter(points.sample(rng)[2][0][2] for _ in range(3000))
    bound = 6 * (3000 * (1 / 3) * (2 / 3)) ** 0.5
    assert set(found) == {(0,), (1,), (0, 1)}
    assert all(abs(count - 1000) <= bound for count in found.values())


def test_a_mutation_changes_one_thing_of_every_kind():
    points, rng = small(stems=(RGB, FLOW), nodes=3), random.Random(2)
    kinds: Counter[str] = Counter()
    for _ in range(300):
        point = points.sample(rng)
        before, after = points.graph_of(point), points.graph_of(points.mutate(point, rng))
        nodes, edges = after.size - before.size, len(after.edges) - len(before.edges)
        kinds["split" if nodes == 1 else "merge" if nodes == -1 else "none"] += 1
        assert nodes in (-1, 0, 1)
        if nodes == 0:
            assert edges in (-1, 0, 1)
            kinds["connect" if edges else "dilate"] += 1
        for level in range(LEVELS):
            assert after.filters_of(level) == before.filters_of(level) == SHARES
    assert min(kinds[kind] for kind in ("split", "merge", "connect", "dilate")) > 30


@pytest.mark.parametrize("change", ["mutate", "restructure"])
def test_a_child_is_another_network_and_no_change_of_what_is_not_built(change):
    points, rng = small(stems=(RGB, RGB, FLOW), nodes=3, dilations=(1, 2, 4)), random.Random(5)
    unbuilt = 0
    for _ in range(300):
        point = points.sample(rng)
        graph = points.graph_of(point)
        unbuilt += len(graph.live) < graph.size
        child = getattr(points, change)(point, rng)
        assert points.graph_of(child).built != graph.built
        assert not points.same_network(child, point)
    assert unbuilt > 100


def test_points_that_differ_in_what_is_not_built_stand_for_one_network():
    points = small(stems=(RGB, RGB), nodes=1)
    chain = tuple(((SHARES, 1, (source,)),) for source in (0, 2, 3, 4))
    one, other = ((1, 1), *chain), ((1, 2), *chain)
    assert points.same_network(one, other)
    assert same_network(points, one, other)
    assert not points.same_network(one, ((2, 1), *chain))


def test_a_child_of_two_has_the_levels_of_its_parents():
    points, rng = small(stems=(RGB, FLOW), nodes=4), random.Random(3)
    both = 0
    for _ in range(100):
        first, second = points.sample(rng), points.sample(rng)
        child = points.crossover(first, second, rng)
        widths = [
            [sorted((share, dilation) for share, dilation, _ in level) for level in point[1:]]
            for point in (first, second, child)
        ]
        taken = [mine in (one, other) for one, other, mine in zip(*widths, strict=True)]
        assert all(taken)
        both += widths[2] not in widths[:2]
    assert both > 50


def test_stems_come_in_the_order_of_the_space():
    points, rng = small(stems=(FLOW, RGB, OBJECT, RGB)), random.Random(4)
    for _ in range(20):
        dilations = points.sample(rng)[0]
        assert dilations[0] == dilations[2] == 1


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({0: (3,)}, "dilation of stem 0 must be one of 1, 2, got 3"),
        ({0: (1, 1)}, "has 1 stems, got 2"),
        ({1: ()}, "level 0 has 1 to 2 nodes in this space, got 0"),
        ({1: ((SHARES - 1, 1, (0,)),)}, "nodes of level 0 have 8 shares in all, got \\[7\\]"),
        ({1: ((SHARES, 4, (0,)),)}, "dilation of a node of level 0 must be one of 1, 2, got 4"),
        ({1: ((SHARES, 1, (1,)),)}, "nodes read each other in a cycle: 1 reads 1"),
        ({1: ((4, 1, (0,)), (4, 1, (1,)))}, "reads node 1 \\(level 0\\)"),
        ({1: ((SHARES, 1, ()),)}, "has no input"),
        ({1: ((SHARES, 1),)}, "a node is its shares, its dilation and its inputs"),
        ({1: ((SHARES, 1.0, (0,)),)}, "whole numbers"),
        ({1: "nodes"}, "a list is expected"),
    ],
)
def test_what_is_no_point_is_refused_with_what_is_wrong(change, text):
    right = {0: (1,), 1: ((SHARES, 1, (0,)),), 2: ((SHARES, 1, (1,)),)}
    right |= {3: ((SHARES, 1, (2,)),), 4: ((SHARES, 1, (3,)),)}
    points = small()
    points.validate(tuple(right.values()))
    with pytest.raises(InputError, match=text):
        points.validate(tuple((right | change).values()))
