"""Do exported networks of several streams compute what torch does?

Random members of ``assemblenet`` and ``assemblenet_mobile``, an eighth as wide, on 8 frames of 48
pixels, with flow computed and given, with and without peer attention and object maps, and the
published lite network on 8 frames of 96, get weights and batch-norm statistics like trained ones
(``exporters.testing.randomize``), are exported with the fast writer, run in LiteRT and compared
with torch: ``max_error`` is the worst of the members, as a share of a network's largest output,
allowed is ``tolerance``; ``lite_error`` is the lite network's. ``torch_error`` and
``lite_torch_error`` are how far torch's own float32 is from float64 there: what a network makes of
rounding is no fault of its file. ``min_sensitivity`` is the least that any network's outputs
change with the input, ``layout_operators`` counts PADs and TRANSPOSEs of those that are given
their flow (computing it pads), ``delegated`` the files that XNNPACK runs whole.

Run: ``python benchmarks/stream_export.py [--quick]``; one JSON object comes last on stdout. It
takes some minutes of one core.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from exporters.exporter import NamedInput, create
from exporters.litert_runtime import LiteRtModel
from exporters.testing import random_inputs, randomize, sensitivity, tflite_parity
from exporters.verify import TOLERANCE, layout_operators
from search_space.architecture import VideoClassifier
from search_space.assemblenet import FlowSource, MultiStreamArchitecture
from search_space.assemblenet_networks import create as create_network
from search_space.assemblenet_space import AssembleNetSpace
from search_space.space import create as create_space

HEAD = VideoClassifier(classes=16)
SMALL = {
    "size": "48",
    "frames": "8",
    "width": "0.125",
    "repeats": "2,2,2,2",
    "flow_iterations": "10",
    "nodes": "4",
}
SPACES: tuple[tuple[str, dict[str, str]], ...] = (
    ("assemblenet", {}),
    ("assemblenet", {"flow": "given"}),
    ("assemblenet_mobile", {"stems": "rgb,flow"}),
    ("assemblenet_mobile", {"flow": "given"}),
    ("assemblenet", {"flow": "given", "stems": "rgb,flow,object", "attention": "peer"}),
)


def networks(count: int) -> Iterator[MultiStreamArchitecture]:
    """``count`` random ones, equally many of each kind, then the lite network."""
    rng = random.Random(0)
    for index in range(count):
        name, options = SPACES[index % len(SPACES)]
        space = create_space(name, {**SMALL, **options})
        assert isinstance(space, AssembleNetSpace)
        yield space.decode(space.points.sample(rng))
    lite = create_network("assemblenet-plus-lite")
    yield replace(lite, size=96, frames=8, flow=FlowSource.GIVEN)


def float_error(network: nn.Module, inputs: tuple[NamedInput, ...]) -> float:
    """Of torch's float32 against its float64, as a share of the largest output."""
    values = [given.value for given in inputs]
    with torch.no_grad():
        found = network.eval()(*values).double()
        exact = copy.deepcopy(network).double()(*(value.double() for value in values))
    return float((found - exact).abs().max() / exact.abs().max())


def compared(count: int, folder: Path) -> dict[str, object]:
    """What is printed."""
    errors, floats, sensitivities, seconds = [], [], [], []
    layout = delegated = 0
    for index, architecture in enumerate(networks(count)):
        network = architecture.build(HEAD)
        shapes = [(1, *spec.shape) for spec in architecture.inputs]
        names = tuple(spec.name for spec in architecture.inputs)
        inputs = random_inputs(*shapes, names=names, seed=index)
        randomize(network, inputs, seed=index)
        sensitivities.append(sensitivity(network, inputs))
        start = time.perf_counter()
        artifact = create("tflite").export(network, inputs, folder)
        seconds.append(time.perf_counter() - start)
        errors.append(tflite_parity(network, artifact, inputs).max_error)
        floats.append(float_error(network, inputs))
        if architecture.flow is FlowSource.GIVEN:
            layout += len(layout_operators(artifact.path))
        delegated += LiteRtModel(artifact.path).delegated
        artifact.path.unlink()
    members, lite = errors[:-1], errors[-1]
    return {
        "networks": len(errors),
        "max_error": max(members),
        "median_error": statistics.median(members),
        "above_tolerance": sum(error > TOLERANCE for error in members),
        "tolerance": TOLERANCE,
        "torch_error": floats[members.index(max(members))],
        "lite_error": lite,
        "lite_torch_error": floats[-1],
        "min_sensitivity": min(sensitivities),
        "layout_operators": layout,
        "delegated": delegated,
        "median_export_s": statistics.median(seconds),
    }


def main() -> None:
    """Run it as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="5 random networks, not 50")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(compared(5 if arguments.quick else 50, Path(folder))))


if __name__ == "__main__":
    main()
