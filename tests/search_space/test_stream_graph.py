import random
from dataclasses import replace

import pytest

from search_space.stream_graph import LEVELS, StemKind, StreamGraph, StreamNode, StreamStem
from search_space.stream_points import StreamPoints
from workspace.errors import InputError

RGB, FLOW = StemKind.RGB, StemKind.FLOW
STEMS = (StreamStem(kind=RGB, dilation=4), StreamStem(kind=FLOW))


def node(level, *inputs, filters=8, dilation=1, gates=None):
    return StreamNode(level=level, inputs=inputs, filters=filters, dilation=dilation, gates=gates)


CHAIN = (node(0, 0, 1), node(1, 2), node(2, 1, 3), node(3, 4))


def graph(*nodes, stems=STEMS):
    return StreamGraph(stems=stems, nodes=nodes)


def shuffled(whole, rng):
    """The same graph, its stems and nodes in another order, also before what they read."""
    start = len(whole.stems)
    stems, nodes = list(range(start)), list(range(start, whole.size))
    rng.shuffle(stems)
    rng.shuffle(nodes)
    number = {old: new for new, old in enumerate((*stems, *nodes))}
    return graph(
        *(whole.node(old).renumbered(number) for old in nodes),
        stems=tuple(whole.stems[old] for old in stems),
    )


def with_gates(whole, rng):
    nodes = (
        replace(each, gates=tuple(round(rng.uniform(0.1, 0.9), 1) for _ in each.inputs))
        if len(each.inputs) > 1
        else each
        for each in whole.nodes
    )
    return replace(whole, nodes=tuple(nodes))


def test_graphs_are_the_same_in_every_order():
    points = StreamPoints(
        stems=(RGB, RGB, FLOW, FLOW), nodes=5, dilations=(1, 2), temporal=(True,) * LEVELS
    )
    rng = random.Random(0)
    for _ in range(100):
        one = points.graph_of(points.sample(rng))
        for whole in (one, with_gates(one, rng)):
            assert shuffled(whole, rng) == whole
            assert shuffled(whole, rng).built == whole.built


def test_graphs_of_nodes_that_are_alike_are_the_same_in_every_order():
    # Each node of level 1 reads all of level 0 but one: no two are twins, all look alike.
    below = tuple(node(0, 0, 1) for _ in range(5))
    above = tuple(node(1, *(n for n in range(2, 7) if n != left)) for left in range(2, 7))
    whole = graph(*below, *above, node(2, 7, 8), node(3, 12))
    rng = random.Random(1)
    assert all(shuffled(whole, rng) == whole for _ in range(20))


def test_graphs_that_differ_in_one_gate_are_other_graphs():
    gates = [(0.25, 0.5), (0.5, 0.25)]
    first, second = (graph(node(0, 0, 1, gates=each), *CHAIN[1:]) for each in gates)
    assert first != second


def test_inputs_come_in_rising_order_with_their_gates():
    assert node(1, 5, 2, gates=(0.25, 0.5)) == node(1, 2, 5, gates=(0.5, 0.25))


def test_nodes_that_nobody_reads_come_last_and_are_not_built():
    lonely = graph(node(0, 0, dilation=4), node(1, 2), *CHAIN_AFTER_TWO)
    assert lonely.size == 8
    assert lonely.live == {0, 1, 2, 3, 4, 5}
    assert lonely.built == graph(*CHAIN).built


CHAIN_AFTER_TWO = (node(0, 0, 1), node(1, 4), node(2, 1, 5), node(3, 6))


def test_a_stem_that_nobody_reads_is_not_built():
    three = (*STEMS, StreamStem(kind=FLOW))
    moved = (node(0, 0, 1), node(1, 3), node(2, 1, 4), node(3, 5))
    whole = graph(*moved, stems=three)
    assert whole.built == graph(*CHAIN).built
    assert whole.gates == {"node2": ((0, 3), (1, 3)), "node4": ((1, 5), (4, 5))}


def test_gates_are_named_by_what_is_built():
    assert graph(*CHAIN).gates == {"node2": ((0, 2), (1, 2)), "node4": ((1, 4), (3, 4))}


def test_edges_are_from_lower_levels_alone():
    whole = graph(*CHAIN)
    assert whole.edges == ((0, 2), (1, 2), (2, 3), (1, 4), (3, 4), (4, 5))
    assert len(whole.possible_edges) == 2 + 3 + 4 + 5


def test_a_flow_stem_has_no_dilation():
    assert StreamStem(kind=FLOW, dilation=4) == StreamStem(kind=FLOW)


@pytest.mark.parametrize(
    ("nodes", "text"),
    [
        ((), "level 0 has no node"),
        (CHAIN[:-1], "level 3 has no node"),
        ((node(0, 0), node(1, 2), node(3, 3)), "level 2 has no node"),
        ((node(0), *CHAIN[1:]), "node 2 \\(level 0\\) has no input"),
        ((node(0, 0, 0), *CHAIN[1:]), "node 2 reads a node twice"),
        ((node(0, 9), *CHAIN[1:]), "node 2 reads node 9; nodes are numbered from 0 to 5"),
        ((node(4, 0), *CHAIN[1:]), "node 2 has level 4"),
        ((node(0, 0, filters=0), *CHAIN[1:]), "filters of node 2"),
        ((node(0, 0, dilation=0), *CHAIN[1:]), "temporal dilation of node 2"),
        (
            (node(0, 3), node(1, 4), node(2, 2), node(3, 4)),
            "nodes read each other in a cycle: 2 reads 3 reads 4 reads 2",
        ),
        (
            (node(0, 0), node(1, 1), node(2, 3), node(2, 4), node(3, 5)),
            "reads node 4 \\(level 2\\)",
        ),
        ((node(0, 0), node(0, 2), *CHAIN[1:]), "node 3 \\(level 0\\) reads node 2 \\(level 0\\)"),
        ((node(0, 0, 1, gates=(0.5,)), *CHAIN[1:]), "node 2 has 1 gates for 2 inputs"),
        ((node(0, 0, gates=(0.5,)), *CHAIN[1:]), "none where there is a single input"),
        ((node(0, 0, 1, gates=(0.5, 1.0)), *CHAIN[1:]), "between 0 and 1, both excluded, got 1.0"),
        ((node(0, 0, 1, gates=(0.0, 0.5)), *CHAIN[1:]), "got 0.0"),
    ],
)
def test_a_graph_that_is_no_network_is_refused_with_what_is_wrong(nodes, text):
    with pytest.raises(InputError, match=text):
        graph(*nodes)


def test_a_graph_without_stems_is_refused():
    with pytest.raises(InputError, match="at least one stem"):
        graph(*CHAIN, stems=())
