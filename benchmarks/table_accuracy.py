"""How far is a table that this computer built from whole networks that it has not seen?

Builds a table of the ``proxyless`` space at 64 pixels (more than 1e9 networks) with this computer
as the device, as ``table build`` does: every layer by differences, the correction on whole
networks. Then 200 other networks are measured, ten interleaved sessions each, and more for all as
long as the truth is not known well enough: half the difference of the medians of odd and even
sessions must be at most half of each limit. A run that was stopped goes on where its
``POCKETNAS_HOME`` remembers. Beside the table, from the same measurements and with the same
correction:

* ``macs_line``: a line through MACs of the fitted networks;
* ``kernel_forests``: nn-Meter's recipe (Zhang et al., MobiSys 2021, section 5.2), a random forest
  for each kind of layer on its shape, trained on the same layers; out of bag, as for layers that
  were not sampled, and ``kernel_forests_seen`` on the very layers it was trained on.

Needs the extra ``train``. Run: ``python benchmarks/table_accuracy.py [--quick]`` on a computer
with nothing else to do; one JSON object comes last on stdout. Times are of this x86 computer: they
test the method, no phone's speed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from latency.accuracy import Accuracy
from latency.builder import BATCH, Builder, BuildProgress
from latency.correction import Whole, corrected_ms, fit
from latency.measurement import MeasurementProtocol
from latency.presets import QUICK, TABLE, exactly
from latency.signatures import Signature, distinct, parts_of
from latency.source import (
    LatencyAnswer,
    LatencyEstimate,
    LatencyRequest,
    LatencySource,
    NetworkSubject,
    SourceSettings,
    create,
)
from latency.store import identity_of
from latency.table import Entry, LatencyTable
from latency.table_file import write
from latency.table_plan import plan, random_networks
from search_space.architecture import Classifier
from search_space.proxyless import ProxylessSpace

SPACE = ProxylessSpace(size=64)
HEAD = Classifier(classes=1000)
MEDIAN_LIMIT, P95_LIMIT = 0.025, 0.06
MOST_SESSIONS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Whole networks, measured.

    Attributes:
        wholes: With the medians of all sessions.
        halves: For each, half the relative difference of the medians of odd and even sessions.
        sessions: Of each.
    """

    wholes: tuple[Whole, ...]
    halves: tuple[float, ...]
    sessions: int

    @property
    def is_known(self) -> bool:
        """Whether it is known well enough to judge a table by it."""
        median, p95 = np.median(self.halves), np.quantile(self.halves, 0.95)
        return bool(median <= MEDIAN_LIMIT / 2 and p95 <= P95_LIMIT / 2)


class Noted:
    """A source whose measurements are kept, for their noise; a ``LatencySource``."""

    def __init__(self, source: LatencySource) -> None:
        self._source = source
        self.name, self.lanes = source.name, source.lanes
        self.on_this_computer = source.on_this_computer
        self.found: dict[str, tuple[float, ...]] = {}

    def estimate(self, requests: Sequence[LatencyRequest]) -> Iterator[LatencyAnswer]:
        """See ``LatencySource.estimate``."""
        for answer in self._source.estimate(requests):
            if isinstance(answer, LatencyEstimate) and answer.measurement is not None:
                values = answer.measurement.session_values_ms
                self.found[identity_of(answer.measurement)] = tuple(values)
            yield answer

    def close(self) -> None:
        """Give back what the source holds."""
        self._source.close()

    def noise(self) -> list[dict[str, object]]:
        """Of each file, its median and what its sessions were relative to that, shortest first."""
        found = []
        for values in self.found.values():
            middle = statistics.median(values)
            relative = [round(value / middle - 1, 6) for value in values]
            found.append((round(middle, 6), relative))
        return [{"median_ms": middle, "sessions": rest} for middle, rest in sorted(found)]


def measured(
    source: LatencySource, subjects: Sequence[NetworkSubject], protocol: MeasurementProtocol
) -> Truth:
    """Networks in interleaved batches."""
    wholes, halves = [], []
    sessions = protocol.sessions_min
    for start in range(0, len(subjects), BATCH):
        batch = subjects[start : start + BATCH]
        requests = [
            LatencyRequest(id=str(i), subject=each, preset=protocol.preset)
            for i, each in enumerate(batch)
        ]
        for answer in source.estimate(requests):
            if not isinstance(answer, LatencyEstimate) or answer.measurement is None:
                sys.stderr.write(f"{answer}\n")
                continue
            architecture = batch[int(answer.request_id)].architecture
            values = answer.measurement.session_values_ms
            odd, even = statistics.median(values[::2]), statistics.median(values[1::2])
            halves.append(abs(odd - even) / (odd + even))
            wholes.append(
                Whole(
                    key=architecture.key,
                    parts=parts_of(architecture, HEAD),
                    latency_ms=answer.latency_ms,
                )
            )
        sys.stderr.write(f"{len(wholes)} of {len(subjects)} networks, {sessions} sessions\n")
    return Truth(wholes=tuple(wholes), halves=tuple(halves), sessions=sessions)


def by_table(
    entries: Mapping[str, Entry], fitted: Sequence[Whole], truth: Truth
) -> dict[str, float]:
    """Corrected sums against the truth."""
    correction = fit(entries, fitted)
    predicted = [corrected_ms(correction, entries, whole.parts) for whole in truth.wholes]
    return told(predicted, truth)


