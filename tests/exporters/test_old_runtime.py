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
from exporters.testing import SmallNetwork, feeds, random_inputs, randomize
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
        image = functional.interpolate(image, (9, 7), mode="bilinear") - 0.5
        return torch.softmax(self.scorer(image.mean((2, 3))) / 2, 1)


def in_the_old_runtime(artifact, fed, folder):
    np.savez(folder / "feed.npz", **fed)
    command = [PYTHON, "-c", RUN, artifact.path, folder / "feed.npz", folder / "result.npz"]
    subprocess.run(command, check=True, timeout=120, capture_output=True)
    with np.load(folder / "result.npz") as found:
        return dict(found)


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.FP16, Precision.INT8])
@pytest.mark.parametrize("name", ["small", "everything", "mnasnet-a1", "mobilenet-v2"])
def test_both_runtimes_compute_the_same(name, precision, tmp_path):
    made = {"small": SmallNetwork, "everything": Everything}.get(name)
    if made is None:
        module, shape = catalog.create(name).at(96).build(Classifier(classes=10)), (1, 3, 96, 96)
    else:
        module, shape = made(), (1, 3, 16, 20)
    inputs = random_inputs(shape)
    randomize(module, inputs)
    artifact = create("tflite", precision).export(module, inputs, tmp_path)
    fed = feeds(artifact, inputs)
    old, new = in_the_old_runtime(artifact, fed, tmp_path), LiteRtModel(artifact.path).run(fed)
    # int8 kernels may round the last bit otherwise, and stand-in scales make that bit large
    assert parity(old, new, 0.15 if precision is Precision.INT8 else 1e-4).passed
