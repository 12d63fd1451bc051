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
published ones where not. They are judged as all others are: the file against torch in float32, the
worst of the ten outputs, as a share of that output's largest number; ``within`` counts those at
most ``tolerance`` off. Networks as deep as these, of four repeats some, make much of little, so
that torch in float64 stands beside: ``max_rounding`` is how far torch's own float32 is from it,
``max_exact_error`` how far the file is, ``beyond`` tells all three of every network that is not
within. One whose file is about as far from float64 as torch's float32 is rounds as float32 does,
and is counted as not within all the same.
Two things keep signals as a trained network's are. Batch norms have statistics of at least 128
values a channel: of fewer, as those of one pixel on 32 images, another image's signals grow from
layer to layer. And residual branches, whose last batch norms are told to start at 0 as usual, are
drawn smaller than what they are added to: at equal size rounding grows from one to the next, until
torch's own two precisions no longer agree, and neither does a file that is torch's to the last
operator.
``--detectors`` runs these alone; what was found of each is kept in a log, so that the script goes
on where it was stopped.

The times are of MnasNet-A1 at 224 pixels, in process starts of their own: the exporter's late
imports, torch being there (``import_s``), then the first export, and those after it. Each flushes
its file to the disk.

Run: ``python benchmarks/export_parity.py [--quick] [--detectors] [--log FOLDER]``; one JSON object
comes last on stdout.
"""

from __future__ import annotations

import argparse
import copy
import importlib
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from benchmarks.comparison.log import Log, key_of, log_folder
from exporters.exporter import NamedInput, create
from exporters.litert_runtime import LiteRtModel
from exporters.onnx_runtime import OnnxModel
from exporters.testing import (
    expected,
    feeds,
    random_inputs,
    randomize,
    sensitivity,
)
from exporters.verify import TOLERANCE, channels_last, layout_operators, parity
from search_space import catalog
from search_space.architecture import Architecture, Classifier, Detector, Family, Json
from search_space.blocks import Block
from search_space.space import create as create_space
from search_space.spinenet_layers import ShortcutBlock
from workspace.code import digest_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

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

DETECTOR_SIZES = (192, 224, 256, 320)
"""In pixels, drawn for each random detector; 128 does not divide all of them. P7 has 2 x 2 pixels
and more: with ``REPEATED`` images as many numbers as statistics need."""

REPEATED = 4
"""Batches of eight images that detectors' batch norms take their statistics of."""

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


def detectors(count: int) -> Iterator[tuple[str, Architecture]]:
    """SpineNet-49 mobile, then ``count`` random ones, equally many of each space, with names."""
    yield "spinenet-mobile-49", catalog.resolve("spinenet-mobile-49")
    rng = random.Random(0)
    for index in range(count):
        name, options = DETECTORS[index % len(DETECTORS)]
        space = create_space(name, options)
        found = space.decode(space.points.sample(rng)).at(rng.choice(DETECTOR_SIZES))
        yield f"{name} {index}, {found.inputs[0].shape[-1]} pixels", found


Modules = Iterator[tuple[str, nn.Module, tuple[NamedInput, ...]]]


def modules(count: int, largest: int) -> Modules:
    """Name, network and inputs of ``networks``, then of timm's."""
    for index, architecture in enumerate(networks(count, largest)):
        shape = (1, *architecture.inputs[0].shape)
        yield architecture.key, architecture.build(HEAD), random_inputs(shape, seed=index)
    import timm

    for index, name in enumerate(TIMM):
        yield name, timm.create_model(name), random_inputs((1, 3, 224, 224), seed=index)


Figures = dict[str, Json]
"""Of one network."""


def compared(given: Modules, folder: Path, *, onnx: int) -> dict[str, object]:
    """What ``networks`` and the keys after it say of ``given``.

    Args:
        given: Networks.
        folder: For their files.
        onnx: How many of them are exported as ONNX too, and timm's.
    """
    found = []
    for index, (name, network, inputs) in enumerate(given):
        randomize(network, inputs, seed=index)
        figures = figures_of(network, inputs, folder)
        if index < onnx or name in TIMM:
            figures["onnx_error"] = onnx_error(network, inputs, folder)
        found.append((name, figures))
    ours = [figures for name, figures in found if name not in TIMM]
    return {
        **summary([figures for _, figures in found]),
        "layout_operators": int(sum(_numbers(ours, "layout_operators"))),
        "by_timm": {
            name: [figures["error"], figures["layout_operators"]]
            for name, figures in found
            if name in TIMM
        },
    }


def compared_detectors(
    count: int, folder: Path, *, onnx: int, log: Log | None = None
) -> dict[str, object]:
    """The key ``detectors``; see ``detectors``.

    Args:
        count: Of random ones.
        folder: For their files.
        onnx: How many are exported as ONNX too.
        log: Of what was found before, and for what is found; None for none.
    """
    code = digest_of("exporters", "search_space")
    found: list[tuple[str, Mapping[str, Json]]] = []
    for index, (name, architecture) in enumerate(detectors(count)):
        key = key_of(architecture.key, REPEATED, index, index < onnx, code)
        known = log.find(key) if log is not None else None
        if known is None:
            known = _of_detector(architecture, index, folder, onnx=index < onnx)
            if log is not None:
                log.add(key, {"network": name, **known})
        found.append((name, known))
    figures = [each for _, each in found]
    return {
        "mobile_error": figures[0]["error"],
        **summary(figures),
        "within": sum(error <= TOLERANCE for error in _numbers(figures, "error")),
        "max_exact_error": max(_numbers(figures, "exact_error")),
        "max_rounding": max(_numbers(figures, "rounding")),
        "beyond": [
            {
                "network": name,
                **{which: each[which] for which in ("error", "exact_error", "rounding")},
            }
            for name, each in found
            if not float(cast("float", each["error"])) <= TOLERANCE
        ],
    }


