"""Whether a phone's latencies may be believed: the test before its first table or search.

A/A: one file under two names, interleaved; the stated intervals of their ratio hold 1 as often as
they say. A ladder of one network at several widths is monotone. Pairs of networks 3 % apart, in
two passes: how many change their order, and whether any does that was told apart. A heated phone
is refused, where it can be heated.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from devices.device import DeviceError, ModelFile
from exporters.artifact import Precision
from latency.chains import equal_blocks
from latency.interval import RatioInterval, interval_of_ratio
from latency.measurement import LatencyMeasurement
from latency.presets import SEARCH
from latency.protocol import Bench, Candidate, Measured, measure_batch
from workspace.home import home

PROTOCOL = replace(
    SEARCH,
    preset="acceptance",
    warmup_min_s=0.1,
    timed_min_s=0.25,
    sessions_max=SEARCH.sessions_min,
    sentinel_every=0,
)
"""Five short sessions each: the test is about many comparisons, not about one number."""

CONFIDENCE = 0.90
"""Of the intervals of ratios."""

PASSED_BY_CHANCE = 0.01
"""How often a phone whose intervals cover 85 % may fail the A/A test by chance."""

LADDER = (16, 24, 32, 48, 64)
"""Channels of the ladder's networks."""

PAIRS_MOST, PAIRS_LEAST = 40, 2
AA_PAIRS = 12
HEAT_S = 60.0
"""For how long a phone is heated at most."""

NOT_HEATED = "could not be heated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """The result.

    Attributes:
        passed: Whether everything that could be tested was as it should be.
        failed: What was not, a sentence each.
        aa_pairs: Pairs of one file under two names.
        aa_covered: Of these, those whose interval holds 1.
        ladder_ms: Latencies of the ladder, narrowest network first.
        pairs: Pairs of networks 3 % apart.
        flips: Of these, those in another order in the second pass.
        told_apart: Of these, those that both passes told apart.
        flips_told_apart: Of these, those in another order.
        heat: ``refused``, or why that was not seen.
        labels: What could not be held or read on the device.
        minutes: That it took.
    """

    passed: bool
    failed: tuple[str, ...]
    aa_pairs: int
    aa_covered: int
    ladder_ms: tuple[float, ...]
    pairs: int
    flips: int
    told_apart: int
    flips_told_apart: int
    heat: str
    labels: tuple[str, ...]
    minutes: float

    def report(self) -> dict[str, object]:
        """As JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flips:
    pairs: int
    flips: int
    told_apart: int
    flips_told_apart: int


def accept(
    bench: Bench, *, minutes: float = 15.0, say: Callable[[str], None], seed: int = 0
) -> Acceptance:
    """Test the device of ``bench``, held under a lease by the caller.

    Args:
        bench: The device and all around it.
        minutes: How long it may take; fewer minutes are fewer pairs.
        say: Told about each part.
        seed: Of the order of sessions.

    Raises:
        DeviceError: If the device fails; nothing can be said of it then.
    """
    clock, folder = bench.patience.clock, home() / "acceptance"
    started_s = clock.now_s()
    end_s = started_s + 60 * minutes
    aa_pairs = max(2, min(AA_PAIRS, round(minutes)))
    say(f"one file under two names, {aa_pairs} pairs")
    model = equal_blocks(folder, blocks=16, channels=32, size=28)
    twins = _measured(bench, [model] * (2 * aa_pairs), seed)
    covered = sum(
        not _ratio(one, other).separated
        for one, other in zip(twins[::2], twins[1::2], strict=True)
    )
    per_file_s = (clock.now_s() - started_s) / (2 * aa_pairs)
    say("one network at five widths")
    widths = [equal_blocks(folder, blocks=8, channels=channels, size=28) for channels in LADDER]
    ladder = _measured(bench, widths, seed + 1)
    left_s = end_s - clock.now_s() - min(HEAT_S, 6 * minutes)
    pairs = max(PAIRS_LEAST, min(PAIRS_MOST, int(left_s / (4 * per_file_s))))
    say(f"{pairs} pairs of networks 3 % apart, two passes")
    flips = _flips(bench, folder, pairs, seed + 2)
    say("heating")
    heat = _heat(bench, model, min(HEAT_S, 6 * minutes))
    failed = _failures(aa_pairs, covered, ladder, flips)
    return Acceptance(
        passed=not failed,
        failed=failed,
        aa_pairs=aa_pairs,
        aa_covered=covered,
        ladder_ms=tuple(each.median_ms for each in ladder),
        **asdict(flips),
        heat=heat,
        labels=twins[0].labels,
        minutes=(clock.now_s() - started_s) / 60,
    )


