"""What is said of progressive learning and its parts, all trained with the same seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from benchmarks.comparison.fronts import Against, Front, Place, against
from benchmarks.comparison.resampling import Estimate, Network, estimates, paired_difference
from benchmarks.comparison.stage_arms import Arm
from benchmarks.comparison.trainings import Trained

POINTS_BELOW = 0.2
"""That a schedule may be below the baseline at equal samples."""

AIM = 1.4
"""Of the speed-up at equal accuracy."""

Found = Mapping[tuple[Arm, int], Sequence[Trained]]
"""Trainings by arm and budget, always with the same seeds in the same order."""


def figures(found: Found, main: int) -> dict[str, object]:
    """What is reported.

    Args:
        found: Every arm at the main budget, the baseline at others too.
        main: The budget at which arms are compared.
    """
    ours, baseline = found[Arm.PROGRESSIVE, main], found[Arm.BASELINE, main]
    speedup, difference = _ratio(baseline, ours), _difference(ours, baseline)
    equal = equal_accuracy(found)
    ratio = equal[main]
    return {
        "speedup": speedup.value,
        "accuracy": _accuracy(ours),
        "baseline_accuracy": _accuracy(baseline),
        "speedup_equal_accuracy": ratio.speedup.value,
        "intervals": {
            "speedup": [speedup.low, speedup.high],
            "points": [difference.low, difference.value, difference.high],
        },
        "keeps_accuracy": difference.value >= -POINTS_BELOW,
        "equal_accuracy": {str(samples): one.to_json() for samples, one in equal.items()},
        "aim_met": ratio.reached != "at most" and ratio.speedup.value >= AIM,
        "ablation": {arm.value: _against(found[arm, main], baseline) for arm in Arm},
        "baseline": {
            str(samples): {"accuracy": _accuracy(own), "seconds": _seconds(own)}
            for (arm, samples), own in sorted(found.items())
            if arm is Arm.BASELINE
        },
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class AtEqualAccuracy:
    """A training against the baseline's budgets.

    Attributes:
        speedup: The baseline's time at its accuracy over its own.
        reached: ``yes`` if the baseline's accuracies reach it; ``at least`` if all are below it,
            ``at most`` if all are above.
        place: Its accuracy, and its time in ms.
    """

    speedup: Estimate
    reached: str
    place: Place

    def to_json(self) -> dict[str, object]:
        """For whoever reads the figures."""
        return {
            "speedup": asdict(self.speedup),
            "reached": self.reached,
            "accuracy": self.place.accuracy,
            "seconds": self.place.latency_ms / 1000,
        }


def equal_accuracy(found: Found) -> dict[int, AtEqualAccuracy]:
    """Progressive learning at each of its budgets."""
    networks = {
        f"{arm} {samples}": Network(
            accuracies=tuple(one.test for one in own),
            sessions_ms=tuple(1000 * one.seconds for one in own),
        )
        for (arm, samples), own in found.items()
    }
    baselines = [f"{arm} {samples}" for arm, samples in found if arm is Arm.BASELINE]
    ours = {samples: f"{arm} {samples}" for arm, samples in found if arm is Arm.PROGRESSIVE}

    def all_against(places: Mapping[str, Place]) -> dict[int, Against]:
        front = Front.of(places[name] for name in baselines)
        return {samples: against(places[name], front) for samples, name in ours.items()}

    told = estimates(
        networks,
        lambda places: {str(each): one.speedup for each, one in all_against(places).items()},
    )
    places = {name: one.place for name, one in networks.items()}
    words = {0: "yes", 1: "at least", -1: "at most"}
    return {
        samples: AtEqualAccuracy(
            speedup=told[str(samples)],
            reached=words[one.speedup_beyond],
            place=places[ours[samples]],
        )
        for samples, one in sorted(all_against(places).items())
    }


def _against(own: Sequence[Trained], baseline: Sequence[Trained]) -> dict[str, object]:
    """Of an arm at equal samples."""
    shown: dict[str, object] = {"accuracy": _accuracy(own), "seconds": _seconds(own)}
    if own is baseline:
        return shown
    difference, ratio = _difference(own, baseline), _ratio(baseline, own)
    return {
        **shown,
        "points": {**asdict(difference), "verdict": difference.above(0.0)},
        "speedup": asdict(ratio),
    }


def _difference(own: Sequence[Trained], others: Sequence[Trained]) -> Estimate:
    """In points of the test split."""
    return paired_difference([100 * one.test for one in own], [100 * one.test for one in others])


def _ratio(slower: Sequence[Trained], faster: Sequence[Trained]) -> Estimate:
    """Of their times."""
    logs = [[math.log(one.seconds) for one in own] for own in (slower, faster)]
    found = paired_difference(*logs)
    return Estimate(
        value=math.exp(found.value), low=math.exp(found.low), high=math.exp(found.high)
    )


def _accuracy(own: Sequence[Trained]) -> float:
    return statistics.fmean(one.test for one in own)


def _seconds(own: Sequence[Trained]) -> float:
    return statistics.fmean(one.seconds for one in own)
