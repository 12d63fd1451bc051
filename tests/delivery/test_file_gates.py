from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from delivery.accuracy import check_accuracy
from delivery.file_gates import (
    check_delegation,
    check_file,
    check_layout,
    check_macs,
    check_parity,
    check_size,
    parity_gate,
    weight_of,
)
from delivery.gates import Gate, GateName, NotRun
from delivery.network import compared
from exporters.artifact import ModelFormat, Precision, TensorSpec
from exporters.exporter import create
from exporters.testing import random_inputs


@pytest.fixture
def artifact(network, tmp_path):
    return create("tflite").export(network.module, network.example_inputs, tmp_path)


def test_a_good_file_passes_every_gate(network, artifact):
    found = list(check_file(network, artifact, compared(network), weight_of(network)))
    assert [each.name for each in found] == [
        GateName.PARITY, GateName.LAYOUT, GateName.DELEGATION, GateName.MACS, GateName.SIZE,
    ]  # fmt: skip
    assert all(each.passed for each in found)


def test_parity_is_found_on_real_inputs_of_the_task(network, artifact):
    gate = check_parity(network, artifact, compared(network))
    assert gate.figures["inputs"] == "the first 16 validation examples of digits"
    assert 0 < (gate.number("max_error") or 0) < 1e-4


def test_parity_without_a_task_is_found_on_seeded_numbers_and_says_so(network, artifact):
    alone = replace(network, task=None)
    gate = check_parity(alone, artifact, compared(alone))
    assert gate.passed
    assert "random numbers, seed 0: no dataset" in str(gate.figures["inputs"])
    again = compared(alone).inputs["image"]
    assert torch.equal(compared(alone).inputs["image"], again)


def test_another_networks_file_fails_parity(network, architecture, tmp_path):
    other = architecture.build(network.head)
    artifact = create("tflite").export(other, network.example_inputs, tmp_path)
    gate = check_parity(network, artifact, compared(network))
    assert not gate.passed
    assert (gate.number("max_error") or 0) > gate.limit == 1e-4


def test_outputs_that_are_not_finite_fail_and_are_no_number_in_json(artifact):
    one = np.ones((1, 2), np.float32)
    gate = parity_gate(artifact, {"output": one * np.nan}, {"output": one}, "ones")
    assert not gate.passed
    assert gate.figures["max_error"] is None


def test_a_padding_layer_that_same_would_do_for_is_folded_into_the_convolution(tmp_path):
    module = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(1, 4, 3, stride=2))
    artifact = create("tflite").export(module, random_inputs((1, 1, 16, 16)), tmp_path)
    assert check_layout(artifact).passed


def test_padding_that_nothing_needs_fails_the_layout(tmp_path, monkeypatch):
    """Written as if the writer did not know that SAME pads alike."""
    monkeypatch.setattr("exporters.fusion._padded_alike", lambda *_: None)
    module = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(1, 4, 3, stride=2))
    artifact = create("tflite").export(module, random_inputs((1, 1, 16, 16)), tmp_path)
    gate = check_layout(artifact)
    assert not gate.passed
    assert "PAD" in gate.text


def test_symmetric_padding_that_has_no_same_passes_the_layout(tmp_path):
    module = nn.Conv2d(1, 4, 3, stride=2, padding=1)
    artifact = create("tflite").export(module, random_inputs((1, 1, 16, 16)), tmp_path)
    assert check_layout(artifact).passed


def test_macs_and_size_of_another_network_fail(network, artifact):
    weight = weight_of(network)
    assert check_macs(artifact, weight).passed
    assert not check_macs(artifact, replace(weight, macs=weight.macs + 1)).passed
    assert check_size(artifact, weight).passed
    bloated = artifact.path.with_name("bloated.tflite")
    bloated.write_bytes(artifact.path.read_bytes() + bytes(300_000))
    gate = check_size(replace(artifact, path=bloated), weight)
    assert not gate.passed
    assert (gate.number("bytes") or 0) > gate.limit


def test_what_is_told_of_tflite_alone_is_not_run_for_others(artifact):
    other = replace(artifact, format=ModelFormat.ONNX)
    for check in (check_layout, check_delegation):
        assert isinstance(check(other), NotRun)


def test_a_file_that_xnnpack_takes_in_parts_fails_delegation(artifact, monkeypatch):
    from exporters.litert_runtime import LiteRtModel

    monkeypatch.setattr(LiteRtModel, "delegated", property(lambda _: False))
    gate = check_delegation(replace(artifact, precision=Precision.DYNAMIC))
    assert not gate.passed
    assert "depthwise" in gate.text


def test_a_module_without_a_graph_is_weighed_as_torch_runs_it(network):
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = network.module

        def forward(self, image):
            return self.inner(image if image.sum() > 100 else 2 * image)

    found = weight_of(replace(network, module=Branching()))
    assert found.macs == weight_of(network).macs
    assert found.numbers > weight_of(network).numbers  # batch norms are not folded


@pytest.mark.slow
def test_an_onnx_file_has_the_networks_macs(network, tmp_path):
    pytest.importorskip("onnxscript", reason="the extra 'onnx' is not installed")
    artifact = create("onnx").export(network.module, network.example_inputs, tmp_path)
    found = list(check_file(network, artifact, compared(network), weight_of(network)))
    gates = [each for each in found if isinstance(each, Gate)]
    assert [each.name for each in gates] == [GateName.PARITY, GateName.MACS, GateName.SIZE]
    assert all(each.passed for each in gates)


@pytest.mark.parametrize(
    "changes",
    [
        {"outputs": ()},
        {"inputs": (TensorSpec(name="image", shape=(1, 8, 8, 1), dtype="float32"),)},
        {"format": ModelFormat.ONNX},
    ],
)
def test_a_file_that_cannot_be_compared_fails_parity_with_the_runtimes_words(
    network, artifact, changes
):
    """What the file is told to be differs from what it is."""
    told = replace(artifact, **changes)
    examples = compared(network)
    if "inputs" in changes:
        examples = replace(examples, inputs={"image": examples.inputs["image"][:, :, :8, :8]})
        network = replace(network, module=nn.Flatten(), task=None)
    gate = check_parity(network, told, examples)
    assert not gate.passed
    assert gate.figures["max_error"] is None
    assert "cannot be compared" in gate.text


def test_a_file_that_does_not_run_fails_accuracy(network, artifact):
    found = check_accuracy(
        network.architecture.inputs, network.task, replace(artifact, outputs=artifact.inputs), 1.0
    )
    assert not found.passed
    assert "does not run" in found.text
