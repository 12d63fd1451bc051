"""Does an exported file compute what the network does, and how long does an export take?

Random networks of the spaces, the catalog up to 31 million parameters (at 224 pixels at most; of
clips none, see ``stream_export.py``), and nine of timm's, with weights and batch-norm
statistics like trained ones (``exporters.testing.randomize``), are exported, run in LiteRT,
compared with torch: ``max_error`` is the worst of all, as a share of a network's largest output.
``min_sensitivity`` is the least that any network's outputs change with the input, likewise, so
that equal outputs mean something; ``delegated`` counts the files that XNNPACK runs whole,
``by_timm`` has the error and the layout operators of each of timm's. The same networks as ONNX,
run in onnxruntime: ``onnx_networks``, ``onnx_max_error``.

``detectors`` has the same keys of whole detectors, backbone and RetinaNet's heads: SpineNet-49
mobile as published (91 classes at 384 pixels, ``mobile_error``) and random members of the
scale-permuted spaces, at their own widths where they are of MBConv blocks and at a fraction of the
published ones where not. ``--detectors`` runs these alone.

The times are of MnasNet-A1 at 224 pixels, in process starts of their own: the exporter's late
imports, torch being there (``import_s``), then the first export, and those after it. Each flushes
its file to the disk.

Run: ``python benchmarks/export_parity.py [--quick]``; one JSON object comes last on stdout.
"""

from __future__ import annotations

import argparse
import importlib
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

from exporters.exporter import NamedInput, create
from exporters.litert_runtime import LiteRtModel
from exporters.onnx_runtime import OnnxModel
from exporters.testing import (
    expected,
    feeds,
    random_inputs,
    randomize,
    sensitivity,
    tflite_parity,
)
from exporters.verify import TOLERANCE, layout_operators, parity
from search_space import catalog
from search_space.architecture import Architecture, Classifier, Detector, Family, Head
from search_space.space import create as create_space

HEAD = Classifier(classes=1000)
SIZES = (64, 96, 101, 128, 160, 224)
"""In pixels, drawn for each random network."""

SPACES: tuple[tuple[str, dict[str, str]], ...] = (
    ("mnasnet", {}),
    ("mnasnet", {"definition": "public", "base": "mnasnet_a1"}),
    ("mnasnet", {"strides": "small", "size": "28", "channels": "1", "width": "0.35"}),
    ("proxyless", {}),
    ("efficientnet", {}),
    ("efficientnetv2", {}),
)
SCALED = ("mnasnet-a1@0.35", "mnasnet-b1@0.75", "mobilenet-v2@1.4")
NARROW = {
    "filter_scale": "0.25", "endpoint_filters": "64", "head_filters": "64", "stem_filters": "16",
}  # fmt: skip
DETECTORS: tuple[tuple[str, dict[str, str]], ...] = (
    ("spinenet_mbconv", {}),
    ("spinenet", NARROW),
    ("spinenet", {**NARROW, "definition": "public"}),
    ("spinenet_v2", NARROW),
    ("spinenet_scaling", {"base": "spinenet-mobile-49"}),
)
"""Spaces of detectors, and their options."""

DETECTOR_SIZES = (128, 192, 224, 256, 320)
"""In pixels, drawn for each random detector; 128 does not divide all of them."""

COCO = Detector(classes=91)

STARTS = 5
CALLS = 10


TIMM = (
    "mobilenetv2_100",
    "semnasnet_100",
    "mnasnet_small",
    "tf_efficientnet_lite0",
    "tf_efficientnetv2_b0",
    "mobilenetv3_large_100",
    "mobilenetv3_small_100",
    "mobilenetv4_conv_small",
    "resnet18",
)


def networks(count: int, largest: int) -> Iterator[Architecture]:
    """``count`` random ones, equally many of each space, then the catalog's.

    Args:
        count: Of the random ones.
        largest: Parameters of the largest network of the catalog that is taken.
    """
    rng = random.Random(0)
    for index in range(count):
        name, options = SPACES[index % len(SPACES)]
        space = create_space(name, options)
        found = space.decode(space.points.sample(rng))
        yield found if options.get("strides") == "small" else found.at(rng.choice(SIZES))
    for name in (*catalog.names(), *SCALED):
        published = catalog.resolve(name)
        if published.family is Family.MULTI_STREAM:
            continue
        with torch.device("meta"):  # which draws no weights
            weights = sum(each.numel() for each in published.build(HEAD).parameters())
        if weights <= largest:
            yield published.at(min(published.inputs[0].shape[-1], SIZES[-1]))


def detectors(count: int) -> Iterator[Architecture]:
    """SpineNet-49 mobile, then ``count`` random ones, equally many of each space."""
    yield catalog.resolve("spinenet-mobile-49")
    rng = random.Random(0)
    for index in range(count):
        name, options = DETECTORS[index % len(DETECTORS)]
        space = create_space(name, options)
        yield space.decode(space.points.sample(rng)).at(rng.choice(DETECTOR_SIZES))


Modules = Iterator[tuple[str, nn.Module, tuple[NamedInput, ...]]]


def modules(count: int, largest: int) -> Modules:
    """Name, network and inputs of ``networks``, then of timm's."""
    yield from _built(networks(count, largest), HEAD)
    import timm

    for index, name in enumerate(TIMM):
        yield name, timm.create_model(name), random_inputs((1, 3, 224, 224), seed=index)


