"""Do latencies repeat, and do their intervals hold what they say? On this computer.

* ``starts``: MnasNet-A1 at 224, preset ``search``, interleaved with LiteRT's own
  ``litert-benchmark`` on the same file. A start of ours is one whole measurement, as a user makes
  it; the sessions in it (one process start each, as the tool's) are given beside it.
* ``loaded``: the same measurements with one busy loop on this computer.
* ``simulated``: how often the 95 % interval of the whole procedure, stopping included, holds the
  truth, for noise of four kinds and many sizes. These times are drawn, not measured.
* ``repeats``: the sentinel's file measured many times over, interleaved; the reference is the
  median of all sessions. Pairs of them are one file under two names (A/A).
* ``flips``: pairs of networks of 32 and 33 equal blocks, 3 % apart, measured in two passes: how
  often the order is another one, for PocketNAS and for one run of the tool each.

``repeats`` and ``flips`` use shorter sessions (0.1 s of warm-up, 0.25 s timed), ``flips`` five of
them for each network, else all is the preset's.
Each part keeps what it measured, by the hash of this code, and goes on from there.

Run: ``python benchmarks/repeatability.py [--quick] [--parts starts,…] [--folder DIR]``; one JSON
object comes last on stdout.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import multiprocessing
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, median, stdev
from typing import TypedDict

import devices.host
import devices.host_runner
import latency.gates
import latency.interval
import latency.measurement
import latency.presets
import latency.protocol
import latency.sentinel
from devices.clock import SimulatedClock
from devices.device import ModelFile, RawRuns, RunRecord, RunSettings
from devices.host import HostDevice
from devices.pool import lease
from exporters.artifact import Precision
from latency.chains import equal_blocks
from latency.interval import interval_of_ratio
from latency.measurement import LatencyMeasurement, MeasurementProtocol, Verdict
from latency.model_files import ModelFiles
from latency.presets import SEARCH
from latency.protocol import Bench, Candidate, Measured, Patience, measure, measure_batch
from latency.sentinel import sentinel_file
from latency.source import NetworkSubject
from latency.testing import FakeDevice
from workspace.files import sha256_of, write_whole
from workspace.home import home

TOOL = Path(sys.executable).with_name("litert-benchmark")
NOISES: dict[str, Callable[[random.Random], float]] = {
    "normal": lambda rng: rng.gauss(0, 1),
    "skewed": lambda rng: (math.exp(rng.gauss(0, 0.6)) - 1) / 0.6,
    "contaminated": lambda rng: (
        rng.gauss(0, 1) + (rng.expovariate(1 / 6) if rng.random() < 0.1 else 0)
    ),
    "heavy tails": lambda rng: rng.gauss(0, 1) / math.sqrt(rng.gammavariate(2, 0.5)),
}
SIZES = (0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.06)
"""Of the noise of a session, in logarithms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much is done."""

    starts: int
    loaded: int
    simulated: int
    repeats: int
    pairs: int


SHORT = replace(SEARCH, preset="search, short", warmup_min_s=0.1, timed_min_s=0.25)
"""For ``repeats`` and ``flips``, which need a thousand sessions: the same but for their length."""

FIVE = replace(SHORT, preset="search, five short", sessions_max=SHORT.sessions_min)
"""For ``flips``."""

FULL = Scale(starts=24, loaded=12, simulated=1000, repeats=120, pairs=40)
QUICK = Scale(starts=6, loaded=2, simulated=1000, repeats=10, pairs=3)


class Row(TypedDict, total=False):
    """What is kept of one start: a measurement of ours, one run of the tool, or both."""

    median_ms: float
    low_ms: float
    high_ms: float
    verdict: str
    reason: str
    values_ms: list[float]
    seconds: float
    tool_ms: float
    tool_seconds: float
    batch: int


class Pair(TypedDict):
    """What is kept of two networks in one pass."""

    ours_ms: list[float]
    values_ms: list[list[float]]
    tool_ms: list[float]


MEASURES = (
    devices.host,
    devices.host_runner,
    latency.gates,
    latency.interval,
    latency.measurement,
    latency.presets,
    latency.protocol,
    latency.sentinel,
)
"""Modules that make the numbers: with other code, nothing that was kept counts."""


class Kept:
    """What was measured so far, in a file named by the code that measured it."""

    def __init__(self, folder: Path) -> None:
        sources = [Path(__file__)] + [Path(str(module.__file__)) for module in MEASURES]
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
        self._path = folder / f"{digest[:12]}.json"
        self._rows: dict[str, list[Row]] = {}
        self._pairs: dict[str, list[Pair]] = {}
        if self._path.exists():
            content = json.loads(self._path.read_text())
            self._rows, self._pairs = content["rows"], content["pairs"]

    def rows(self, part: str) -> list[Row]:
        """Of one part."""
        return self._rows.setdefault(part, [])

    def pairs(self, part: str) -> list[Pair]:
        """Of one pass."""
        return self._pairs.setdefault(part, [])

    def add(self, part: str, row: Row) -> None:
        """One more row, on disk at once."""
        self.rows(part).append(row)
        self._write()

    def add_pair(self, part: str, pair: Pair) -> None:
        """One more pair, on disk at once."""
        self.pairs(part).append(pair)
        self._write()

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        content = {"rows": self._rows, "pairs": self._pairs}
        write_whole(self._path, json.dumps(content).encode())


def say(text: str) -> None:
    """Tell how far it is."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")


