from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch

from delivery import accuracy
from delivery.accuracy import accuracy_of_torch, check_accuracy
from delivery.gates import NotRun
from delivery.network import Network, batches
from exporters.artifact import Precision
from exporters.exporter import create
from search_space import spinenet_networks
from search_space.architecture import Detector, InputSpec
from training import moving_fashion
from training.digits import Digits
from training.schedule import Schedule
from training.task import Proxy, Split
from training.task import create as create_task
from training.video import VideoClassification


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


def test_outputs_that_are_not_finite_fail(network, artifact, monkeypatch):
    """Of one example, which a drop would be allowed for."""
    right = torch.cat(
        [t for _, t in batches(network.architecture.inputs, network.task, Split.TEST)]
    )
    answers = iter(np.eye(10, dtype=np.float32)[right.numpy()])

    def finite_but_once(_):
        scores = next(answers)[None]
        return {"output": scores if next(turns) else scores * np.nan}

    turns = iter([False] + [True] * (len(right) - 1))
    monkeypatch.setattr(accuracy, "runtime_of", lambda _: finite_but_once)
    gate = check_accuracy(network.architecture.inputs, network.task, artifact, 1.0)
    assert not gate.passed
    assert "outputs of 1 of 100 examples are not finite" in gate.text


def test_without_a_dataset_it_is_not_run(network, artifact):
    found = check_accuracy(network.architecture.inputs, None, artifact, None)
    assert isinstance(found, NotRun)
    assert "--dataset" in found.why


@dataclass(frozen=True)
class OfClips:
    """As much of an architecture as is asked here."""

    inputs: tuple[InputSpec, ...]


def convolved(channels):
    """(2+1)D: over pixels, then over frames."""
    nn = torch.nn
    return nn.Sequential(
        nn.Conv3d(channels, 4, (1, 3, 3), (1, 4, 4), (0, 1, 1)),
        nn.ReLU(),
        nn.Conv3d(4, 4, (3, 1, 1), padding=(2, 0, 0), dilation=(2, 1, 1)),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
    )


class TwoStreams(torch.nn.Module):
    """Of frames and of flow."""

    def __init__(self, classes, channels):
        super().__init__()
        self.of_frames, self.of_flow = convolved(channels), convolved(2)
        self.head = torch.nn.Linear(4, classes)

    def forward(self, frames, flow):
        return self.head(self.of_frames(frames) + self.of_flow(flow))


class Several(VideoClassification):
    """Eleven videos with several of three labels, two views of each."""

    name, classes, channels, is_multi_label, views = "several", 3, 3, True, 2
    proxy = Proxy(size=16, schedule=Schedule(samples=1))

    def examples(self, split, size):
        del split
        return _Views(size)


class _Views:
    """Drawn from a seed."""

    def __init__(self, size):
        drawn = torch.Generator().manual_seed(4)
        self.clips = torch.randn(11, 2, 3, 6, size, size, generator=drawn)
        self.labels = (torch.rand(11, 3, generator=drawn) < 0.5).float()

    def __len__(self):
        return 11

    def batch(self, indices, generator):
        del generator
        return (self.clips[indices].flatten(0, 1),), self.labels[indices]


def of_clips(task, shapes):
    """An untrained network of clips for a task."""
    specs = tuple(InputSpec(name=name, shape=shape) for name, shape in shapes.items())
    channels, classes = specs[0].shape[0], task.head.classes
    module: torch.nn.Module
    if len(specs) > 1:
        module = TwoStreams(classes, channels)
    else:
        module = torch.nn.Sequential(convolved(channels), torch.nn.Linear(4, classes))
    architecture: Any = OfClips(specs)
    drawn = torch.Generator().manual_seed(1)
    for weights in module.parameters():
        torch.nn.init.normal_(weights, std=0.7, generator=drawn)
    return Network(
        architecture=architecture, head=task.head, module=module, name="clips",
        weights="untrained", task=task,
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["tflite", "onnx"])
def test_views_of_a_video_count_as_one_and_the_gate_names_map(kind, tmp_path):
    task = Several()
    network = of_clips(task, {"frames": (3, 6, 16, 16)})
    artifact = create(kind).export(network.module, network.example_inputs, tmp_path)
    of_torch = accuracy_of_torch(network, task)
    assert 0.2 < of_torch < 1
    gate = check_accuracy(network.architecture.inputs, task, artifact, of_torch)
    assert gate.passed
    assert gate.figures["examples"] == 11
    assert gate.figures["accuracy"] == pytest.approx(of_torch, abs=1e-6)
    assert gate.text.startswith(f"mAP {of_torch:.2%} on 11 test examples of several")


@pytest.mark.usefixtures("fashion_mnist_data")
@pytest.mark.parametrize("kind", ["tflite", "onnx"])
def test_a_network_of_frames_and_flow_is_checked_on_generated_motion(kind, tmp_path, monkeypatch):
    monkeypatch.setattr(moving_fashion, "COUNTS", dict.fromkeys(Split, 24))
    moving_fashion.clips.cache_clear()
    task = create_task("generated-moving-fashion")
    network = of_clips(task, {"frames": (3, 8, 32, 32), "flow": (2, 8, 32, 32)})
    artifact = create(kind).export(network.module, network.example_inputs, tmp_path)
    of_torch = accuracy_of_torch(network, task)
    gate = check_accuracy(network.architecture.inputs, task, artifact, of_torch)
    moving_fashion.clips.cache_clear()
    assert gate.passed
    assert gate.figures["examples"] == 24
    assert gate.figures["accuracy"] == pytest.approx(of_torch, abs=1e-6)


class Places(Digits):
    """Of a detector's outputs every number counts, by what it is and where; no real figure."""

    head = Detector(classes=2)

    def predictions(self, outputs, size):
        assert size == 128
        assert len(outputs) == 10
        weighed = [each.flatten(1) * torch.linspace(0, 1, each[0].numel()) for each in outputs]
        return torch.stack([each.mean(1) for each in weighed], dim=1)

    def figures(self, predictions, targets):
        return {"accuracy": self.metric(predictions, targets)}

    def metric(self, outputs, targets):
        assert outputs.shape == (len(targets), 10)
        return float((outputs @ torch.arange(10.0)).mean().sigmoid())

    def examples(self, split, size):
        return _Few(super().examples(split, size))


class _Few:
    """The first twelve."""

    def __init__(self, all_):
        self.batch = all_.batch

    def __len__(self):
        return 12


@pytest.mark.parametrize("kind", ["tflite", "onnx"])
def test_a_detectors_outputs_come_in_their_order_and_layout(kind, tmp_path):
    architecture = replace(
        spinenet_networks.create("spinenet-mobile-49xs"),
        size=128,
        filter_scale=0.25,
        endpoint_filters=8,
        head_convs=1,
        head_filters=8,
    )
    task = Places()
    network = Network(
        architecture=architecture,
        head=task.head,
        module=architecture.build(task.head),
        name="detector",
        weights="untrained",
        task=task,
    )
    artifact = create(kind).export(network.module, network.example_inputs, tmp_path)
    of_torch = accuracy_of_torch(network, task)
    metric, count = accuracy.accuracy_of_file(architecture.inputs, task, artifact)
    assert count == 12
    assert metric == pytest.approx(of_torch, abs=1e-4)
    assert abs(of_torch - 0.5) > 0.01
