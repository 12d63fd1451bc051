"""How well is a device predicted from ten measurements of it, and from other devices?

For each seed the networks of the file are split: 4,000 that the other devices were measured with,
600 of which are candidates for the new device's ten, and the rest, on which the predictor is
tested. The ten are chosen by the design. Beside it, on the same split: an additive fit (one-hot,
least squares) on all 4,000 networks of that device, the reference; and ten at random.

The file is a CSV of ``architecture`` (22 digits of the FBNet space: Wu et al., "FBNet", CVPR 2019,
table 1) and one column of milliseconds a device; shapes of layers are what parts are known by.

Run: ``python benchmarks/onboarding.py [--quick]`` for the five devices that BENCHMARKS.md names,
``--test-device X --train-devices A,B,…`` for another; one JSON object comes last on stdout.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from latency.accuracy import Accuracy, spearman
from latency.device_prior import DevicePrior
from latency.evidence import Measurement, OtherDevice
from latency.predictor import Predictor
from latency.predictor_design import CANDIDATES, first_choice
from latency.signatures import Parts, Signature

DATA = Path(__file__).resolve().parent / "data" / "fbnet_latency_ms.csv.gz"
TRAIN_DEVICES = (
    "1080ti_1,1080ti_32,1080ti_64,silver_4114,silver_4210r,samsung_a50,pixel3,essential_ph_1,"
    "samsung_s7,titanx_1,titanx_32,titanx_64,gold_6240"
)
"""Those that HELP trains and validates on; the tested one is left out."""

TIMED_WHOLE = ("samsung_a50", "samsung_s7", "essential_ph_1")
SUMS = ("raspi4", "eyeriss")
POOL, TYPICAL = 4000, 200

BLOCKS = ((3, 1, 1), (3, 1, 2), (3, 3, 1), (3, 6, 1), (5, 1, 1), (5, 1, 2), (5, 3, 1), (5, 6, 1))
"""Kernel, expansion and groups of the digits 0 to 7; 8 skips."""

STAGES = (
    (16, 1, 1),
    (24, 4, 2),
    (32, 4, 2),
    (64, 4, 2),
    (112, 4, 1),
    (184, 4, 2),
    (352, 1, 1),
)
"""Width, layers and stride of FBNet's stages, behind a stem of 16 channels at 112 pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one of the 22 layers is: what comes in, what goes out."""

    in_size: int
    out_size: int
    in_channels: int
    out_channels: int


