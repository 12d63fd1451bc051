import random
from collections import Counter
from statistics import mean

import pytest

from search_space.guidance import Threshold
from search_space.stream_graph import LEVELS, StemKind, StreamGraph, StreamNode, StreamStem
from search_space.stream_mutations import merged, reconnected, split, ungated, with_dilation
from search_space.stream_points import SHARES, StreamPoints

RGB, FLOW = StemKind.RGB, StemKind.FLOW
MUTATIONS = 10_000
POINTS = StreamPoints(
    stems=(RGB, RGB, FLOW, FLOW), nodes=5, dilations=(1, 2, 4, 8), temporal=(True,) * LEVELS
)


def node(level, *inputs, filters=8, dilation=1, gates=None):
    return StreamNode(level=level, inputs=inputs, filters=filters, dilation=dilation, gates=gates)


def graph():
    """Two streams, two nodes at level 0 (2 and 3) and one at each other level (4, 5, 6)."""
    return StreamGraph(
        stems=(StreamStem(kind=RGB, dilation=2), StreamStem(kind=FLOW)),
        nodes=(
            node(0, 0, 1, filters=4, gates=(0.3, 0.6)),
            node(0, 1, filters=12, dilation=2),
            node(1, 2, 3, gates=(0.2, 0.9)),
            node(2, 3, 4, gates=(0.5, 0.7)),
            node(3, 2, 5, gates=(0.8, 0.4)),
        ),
    )


def drawn_weights(whole, rng):
    """Of every edge that has a gate."""
    return {edge: rng.random() for edges in whole.gates.values() for edge in edges}


def is_legal(whole):
    """By the rules themselves, not by the check of the value."""
    levels = Counter(each.level for each in whole.nodes)
    return set(levels) == set(range(LEVELS)) and all(
        each.inputs and all(whole.level_of(source) < each.level for source in each.inputs)
        for each in whole.nodes
    )


def test_two_nodes_of_a_level_become_one_with_the_filters_of_both():
    child = merged(graph(), 2, 3)
    assert child == StreamGraph(
        stems=graph().stems,
        nodes=(node(0, 0, 1, filters=16), node(1, 2), node(2, 2, 3), node(3, 2, 4)),
    )
    assert merged(graph(), 3, 2).nodes[0].dilation == 2


@pytest.mark.parametrize(("first", "second"), [(2, 2), (2, 4), (0, 1), (2, 1), (1, 2)])
def test_only_two_nodes_of_one_level_are_merged(first, second):
    with pytest.raises(ValueError, match="two nodes of one level"):
        merged(graph(), first, second)


def test_a_node_becomes_two_that_read_and_are_read_alike():
    child = split(graph(), 2, 1)
    assert child == StreamGraph(
        stems=graph().stems,
        nodes=(
            node(0, 0, 1, filters=1),
            node(0, 0, 1, filters=3),
            node(0, 1, filters=12, dilation=2),
            node(1, 2, 3, 4),
            node(2, 4, 5),
            node(3, 2, 3, 6),
        ),
    )


def test_merging_undoes_a_split():
    child = split(graph(), 2, 1)
    halves = [n for n in range(2, 5) if child.node(n).filters < 12]
    assert merged(child, *halves) == ungated(graph())


def test_a_dilation_changes_alone():
    child = with_dilation(graph(), 3, 4)
    changed = [each.dilation for each in child.nodes]
    assert sorted(changed) == [1, 1, 1, 1, 4]
    assert child.edges == graph().edges
    assert with_dilation(graph(), 0, 8).stems[0].dilation == 8


def test_10000_reconnections_by_weight_keep_the_invariants(record_property):
    """A legal graph, edges kept exactly by their weights, as many expected as before."""
    rng, threshold = random.Random(0), Threshold(value=0.5)
    parents = [POINTS.graph_of(POINTS.sample(rng)) for _ in range(MUTATIONS // 10)]
    before, after, repaired, repairs = 0, 0, 0, 0
    for parent in parents:
        for _ in range(10):
            weights = drawn_weights(parent, rng)
            child = reconnected(parent, weights, threshold, rng)
            kept, new = child.edges.kept, child.edges.drawn
            assert kept == {e for e in parent.edges if weights.get(e, 1.0) > 0.5}
            assert new <= set(parent.possible_edges) - set(parent.edges)
            assert is_legal(child.graph)
            assert len(child.graph.edges) == len(kept | new) + len(child.repaired)
            for level in range(LEVELS):
                assert child.graph.filters_of(level) == parent.filters_of(level) == SHARES
            if child.edges.chance < 1:
                before += len(parent.edges)
                after += len(kept | new)
            repaired += len(child.repaired)
            repairs += bool(child.repaired)
    nodes = 10 * sum(len(parent.nodes) for parent in parents)
    record_property("share_of_nodes_repaired", repaired / nodes)
    record_property("share_of_children_repaired", repairs / MUTATIONS)
    record_property("edges_after_over_before", after / before)
    print(f"nodes repaired: {repaired / nodes:.2%}, children with one: {repairs / MUTATIONS:.2%}")
    print(f"edges before repair: {after / before:.4f} times those of the parents")
    assert after / before == pytest.approx(1, abs=0.01)
    assert 0 < repaired / nodes < 0.1


@pytest.mark.slow
def test_10000_random_mutations_keep_the_invariants():
    """Along chains of changes of all kinds: a legal graph, the filters of each level."""
    rng, sizes, chain = random.Random(1), [], 100
    for _ in range(MUTATIONS // chain):
        point = POINTS.sample(rng)
        for _ in range(chain):
            point = POINTS.mutate(point, rng)
            whole = POINTS.graph_of(point)
            assert is_legal(whole)
            assert {whole.filters_of(level) for level in range(LEVELS)} == {SHARES}
            sizes.append(len(whole.nodes))
    assert 4 <= min(sizes) < mean(sizes) < max(sizes) <= 20


def test_a_threshold_drawn_for_each_edge_expects_as_many_edges():
    """Edges of weight 0.7 stay with a chance of 0.7; within 1 % over 2,000 children."""
    rng = random.Random(2)
    before, after = 0, 0
    for _ in range(200):
        parent = POINTS.graph_of(POINTS.sample(rng))
        weights = dict.fromkeys(drawn_weights(parent, rng), 0.7)
        for _ in range(10):
            found = reconnected(parent, weights, Threshold(), rng).edges
            if found.chance < 1:
                before += len(parent.edges)
                after += len(found.kept | found.drawn)
    assert after / before == pytest.approx(1, abs=0.01)


def test_a_node_left_without_inputs_is_given_one_that_it_may_read():
    parent = graph()
    weights = dict.fromkeys(drawn_weights(parent, random.Random(3)), 0.0)
    alone = 0
    for seed in range(200):
        child = reconnected(parent, weights, Threshold(value=0.5), random.Random(seed))
        assert is_legal(child.graph)
        for number in child.repaired:
            assert not any(target == number for _, target in child.edges.kept | child.edges.drawn)
        alone += bool(child.repaired)
    assert alone > 20
