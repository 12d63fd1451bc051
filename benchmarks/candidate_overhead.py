"""What a candidate costs beyond its transfer and its run on the phone, against the naive way.

Thirty networks of MnasNet's space at 224, each traced, exported, pushed to one loopback phone and
timed there once, over a link of 30 MB/s. What the phone itself needs is taken off: the transfer at
the link's rate, and the time from the runner's start to its exit by the phone's own shell.

The naive way is what a script would do: litert-torch's converter, ``adb push``, ``adb shell``. It
needs the extra ``litert`` and Debian's ``adb``; where they are missing it says so.

A loopback phone is no phone: this tests the way to one.

Run: ``python benchmarks/candidate_overhead.py [--quick] [--naive N]``; one JSON object comes last
on stdout.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import mean, median

from devices.adb import AdbDevice
from devices.device import ModelFile, RunSettings
from devices.fault_proxy import FaultProxy
from devices.loopback.phone import down, up
from devices.transport import ShellResult, Transport, open_transport
from exporters.artifact import ModelFormat, Precision
from latency.model_files import ModelFiles
from latency.source import NetworkSubject
from search_space.architecture import Architecture, Classifier
from search_space.space import create
from workspace.home import home

RATE = 30e6
"""Bytes a second of the link: USB 2 at its best."""

SESSION = RunSettings(warmup_runs=1, warmup_min_s=0, timed_runs=5, timed_min_s=0)
"""Short: how long a run takes is taken off anyway."""

HEAD = Classifier(classes=1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Of one candidate, in seconds."""

    total_s: float
    transfer_s: float
    on_phone_s: float
    pushed_bytes: int

    @property
    def overhead_s(self) -> float:
        """What is left."""
        return self.total_s - self.transfer_s - self.on_phone_s


class Timed(Transport):
    """A transport that asks the phone's shell how long the runner took."""

    on_phone_s = 0.0

    def shell(self, command: Sequence[str], timeout_s: float) -> ShellResult:
        """See ``Transport.shell``; a run is timed by the phone."""
        if not any(str(word).startswith("--graph=") for word in command):
            return super().shell(command, timeout_s)
        text = (
            f"a=$(date +%s%N); {shlex.join(command)}; c=$?; b=$(date +%s%N); "
            "echo POCKETNAS-RAN $a $b; exit $c"
        )
        result = self.script(text, timeout_s)
        start, end = result.stdout.rpartition("POCKETNAS-RAN ")[2].split()[:2]
        type(self).on_phone_s = (int(end) - int(start)) / 1e9
        return result


def candidates(count: int) -> list[Architecture]:
    """Seeded random networks of MnasNet's space, at 224."""
    space = create("mnasnet", {})
    rng = random.Random(11)
    return [space.decode(space.points.sample(rng)).at(224) for _ in range(count)]


def ours(architectures: list[Architecture], proxy: FaultProxy, device: AdbDevice) -> list[Cost]:
    """Each network once: from the architecture to its times."""
    files = ModelFiles(ModelFormat.TFLITE.value, Precision.FP32)
    costs = []
    for architecture in architectures:
        before = proxy.counters.bytes_up
        started = time.perf_counter()
        artifact = files.of(NetworkSubject(architecture=architecture, head=HEAD))
        device.run(ModelFile(path=artifact.path, sha256=artifact.sha256), SESSION)
        total_s = time.perf_counter() - started
        pushed = proxy.counters.bytes_up - before
        costs.append(
            Cost(
                total_s=total_s,
                transfer_s=pushed / RATE,
                on_phone_s=Timed.on_phone_s,
                pushed_bytes=pushed,
            )
        )
    return costs