def bench() -> Bench:
    """This computer as the device, with the sentinel."""
    return Bench(device=HostDevice(), sentinel=sentinel_file())


def file_of(path: Path) -> ModelFile:
    """A file with its digest."""
    return ModelFile(path=path, sha256=sha256_of(path))


def row_of(measurement: LatencyMeasurement, seconds: float) -> Row:
    """What is kept of a measurement."""
    return {
        "median_ms": measurement.median_ms,
        "low_ms": measurement.interval.low_ms,
        "high_ms": measurement.interval.high_ms,
        "verdict": measurement.verdict.value,
        "reason": measurement.reason,
        "values_ms": list(measurement.session_values_ms),
        "seconds": round(seconds, 2),
    }


def tool_ms(path: Path) -> tuple[float, float]:
    """The average that one run of LiteRT's own tool tells, and the seconds that it took."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        start = time.monotonic()
        subprocess.run(
            [str(TOOL), "--model", str(path), "--result_json", str(result)],
            check=True,
            capture_output=True,
            timeout=300,
        )
        seconds = time.monotonic() - start
        return float(json.loads(result.read_text())["latency"]["avg_ms"]), seconds


def mnasnet_a1() -> Path:
    """The file of MnasNet-A1 at 224."""
    from search_space.architecture import Classifier
    from search_space.catalog import resolve

    architecture = resolve("mnasnet-a1")
    files = ModelFiles("tflite", Precision.FP32)
    return files.of(NetworkSubject(architecture=architecture, head=Classifier(classes=1000))).path


# --- starts -------------------------------------------------------------------------------------


def starts(kept: Kept, path: Path, count: int, *, loaded: bool) -> None:
    """Measurements, each beside one run of the tool, which of them first at random."""
    part = "loaded" if loaded else "starts"
    with busy_loop() if loaded else no_load():
        for index in range(len(kept.rows(part)), count):
            row = Row()
            order = ["ours", "tool"] if random.Random(index).random() < 0.5 else ["tool", "ours"]
            for who in order:
                if who == "tool":
                    row["tool_ms"], row["tool_seconds"] = tool_ms(path)
                else:
                    start = time.monotonic()
                    found = measure(bench(), file_of(path), Precision.FP32, SEARCH)
                    row.update(row_of(found, time.monotonic() - start))
            kept.add(part, row)
            say(f"{part} {index + 1}/{count}: {row['median_ms']:.3f} ms, {row['tool_ms']} ms")


@contextmanager
def no_load() -> Iterator[None]:
    """Nothing beside."""
    yield


@contextmanager
def busy_loop() -> Iterator[None]:
    """One process that computes without end, on any core."""
    process = multiprocessing.get_context("spawn").Process(target=_spin, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def _spin() -> None:
    while True:
        pass


def cv(values: Sequence[float]) -> float:
    """Standard deviation over mean."""
    return stdev(values) / fmean(values)


def bootstrap_ratio(
    ours: Sequence[float], tool: Sequence[float], seed: int = 0
) -> tuple[float, float]:
    """The 90 % interval of the ratio of two coefficients of variation, by 4,000 resamples."""
    rng = random.Random(seed)
    ratios = []
    for _ in range(4000):
        sample, other = (rng.choices(values, k=len(values)) for values in (ours, tool))
        if cv(other) > 0:
            ratios.append(cv(sample) / cv(other))
    ratios.sort()
    return ratios[int(0.05 * len(ratios))], ratios[int(0.95 * len(ratios))]


def about_starts(rows: list[Row]) -> dict[str, object]:
    """The figures of ``starts``."""
    ours, tool = [row["median_ms"] for row in rows], [row["tool_ms"] for row in rows]
    sessions = [row["values_ms"][0] for row in rows]
    low, high = bootstrap_ratio(ours, tool)
    return {
        "starts": len(rows),
        "cv": cv(ours),
        "session_cv": cv(sessions),
        "litert_benchmark_cv": cv(tool),
        "cv_ratio": cv(ours) / cv(tool),
        "cv_ratio_90": [low, high],
        "session_cv_ratio": cv(sessions) / cv(tool),
        "session_cv_ratio_90": list(bootstrap_ratio(sessions, tool)),
        "seconds_a_start": median(row["seconds"] for row in rows),
        "sessions_a_start": fmean(len(row["values_ms"]) for row in rows),
        "litert_benchmark_seconds_a_start": median(row["tool_seconds"] for row in rows),
        "unstable": sum(row["verdict"] != Verdict.STABLE for row in rows),
    }


def about_loaded(rows: list[Row]) -> dict[str, object]:
    """The figures of ``loaded``: those called stable must repeat."""
    stable = [row["median_ms"] for row in rows if row["verdict"] == Verdict.STABLE]
    return {
        "loaded_starts": len(rows),
        "loaded_cv": cv([row["median_ms"] for row in rows]),
        "loaded_litert_benchmark_cv": cv([row["tool_ms"] for row in rows]),
        "loaded_unstable": len(rows) - len(stable),
        "loaded_stable_cv": cv(stable) if len(stable) > 1 else None,
    }


# --- simulated ----------------------------------------------------------------------------------


class Drawn(FakeDevice):
    """No device: its sessions are drawn around a known truth."""

    def __init__(self, noise: Callable[[random.Random], float], size: float, seed: int) -> None:
        super().__init__(spread=0.0, median_ms=lambda _: 5.0, seed=seed)
        self._noise, self._size, self._draws = noise, size, random.Random(seed)

    def run(self, model: ModelFile, settings: RunSettings) -> RunRecord:
        """See ``Device.run``."""
        record = super().run(model, settings)
        factor = math.exp(self._size * self._noise(self._draws))
        return replace(record, samples=RawRuns(runs_ms=(5.0 * factor,)))


def simulated(count: int) -> dict[str, object]:
    """Of ``count`` measurements of drawn sessions, the share whose interval holds the truth."""
    hits = {kind: [0, 0] for kind in NOISES}
    centers = {kind: _center(noise) for kind, noise in NOISES.items()}
    for index in range(count):
        kind = list(NOISES)[index % len(NOISES)]
        size = SIZES[(index // len(NOISES)) % len(SIZES)]
        device = Drawn(NOISES[kind], size, seed=index)
        quiet = Bench(device=device, patience=Patience(clock=SimulatedClock()))
        found = measure(quiet, ModelFile(path=Path("x"), sha256="0"), Precision.FP32, SEARCH)
        truth_ms = 5.0 * math.exp(size * centers[kind])
        hits[kind][0] += found.interval.low_ms <= truth_ms <= found.interval.high_ms
        hits[kind][1] += 1
    return {
        "simulated": count,
        "simulated_coverage": sum(hit for hit, _ in hits.values()) / count,
        "simulated_coverage_by_noise": {
            kind: round(hit / total, 4) for kind, (hit, total) in hits.items()
        },
    }


def _center(noise: Callable[[random.Random], float]) -> float:
    rng = random.Random(99)
    return sorted(noise(rng) for _ in range(200_001))[100_000]


# --- repeats ------------------------------------------------------------------------------------


def repeats(kept: Kept, count: int) -> None:
    """One file many times over, twenty at once, interleaved."""
    while (done := len(kept.rows("repeats"))) < count:
        batch = min(20, count - done)
        for found in batch_of([sentinel_file()] * batch, SHORT, seed=done):
            row = row_of(found, 0.0)
            row["batch"] = done
            kept.add("repeats", row)
        say(f"repeats {done + batch}/{count}")


def batch_of(
    files: Sequence[ModelFile], protocol: MeasurementProtocol, *, seed: int
) -> Iterator[LatencyMeasurement]:
    """Each file's measurement, in their order, from one interleaved batch."""
    candidates = [
        Candidate(model=file, precision=Precision.FP32, protocol=protocol) for file in files
    ]
    found: dict[int, LatencyMeasurement] = {}
    for result in measure_batch(bench(), candidates, seed=seed):
        if not isinstance(result, Measured):
            raise result.error
        found[result.index] = result.measurement
    yield from (found[index] for index in sorted(found))