def by_macs(fitted: Sequence[Whole], truth: Truth) -> dict[str, float]:
    """A line through MACs, each network weighed by its own latency."""
    latencies = np.array([whole.latency_ms for whole in fitted])
    design = np.array([[1.0, macs(whole)] for whole in fitted]) / latencies[:, None]
    constant, slope = np.linalg.lstsq(design, np.ones(len(fitted)), rcond=None)[0]
    return told([float(constant + slope * macs(whole)) for whole in truth.wholes], truth)


def macs(whole: Whole) -> float:
    """In millions."""
    return sum(part.macs for part in whole.parts) / 1e6


def forests(
    entries: Mapping[str, Entry], parts: Sequence[Signature], *, seen: bool
) -> dict[str, Entry]:
    """Entries as a random forest of each kind has them; kinds of one or two layers as they are."""
    from sklearn.ensemble import RandomForestRegressor

    found = dict(entries)
    for kind in {part.kind for part in parts}:
        own = [part for part in parts if part.kind == kind and part.key in entries]
        if len(own) < 5:
            continue
        features = [shape_of(part) for part in own]
        times = [entries[part.key].ms for part in own]
        forest = RandomForestRegressor(
            n_estimators=370, max_depth=70, oob_score=True, random_state=0
        ).fit(features, times)
        predicted = forest.predict(features) if seen else forest.oob_prediction_
        for part, ms in zip(own, predicted, strict=True):
            found[part.key] = replace(entries[part.key], ms=float(ms))
    return found


def shape_of(part: Signature) -> list[float]:
    """What a forest knows of a layer: MACs, parameters, and what it reads, holds and writes."""
    return [*part.costs]


def told(predicted: Sequence[float], truth: Truth) -> dict[str, float]:
    """Accuracy as JSON."""
    found = asdict(Accuracy.of(predicted, [whole.latency_ms for whole in truth.wholes]))
    return {name: value for name, value in found.items() if value is not None}


def built(
    source: LatencySource, protocol: MeasurementProtocol
) -> tuple[LatencyTable, list[Whole], float | None]:
    """The table, the networks of its correction, and hours if everything was timed now."""
    start = time.monotonic()
    wanted = plan(SPACE, HEAD, protocol)
    stored = 0

    def tell(progress: BuildProgress) -> None:
        nonlocal stored
        stored = progress.stored
        if progress.done % BATCH == 0:
            sys.stderr.write(f"{progress.done} of {progress.total} files\n")

    table = Builder(source, wanted, tell=tell).table(
        "table:benchmark", made_by="", space="proxyless size=64", everything=wanted.pieces
    )
    hours = None if stored else (time.monotonic() - start) / 3600
    fitted = measured(source, wanted.fitted, protocol)  # as the builder has stored them
    return table, list(fitted.wholes), hours


def main() -> None:
    """Run it as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="12 networks, short sessions")
    parser.add_argument("--networks", type=int, default=200)
    parser.add_argument("--sessions", type=int, default=10, help="of each network; first try")
    parser.add_argument("--save", type=Path, help="write the table to this path")
    parser.add_argument("--noise", type=Path, help="write what sessions differed by to this path")
    arguments = parser.parse_args()
    if arguments.quick:
        networks, layers, wholes = 12, exactly(QUICK, 3), exactly(QUICK, 3)
    else:
        networks = arguments.networks
        layers = exactly(TABLE, TABLE.sessions_min)
        wholes = exactly(TABLE, arguments.sessions)
    source = Noted(create("host", SourceSettings()))
    try:
        table, fitted, hours = built(source, layers)
        if arguments.save:
            write(table, arguments.save)
        known = {each.key for each in fitted}
        subjects = random_networks(SPACE, HEAD, networks, seed=1234, without=frozenset(known))
        truth = measured(source, subjects, wholes)
        while not (truth.is_known or arguments.quick) and truth.sessions < MOST_SESSIONS:
            truth = measured(source, subjects, exactly(TABLE, 2 * truth.sessions))
    finally:
        source.close()
    residual_share = fit(table.entries, fitted).residual_share
    if arguments.noise:
        lines = ",\n".join(json.dumps(each) for each in source.noise())
        arguments.noise.write_text(
            f'{{"residual_share": {residual_share:.6f}, "files": [\n{lines}\n]}}\n'
        )
    parts = distinct([whole.parts for whole in (*fitted, *truth.wholes)])
    print(
        json.dumps(
            {
                **by_table(table.entries, fitted, truth),
                "residual_share": residual_share,
                "space_size": SPACE.count,
                "entries": len(table.entries),
                "sessions": truth.sessions,
                "truth_half_median": statistics.median(truth.halves),
                "truth_half_p95": float(np.quantile(truth.halves, 0.95)),
                "truth_is_known": truth.is_known,
                "additivity_error": table.validations[-1].additivity_error,
                "build_hours": hours,
                "macs_line": by_macs(fitted, truth),
                "kernel_forests": by_table(
                    forests(table.entries, parts, seen=False), fitted, truth
                ),
                "kernel_forests_seen": by_table(
                    forests(table.entries, parts, seen=True), fitted, truth
                ),
                "times": "of this x86 computer: they test the method, no phone's speed",
            }
        )
    )


if __name__ == "__main__":
    main()
