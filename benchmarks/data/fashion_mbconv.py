"""Trains all of a small space, so that every algorithm's choice can be judged: ``fashion-mbconv``.

729 MBConv networks (six decisions of three options) for grey images of 14 pixels a side, each
trained on Fashion-MNIST by the project's trainer with two seeds: few samples, an order that the
seeds agree on. A run that was stopped goes on: each training is a line of ``--log`` when it is
done. With ``--out`` the problem is written once all are there, as ``choices,accuracy,cost`` (mean
of the seeds on the 10,000 validation images; millions of multiply-adds) with the accuracy of each
seed and the parameters beside.

Needs the extra ``train``. Run: ``python benchmarks/data/fashion_mbconv.py [--minutes M]``; one
JSON object comes last on stdout, with the rank correlation of the two seeds over what both have.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from latency.accuracy import spearman
from search_space.architecture import Classifier
from search_space.chain import Activation, ChainArchitecture, Op, Skip, Stage, Stem
from search_space.decisions import Choice, Decisions, DecisionSpace
from search_space.layers import layers
from training.schedule import Schedule

DATA = Path(__file__).resolve().parent
LOG = DATA / "fashion_mbconv_trainings.jsonl"
OUT = DATA / "fashion_mbconv.csv.gz"
SEEDS = (0, 1)
SIZE = 14
HEAD = Classifier(classes=10)
SCHEDULE = Schedule(samples=19_200, batch=64, learning_rate=0.01)
"""Of 12 networks two seeds agreed to 0.87 (correlation); with 6,400 samples of 172 to 0.5."""

POINTS = DecisionSpace(
    choices=(
        Choice(name="a.expansion", options=("1", "3", "6")),
        Choice(name="a.kernel", options=("3", "5", "7")),
        Choice(name="b.filters", options=("12", "20", "32")),
        Choice(name="b.around", options=("nothing", "skip", "skip and squeeze")),
        Choice(name="c.expansion", options=("1", "3", "6")),
        Choice(name="c.repeats", options=("1", "2", "3")),
    )
)


def network(point: Decisions) -> ChainArchitecture:
    """The network of a point."""
    chosen = POINTS.describe(point)
    squeeze = 0.25 if chosen["b.around"] == "skip and squeeze" else 0.0
    around = Skip.NONE if chosen["b.around"] == "nothing" else Skip.IDENTITY
    filters = int(chosen["b.filters"])
    return ChainArchitecture(
        size=SIZE,
        channels=1,
        stem=Stem(filters=12, stride=1),
        stages=(
            Stage(
                op=Op.MBCONV,
                kernel=int(chosen["a.kernel"]),
                stride=2,
                expansion=int(chosen["a.expansion"]),
                filters=12,
                repeats=1,
            ),
            Stage(
                op=Op.MBCONV,
                kernel=3,
                stride=1,
                expansion=3,
                filters=filters,
                repeats=2,
                se_ratio=squeeze,
                skip=around,
            ),
            Stage(
                op=Op.MBCONV,
                kernel=3,
                stride=2,
                expansion=int(chosen["c.expansion"]),
                filters=32,
                repeats=int(chosen["c.repeats"]),
            ),
        ),
        head_filters=64,
        activation=Activation.RELU6,
        dropout=0.0,
    )


def trained(job: tuple[Decisions, int]) -> dict[str, object]:
    """One training, in a process of the pool."""
    import torch

    from training.fashion_mnist import FashionMnist
    from training.trainer import Trainer

    torch.set_num_threads(1)
    point, seed = job
    result = Trainer("cpu").fit(
        network(point).build(HEAD), FashionMnist(), SCHEDULE, size=SIZE, seed=seed, channels=1
    )
    return {
        "choices": digits(point),
        "seed": seed,
        "schedule": schedule(),
        "accuracy": result.accuracy,
        "seconds": round(result.seconds, 2),
    }


def schedule() -> str:
    """What trainings of the log are known by: those of another schedule are not taken from it."""
    return f"{SCHEDULE.samples}/{SCHEDULE.batch}/{SCHEDULE.learning_rate:g}"


def digits(point: Decisions) -> str:
    """A point as the file has it."""
    return "".join(map(str, point))


def points() -> Iterator[Decisions]:
    """All of them, in the order of their digits."""
    return product(*map(range, POINTS.option_counts))


def read(log: Path) -> dict[tuple[str, int], float]:
    """Accuracies of what was trained; a line that was cut off is trained again."""
    found: dict[tuple[str, int], float] = {}
    for line in log.read_text().splitlines() if log.exists() else ():
        try:
            told = json.loads(line)
        except json.JSONDecodeError:
            continue
        if told["schedule"] == schedule():
            found[told["choices"], told["seed"]] = told["accuracy"]
    return found


def train(log: Path, minutes: float, processes: int) -> None:
    """Whatever is not there yet, a seed after the other, as long as there is time."""
    known = read(log)
    jobs = [(p, seed) for seed in SEEDS for p in points() if (digits(p), seed) not in known]
    end_s = time.monotonic() + 60 * minutes
    with (
        multiprocessing.get_context("spawn").Pool(processes) as pool,
        log.open("a") as file,
    ):
        for number, told in enumerate(pool.imap_unordered(trained, jobs)):
            file.write(json.dumps(told) + "\n")
            file.flush()
            if number % 20 == 0:
                sys.stderr.write(f"{number + 1} of {len(jobs)}: {told}\n")
            if time.monotonic() > end_s:
                return


def to_csv(known: dict[tuple[str, int], float]) -> str:
    """The problem, all trainings being there."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [f"accuracy_{seed}" for seed in SEEDS]
    writer.writerow(("choices", "accuracy", "cost", *names, "params"))
    for point in points():
        own = [known[digits(point), seed] for seed in SEEDS]
        costs = layers(network(point), HEAD)
        writer.writerow(
            (
                digits(point),
                round(statistics.fmean(own), 6),
                sum(layer.macs for layer in costs) / 1e6,
                *own,
                sum(layer.params for layer in costs),
            )
        )
    return text.getvalue()


def main() -> None:
    """Run it as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--log", type=Path, default=LOG, help="a line for each training")
    parser.add_argument("--out", type=Path, default=OUT, help="the problem")
    parser.add_argument("--minutes", type=float, default=240.0, help="after which to stop")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    train(arguments.log, arguments.minutes, arguments.processes)
    known = read(arguments.log)
    both = [p for p in map(digits, points()) if all((p, seed) in known for seed in SEEDS)]
    if len(both) == POINTS.count:
        arguments.out.write_bytes(gzip.compress(to_csv(known).encode(), mtime=0))
    columns = [[known[point, seed] for point in both] for seed in SEEDS]
    print(
        json.dumps(
            {
                "networks": POINTS.count,
                "trainings": len(known),
                "with_both_seeds": len(both),
                "spearman_of_seeds": spearman(*columns) if len(both) > 2 else None,
            }
        )
    )


if __name__ == "__main__":
    main()