def _failures(
    aa_pairs: int, covered: int, ladder: Sequence[LatencyMeasurement], flips: _Flips
) -> tuple[str, ...]:
    failed = []
    if at_most(covered, aa_pairs, 0.85) < PASSED_BY_CHANCE:
        failed.append(
            f"A/A: {covered} of {aa_pairs} intervals of one file against itself hold 1, "
            f"{CONFIDENCE:.0%} are stated"
        )
    for narrow, wide, channels in zip(ladder, ladder[1:], LADDER, strict=False):
        ratio = _ratio(wide, narrow)
        if ratio.high < 1.0:
            failed.append(
                f"ladder: {channels} channels take {narrow.median_ms:.4g} ms, more than the "
                f"{wide.median_ms:.4g} ms of the next wider network"
            )
    wrong = flips.flips_told_apart
    if wrong and at_most(flips.told_apart - wrong, flips.told_apart, 0.9) < PASSED_BY_CHANCE:
        failed.append(
            f"order: {wrong} of {flips.told_apart} pairs that were told apart changed their order"
        )
    return tuple(failed)


def at_most(hits: int, trials: int, share: float) -> float:
    """How likely at most ``hits`` of ``trials`` are, each with probability ``share``.

    >>> round(at_most(1, 2, 0.5), 2)
    0.75
    """
    return sum(
        math.comb(trials, k) * share**k * (1 - share) ** (trials - k) for k in range(hits + 1)
    )


def _flips(bench: Bench, folder: Path, pairs: int, seed: int) -> _Flips:
    shapes = [
        {"channels": channels, "size": size, "kernel": kernel}
        for channels in (24, 32, 48, 64)
        for size in (14, 20, 28)
        for kernel in (3, 5)
    ]
    files = [
        equal_blocks(folder, blocks=blocks, **shapes[index % len(shapes)])
        for index in range(pairs)
        for blocks in (32, 33)
    ]
    first, second = (_measured(bench, files, seed + turn) for turn in range(2))
    orders = [(first[at : at + 2], second[at : at + 2]) for at in range(0, 2 * pairs, 2)]
    apart = [
        (one, two) for one, two in orders if _ratio(*one).separated and _ratio(*two).separated
    ]
    return _Flips(
        pairs=pairs,
        flips=sum(_changed(one, two) for one, two in orders),
        told_apart=len(apart),
        flips_told_apart=sum(_changed(one, two) for one, two in apart),
    )


def _changed(one: Sequence[LatencyMeasurement], two: Sequence[LatencyMeasurement]) -> bool:
    return (one[0].median_ms < one[1].median_ms) != (two[0].median_ms < two[1].median_ms)


def _heat(bench: Bench, model: ModelFile, seconds: float) -> str:
    """Work without a pause until the gate would keep a session waiting."""
    unit = bench.device.setup(bench.placement).info.unit
    settings = replace(
        bench.placement, warmup_runs=0, warmup_min_s=0.0, timed_runs=1, timed_min_s=3.0
    )
    clock = bench.patience.clock
    started_s = clock.now_s()
    while clock.now_s() - started_s < seconds:
        bench.guard()
        try:
            bench.device.run(model, settings)
        except DeviceError as error:
            return f"{NOT_HEATED}: {error.detail}"
        reason = bench.gate.why_not(unit, bench.device.state())
        if reason:
            return f"refused: {reason}"
    return f"{NOT_HEATED} in {seconds:.0f} s, or it does not tell its temperature"


def _measured(bench: Bench, files: Sequence[ModelFile], seed: int) -> list[LatencyMeasurement]:
    """Each file's measurement, in their order, from one interleaved batch."""
    candidates = [
        Candidate(model=file, precision=Precision.FP32, protocol=PROTOCOL) for file in files
    ]
    found: dict[int, LatencyMeasurement] = {}
    for result in measure_batch(bench, candidates, seed=seed):
        if not isinstance(result, Measured):
            raise result.error
        found[result.index] = result.measurement
    return [found[index] for index in range(len(files))]


def _ratio(one: LatencyMeasurement, other: LatencyMeasurement) -> RatioInterval:
    return interval_of_ratio(one.session_values_ms, other.session_values_ms, CONFIDENCE)
