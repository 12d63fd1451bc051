"""How fast is a file written, against Google's litert-torch, and is it as good?

MnasNet-A1, EfficientNet-B0 with and without squeeze-and-excite (timm's), MobileNetV2, at 224, with
weights and statistics like trained ones. Both ways write the same module in this one run, each in
a process that has already written a small network, so that neither pays for its imports:

* ``speedup``: seconds of litert-torch over seconds of the writer, medians of 5; the least of all
  networks. The seconds of each way are beside it.
* ``max_error``: of the outputs of either file against torch's, as a share of the largest.
* ``latency_ratio``: of the writer's file to litert-torch's, in LiteRT, sessions of ten process
  starts each, interleaved; with the 95 % interval of each network, whose largest upper end is
  ``latency_ratio_high``.
* ``memory_ratio``: growth of resident memory while the writer works over the file's size.

Needs the extra ``litert``. Run: ``python benchmarks/export_speed.py [--quick]``; one JSON object
comes last on stdout. Times are of this x86 computer: they test the method, no phone's speed.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypedDict

import torch
from torch import nn

from devices.device import ModelFile
from devices.host import HostDevice
from devices.pool import lease
from exporters.artifact import Precision
from exporters.exporter import NamedInput, create
from exporters.litert import converted, program_of
from exporters.testing import SmallNetwork, random_inputs, randomize, tflite_parity
from exporters.verify import layout_operators
from latency.interval import interval_of_ratio
from latency.presets import SEARCH, exactly
from latency.protocol import Bench, Candidate, Measured, measure_batch
from search_space import catalog
from search_space.architecture import Classifier
from workspace.files import sha256_of

HEAD = Classifier(classes=1000)
CALLS = 5
SESSIONS = 10


def mnasnet_a1() -> nn.Module:
    """The catalog's."""
    return catalog.create("mnasnet-a1").build(HEAD)


def mobilenet_v2() -> nn.Module:
    """The catalog's."""
    return catalog.create("mobilenet-v2").build(HEAD)


def efficientnet_b0() -> nn.Module:
    """From timm."""
    import timm

    made: nn.Module = timm.create_model("efficientnet_b0")
    return made


def efficientnet_b0_without_se() -> nn.Module:
    """From timm, each squeeze-and-excite left out."""
    network = efficientnet_b0()
    for module in network.modules():
        if hasattr(module, "se"):
            module.se = nn.Identity()
    return network


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "mnasnet-a1": mnasnet_a1,
    "efficientnet-b0-without-se": efficientnet_b0_without_se,
    "efficientnet-b0": efficientnet_b0,
    "mobilenet-v2": mobilenet_v2,
}


def network_of(name: str) -> tuple[nn.Module, tuple[NamedInput, ...]]:
    """With weights and statistics like trained ones."""
    torch.manual_seed(0)
    network, inputs = NETWORKS[name](), random_inputs((1, 3, 224, 224))
    randomize(network, inputs)
    return network, inputs


class Export(TypedDict):
    """What is found of one way."""

    seconds: list[float]
    path: str
    bytes: int
    grown_bytes: int
    max_error: float
    layout_operators: int
    tool: str


def exported(name: str, exporter: str, folder: Path, calls: int) -> Export:
    """Export a network some times over; what is found, for the process that asked."""
    network, inputs = network_of(name)
    writer = create(exporter)
    small = SmallNetwork()
    randomize(small, random_inputs((1, 3, 16, 20)))
    if exporter == "litert":
        converted(program_of(small, random_inputs((1, 3, 16, 20))))
    else:
        writer.export(small, random_inputs((1, 3, 16, 20)), folder).path.unlink()
    before_kb = _peak_kb()
    seconds = []
    for _ in range(calls):
        start = time.perf_counter()
        if exporter == "litert":  # in this process, without the start of one of its own
            converted(program_of(network, inputs))
        else:
            writer.export(network, inputs, folder)
        seconds.append(time.perf_counter() - start)
    grown_kb = _peak_kb(reset=False) - before_kb
    artifact = writer.export(network, inputs, folder)
    return {
        "seconds": seconds,
        "path": str(artifact.path),
        "bytes": artifact.path.stat().st_size,
        "grown_bytes": 1024 * grown_kb,
        "max_error": tflite_parity(network, artifact, inputs).max_error,
        "layout_operators": len(layout_operators(artifact.path)),
        "tool": artifact.tool,
    }


