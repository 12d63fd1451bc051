from dataclasses import replace

import numpy as np
import pytest
import torch

from delivery import accuracy
from delivery.accuracy import accuracy_of_torch, check_accuracy
from delivery.gates import NotRun
from delivery.network import batches
from exporters.artifact import Precision
from exporters.exporter import create
from training.task import Split
from training.task import create as create_task


@pytest.fixture
def artifact(network, tmp_path):
    return create("tflite").export(network.module, network.example_inputs, tmp_path)


def test_a_file_classifies_the_whole_test_split_as_torch_does(network, artifact):
    of_torch = accuracy_of_torch(network, network.task)
    gate = check_accuracy(network.architecture.inputs, network.task, artifact, of_torch)
    assert gate.passed
    assert gate.figures["examples"] == 300
    assert gate.figures["accuracy"] == pytest.approx(of_torch)
    assert gate.figures["split"] == "test split of digits"


@pytest.mark.parametrize(
    ("precision", "wrong", "passed"),
    [
        (Precision.FP32, 1, True),  # one example of 300 is more than 0.1 points, and allowed
        (Precision.FP32, 2, False),
        (Precision.INT8, 1, True),
        (Precision.INT8, 2, False),  # 0.67 points
    ],
)
def test_a_drop_beyond_the_limit_fails(network, artifact, monkeypatch, precision, wrong, passed):
    right = torch.cat(
        [t for _, t in batches(network.architecture.inputs, network.task, Split.TEST)]
    )
    answers = iter(right.tolist())

    def run(_):
        index = next(answers)
        scores = np.zeros((1, 10), np.float32)
        nonlocal wrong
        scores[0, (index + (wrong > 0)) % 10] = 1
        wrong -= 1
        return {"output": scores}

    monkeypatch.setattr(accuracy, "runtime_of", lambda _: run)
    gate = check_accuracy(
        network.architecture.inputs, network.task, replace(artifact, precision=precision), 1.0
    )
    assert gate.passed is passed


def test_without_a_dataset_it_is_not_run(network, artifact):
    found = check_accuracy(network.architecture.inputs, None, artifact, None)
    assert isinstance(found, NotRun)
    assert "--dataset" in found.why


def test_ap_is_not_taken_of_files(network, artifact):
    task = create_task("generated-fashion-scenes")
    found = check_accuracy(network.architecture.inputs, task, artifact, None)
    assert isinstance(found, NotRun)
    assert "generated-fashion-scenes has boxes, and AP is taken of networks in torch" in found.why
