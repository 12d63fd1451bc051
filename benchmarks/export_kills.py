"""Is there ever half a file under a final name?

``pocketnas export`` (TFLite in fp32, fp16 and int8, every other time as a bundle) runs in
processes that are forked after the imports and killed at random points in time, from before the
first byte to after the last. After every kill each file under a final name must be what its name
says, and a bundle whole or not there; now and then a run that nobody kills follows.

Run: ``python benchmarks/export_kills.py [--quick] [--kills N]``; one JSON object comes last on
stdout.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

import torch

from delivery.bundle import verify
from delivery.export import Plan
from delivery.network import Network
from exporters.exporter import create
from exporters.quantize import Quantization
from pocketnas.exported import export
from search_space import catalog
from search_space.architecture import Classifier
from training.task import create as create_task
from workspace.files import sha256_of

QUANTIZATIONS = (Quantization.NONE, Quantization.FP16, Quantization.INT8)


def network() -> Network:
    """Untrained, on the digits' classes: what it answers does not matter here."""
    architecture = catalog.create("mobilenet-v2@0.35").at(32)
    head = Classifier(classes=10)
    return Network(
        architecture=architecture,
        head=head,
        module=architecture.build(head),
        name="mobilenet-v2@0.35",
        weights="untrained",
        task=create_task("digits"),
    )


def exported(made: Network, folder: Path, *, bundle: bool) -> None:
    """One whole export; gates only warn: an untrained network's int8 may answer otherwise."""
    from delivery.gates import GateName

    plan = Plan(quantizations=QUANTIZATIONS, calibration_samples=16, only_warn=frozenset(GateName))
    export(made, plan, folder / "bundle" if bundle else folder / "files", bundle=bundle)


def seconds_of(made: Network, folder: Path, *, bundle: bool) -> float:
    """That an export takes when nobody disturbs it."""
    start = time.monotonic()
    exported(made, folder, bundle=bundle)
    return time.monotonic() - start


def killed(made: Network, folder: Path, after_s: float, *, bundle: bool) -> bool:
    """Whether a forked export was killed before its end."""
    process = os.fork()
    if process == 0:
        with contextlib.suppress(BaseException):
            sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - until the process ends
            exported(made, folder, bundle=bundle)
        os._exit(0)
    time.sleep(after_s)
    os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    return os.WIFSIGNALED(status)


def halves(folder: Path) -> list[str]:
    """Files under a final name that are not what they should be."""
    wrong = [
        path.name
        for path in (folder / "files").glob("*")
        if not path.name.startswith(".") and path.stem != sha256_of(path)[:16]
    ]
    if (folder / "bundle").exists():
        good, lines = verify(folder / "bundle")
        wrong += [] if good else lines
    return wrong


def main() -> None:
    """Print the figures; exit code 1 if a half was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="20 kills")
    parser.add_argument("--kills", type=int, help="how many")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    kills = arguments.kills or (20 if arguments.quick else 200)
    torch.set_num_threads(1)
    create("tflite")
    made, rng = network(), random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as text:
        usual_s = max(seconds_of(made, Path(text), bundle=bundle) for bundle in (False, True))
    before_the_end = found = 0
    wrong: list[str] = []
    for index in range(kills):
        with tempfile.TemporaryDirectory() as text:
            folder, bundle = Path(text), index % 2 == 1
            after_s = rng.uniform(0, 1.1 * usual_s)
            before_the_end += killed(made, folder, after_s, bundle=bundle)
            wrong += halves(folder)
            found += any((folder / name).exists() for name in ("files", "bundle"))
            if index % 20 == 0:  # what the killed one left is in nobody's way
                if (folder / "bundle").exists():
                    continue
                exported(made, folder, bundle=bundle)
                wrong += halves(folder)
    print(
        json.dumps(
            {
                "kills": kills,
                "killed_before_the_end": before_the_end,
                "with_something_there": found,
                "halves": len(wrong),
                "what": wrong[:5],
                "export_s": round(usual_s, 2),
            }
        )
    )
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
