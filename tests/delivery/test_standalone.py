"""The written file is run in a process that has nothing of this project, and held against ours."""

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from delivery.standalone import WEIGHTS, source, state
from delivery.tensors import safetensors
from exporters.exporter import ExportError
from exporters.testing import SmallNetwork, random_inputs, randomize
from search_space import catalog
from search_space.architecture import Classifier
from search_space.blocks import StochasticDepth
from search_space.scaling import Factors, Rounding, scaled
from search_space.space import create as create_space

PROGRAM = """
import sys
import numpy, torch
sys.path.insert(0, sys.argv[1])
import network
assert not {"delivery", "exporters", "safetensors"} & set(sys.modules)
net = network.load()
with numpy.load(sys.argv[2], allow_pickle=False) as kept:
    made = net(*(torch.from_numpy(kept[name]) for name in kept))
made = list(made.values()) if isinstance(made, dict) else [made]
print([sum(p.numel() for p in net.parameters()), *(value.tolist() for value in made)])
"""


def written(module, folder, **shapes):
    (folder / "network.py").write_text(source(module, shapes, "A test's network."))
    (folder / WEIGHTS).write_bytes(safetensors(state(module)))


def run(folder, *inputs):
    np.savez(folder / "inputs.npz", *(value.numpy() for value in inputs))
    done = subprocess.run(
        [sys.executable, "-I", "-c", PROGRAM, str(folder), str(folder / "inputs.npz")],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    count, *values = json.loads(done.stdout)
    return count, [torch.tensor(value) for value in values]


class Odd(nn.Module):
    """Parameters and buffers of its own, functions, several outputs, layers called twice."""

    def __init__(self):
        super().__init__()
        self.register_buffer("scale", torch.rand(3, 1, 1), persistent=False)
        self.gamma = nn.Parameter(torch.rand(3, 1, 1))
        self.widen = nn.Conv2d(3, 8, (3, 5), padding=(1, 2))
        self.norm = nn.GroupNorm(2, 8)
        self.shared = self.norm
        self.larger = nn.Upsample(scale_factor=2.0, mode="bilinear", align_corners=False)
        self.score = nn.Linear(8, 4, bias=False)

    def forward(self, image, factor):
        inner = self.widen(image * self.scale + self.gamma)
        inner += 1
        inner = self.larger(nn.functional.hardswish(self.norm(inner)))
        inner = torch.cat([self.shared(inner), inner.clamp(max=2.0)], 1)[:, :8]
        features = nn.functional.adaptive_avg_pool2d(inner, 1).flatten(1)
        return {"scores": self.score(features) * factor, "features": features}


def test_a_networks_file_computes_what_it_does_in_a_fresh_process(tmp_path):
    space = create_space("mnasnet", {"size": "32", "width": "0.35"})
    import random

    module = space.decode(space.points.sample(random.Random(2))).build(Classifier(classes=10))
    inputs = random_inputs((2, 3, 32, 32))
    randomize(module, inputs)
    written(module, tmp_path, image=(3, 32, 32))
    count, (made,) = run(tmp_path, inputs[0].value)
    assert count == sum(each.numel() for each in module.parameters())
    # Another process may sum float32 numbers in another order.
    torch.testing.assert_close(made, module(inputs[0].value), rtol=1e-5, atol=2e-5)


def test_so_does_an_efficientnetv2_and_its_stochastic_depth_is_kept_for_training(tmp_path):
    whole = catalog.create("efficientnetv2-b0", size=32)
    architecture = scaled(whole, Factors(width=0.25, depth=0.5), Rounding.EFFICIENTNETV2)
    module, inputs = architecture.build(Classifier(classes=10)), random_inputs((2, 3, 32, 32))
    randomize(module, inputs)
    written(module, tmp_path, image=(3, 32, 32))
    _, (made,) = run(tmp_path, inputs[0].value)
    torch.testing.assert_close(made, module(inputs[0].value), rtol=1e-4, atol=1e-4)
    text = (tmp_path / "network.py").read_text()
    kept = [part for part in module.modules() if isinstance(part, StochasticDepth)]
    assert kept
    assert text.count("StochasticDepth(0.") == len(kept)


def test_so_does_one_of_odd_parts(tmp_path):
    module = Odd().eval()
    written(module, tmp_path, image=(3, 8, 10), factor=(4,))
    image, factor = torch.randn(2, 3, 8, 10), torch.randn(2, 4)
    _, made = run(tmp_path, image, factor)
    for value, expected in zip(made, module(image, factor).values(), strict=True):
        torch.testing.assert_close(value, expected, rtol=0, atol=1e-5)


def test_names_are_those_of_the_state_dict_and_it_can_be_trained(tmp_path):
    module = SmallNetwork()
    written(module, tmp_path, image=(3, 16, 20))
    scope: dict[str, Any] = {"__file__": str(tmp_path / "network.py"), "__name__": "network"}
    exec(compile((tmp_path / "network.py").read_text(), "network.py", "exec"), scope)
    made = scope["load"]()
    assert made.state_dict().keys() == module.state_dict().keys()
    made.train()
    made(torch.randn(2, 3, 16, 20)).sum().backward()
    assert all(each.grad is not None for each in made.parameters())


def test_it_is_written_the_same_every_time_and_reads_well():
    module = SmallNetwork()
    text = source(module, {"image": (3, 16, 20)}, 'Says "quoted" \\ things.')
    assert text == source(module, {"image": (3, 16, 20)}, 'Says "quoted" \\ things.')
    assert '"stem.0": nn.Conv2d(3, 8, 3, padding=1, bias=False),' in text
    assert "Takes `image` `[N, 3, 16, 20]` float32." in text
    assert "self.dropout(" in text


class Branching(nn.Module):
    def forward(self, image):
        if image.sum() > 0:
            return image
        return -image


def test_a_network_that_cannot_be_traced_is_refused():
    with pytest.raises(ExportError, match="Branching cannot be traced"):
        source(Branching(), {"image": (3, 8, 8)}, "")


class Hiding(nn.Conv2d):
    tf_same = True

    def __init__(self, secret):
        super().__init__(3, secret, 3, padding=1)


def test_a_layer_that_does_not_keep_its_arguments_is_refused():
    module = nn.Sequential(Hiding(8))
    with pytest.raises(ExportError, match="does not keep its argument 'secret'"):
        source(module, {"image": (3, 8, 8)}, "")