def _peak_kb(*, reset: bool = True) -> int:
    """The most resident memory so far; after that it is counted anew if ``reset``."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1])


def in_its_own_process(name: str, exporter: str, folder: Path, calls: int) -> Export:
    """What ``exported`` finds."""
    program = [sys.executable, str(Path(__file__).resolve()), "--only", name, exporter]
    asked = [*program, "--folder", str(folder), "--calls", str(calls)]
    done = subprocess.run(asked, check=True, stdout=subprocess.PIPE, timeout=1800)
    found: Export = json.loads(done.stdout.splitlines()[-1])
    return found


def latency_ratio(ours: Path, theirs: Path, sessions: int) -> tuple[float, float, float]:
    """Of two files on this computer, with the 95 % interval."""
    protocol = replace(exactly(SEARCH, sessions), sentinel_every=0)
    candidates = [
        Candidate(
            model=ModelFile(path=path, sha256=sha256_of(path)),
            precision=Precision.FP32,
            protocol=protocol,
        )
        for path in (ours, theirs)
    ]
    found = {}
    with lease("host", wait_s=60.0):
        for result in measure_batch(Bench(device=HostDevice()), candidates, seed=0):
            if not isinstance(result, Measured):
                raise result.error
            found[result.index] = result.measurement.session_values_ms
    ratio = interval_of_ratio(found[0], found[1], 0.95)
    return ratio.ratio, ratio.low, ratio.high


def compared(name: str, folder: Path, calls: int, sessions: int) -> dict[str, object]:
    """One network, both ways."""
    ours = in_its_own_process(name, "tflite", folder, CALLS)
    theirs = in_its_own_process(name, "litert", folder, calls)
    own_s, their_s = statistics.median(ours["seconds"]), statistics.median(theirs["seconds"])
    ratio, low, high = latency_ratio(Path(ours["path"]), Path(theirs["path"]), sessions)
    return {
        "writer_s": own_s,
        "litert_torch_s": their_s,
        "speedup": their_s / own_s,
        "max_error": ours["max_error"],
        "litert_torch_max_error": theirs["max_error"],
        "layout_operators": ours["layout_operators"],
        "litert_torch_layout_operators": theirs["layout_operators"],
        "latency_ratio": ratio,
        "latency_ratio_95": [low, high],
        "memory_ratio": ours["grown_bytes"] / ours["bytes"],
        "tools": [ours["tool"], theirs["tool"]],
    }


def main() -> None:
    """Run it as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="MnasNet-A1 alone, litert-torch once")
    parser.add_argument("--only", nargs=2, metavar=("NETWORK", "EXPORTER"), help="one way only")
    parser.add_argument("--folder", type=Path, help="where --only writes to")
    parser.add_argument("--calls", type=int, default=CALLS, help="exports of --only")
    arguments = parser.parse_args()
    if arguments.only:
        name, exporter = arguments.only
        print(json.dumps(exported(name, exporter, arguments.folder, arguments.calls)))
        return
    names = ["mnasnet-a1"] if arguments.quick else list(NETWORKS)
    calls, sessions = (1, 5) if arguments.quick else (CALLS, SESSIONS)
    found: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            found[name] = compared(name, Path(folder), calls, sessions)
            sys.stderr.write(f"{name}: {json.dumps(found[name])}\n")

    def over(key: str) -> list[float]:
        return [float(str(each[key])) for each in found.values()]

    highs = [each["latency_ratio_95"][1] for each in found.values()]  # type: ignore[index]
    figures = {
        "speedup": min(over("speedup")),
        "max_error": max(over("max_error")),
        "latency_ratio": statistics.median(over("latency_ratio")),
        "latency_ratio_high": max(highs),
        "layout_operators": sum(over("layout_operators")),
        "memory_ratio": max(over("memory_ratio")),
        "by_network": found,
        "times": "of this x86 computer: they test the method, no phone's speed",
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
