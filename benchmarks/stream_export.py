"""Do exported networks of several streams compute what torch does, and can they be timed?

Random members of ``assemblenet`` and ``assemblenet_mobile``, an eighth as wide, on 8 frames of 48
pixels, with flow computed and given, with and without peer attention and object maps, and the
published lite network on 8 frames of 96, get weights and batch-norm statistics like trained ones
(``exporters.testing.randomize``), are exported with the fast writer, run in LiteRT and compared
with torch: ``max_error`` is the worst of the members, as a share of a network's largest output,
allowed is ``tolerance``; ``lite_error`` is the lite network's. ``torch_error`` and
``lite_torch_error`` are how far torch's own float32 is from float64 there, ``lite_exact_error``
how far the lite network's file is: what a network makes of rounding is no fault of its file.
``min_sensitivity`` is the least that any network's outputs change with the input,
``layout_operators`` counts PADs and TRANSPOSEs of those that are given their flow (computing it
pads), ``delegated`` the files that XNNPACK runs whole.

Then all are timed as any other network is, untrained: preset ``quick``, eight at a time whose
sessions are interleaved, on this computer and on a loopback phone, where there can be one. Of
each, ``timed`` counts those that have a latency, ``unstable`` those among them whose interval
stayed wide, ``failures`` says why others have none; ``fastest_ms``, ``median_ms`` and
``slowest_ms`` are of the members, ``lite_ms`` is the lite network's. A loopback phone is no phone:
its times are this computer's, by another runner.

Run: ``python benchmarks/stream_export.py [--quick] [--no-times | --no-phone]``; one JSON object
comes last on stdout. It takes some ten minutes of one core, a third of it without times.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from devices.loopback import needs
from devices.loopback.phone import down, up
from exporters.artifact import Artifact
from exporters.exporter import NamedInput, create
from exporters.litert_runtime import LiteRtModel
from exporters.testing import feeds, random_inputs, randomize, sensitivity, tflite_parity
from exporters.verify import TOLERANCE, layout_operators
from latency.measurement import Verdict
from latency.source import (
    LatencyEstimate,
    LatencyRequest,
    LatencySource,
    NetworkSubject,
    SourceSettings,
)
from latency.source import create as open_source
from search_space.architecture import VideoClassifier
from search_space.assemblenet import FlowSource, MultiStreamArchitecture
from search_space.assemblenet_networks import create as create_network
from search_space.assemblenet_space import AssembleNetSpace
from search_space.space import create as create_space
from workspace.home import home

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

LITE_SEED = 50
"""Of the lite network's weights and clip, so that it is the same whatever comes before it."""

BATCH = 8
"""Networks whose sessions are interleaved."""


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


@torch.no_grad()
def float_error(network: nn.Module, inputs: tuple[NamedInput, ...]) -> float:
    """Of torch's float32 against its float64, as a share of the largest output."""
    return error_of(network.eval()(*(given.value for given in inputs)), network, inputs)


def file_error(network: nn.Module, artifact: Artifact, inputs: tuple[NamedInput, ...]) -> float:
    """Of a file's scores against torch's in float64, likewise."""
    (scores,) = LiteRtModel(artifact.path).run(feeds(artifact, inputs)).values()
    return error_of(torch.from_numpy(scores), network, inputs)


@torch.no_grad()
def error_of(found: torch.Tensor, network: nn.Module, inputs: tuple[NamedInput, ...]) -> float:
    """Of outputs against those of torch in float64, likewise."""
    exact = copy.deepcopy(network).eval().double()(*(given.value.double() for given in inputs))
    return float((found.double() - exact).abs().max() / exact.abs().max())


def compared(count: int, folder: Path) -> dict[str, object]:
    """What is printed."""
    errors, floats, sensitivities, seconds = [], [], [], []
    layout = delegated = 0
    exact = float("nan")
    for place, architecture in enumerate(networks(count)):
        index = place if place < count else LITE_SEED
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
        if place == count:
            exact = file_error(network, artifact, inputs)
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
        "lite_exact_error": exact,
        "min_sensitivity": min(sensitivities),
        "layout_operators": layout,
        "delegated": delegated,
        "median_export_s": statistics.median(seconds),
    }


def timed(architectures: Sequence[MultiStreamArchitecture], on: str) -> dict[str, object]:
    """What is said of one device.

    Args:
        architectures: Members, then the lite network.
        on: The device as a latency source.
    """
    source = open_source(on, SourceSettings(reuse=False))
    found: dict[int, LatencyEstimate] = {}
    failures = list[str]()
    try:
        for start in range(0, len(architectures), BATCH):
            for answer in _answers(source, architectures[start : start + BATCH], start):
                if isinstance(answer, str):
                    failures.append(answer)
                else:
                    found[int(answer.request_id)] = answer
            sys.stderr.write(f"{on}: {len(found)} of {len(architectures)} timed\n")
    finally:
        source.close()
    lite = found.pop(len(architectures) - 1, None)
    members = [answer.latency_ms for answer in found.values()]
    every = [*found.values(), *([lite] if lite else [])]
    return {
        "timed": len(every),
        "unstable": sum(answer.verdict is Verdict.UNSTABLE for answer in every),
        "failures": failures,
        "fastest_ms": min(members, default=None),
        "median_ms": statistics.median(members) if members else None,
        "slowest_ms": max(members, default=None),
        "lite_ms": lite.latency_ms if lite else None,
    }


def _answers(
    source: LatencySource, batch: Sequence[MultiStreamArchitecture], start: int
) -> Iterator[LatencyEstimate | str]:
    """Latencies of a batch, or why there is none."""
    requests = [
        LatencyRequest(
            id=str(start + place),
            subject=NetworkSubject(architecture=architecture, head=HEAD),
            preset="quick",
        )
        for place, architecture in enumerate(batch)
    ]
    for answer in source.estimate(requests):
        yield answer if isinstance(answer, LatencyEstimate) else answer.text


def timed_everywhere(count: int, folder: Path, *, phone: bool) -> dict[str, object]:
    """The keys ``host`` and ``phone``: of this computer and of a loopback phone.

    Args:
        count: Members.
        folder: For files and measurements.
        phone: Whether a phone is asked too.
    """
    architectures = list(networks(count))
    root = home() / "loopback"
    (folder / "loopback").mkdir()
    for built in root.glob("root-*") if root.exists() else ():
        (folder / "loopback" / built.name).symlink_to(built.resolve())
    os.environ["POCKETNAS_HOME"] = str(folder)
    found: dict[str, object] = {"host": timed(architectures, "host")}
    lacking = needs.missing() if phone else "not asked for"
    if lacking:
        return {**found, "phone": lacking}
    try:
        (one,) = up(1)
        return {**found, "phone": timed(architectures, f"adb:{one.serial}")}
    finally:
        down()


def main() -> None:
    """Run it as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="5 random networks, not 50")
    parser.add_argument("--no-times", action="store_true", help="time nothing")
    parser.add_argument("--no-phone", action="store_true", help="time on this computer alone")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    count = 5 if arguments.quick else 50
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        found = compared(count, folder)
        if not arguments.no_times:
            found |= timed_everywhere(count, folder, phone=not arguments.no_phone)
        print(json.dumps(found))


if __name__ == "__main__":
    main()
