"""What do smaller number formats cost a trained network?

A network of MnasNet's space for small images is trained on Fashion-MNIST, exported as TFLite and
ONNX in fp32 and quantized; int8 scales come from training images. Each file classifies the whole
test split in its own runtime. ``int8_drop`` is what int8 TFLite loses against fp32, in points;
``int8_size`` its share of the bytes; ``int8_latency_ratio`` its latency over fp32's on this
computer, ten interleaved sessions each, with the 95 % interval.

Run: ``python benchmarks/quantized_accuracy.py [--quick]``; one JSON object comes last on stdout.
Times are of this x86 computer: they test the method, no phone's speed.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

from devices.device import ModelFile
from devices.host import HostDevice
from devices.pool import lease
from exporters.artifact import Artifact, ModelFormat, Precision
from exporters.exporter import NamedInput, create
from exporters.litert_runtime import LiteRtModel
from exporters.onnx_runtime import OnnxModel
from exporters.quantize import Quantization, quantize
from exporters.verify import channels_last
from latency.interval import interval_of_ratio
from latency.presets import SEARCH, exactly
from latency.protocol import Bench, Candidate, Measured, measure_batch
from search_space.space import create as create_space
from training.classification import SMALL_IMAGES
from training.fashion_mnist import FashionMnist
from training.schedule import Schedule
from training.task import Split
from training.trainer import Trainer

SIZE = 28
CALIBRATION = 256


def trained(samples: int) -> nn.Module:
    """A network of the space, at a width where it learns something."""
    torch.manual_seed(0)
    space = create_space("mnasnet", {**SMALL_IMAGES, "size": str(SIZE), "width": "0.75"})
    architecture = space.decode(space.points.sample(random.Random(1)))
    task = FashionMnist()
    module = architecture.build(task.head)
    schedule = Schedule(samples=samples, batch=64, learning_rate=0.01)
    result = Trainer().fit(module, task, schedule, size=SIZE, seed=0)
    sys.stderr.write(f"trained: {result.accuracy:.2%} of the validation split\n")
    return module.cpu().eval()


def images_of(split: Split, count: int | None) -> tuple[NDArray[Any], NDArray[Any]]:
    """Images `[N, C, H, W]` and labels `[N]`, not augmented."""
    examples = FashionMnist().examples(split, SIZE)
    chosen = torch.arange(len(examples) if count is None else count)
    (images,), labels = examples.batch(chosen, None)
    return images.numpy(), labels.numpy()


def accuracy(artifact: Artifact, images: NDArray[Any], labels: NDArray[Any]) -> float:
    """Of a file in its runtime, one image after another."""
    run: Callable[[Mapping[str, NDArray[Any]]], dict[str, NDArray[Any]]]
    if artifact.format is ModelFormat.ONNX:
        run, laid_out = OnnxModel(artifact.path).run, images
    else:
        run, laid_out = LiteRtModel(artifact.path).run, channels_last(images)
    name, output = artifact.inputs[0].name, artifact.outputs[0].name
    right = sum(
        int(run({name: laid_out[i : i + 1]})[output].argmax() == label)
        for i, label in enumerate(labels)
    )
    return right / len(labels)


def files_of(module: nn.Module, folder: Path) -> dict[str, Artifact]:
    """Every file, by format and precision."""
    inputs = (NamedInput("image", torch.zeros(1, 1, SIZE, SIZE)),)
    pixels, _ = images_of(Split.TRAIN, CALIBRATION)
    found = {}
    for name in ("tflite", "onnx"):
        whole = create(name).export(module, inputs, folder)
        laid_out = pixels if name == "onnx" else channels_last(pixels)
        samples = [{"image": laid_out[i : i + 1]} for i in range(CALIBRATION)]
        for to in Quantization:
            made = quantize(whole, to, folder, calibration=samples)
            found[f"{name} {made.precision}"] = made
    return found


def latency_ratio(one: Artifact, other: Artifact, sessions: int) -> tuple[float, float, float]:
    """Of two files on this computer, with the 95 % interval."""
    candidates = [
        Candidate(
            model=ModelFile(path=each.path, sha256=each.sha256),
            precision=each.precision,
            protocol=exactly(SEARCH, sessions),
        )
        for each in (one, other)
    ]
    found = {}
    with lease("host", wait_s=60.0):
        for result in measure_batch(Bench(device=HostDevice()), candidates, seed=0):
            if not isinstance(result, Measured):
                raise result.error
            found[result.index] = result.measurement.session_values_ms
    ratio = interval_of_ratio(found[0], found[1], 0.95)
    return ratio.ratio, ratio.low, ratio.high


def main() -> None:
    """Run it as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a short training, five sessions")
    arguments = parser.parse_args()
    began = time.monotonic()
    module = trained(30_000 if arguments.quick else 300_000)
    pixels, labels = images_of(Split.TEST, None)
    with torch.no_grad():
        scores = torch.cat([module(batch) for batch in torch.from_numpy(pixels).split(250)])
    of_torch = float((scores.argmax(1).numpy() == labels).mean())
    with tempfile.TemporaryDirectory() as folder:
        files = files_of(module, Path(folder))
        accuracies = {name: accuracy(each, pixels, labels) for name, each in files.items()}
        sizes = {name: each.path.stat().st_size for name, each in files.items()}
        whole, small = files[f"tflite {Precision.FP32}"], files[f"tflite {Precision.INT8}"]
        ratio = latency_ratio(small, whole, 5 if arguments.quick else 10)
    of_whole = accuracies[f"tflite {Precision.FP32}"]
    print(
        json.dumps(
            {
                "images": len(labels),
                "torch_accuracy": of_torch,
                "accuracy": accuracies,
                "int8_drop": 100 * (of_whole - accuracies[f"tflite {Precision.INT8}"]),
                "bytes": sizes,
                "int8_size": sizes["tflite int8"] / sizes["tflite fp32"],
                "int8_latency_ratio": ratio[0],
                "int8_latency_ratio_95": list(ratio[1:]),
                "hours": round((time.monotonic() - began) / 3600, 3),
            }
        )
    )


if __name__ == "__main__":
    main()