def about_repeats(rows: list[Row]) -> dict[str, object]:
    """Coverage of the reference, and of 1 by ratios of disjoint pairs of one batch.

    The reference is the batch's: the computer's own level changes over an hour.
    """
    batches: dict[int, list[Row]] = {}
    for row in rows:
        batches.setdefault(row["batch"], []).append(row)
    hits = total = covered = pairs = 0
    for batch in batches.values():
        reference = median(value for row in batch for value in row["values_ms"])
        hits += sum(row["low_ms"] <= reference <= row["high_ms"] for row in batch)
        total += len(batch)
        for one, other in zip(batch[::2], batch[1::2], strict=False):
            found = interval_of_ratio(one["values_ms"], other["values_ms"], 0.90)
            covered += not found.separated
            pairs += 1
    return {
        "repeats": total,
        "repeats_coverage": hits / total,
        "repeats_sessions": fmean(len(row["values_ms"]) for row in rows),
        "repeats_unstable": sum(row["verdict"] != Verdict.STABLE for row in rows),
        "aa_pairs": pairs,
        "aa_coverage": covered / pairs,
    }


# --- flips --------------------------------------------------------------------------------------


def block_networks(folder: Path, pairs: int) -> list[tuple[ModelFile, ModelFile]]:
    """Pairs of 32 and 33 equal blocks, each pair of other width, size and kernel."""
    rng = random.Random(7)
    made = []
    for _ in range(pairs):
        shape = {
            "channels": rng.choice((24, 32, 48, 64)),
            "size": rng.choice((14, 20, 28)),
            "kernel": rng.choice((3, 5)),
        }
        made.append(
            (equal_blocks(folder, blocks=32, **shape), equal_blocks(folder, blocks=33, **shape))
        )
    return made