def _built(architectures: Iterator[Architecture], head: Head) -> Modules:
    for index, architecture in enumerate(architectures):
        shape = (1, *architecture.inputs[0].shape)
        yield "", architecture.build(head), random_inputs(shape, seed=index)


def compared(
    given: Modules, folder: Path, *, onnx: int, statistics_of: int = 1
) -> dict[str, object]:
    """What ``networks`` and the keys after it say of ``given``.

    Args:
        given: Networks.
        folder: For their files.
        onnx: How many of them are exported as ONNX too.
        statistics_of: Batch norms take statistics of eight times as many images.
    """
    errors, sensitivities, layout, delegated = list[float](), list[float](), 0, 0
    onnx_errors: list[float] = []
    by_timm: dict[str, list[float]] = {}
    for index, (name, network, inputs) in enumerate(given):
        randomize(network, _repeated(inputs, statistics_of), seed=index)
        sensitivities.append(sensitivity(network, inputs))
        artifact = create("tflite").export(network, inputs, folder)
        errors.append(tflite_parity(network, artifact, inputs).max_error)
        moved = len(layout_operators(artifact.path))
        layout += 0 if name else moved
        delegated += LiteRtModel(artifact.path).delegated
        artifact.path.unlink()
        if name:
            by_timm[name] = [errors[-1], moved]
        if name or len(onnx_errors) < onnx:
            onnx_errors.append(onnx_error(network, inputs, folder))
    return {
        "networks": len(errors),
        "max_error": max(errors),
        "first_error": errors[0],
        "median_error": statistics.median(errors),
        "tolerance": TOLERANCE,
        "min_sensitivity": min(sensitivities),
        "layout_operators": layout,
        "delegated": delegated,
        "by_timm": by_timm,
        "onnx_networks": len(onnx_errors),
        "onnx_max_error": max(onnx_errors, default=None),
    }


def _repeated(inputs: tuple[NamedInput, ...], times: int) -> tuple[NamedInput, ...]:
    return tuple(NamedInput(each.name, each.value.repeat(times, 1, 1, 1)) for each in inputs)


def compared_detectors(count: int, folder: Path, *, onnx: int) -> dict[str, object]:
    """The key ``detectors``; see ``detectors``.

    Of 128 pixels P7 is one, and statistics of eight numbers would let signals grow from layer to
    layer until float32 itself is off by 1e-4.
    """
    given = _built(detectors(count), COCO)
    found = compared(given, folder, onnx=onnx, statistics_of=4)
    del found["by_timm"]
    return {"mobile_error": found.pop("first_error"), **found}


def onnx_error(network: nn.Module, inputs: tuple[NamedInput, ...], folder: Path) -> float:
    """Of a network's ONNX file in onnxruntime against torch."""
    artifact = create("onnx").export(network, inputs, folder)
    outputs = OnnxModel(artifact.path).run(feeds(artifact, inputs))
    artifact.path.unlink()
    return parity(outputs, expected(network, artifact, inputs)).max_error


def times_of_this_process(folder: Path) -> list[float]:
    """Seconds of the late imports, then of each export of MnasNet-A1."""
    network = catalog.create("mnasnet-a1").build(HEAD)
    inputs = random_inputs((1, 3, 224, 224))
    start = time.perf_counter()
    for module in ("exporters.trace", "exporters.flatbuffer"):
        importlib.import_module(module)
    seconds = [time.perf_counter() - start]
    for _ in range(CALLS):
        start = time.perf_counter()
        create("tflite").export(network, inputs, folder)
        seconds.append(time.perf_counter() - start)
    return seconds


def timed() -> dict[str, object]:
    """The keys of the result that are about time."""
    program = [sys.executable, str(Path(__file__).resolve()), "--times"]
    starts = [
        json.loads(subprocess.run(program, check=True, stdout=subprocess.PIPE, timeout=300).stdout)
        for _ in range(STARTS)
    ]
    return {
        "starts": STARTS,
        "import_s": statistics.median(start[0] for start in starts),
        "mnasnet_a1_cold_s": statistics.median(start[1] for start in starts),
        "mnasnet_a1_cold_max_s": max(start[1] for start in starts),
        "mnasnet_a1_warm_s": statistics.median(s for start in starts for s in start[2:]),
        "mnasnet_a1_warm_max_s": max(s for start in starts for s in start[2:]),
    }


def main() -> None:
    """Run it as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--quick", action="store_true", help="12 random networks and 4 detectors, not 300 and 50"
    )
    parser.add_argument("--times", action="store_true", help="only this process's export times")
    parser.add_argument("--detectors", action="store_true", help="only the detectors")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.times:
            print(json.dumps(times_of_this_process(Path(folder))))
            return
        torch.set_num_threads(1)
        count, onnx = (12, 4) if arguments.quick else (300, 300)
        more, more_onnx = (4, 1) if arguments.quick else (50, 10)
        found: dict[str, object] = {
            "detectors": compared_detectors(more, Path(folder), onnx=more_onnx)
        }
        if not arguments.detectors:
            largest = 6_000_000 if arguments.quick else 31_000_000
            whole = compared(modules(count, largest), Path(folder), onnx=onnx)
            del whole["first_error"]
            found = {**timed(), **whole, "largest_of_the_catalog": largest, **found}
        print(json.dumps(found))


if __name__ == "__main__":
    main()
