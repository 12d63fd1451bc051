import re
from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")

from devices.clock import SimulatedClock
from devices.device import DevicePermanentError, DeviceTransientError, ModelFile, RunSettings
from devices.op_profile import OperatorProfile, OperatorTime
from exporters.cutting import blocks
from exporters.testing import SmallNetwork, random_inputs
from exporters.tflite_file import operators
from exporters.trace import to_graph
from latency.profile import Method, by_differences, by_operators
from latency.protocol import Bench, Patience
from latency.testing import FakeDevice

IMAGE = (1, 3, 16, 20)


@pytest.fixture(scope="module")
def graph():
    return to_graph(SmallNetwork(), random_inputs(IMAGE))


def bench(**how):
    device = FakeDevice(median_ms=lambda model: float(len(operators(model.path))), **how)
    return Bench(device=device, patience=Patience(clock=SimulatedClock(), attempts=1))


def test_a_block_takes_what_it_adds(graph):
    found = by_differences(bench(spread=0.0), graph)
    assert found.method is Method.DIFFERENCES
    assert [block.ms for block in found.blocks] == pytest.approx(
        [len(block.operators) for block in found.blocks]
    )
    assert sum(block.ms for block in found.blocks) == pytest.approx(found.whole_ms)


def test_half_widths_say_how_well_a_difference_is_known(graph):
    found = by_differences(bench(spread=0.02), graph)
    truth = [len(block.operators) for block in found.blocks]
    for block, expected in zip(found.blocks, truth, strict=True):
        half_ms = block.half_width_ms or 0.0
        assert half_ms > 0
        assert abs(block.ms - expected) < 3 * half_ms


def test_its_json_has_shares_that_add_up_and_conditions(graph):
    facts: Any = by_differences(bench(), graph).to_json()
    assert sum(block["share"] for block in facts["blocks"]) == pytest.approx(1.0)
    assert facts["conditions"]["device_model"] == "Fake 1"


def test_a_session_that_fails_fails_the_profile(graph):
    broken = bench(faults=[DeviceTransientError("adb:FAKE1", "device offline")] * 99)
    with pytest.raises(DeviceTransientError):
        by_differences(broken, graph)


class Tells:
    """A device whose program tells what it is given."""

    def __init__(self, told):
        self._told = told

    def profile(self, *_):
        return self._told


def row(name, ms, kind="CONV_2D"):
    return OperatorTime(name=name, type=kind, avg_ms=ms, percent=1.0, calls=1)


def told_of(graph, *, inside=False):
    names = {tensor: name for name, tensor in graph.outputs}
    rows = [
        row(f"[{names.get(node.output, node.name)}]:{i}", 0.5)
        for i, node in enumerate(graph.nodes)
    ]
    if not inside:
        return OperatorProfile(operators=tuple(rows))
    delegate = (row("Delegate:0", 9.0, "XNNPACK"),)
    copies = row("Delegate/Copy:0", 0.1, "Copy (NC, X32)")
    return OperatorProfile(operators=delegate, inside_delegate=(*rows, copies))


@pytest.mark.parametrize("inside", [False, True])
def test_a_program_s_table_is_summed_by_block(graph, inside, tmp_path):
    model = ModelFile(path=tmp_path / "x", sha256="0" * 64)
    found = by_operators(Tells(told_of(graph, inside=inside)), model, graph, RunSettings())
    assert found.method is Method.OPERATORS
    assert [block.ms for block in found.blocks] == pytest.approx(
        [0.5 * len(block.nodes) for block in blocks(graph)]
    )
    assert found.conditions is None


def test_a_table_that_does_not_fit_is_refused(graph, tmp_path):
    model = ModelFile(path=tmp_path / "x", sha256="0" * 64)
    told = told_of(graph, inside=True)
    short = replace(told, inside_delegate=told.inside_delegate[2:])
    with pytest.raises(DevicePermanentError, match=re.escape("time by differences")):
        by_operators(Tells(short), model, graph, RunSettings())
    foreign = OperatorProfile(operators=(row("[somewhere/else]:0", 1.0),))
    with pytest.raises(DevicePermanentError):
        by_operators(Tells(foreign), model, graph, RunSettings())
