"""Does an int8 file with stand-in scales take as long as the calibrated one?

Random networks of the spaces, with weights and statistics like trained ones, are written in int8
by the fast writer, with stand-in scales, and quantized with calibration from the fp32 file. Both
files of a network are timed on this computer, interleaved. ``median_difference`` is the median
over networks of how far the ratio of their latencies is from 1; the intervals of all ratios are
counted that hold 1; networks whose calibrated file the runtime refuses are counted apart. The
seconds that each way takes are beside it: they are why candidates are timed so.

Needs the extra ``quantize``. Run: ``python benchmarks/int8_timing.py [--quick]``; one JSON object
comes last on stdout. Times are of this x86 computer: they test the method, no phone's speed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from devices.device import ModelFile
from devices.host import HostDevice
from devices.pool import lease
from exporters.artifact import Artifact, Precision
from exporters.exporter import ExportError, create
from exporters.quantize import LEAST_SAMPLES, Quantization, quantize
from exporters.testing import random_inputs, randomize
from exporters.tflite_file import operators
from latency.interval import RatioInterval, interval_of_ratio
from latency.presets import SEARCH, exactly
from latency.protocol import Bench, Candidate, Measured, measure_batch
from search_space.architecture import Architecture, Classifier
from search_space.space import create as create_space

HEAD = Classifier(classes=1000)
SPACES: tuple[tuple[str, dict[str, str]], ...] = (
    ("mnasnet", {}),
    ("mnasnet", {"definition": "public", "base": "mnasnet_a1"}),
    ("proxyless", {}),
)
SIZES = (96, 128, 160)
SESSIONS = 5


def networks() -> Iterator[Architecture]:
    """Random ones, equally many of each space; no end."""
    rng = random.Random(0)
    for name, options in itertools.cycle(SPACES):
        space = create_space(name, options)
        yield space.decode(space.points.sample(rng)).at(rng.choice(SIZES))


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """A network's two files, and the seconds that each took."""

    stand_in: Artifact
    calibrated: Artifact
    stand_in_s: float
    calibrated_s: float


def both_files(architecture: Architecture, seed: int, folder: Path) -> Files:
    """The stand-in file and the calibrated one."""
    shape = (1, *architecture.inputs[0].shape)
    network, inputs = architecture.build(HEAD), random_inputs(shape, seed=seed)
    randomize(network, inputs, seed=seed)
    start = time.perf_counter()
    stand_in = create("tflite", Precision.INT8).export(network, inputs, folder)
    stand_in_s = time.perf_counter() - start
    rng = np.random.default_rng(seed)
    whole = create("tflite").export(network, inputs, folder)
    (spec,) = whole.inputs
    samples = [
        {spec.name: rng.normal(size=spec.shape).astype(np.float32)} for _ in range(LEAST_SAMPLES)
    ]
    start = time.perf_counter()
    calibrated = quantize(whole, Quantization.INT8, folder, calibration=samples)
    calibrated_s = time.perf_counter() - start
    return Files(
        stand_in=stand_in,
        calibrated=calibrated,
        stand_in_s=stand_in_s,
        calibrated_s=calibrated_s,
    )


def ratio_of(stand_in: Artifact, calibrated: Artifact) -> RatioInterval:
    """Of their latencies, from interleaved sessions."""
    protocol = replace(
        exactly(SEARCH, SESSIONS), warmup_min_s=0.1, timed_min_s=0.4, sentinel_every=0
    )
    candidates = [
        Candidate(
            model=ModelFile(path=each.path, sha256=each.sha256),
            precision=Precision.INT8,
            protocol=protocol,
        )
        for each in (stand_in, calibrated)
    ]
    found = {}
    for result in measure_batch(Bench(device=HostDevice()), candidates, seed=0):
        if not isinstance(result, Measured):
            raise result.error
        found[result.index] = result.measurement.session_values_ms
    return interval_of_ratio(found[0], found[1], 0.95)


def main() -> None:
    """Run it as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="4 networks, not 50")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    count = 4 if arguments.quick else 50
    ratios: list[float] = []
    refused: list[str] = []
    seconds: tuple[list[float], list[float]] = ([], [])
    same = holds = 0
    with lease("host", wait_s=60.0):
        for index, architecture in enumerate(networks()):
            if len(ratios) == count or len(refused) == count:
                break
            with tempfile.TemporaryDirectory() as folder:
                try:
                    made = both_files(architecture, index, Path(folder))
                except ExportError as error:
                    refused.append(str(error))
                    sys.stderr.write(f"{index}: {error}\n")
                    continue
                same += operators(made.stand_in.path) == operators(made.calibrated.path)
                found = ratio_of(made.stand_in, made.calibrated)
            ratios.append(found.ratio)
            holds += not found.separated
            seconds[0].append(made.stand_in_s)
            seconds[1].append(made.calibrated_s)
            sys.stderr.write(f"{index}: {found.ratio:.4f} ({found.low:.4f} to {found.high:.4f})\n")
    print(
        json.dumps(
            {
                "networks": len(ratios),
                "refused_calibrated": len(refused),
                "median_difference": statistics.median(abs(ratio - 1) for ratio in ratios),
                "worst_difference": max(abs(ratio - 1) for ratio in ratios),
                "median_ratio": statistics.median(ratios),
                "intervals_that_hold_1": holds,
                "same_operators": same,
                "stand_in_s": statistics.median(seconds[0]),
                "calibrated_s": statistics.median(seconds[1]),
                "times": "of this x86 computer: they test the method, no phone's speed",
            }
        )
    )


if __name__ == "__main__":
    main()
