from dataclasses import replace

import numpy as np
import pytest

from devices.op_profile import OperatorProfile, OperatorTime
from exporters.graph import (
    Binary,
    BinaryKind,
    Constant,
    Convolution,
    Graph,
    Mean,
    Node,
    Padding,
)
from latency.operator_times import by_node


def convolution(source, output, name):
    operator = Convolution(
        weights=np.zeros((4, 1, 1, 4), np.float32),
        bias=np.zeros(4, np.float32),
        stride=(1, 1),
        dilation=(1, 1),
        padding=Padding.SAME,
    )
    return Node(operator=operator, inputs=(source,), output=output, name=name)


IMAGE = (1, 8, 8, 4)
GRAPH = Graph(
    shapes=(IMAGE, IMAGE, IMAGE, IMAGE, IMAGE, (1, 4)),
    nodes=(
        convolution(0, 1, "stem"),
        convolution(1, 2, "body"),
        Node(
            operator=Constant(value=np.ones(IMAGE, np.float32)), inputs=(), output=3, name="body"
        ),
        Node(operator=Binary(kind=BinaryKind.ADD), inputs=(2, 3), output=4, name="body"),
        Node(operator=Mean(axes=(1, 2), keep=False), inputs=(4,), output=5, name="mean"),
    ),
    inputs=(("image", 0),),
    outputs=(("scores", 5),),
)
"""Its tensors are called stem, body, body#1 (a constant), body#2 and scores."""


def row(name, ms, kind="CONV_2D"):
    return OperatorTime(name=name, type=kind, avg_ms=ms, percent=25.0, calls=1)


ROWS = (
    row("[stem]:0", 0.5),
    row("[body]:1", 0.25),
    row("[body#2]:2", 0.125, "ADD"),
    row("[scores]:3", 0.0625, "MEAN"),
)
TIMES = {1: 0.5, 2: 0.25, 4: 0.125, 5: 0.0625}


def told(*rows):
    return OperatorProfile(operators=rows)


def inside(*rows):
    delegate = row("[scores]:0", 9.0, "TfLiteXNNPackDelegate")
    return OperatorProfile(operators=(delegate,), inside_delegate=rows)


def test_each_row_is_the_time_of_the_node_that_it_is_named_after():
    assert by_node(told(*ROWS), GRAPH) == TIMES


def test_an_outputs_row_may_have_its_nodes_name_too():
    assert by_node(told(*ROWS[:3], row("[mean]:3", 0.0625)), GRAPH) == TIMES


def test_what_runs_for_one_tensor_in_several_steps_is_added_up():
    found = by_node(told(*ROWS, row("[body]:4", 1.0, "DEQUANTIZE")), GRAPH)
    assert found == {**TIMES, 2: 1.25}


def test_a_row_of_no_node_fits_nothing():
    assert by_node(told(*ROWS, row("[elsewhere/conv]:4", 1.0)), GRAPH) is None


@pytest.mark.parametrize("lost", range(4))
def test_a_node_without_a_row_fits_nothing(lost):
    """A delegate's row is named after its last node and holds all of them."""
    assert by_node(told(*ROWS[:lost], *ROWS[lost + 1 :]), GRAPH) is None


def test_a_constant_needs_no_row_and_may_have_none_inside_a_delegate():
    assert 3 not in (by_node(told(*ROWS), GRAPH) or {3: 0.0})
    assert 3 not in (by_node(inside(*ROWS), GRAPH) or {3: 0.0})


def test_inside_a_delegate_rows_are_nodes_in_their_order_whatever_they_are_called():
    rows = (replace(each, name=f"Delegate/{each.type}:{at}") for at, each in enumerate(ROWS))
    assert by_node(inside(*rows), GRAPH) == TIMES


@pytest.mark.parametrize(
    "kind", ["Copy (NC, X32)", "Convert (NC, F32, QS8)", "Delegate/Copy (NC, X32)"]
)
def test_copies_and_conversions_at_a_delegates_ends_are_no_nodes(kind):
    copy = row("Delegate/Copy:0", 7.0, kind)
    assert by_node(inside(copy, *ROWS, copy), GRAPH) == TIMES


def test_inside_a_delegate_a_row_too_many_or_too_few_fits_nothing():
    assert by_node(inside(*ROWS, ROWS[0]), GRAPH) is None
    assert by_node(inside(*ROWS[1:]), GRAPH) is None


def test_a_delegate_that_tells_of_copies_alone_is_told_by_its_own_row():
    """Which has the time of all: no node's own."""
    copy = row("Delegate/Copy:0", 7.0, "Copy (NC, X32)")
    assert by_node(inside(copy), GRAPH) is None