def flips(kept: Kept, folder: Path, pairs: int) -> None:
    """Every network in two passes by PocketNAS, and by the tool."""
    networks = block_networks(folder, pairs)
    for turn in ("first", "second"):
        for start in range(0, pairs, 10):
            chosen = networks[start : start + 10]
            part = f"flips {turn}"
            if len(kept.pairs(part)) >= start + len(chosen):
                continue
            files = [file for pair in chosen for file in pair]
            found = list(batch_of(files, FIVE, seed=start + (turn == "second")))
            for index in range(len(chosen)):
                one, other = found[2 * index], found[2 * index + 1]
                times = [tool_ms(file.path)[0] for file in chosen[index]]
                kept.add_pair(
                    part,
                    {
                        "ours_ms": [one.median_ms, other.median_ms],
                        "values_ms": [list(m.session_values_ms) for m in (one, other)],
                        "tool_ms": times,
                    },
                )
            say(f"flips {turn} pass, {start + len(chosen)}/{pairs} pairs")


def about_flips(first: list[Pair], second: list[Pair]) -> dict[str, object]:
    """How many pairs changed their order, for each way; and those that ours had told apart."""

    def told_apart(row: Pair) -> bool:
        one, other = row["values_ms"]
        return interval_of_ratio(one, other, 0.90).separated

    apart = [(a, b) for a, b in zip(first, second, strict=True) if told_apart(a) and told_apart(b)]
    ratios = [row["ours_ms"][1] / row["ours_ms"][0] for row in (*first, *second)]
    return {
        "pairs": len(first),
        "median_ratio": median(ratios),
        "flips": changed([row["ours_ms"] for row in first], [row["ours_ms"] for row in second]),
        "tool_flips": changed(
            [row["tool_ms"] for row in first], [row["tool_ms"] for row in second]
        ),
        "told_apart": len(apart),
        "flips_told_apart": changed(
            [row["ours_ms"] for row, _ in apart], [row["ours_ms"] for _, row in apart]
        ),
    }