def naive(architectures: list[Architecture], serial: str, folder: Path) -> list[Cost]:
    """As a script would: convert with litert-torch, ``adb push``, ``adb shell``."""
    import litert_torch
    import torch

    costs = []
    with adb_server() as port:
        adb = ["adb", "-P", str(port)]
        run(*adb, "connect", serial)
        for index, architecture in enumerate(architectures):
            path, remote = folder / f"naive{index}.tflite", f"/data/local/tmp/naive{index}.tflite"
            started = time.perf_counter()
            module = architecture.build(HEAD).eval()
            litert_torch.convert(module, (torch.zeros(1, 3, 224, 224),)).export(str(path))
            run(*adb, "-s", serial, "push", str(path), remote)
            said = run(*adb, "-s", serial, "shell", on_phone(remote))
            total_s = time.perf_counter() - started
            start, end = said.rpartition("POCKETNAS-RAN ")[2].split()[:2]
            costs.append(
                Cost(
                    total_s=total_s,
                    transfer_s=path.stat().st_size / RATE,
                    on_phone_s=(int(end) - int(start)) / 1e9,
                    pushed_bytes=path.stat().st_size,
                )
            )
            sys.stderr.write(f"naive {index + 1}: {costs[-1].overhead_s:.1f} s\n")
        run(*adb, "disconnect", serial)
    return costs


def on_phone(remote: str) -> str:
    """The shell line of the naive way, timed by the phone."""
    return (
        "a=$(date +%s%N); /data/local/tmp/pocketnas/benchmark_model "
        f"--graph={remote} --num_runs=5 --min_secs=0 --warmup_runs=1 --warmup_min_secs=0 "
        "--num_threads=1; b=$(date +%s%N); echo POCKETNAS-RAN $a $b"
    )


@contextmanager
def adb_server() -> Iterator[int]:
    """An adb server of this script alone, on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    run("adb", "-P", str(port), "start-server")
    try:
        yield port
    finally:
        run("adb", "-P", str(port), "kill-server")


def run(*command: str) -> str:
    """What a command prints; its failure is an error."""
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    return done.stdout


def figures(costs: list[Cost], prefix: str = "") -> dict[str, object]:
    """Of one way."""
    overheads = [cost.overhead_s for cost in costs]
    return {
        f"{prefix}candidates": len(costs),
        f"{prefix}overhead_s": round(median(overheads), 3),
        f"{prefix}overhead_most_s": round(max(overheads), 3),
        f"{prefix}total_s": round(median(cost.total_s for cost in costs), 3),
        f"{prefix}on_phone_s": round(median(cost.on_phone_s for cost in costs), 3),
        f"{prefix}pushed_mb": round(mean(cost.pushed_bytes for cost in costs) / 1e6, 2),
    }


def why_not_naive() -> str:
    """What the naive way lacks here; empty if nothing."""
    if find_spec("litert_torch") is None:
        return "litert-torch is not installed: pip install 'pocketnas[litert]'"
    return "" if shutil.which("adb") else "adb is not installed: apt-get install adb"


def measured(count: int, naive_count: int, folder: Path) -> dict[str, object]:
    """Both ways on one phone that is up."""
    (phone,) = up(1)
    with FaultProxy(phone.serial, rate_bytes_per_s=RATE) as proxy:
        transport = open_transport(f"adb:{proxy.serial}", proxy.serial)
        transport.__class__ = Timed
        device = AdbDevice(proxy.serial, transport)
        warm, *architectures = candidates(count + 1)
        ours([warm], proxy, device)  # torch is imported, the phone's program known
        result = figures(ours(architectures, proxy, device))
        device.close()
        lacking = why_not_naive()
        if lacking or not naive_count:
            return {**result, "naive": lacking or "not asked for"}
        slow = naive([warm, *architectures][: naive_count + 1], proxy.serial, folder)[1:]
    result |= figures(slow, "naive_")
    ratio = median(c.overhead_s for c in slow) / float(str(result["overhead_s"]))
    return {**result, "times_less": round(ratio, 1)}


def main() -> None:
    """Print the figures of both ways."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="ten candidates, two the naive way")
    parser.add_argument("--naive", type=int, help="candidates the naive way")
    arguments = parser.parse_args()
    count = 10 if arguments.quick else 30
    naive_count = arguments.naive if arguments.naive is not None else (2 if arguments.quick else 5)
    root = home() / "loopback"
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        (folder / "home").mkdir()
        if root.exists():
            (folder / "home/loopback").mkdir()
            for built in root.glob("root-*"):
                (folder / "home/loopback" / built.name).symlink_to(built.resolve())
        os.environ["POCKETNAS_HOME"] = str(folder / "home")
        try:
            result = measured(count, naive_count, folder)
        finally:
            down()
    sys.stdout.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