def places() -> list[Place]:
    """Of all layers."""
    size, channels = 112, 16
    found = []
    for width, layers, stride in STAGES:
        for number in range(layers):
            out = -(-size // stride) if number == 0 else size
            found.append(
                Place(in_size=size, out_size=out, in_channels=channels, out_channels=width)
            )
            size, channels = out, width
    return found


def part(place: Place, digit: int) -> Signature | None:
    """The layer that a digit stands for; None where it is left out."""
    read, written = place.in_size**2 * place.in_channels, place.out_size**2 * place.out_channels
    shape = f"{place.in_size}x{place.in_channels}-{place.out_size}x{place.out_channels}"
    if digit == len(BLOCKS):
        if (place.in_size, place.in_channels) == (place.out_size, place.out_channels):
            return None
        params = place.in_channels * place.out_channels
        macs, kind, key, hidden = place.out_size**2 * params, "skip", f"skip-{shape}", 0
    else:
        kernel, expansion, groups = BLOCKS[digit]
        wide = place.in_channels * expansion
        expand, project = place.in_channels * wide // groups, wide * place.out_channels // groups
        params = expand + wide * kernel**2 + project
        macs = place.in_size**2 * expand + place.out_size**2 * (wide * kernel**2 + project)
        hidden = (place.in_size**2 + place.out_size**2) * wide
        kind = "mbconv" if groups == 1 else "grouped"
        key = f"k{kernel}_e{expansion}_g{groups}-{shape}"
    return Signature(
        key=key,
        kind=kind,
        macs=macs,
        params=params,
        input_elements=read,
        hidden_elements=hidden,
        output_elements=written,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """A file's networks and what they take."""

    digits: NDArray[np.int64]
    networks: tuple[Parts, ...]
    latencies_ms: dict[str, NDArray[np.float64]]

    @classmethod
    def read(cls, path: Path) -> Data:
        """A file of the form, packed or not.

        Raises:
            ValueError: If it has no architectures of 22 digits from 0 to 8.
        """
        content = path.read_bytes()
        text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
        rows = list(csv.DictReader(io.StringIO(text)))
        digits = np.array([[int(digit) for digit in row["architecture"]] for row in rows])
        if digits.ndim != 2 or digits.shape[1] != len(places()) or digits.max() > len(BLOCKS):
            msg = f"{path}: an architecture is {len(places())} digits from 0 to {len(BLOCKS)}"
            raise ValueError(msg)
        table = [[part(place, digit) for digit in range(len(BLOCKS) + 1)] for place in places()]
        devices = [name for name in rows[0] if name != "architecture"]
        return cls(
            digits=digits,
            networks=tuple(
                tuple(
                    found
                    for layer, digit in enumerate(row)
                    if (found := table[layer][digit]) is not None
                )
                for row in digits
            ),
            latencies_ms={name: np.array([float(row[name]) for row in rows]) for name in devices},
        )

    def measurements(self, device: str, places: Sequence[int]) -> tuple[Measurement, ...]:
        """Of some networks on a device."""
        latencies = self.latencies_ms[device]
        return tuple(
            Measurement(parts=self.networks[place], latency_ms=float(latencies[place]))
            for place in places
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Onboarded:
    """One seed.

    Attributes:
        accuracy: By the ten that were chosen.
        reference_spearman: By an additive fit on the whole pool.
        random_spearman: By ten at random.
    """

    accuracy: Accuracy
    reference_spearman: float
    random_spearman: float


def onboard(data: Data, others: Sequence[str], device: str, samples: int, seed: int) -> Onboarded:
    """One split."""
    order = np.random.default_rng(seed).permutation(len(data.networks))
    pool, tested = order[:POOL].tolist(), order[POOL:].tolist()
    prior = DevicePrior.of(
        [OtherDevice(name=name, measurements=data.measurements(name, pool)) for name in others],
        [data.networks[place] for place in pool[:TYPICAL]],
    )
    candidates = pool[:CANDIDATES]
    design = first_choice(prior, [data.networks[place] for place in candidates], samples)
    chosen = Predictor.of(prior, data.measurements(device, [candidates[i] for i in design]))
    random = Predictor.of(prior, data.measurements(device, pool[-samples:]))
    truth = data.latencies_ms[device][tested]
    networks = [data.networks[place] for place in tested]
    found = chosen.predict(networks, 0.9)
    return Onboarded(
        accuracy=Accuracy.of(found.latency_ms, truth, low_ms=found.low_ms, high_ms=found.high_ms),
        reference_spearman=spearman(_additive(data, device, pool, tested), truth),
        random_spearman=spearman(random.predict(networks).latency_ms, truth),
    )


def _additive(
    data: Data, device: str, pool: Sequence[int], tested: Sequence[int]
) -> NDArray[np.float64]:
    """An additive fit on the pool: one-hot, least squares."""
    width = len(BLOCKS) + 1
    columns = np.arange(data.digits.shape[1]) * width + data.digits
    rows = np.zeros((len(columns), data.digits.shape[1] * width + 1))
    np.put_along_axis(rows, columns, 1.0, axis=1)
    rows[:, -1] = 1.0
    weights = np.linalg.lstsq(rows[pool], data.latencies_ms[device][pool], rcond=None)[0]
    predicted: NDArray[np.float64] = rows[tested] @ weights
    return predicted


def of_device(
    data: Data, others: Sequence[str], device: str, samples: int, seeds: int
) -> dict[str, float]:
    """Means over seeds."""
    found = []
    for seed in range(seeds):
        found.append(onboard(data, others, device, samples, seed))
        sys.stderr.write(
            f"{device}, seed {seed}: {found[-1].accuracy.spearman:.4f} "
            f"({found[-1].reference_spearman:.4f})\n"
        )
    told = [asdict(each.accuracy) for each in found]
    reference = statistics.fmean(each.reference_spearman for each in found)
    mean = statistics.fmean(each["spearman"] for each in told)
    return {
        "spearman": mean,
        "least_spearman": min(each["spearman"] for each in told),
        "reference_spearman": reference,
        "ratio": mean / reference,
        "random_spearman": statistics.fmean(each.random_spearman for each in found),
        "interval_coverage": statistics.fmean(each["interval_coverage"] for each in told),
        "median_error": statistics.fmean(each["median_error"] for each in told),
        "within_10": statistics.fmean(each["within_10"] for each in told),
    }


def main() -> None:
    """Run it as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="CSV, may be packed by gzip")
    parser.add_argument("--train-devices", default=TRAIN_DEVICES, help="without the tested one")
    parser.add_argument("--test-device", help="one; the five of BENCHMARKS.md if not given")
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--quick", action="store_true", help="two seeds")
    arguments = parser.parse_args()
    data = Data.read(arguments.data)
    seeds = 2 if arguments.quick else arguments.seeds
    tested = [arguments.test_device] if arguments.test_device else [*TIMED_WHOLE, *SUMS]
    by_device = {
        device: of_device(
            data,
            [name for name in arguments.train_devices.split(",") if name != device],
            device,
            arguments.samples,
            seeds,
        )
        for device in tested
    }
    coverages = [each["interval_coverage"] for each in by_device.values()]
    print(
        json.dumps(
            {
                "seeds": seeds,
                "samples": arguments.samples,
                "spearman": statistics.fmean(each["spearman"] for each in by_device.values()),
                "reference_spearman": statistics.fmean(
                    each["reference_spearman"] for each in by_device.values()
                ),
                "interval_coverage": statistics.fmean(coverages),
                "by_device": by_device,
            }
        )
    )


if __name__ == "__main__":
    main()
