"""Makes two tabular problems of which nothing was trained: ``rugged`` and ``analytic``.

``rugged`` is an NK landscape (Kauffman and Weinberger, "The NK model of rugged fitness
landscapes", 1989): six decisions of four options, what each gives depends on two others too, by
chance; its costs rise with the options (4,096 points). ``analytic`` is a part of the ``proxyless``
space, five layers with all of their options, the others left as they are: accuracy by the analytic
stand-in, cost in milliseconds by the table ``pixel1`` (16,807 points). Both are
``choices,accuracy,cost``.

Run: ``python benchmarks/data/made_problems.py [--out FOLDER]``.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
from collections.abc import Iterable
from itertools import product
from pathlib import Path

import numpy as np

from latency.table_file import load
from latency.table_source import TableSource
from search_space.architecture import Classifier
from search_space.decisions import Decisions
from search_space.proxyless import ProxylessSpace
from training.analytic import analytic_accuracy

DATA = Path(__file__).resolve().parent
DECISIONS, OPTIONS, OTHERS = 6, 4, 2
"""Of ``rugged``: what each decision gives depends on that many others."""

LAYERS = 5
"""Of ``analytic``."""

LEVEL, SPREAD = 0.7, 0.02
"""Mean and standard deviation of the made-up accuracies."""

Row = tuple[Decisions, float, float]


def rugged(seed: int = 0) -> list[Row]:
    """The NK landscape."""
    rng = np.random.default_rng(seed)
    parts = []
    for place in range(DECISIONS):
        others = [other for other in range(DECISIONS) if other != place]
        with_ = [place, *rng.choice(others, OTHERS, replace=False).tolist()]
        parts.append((with_, rng.normal(size=(OPTIONS,) * (OTHERS + 1))))
    every = list(product(range(OPTIONS), repeat=DECISIONS))
    sums = np.array(
        [sum(part[tuple(point[i] for i in with_)] for with_, part in parts) for point in every]
    )
    accuracies = LEVEL + SPREAD * (sums - sums.mean()) / sums.std()
    weights = rng.uniform(0.5, 1.5, DECISIONS)
    costs = [10 + float(weights @ np.array(point)) for point in every]
    return list(zip(every, accuracies.tolist(), costs, strict=True))


def analytic() -> list[Row]:
    """A part of ``proxyless``: layers spread evenly over those with all options."""
    space = ProxylessSpace()
    latencies = TableSource(load("pixel1")).over(space, Classifier(classes=1000))
    counts = space.points.option_counts
    usual = [count // 2 for count in counts]
    whole = [place for place, count in enumerate(counts) if count == max(counts)]
    places = whole[:: len(whole) // LAYERS][:LAYERS]
    rows = []
    for point in product(range(max(counts)), repeat=LAYERS):
        decisions = list(usual)
        for place, option in zip(places, point, strict=True):
            decisions[place] = option
        accuracy = analytic_accuracy(space.decode(tuple(decisions)))
        rows.append((point, accuracy, float(latencies.latency_ms(tuple(decisions)))))
    return rows


def write(rows: Iterable[Row], path: Path) -> None:
    """As a packed CSV, the same bytes each time."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("choices", "accuracy", "cost"))
    for point, accuracy, cost in rows:
        writer.writerow(("".join(map(str, point)), round(accuracy, 6), round(cost, 4)))
    path.write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))


def main() -> None:
    """Run it as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=DATA)
    arguments = parser.parse_args()
    made = {"rugged": rugged(), "analytic": analytic()}
    for name, rows in made.items():
        write(rows, arguments.out / f"{name}.csv.gz")
    print(json.dumps({name: len(rows) for name, rows in made.items()}))


if __name__ == "__main__":
    main()
