"""How many architectures a second does a table answer for in one call, and are these the same?

The whole ``mnasnet`` space at 224 on a table with an entry for each of its layers (made-up
entries: a stand-in, only the look-ups are timed), and ``proxyless`` on ``table:pixel1``. Points
are random integers in one array; ``per_s`` is the median of several calls,
``largest_difference`` the largest relative difference from the answers one by one.

Run: ``python benchmarks/table_queries.py [--quick]``; one JSON object comes last on stdout.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import numpy as np

from latency.made_up import MadeUpDevice
from latency.source import LatencyEstimate, LatencyRequest, NetworkSubject
from latency.space_parts import taken_apart
from latency.table import Entry, LatencyTable
from latency.table_file import load
from latency.table_source import TableSource
from search_space.architecture import Classifier
from search_space.decisions import DecisionSpace
from search_space.space import SearchSpace, create

HEAD = Classifier(classes=1000)
COMPARED = 300


def made_up_table(space: SearchSpace) -> LatencyTable:
    """An entry for each layer of a space: a stand-in, no device's."""
    parts = taken_apart(space, HEAD)
    if parts is None:
        msg = f"the space {space.name!r} does not tell its layers"
        raise ValueError(msg)
    device = MadeUpDevice(1)
    entries = {
        part.key: Entry(ms=device.part_ms(part), variance_ms2=0.0, count=1)
        for part in parts.signatures()
    }
    return LatencyTable(name="table:made-up", entries=entries)


def timed(space: SearchSpace, source: TableSource, count: int, calls: int) -> dict[str, float]:
    """Architectures a second, and how far they are from the answers one by one."""
    assert isinstance(space.points, DecisionSpace)
    rng = np.random.default_rng(0)
    points = rng.integers(0, space.points.option_counts, (count, len(space.points.choices)))
    latencies = source.over(space, HEAD)
    seconds = []
    for _ in range(calls):
        start = time.perf_counter()
        found = latencies.latencies_ms(points)
        seconds.append(time.perf_counter() - start)
    subjects = [
        NetworkSubject(architecture=space.decode(tuple(map(int, point))), head=HEAD)
        for point in points[:COMPARED]
    ]
    requests = [LatencyRequest(id=str(i), subject=each) for i, each in enumerate(subjects)]
    one_by_one = [
        each.latency_ms for each in source.estimate(requests) if isinstance(each, LatencyEstimate)
    ]
    return {
        "per_s": count / statistics.median(seconds),
        "slowest_per_s": count / max(seconds),
        "largest_difference": float(np.abs(found[:COMPARED] / one_by_one - 1).max()),
    }


def main() -> None:
    """Run it as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a million points, three calls")
    arguments = parser.parse_args()
    count, calls = (1_000_000, 3) if arguments.quick else (4_000_000, 9)
    mnasnet, proxyless = create("mnasnet", {}), create("proxyless", {})
    found = {
        "mnasnet": timed(mnasnet, TableSource(made_up_table(mnasnet)), count, calls),
        "proxyless": timed(proxyless, TableSource(load("pixel1")), count, calls),
    }
    print(json.dumps({"per_s": found["mnasnet"]["per_s"], "points": count, **found}))


if __name__ == "__main__":
    main()
