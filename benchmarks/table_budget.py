"""How good is a table of the whole ``mnasnet`` space at 224 after half an hour, two, eight?

A simulation, since no phone is here: stand-in devices whose layers cost what a formula says
(``MadeUpDevice``; a quarter of a layer's cost is a quirk that no shape tells), and the noise that
a real table's sessions had (``benchmarks/data/table_noise.json``, recorded by
``table_accuracy.py --noise`` on an x86 computer). Each file of the plan gets the median of as many
recorded residuals as it has sessions, drawn of the ten recorded files that are nearest in length;
whole networks also depart from the sum of their layers by the share that the recorded table's
correction left over (``residual_share``). Planned, predicted and corrected by the code of
``table build``; judged by 500 networks that it has not seen, without noise.

Run: ``python benchmarks/table_budget.py [--quick]``; one JSON object comes last on stdout. The
figures are of stand-ins: they show what a budget costs in accuracy, no phone's speed.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from latency.accuracy import Accuracy
from latency.correction import Whole, corrected_ms, fit
from latency.made_up import MadeUpDevice
from latency.presets import TABLE, exactly
from latency.signatures import Signature, parts_of
from latency.source import NetworkSubject
from latency.table import Entry, variance_of
from latency.table_gaps import predicted
from latency.table_plan import Plan, plan, random_networks
from search_space.architecture import Classifier
from search_space.space import create

RECORDED = Path(__file__).resolve().parent / "data" / "table_noise.json"
HEAD = Classifier(classes=1000)
BUDGETS_H = (0.5, 2.0, 8.0)
NEAREST = 10
TESTED = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What a real table's sessions differed by.

    Attributes:
        medians_ms: Of its files, ascending.
        residuals: Of each file's sessions, relative to the median.
        residual_share: What the correction left over of whole networks.
    """

    medians_ms: tuple[float, ...]
    residuals: tuple[tuple[float, ...], ...]
    residual_share: float

    @classmethod
    def read(cls, path: Path) -> Recorded:
        """As ``table_accuracy.py --noise`` wrote it."""
        told = json.loads(path.read_text())
        files = sorted(told["files"], key=lambda each: float(each["median_ms"]))
        return cls(
            medians_ms=tuple(each["median_ms"] for each in files),
            residuals=tuple(tuple(each["sessions"]) for each in files),
            residual_share=told["residual_share"],
        )

    def measured_ms(
        self, truth_ms: float, sessions: int, rng: np.random.Generator
    ) -> tuple[float, float]:
        """A file's median over sessions with recorded noise, and their MAD."""
        place = bisect_left(self.medians_ms, truth_ms)
        first = min(max(0, place - NEAREST // 2), max(0, len(self.medians_ms) - NEAREST))
        file = self.residuals[int(rng.integers(first, min(first + NEAREST, len(self.residuals))))]
        values = truth_ms * (1 + rng.choice(file, sessions))
        middle = float(np.median(values))
        return middle, float(np.median(np.abs(values - middle)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """A stand-in device and the noise of its measurements.

    Attributes:
        device: Of what layers cost.
        recorded: Noise.
        rng: Of the draws.
    """

    device: MadeUpDevice
    recorded: Recorded
    rng: np.random.Generator

    def entries(self, wanted: Plan) -> dict[str, Entry]:
        """As the builder times them: each layer less what leads to it."""
        sessions = wanted.protocol.sessions_min
        before: dict[tuple[int, ...], tuple[float, float, float]] = {}
        found = {}
        for piece in wanted.pieces:
            if piece.input_shape not in before:
                truth_ms = self.device.OWN_MS + self.device.part_ms(lead_in(piece.input_shape))
                measured = self.recorded.measured_ms(truth_ms, sessions, self.rng)
                before[piece.input_shape] = (truth_ms, *measured)
            truth_ms, lead_ms, lead_mad_ms = before[piece.input_shape]
            ms, mad_ms = self.recorded.measured_ms(
                truth_ms + self.device.part_ms(piece.signature), sessions, self.rng
            )
            found[piece.signature.key] = Entry(
                ms=max(0.0, ms - lead_ms),
                variance_ms2=variance_of(float(np.hypot(mad_ms, lead_mad_ms))),
                count=1,
            )
        return found

    def truths(self, subjects: Sequence[NetworkSubject]) -> list[Whole]:
        """Whole networks without noise, each with its departure from the sum of its layers."""
        return [
            Whole(
                key=subject.architecture.key,
                parts=parts,
                latency_ms=self.device.latency_ms(parts)
                * float(self.rng.lognormal(0.0, self.recorded.residual_share)),
            )
            for subject in subjects
            for parts in [parts_of(subject.architecture, subject.head)]
        ]

    def measured(self, subjects: Sequence[NetworkSubject], sessions: int) -> list[Whole]:
        """Whole networks as they are timed."""
        return [
            Whole(
                key=whole.key,
                parts=whole.parts,
                latency_ms=self.recorded.measured_ms(whole.latency_ms, sessions, self.rng)[0],
            )
            for whole in self.truths(subjects)
        ]


def lead_in(shape: tuple[int, ...]) -> Signature:
    """The depthwise convolution that is before a layer in its file.

    Args:
        shape: Of the layer's input, channels first.
    """
    elements, channels = math.prod(shape), shape[0]
    return Signature(
        key=f"lead-in {'x'.join(map(str, shape))}",
        kind="lead-in",
        macs=9 * elements,
        params=11 * channels,
        input_elements=elements,
        hidden_elements=0,
        output_elements=elements,
    )


def simulated(whole: Plan, budget_h: float, seed: int, recorded: Recorded) -> dict[str, float]:
    """One table of one stand-in device."""
    rng = np.random.default_rng([seed, round(60 * budget_h)])
    one = Simulated(device=MadeUpDevice(seed + 1), recorded=recorded, rng=rng)
    wanted = whole.within(3600 * budget_h)
    entries = one.entries(wanted)
    missing = [p.signature for p in whole.pieces if p.signature.key not in entries]
    if missing:
        entries |= predicted(entries, [piece.signature for piece in wanted.pieces], missing)
    correction = fit(entries, one.measured(wanted.fitted, wanted.protocol.sessions_min))
    known = frozenset(each.architecture.key for each in (*whole.fitted, *whole.held_out))
    unseen = random_networks(
        create(whole.space, {}), HEAD, TESTED, seed=1000 + seed, without=known
    )
    truths = one.truths(unseen)
    told = [corrected_ms(correction, entries, truth.parts) for truth in truths]
    found = asdict(Accuracy.of(told, [truth.latency_ms for truth in truths]))
    sys.stderr.write(f"{budget_h} h, seed {seed}: median error {found['median_error']:.4f}\n")
    return {
        **{name: value for name, value in found.items() if value is not None},
        "layers": len(wanted.pieces),
        "predicted": len(missing),
        "device_hours": wanted.device_hours(),
    }


def main() -> None:
    """Run it as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one stand-in device")
    parser.add_argument("--seeds", type=int, default=10, help="stand-in devices")
    parser.add_argument("--noise", type=Path, default=RECORDED, help="recorded noise")
    arguments = parser.parse_args()
    recorded = Recorded.read(arguments.noise)
    whole = plan(create("mnasnet", {}), HEAD, exactly(TABLE, TABLE.sessions_min))
    by_budget = {}
    for budget_h in BUDGETS_H:
        runs = [
            simulated(whole, budget_h, seed, recorded)
            for seed in range(1 if arguments.quick else arguments.seeds)
        ]
        by_budget[f"{budget_h:g} h"] = {
            name: statistics.fmean(run[name] for run in runs) for name in runs[0]
        }
    print(
        json.dumps(
            {
                "layers": len(whole.pieces),
                "device_hours": whole.device_hours(),
                "recorded_files": len(recorded.medians_ms),
                "residual_share": recorded.residual_share,
                "by_budget": by_budget,
                "stand_in": "made-up devices with recorded noise; no figure is a phone's",
            }
        )
    )


if __name__ == "__main__":
    main()