def _of_detector(architecture: Architecture, index: int, folder: Path, *, onnx: bool) -> Figures:
    network, inputs = drawn_detector(architecture, index)
    figures = figures_of(network, inputs, folder, exactly=True)
    if onnx:
        figures["onnx_error"] = onnx_error(network, inputs, folder)
    return figures


def drawn_detector(
    architecture: Architecture, seed: int
) -> tuple[nn.Module, tuple[NamedInput, ...]]:
    """A detector with the weights and statistics that it is judged with, and its inputs."""
    network = architecture.build(COCO)
    for norm in branch_ends(network):
        nn.init.zeros_(norm.weight)
    inputs = random_inputs((1, *architecture.inputs[0].shape), seed=seed)
    randomize(network, _repeated(inputs, REPEATED), seed=seed)
    return network, inputs


def branch_ends(network: nn.Module) -> Iterator[nn.BatchNorm2d]:
    """The last batch norm of each residual branch of a detector."""
    for module in network.modules():
        if isinstance(module, ShortcutBlock) or (isinstance(module, Block) and module.adds_input):
            yield [each for each in module.body if isinstance(each, nn.BatchNorm2d)][-1]


def figures_of(
    network: nn.Module, inputs: tuple[NamedInput, ...], folder: Path, *, exactly: bool = False
) -> Figures:
    """How far a network's file is off, what it is made of, how much its outputs change.

    Args:
        network: In eval mode.
        inputs: Of it.
        folder: For its file.
        exactly: Whether the network is run in float64 too, of several outputs: ``exact_error`` is
            how far the file is from that, ``rounding`` how far torch in float32 is.
    """
    artifact = create("tflite").export(network, inputs, folder)
    model = LiteRtModel(artifact.path)
    outputs, wanted = model.run(feeds(artifact, inputs)), expected(network, artifact, inputs)
    figures: Figures = {
        "error": parity(outputs, wanted).max_error,
        "sensitivity": sensitivity(network, inputs),
        "layout_operators": len(layout_operators(artifact.path)),
        "delegated": model.delegated,
    }
    if exactly:
        names = [spec.name for spec in artifact.outputs]
        exact = dict(zip(names, _exact_outputs(network, inputs), strict=True))
        figures["exact_error"] = parity(outputs, exact).max_error
        figures["rounding"] = parity(wanted, exact).max_error
    artifact.path.unlink()
    return figures


def summary(figures: Sequence[Mapping[str, Json]]) -> dict[str, object]:
    """Of several networks."""
    errors, onnx = _numbers(figures, "error"), _numbers(figures, "onnx_error")
    return {
        "networks": len(errors),
        "max_error": max(errors),
        "median_error": statistics.median(errors),
        "tolerance": TOLERANCE,
        "min_sensitivity": min(_numbers(figures, "sensitivity")),
        "layout_operators": int(sum(_numbers(figures, "layout_operators"))),
        "delegated": int(sum(_numbers(figures, "delegated"))),
        "onnx_networks": len(onnx),
        "onnx_max_error": max(onnx, default=None),
    }


def _numbers(figures: Sequence[Mapping[str, Json]], name: str) -> list[float]:
    """Of all that have such a figure."""
    return [float(cast("float", each[name])) for each in figures if name in each]


@torch.no_grad()
def _exact_outputs(network: nn.Module, inputs: tuple[NamedInput, ...]) -> list[NDArray[Any]]:
    """Of the network in float64, in the layout of a TFLite file."""
    values = copy.deepcopy(network).double()(*(each.value.double() for each in inputs))
    return [channels_last(value.numpy()) for value in values]


def _repeated(inputs: tuple[NamedInput, ...], times: int) -> tuple[NamedInput, ...]:
    return tuple(NamedInput(each.name, each.value.repeat(times, 1, 1, 1)) for each in inputs)


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
    parser.add_argument(
        "--log", type=Path, help="folder that keeps what was found; else in POCKETNAS_HOME"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.times:
            print(json.dumps(times_of_this_process(Path(folder))))
            return
        torch.set_num_threads(1)
        count, onnx = (12, 4) if arguments.quick else (300, 300)
        more, more_onnx = (4, 1) if arguments.quick else (50, 10)
        with log_folder("export_parity", arguments.log, quick=arguments.quick) as kept:
            log = Log(kept / "detectors.jsonl")
            of_detectors = compared_detectors(more, Path(folder), onnx=more_onnx, log=log)
        found: dict[str, object] = {"detectors": of_detectors}
        if not arguments.detectors:
            largest = 6_000_000 if arguments.quick else 31_000_000
            whole = compared(modules(count, largest), Path(folder), onnx=onnx)
            found = {**timed(), **whole, "largest_of_the_catalog": largest, **found}
        print(json.dumps(found))


if __name__ == "__main__":
    main()