def changed(first: list[list[float]], second: list[list[float]]) -> int:
    """How many pairs are in another order in the second pass."""
    return sum((a[0] < a[1]) != (b[0] < b[1]) for a, b in zip(first, second, strict=True))


# --- all of it ----------------------------------------------------------------------------------

PARTS = ("simulated", "starts", "loaded", "repeats", "flips")


def main() -> None:
    """Do the parts that are asked for and print the figures of all that were ever done."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="at most five minutes")
    parser.add_argument("--parts", default=",".join(PARTS), help="some of the parts")
    parser.add_argument("--folder", type=Path, default=None, help="where it keeps what it did")
    arguments = parser.parse_args()
    parts = arguments.parts.split(",")
    if not set(parts) <= set(PARTS):
        parser.error(f"--parts must be of {', '.join(PARTS)}, got {arguments.parts!r}")
    scale = QUICK if arguments.quick else FULL
    folder = arguments.folder or home() / "benchmarks" / (
        "repeatability-quick" if arguments.quick else "repeatability"
    )
    folder.mkdir(parents=True, exist_ok=True)
    kept = Kept(folder)
    began = time.monotonic()
    with lease("host", wait_s=60.0):
        figures: dict[str, object] = {
            "times": "of this x86 computer: they test the method, no phone's speed"
        }
        figures |= _figures(kept, parts, scale, folder)
    figures["hours"] = round((time.monotonic() - began) / 3600, 3)
    sys.stdout.write(json.dumps(figures) + "\n")


def _figures(kept: Kept, parts: Sequence[str], scale: Scale, folder: Path) -> dict[str, object]:
    figures: dict[str, object] = {}
    if "simulated" in parts:
        figures |= simulated(scale.simulated)
    if "starts" in parts or "loaded" in parts:
        path = mnasnet_a1()
        if "starts" in parts:
            starts(kept, path, scale.starts, loaded=False)
        if "loaded" in parts:
            starts(kept, path, scale.loaded, loaded=True)
    if "repeats" in parts:
        repeats(kept, scale.repeats)
    if "flips" in parts:
        flips(kept, folder, scale.pairs)
    if kept.rows("starts"):
        figures |= about_starts(kept.rows("starts"))
    if kept.rows("loaded"):
        figures |= about_loaded(kept.rows("loaded"))
    if kept.rows("repeats"):
        figures |= about_repeats(kept.rows("repeats"))
    if kept.pairs("flips second"):
        figures |= about_flips(kept.pairs("flips first"), kept.pairs("flips second"))
    return figures


if __name__ == "__main__":
    main()
