"""Files load and compute the same in TensorFlow Lite 2.14, as phones have it."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import nn
from torch.nn import functional

from exporters.artifact import Precision
from exporters.exporter import create
from exporters.litert_runtime import LiteRtModel
from exporters.quantize import LEAST_SAMPLES, Quantization, quantize
from exporters.testing import SmallNetwork, feeds, random_inputs, randomize
from exporters.tflite_file import operators
from exporters.verify import parity
from search_space import catalog
from search_space.architecture import Classifier

PYTHON = Path(__file__).parents[2] / ".venv-tflite214" / "bin" / "python"
RUN = """
import sys
import numpy as np
from tflite_runtime.interpreter import Interpreter
model, feed, result = sys.argv[1:]
interpreter = Interpreter(model_path=model)
runner = interpreter.get_signature_runner("serving_default")
np.savez(result, **runner(**np.load(feed)))
"""

pytestmark = pytest.mark.skipif(
    not PYTHON.exists(),
    reason="tflite-runtime 2.14 has no build for this Python: scripts/setup makes it up to 3.11",
)


class Everything(nn.Module):
    """Every kind of operator that the writer knows, in one network."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 8, 3, 2, 1)
        self.grouped = nn.Conv2d(8, 8, 3, padding=1, groups=2)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=8)
        self.scorer = nn.Linear(8, 5)

    def forward(self, image):
        image = self.grouped(functional.hardswish(self.convolution(image)))
        image = functional.gelu(self.depthwise(image)) + functional.gelu(image, approximate="tanh")
        first, second = image.chunk(2, 1)
        image = torch.cat([torch.tanh(first), second * functional.hardsigmoid(first)], 1)
        image = functional.interpolate(functional.max_pool2d(image, 3, 2, 1), scale_factor=2)
        fewer = functional.interpolate(image, scale_factor=0.5)
        image = image + functional.interpolate(fewer, image.shape[2:])
        image = functional.interpolate(image, (9, 7), mode="bilinear") - 0.5
        return torch.softmax(self.scorer(image.mean((2, 3))) / 2, 1)


class Averages(nn.Module):
    """Pools by the mean, new shapes, square roots, and differences and quotients of tensors."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 8, 3, padding=1)
        self.gate = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Sigmoid())
        self.counted = nn.AvgPool2d(3, 2, 1)
        self.scorer = nn.Linear(8, 5)

    def forward(self, image):
        first, second = self.convolution(image), self.gate(image)
        pooled = functional.avg_pool2d(self.counted(first - second), 2)
        above = torch.sqrt(functional.relu(pooled) + 2)
        smaller = functional.adaptive_avg_pool2d(pooled / above, 1)
        return self.scorer(smaller.flatten(1))


class Clip(nn.Module):
    """A block of a network of clips: a convolution over pixels, then one over frames."""

    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv3d(3, 6, (1, 3, 3), (1, 2, 2), (0, 1, 1), bias=False), nn.BatchNorm3d(6),
            nn.ReLU(), nn.Conv3d(6, 8, (3, 1, 1), padding=(1, 0, 0), bias=False),
            nn.BatchNorm3d(8), nn.ReLU6(), nn.AvgPool3d((1, 2, 2)), nn.MaxPool3d((2, 1, 1)),
        )  # fmt: skip
        self.scorer = nn.Linear(8, 5)

    def forward(self, clip):
        moved = functional.pad(clip[:, :, :, 1:], (0, 0, 0, 1))
        made = self.block(moved)
        shares = torch.softmax(made.mean((3, 4), keepdim=True), 2)
        return self.scorer((made * shares).sum(2, keepdim=True).mean((2, 3, 4)))


SMALL = {"small": SmallNetwork, "everything": Everything, "averages": Averages, "clip": Clip}
NETWORKS = (*SMALL, "mnasnet-a1", "mobilenet-v2")


def network(name):
    """With inputs, and weights and statistics like a trained one's."""
    shape = {"clip": (1, 3, 4, 16, 20)}.get(name, (1, 3, 16, 20))
    if name in SMALL:
        module = SMALL[name]()
    else:
        shape = (1, 3, 96, 96)
        module = catalog.create(name).at(96).build(Classifier(classes=10))
    inputs = random_inputs(shape)
    randomize(module, inputs)
    return module, inputs


def in_the_old_runtime(artifact, fed, folder):
    np.savez(folder / "feed.npz", **fed)
    command = [PYTHON, "-c", RUN, artifact.path, folder / "feed.npz", folder / "result.npz"]
    done = subprocess.run(command, check=False, timeout=120, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with np.load(folder / "result.npz") as found:
        return dict(found)


def test_the_networks_have_every_operator_that_is_written(tmp_path):
    found: set[str] = set()
    for name in SMALL:
        module, inputs = network(name)
        found.update(operators(create("tflite").export(module, inputs, tmp_path).path))
    layers = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "AVERAGE_POOL_2D", "MAX_POOL_2D"}
    arithmetic = {"ADD", "SUB", "MUL", "DIV", "MEAN", "SOFTMAX"}
    shapes = {"RESHAPE", "SLICE", "CONCATENATION", "PAD", "PADV2"}
    functions = {"LOGISTIC", "TANH", "HARD_SWISH", "GELU", "RELU", "SQRT"}
    resizing = {"RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"}
    assert layers | arithmetic | shapes | functions | resizing <= found


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.FP16, Precision.INT8])
@pytest.mark.parametrize("name", NETWORKS)
def test_both_runtimes_compute_the_same(name, precision, tmp_path):
    module, inputs = network(name)
    artifact = create("tflite", precision).export(module, inputs, tmp_path)
    fed = feeds(artifact, inputs)
    old, new = in_the_old_runtime(artifact, fed, tmp_path), LiteRtModel(artifact.path).run(fed)
    # int8 kernels may round the last bit otherwise, and stand-in scales make that bit large
    assert parity(old, new, 0.15 if precision is Precision.INT8 else 1e-4).passed


@pytest.mark.parametrize(
    "to", [Quantization.FP16, Quantization.DYNAMIC, Quantization.INT8], ids=str
)
@pytest.mark.parametrize("name", NETWORKS)
def test_both_runtimes_compute_the_same_of_a_quantized_file(name, to, tmp_path):
    pytest.importorskip("ai_edge_quantizer", reason="the extra 'quantize' is not installed")
    module, inputs = network(name)
    whole = create("tflite").export(module, inputs, tmp_path)
    rng = np.random.default_rng(0)
    samples = [
        {spec.name: rng.normal(size=spec.shape).astype(np.float32) for spec in whole.inputs}
        for _ in range(LEAST_SAMPLES)
    ]
    artifact = quantize(whole, to, tmp_path, calibration=samples)
    fed = feeds(artifact, inputs)
    old, new = in_the_old_runtime(artifact, fed, tmp_path), LiteRtModel(artifact.path).run(fed)
    assert parity(old, new, tolerance(name, to)).passed


def tolerance(name, to):
    """Last bits of int8 kernels differ; in random weights fifty layers deep they grow."""
    if to is Quantization.FP16:
        return 1e-4
    return 0.02 if name in SMALL else 0.6
