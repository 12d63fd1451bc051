"""Whether a phone's latencies may be believed: the test before its first table or search.

A/A: one file under two names, interleaved; the stated intervals of their ratio hold 1 as often as
they say. A ladder of one network at several widths is monotone. Pairs of networks 3 % apart, in
two passes: how many change their order, and whether any does that was told apart. A heated phone
is refused, where it can be heated. What was changed on the phone is as before.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from statistics import median

from devices.device import DeviceError, ModelFile, RunSettings
from exporters.artifact import Precision
from latency.chains import equal_blocks
from latency.interval import RatioInterval, interval_of_ratio
from latency.measurement import (
    Conditions,
    LatencyMeasurement,
    MeasurementProtocol,
    Verdict,
    session_value_ms,
    statistic_of,
)
from latency.presets import SEARCH
from latency.protocol import Bench, Candidate, Measured, measure_batch, settings_of
from workspace.errors import InputError
from workspace.home import home

Pair = tuple[LatencyMeasurement, LatencyMeasurement]

PROTOCOL = replace(
    SEARCH,
    preset="acceptance",
    warmup_runs=5,
    warmup_min_s=0.1,
    timed_runs=20,
    timed_min_s=0.25,
    sessions_max=SEARCH.sessions_min,
    sentinel_every=0,
)
"""Five short sessions each: the test is about many comparisons, not about one number."""

SHORT_MINUTES, SHORT_SESSIONS = 5.0, 3
"""With less time than that there are fewer sessions, for which intervals are calibrated too."""

CONFIDENCE = 0.90
"""Of the intervals of ratios."""

BY_CHANCE = 0.01
"""How often a phone that is just bearable in one respect may fail in it by chance."""

AA_BEARABLE = 0.85
"""Share of the A/A intervals that hold 1 on a phone that is just bearable."""

FLIPS_BEARABLE = 0.20
"""Share of the pairs 3 % apart that change their order; where a coin decides, half of them do."""

WRONG_BEARABLE = 0.10
"""Share of the pairs told apart twice that change their order: either interval may be wrong."""

LADDER = (16, 24, 32, 48, 64)
"""Channels of the ladder's networks; each takes a third to twice as much as the one before."""

SHAPES = tuple(
    (channels, size, kernel)
    for kernel in (3, 5)
    for size in (14, 20, 24, 28)
    for channels in (24, 32, 40, 48, 64)
)
"""Channels, pixels and kernel of the forty pairs of networks, of 32 and 33 equal blocks."""

AA_MOST, AA_LEAST, PAIRS_LEAST, AT_ONCE = 20, 3, 4, 5
"""Pairs; even the least are enough to fail, and so many are interleaved in one batch."""

AA_SHARE, HEAT_SHARE = 0.25, 0.1
"""Of the time that there is."""

HEAT_SESSION_S, PROBES, SLOWED = 3.0, 3, 0.10
"""Of a session under load; sessions after it, which may be so much slower than the first ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """The result.

    Attributes:
        passed: Whether everything that could be tested was as it should be.
        failed: What was not, a sentence each.
        conditions: Under which all files ran.
        sessions: Of each file.
        aa_pairs: Pairs of one file under two names.
        aa_covered: Of these, those whose interval holds 1.
        aa_false_failures: How often that many pairs fail a phone whose intervals cover as stated.
        ladder_ms: Latencies of the ladder, narrowest network first.
        pairs: Pairs of networks 3 % apart.
        flips: Of these, those in another order in the second pass.
        told_apart: Of these, those that both passes told apart.
        flips_told_apart: Of these, those in another order.
        heat: ``refused: …``, ``could not be heated: …`` or ``not seen: …``, with what was seen.
        settings: Of the phone that were compared before and after.
        labels: What could not be held or read on the device.
        minutes: That it took.
    """

    passed: bool
    failed: tuple[str, ...]
    conditions: Conditions
    sessions: int
    aa_pairs: int
    aa_covered: int
    aa_false_failures: float
    ladder_ms: tuple[float, ...]
    pairs: int
    flips: int
    told_apart: int
    flips_told_apart: int
    heat: str
    settings: int
    labels: tuple[str, ...]
    minutes: float

    def report(self) -> dict[str, object]:
        """As JSON, with the stand-ins that took part."""
        setup = self.conditions.setup
        stand_ins = [text for text in (setup.info.stand_in, setup.runner.stand_in) if text]
        return {
            **asdict(self),
            "conditions": self.conditions.flat(),
            "stand_ins": stand_ins,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Flips:
    """Pairs of networks 3 % apart in two passes; see ``Acceptance``."""

    pairs: int
    flips: int
    told_apart: int
    flips_told_apart: int


def accept(
    bench: Bench,
    *,
    minutes: float = 15.0,
    say: Callable[[str], None] = lambda _: None,
    seed: int = 0,
    settings: Callable[[], Mapping[str, str]] | None = None,
) -> Acceptance:
    """Test the device of ``bench``, held under a lease by the caller.

    Args:
        bench: The device and all around it.
        minutes: How long it may take; fewer minutes are fewer pairs, down to a least of each.
        say: Told about each part.
        seed: Of the order of sessions.
        settings: Reads what a measurement changes on the device; None where nothing is.

    Raises:
        InputError: If ``minutes`` is not a positive number.
        DeviceError: If the device fails; nothing can be said of it then.
    """
    if not (math.isfinite(minutes) and minutes > 0):
        msg = f"an acceptance test takes a positive number of minutes, got {minutes!r}"
        raise InputError(msg)
    return _Test(bench, minutes, say, seed).result(settings or dict)


@dataclass(slots=True)
class _Test:
    """One acceptance test under way."""

    bench: Bench
    minutes: float
    say: Callable[[str], None]
    seed: int
    rejected: list[str] = field(default_factory=list)

    def result(self, settings: Callable[[], Mapping[str, str]]) -> Acceptance:
        """See ``accept``."""
        started_s, before = self.now_s(), settings()
        end_s = started_s + 60 * self.minutes
        twins = self.twins(started_s + AA_SHARE * 60 * self.minutes)
        covered = sum(not _ratio(one, other).separated for one, other in twins)
        ladder = self.ladder()
        heat_s = HEAT_SHARE * 60 * self.minutes
        flips = self.flips(end_s - heat_s)
        cool_ms = median(each.session_values_ms[0] for pair in twins[:AA_LEAST] for each in pair)
        heat, unseen = self.heat(heat_s, cool_ms)
        after = settings()
        failed = (
            *aa_failures(covered, len(twins)),
            *ladder_failures([each.median_ms for each in ladder]),
            *order_failures(flips),
            *unseen,
            *(f"gate: a file was given up: {reason}" for reason in self.rejected),
            *settings_failures(before, after),
        )
        return Acceptance(
            passed=not failed,
            failed=failed,
            conditions=twins[0][0].conditions,
            sessions=self.protocol.sessions_min,
            aa_pairs=len(twins),
            aa_covered=covered,
            aa_false_failures=aa_false_failures(len(twins)),
            ladder_ms=tuple(each.median_ms for each in ladder),
            **asdict(flips),
            heat=heat,
            settings=len(before),
            labels=twins[0][0].labels,
            minutes=(self.now_s() - started_s) / 60,
        )

    @property
    def protocol(self) -> MeasurementProtocol:
        """Of every file."""
        if self.minutes >= SHORT_MINUTES:
            return PROTOCOL
        return replace(PROTOCOL, sessions_min=SHORT_SESSIONS, sessions_max=SHORT_SESSIONS)

    def twins(self, until_s: float) -> list[Pair]:
        """One file under two names, again and again while there is time."""
        model = self.twin()
        self.say(f"one file under two names, at most {AA_MOST} pairs")
        return self.pairs(lambda _: (model, model), AA_LEAST, AA_MOST, until_s)

    def ladder(self) -> list[LatencyMeasurement]:
        """One network at several widths."""
        self.say(f"one network at {len(LADDER)} widths")
        return self.measured([self.file(blocks=8, channels=c, size=28) for c in LADDER])

    def flips(self, until_s: float) -> Flips:
        """Pairs 3 % apart: as many in a first pass as half the time allows, again in a second."""

        def files(index: int) -> tuple[ModelFile, ModelFile]:
            channels, size, kernel = SHAPES[index]
            narrow, wide = (
                self.file(blocks=blocks, channels=channels, size=size, kernel=kernel)
                for blocks in (32, 33)
            )
            return narrow, wide

        most = len(SHAPES)
        self.say(f"networks 3 % apart, at most {most} pairs, two passes")
        first = self.pairs(files, PAIRS_LEAST, most, (self.now_s() + until_s) / 2)
        self.say(f"the second pass of {len(first)} pairs")
        return flips_of(first, self.pairs(files, len(first), len(first), math.inf))

    def pairs(
        self,
        files: Callable[[int], tuple[ModelFile, ModelFile]],
        least: int,
        most: int,
        until_s: float,
    ) -> list[Pair]:
        """The pairs for which there is time, at least and at most so many."""
        done: list[Pair] = []
        pair_s = 0.0
        while len(done) < most:
            count = min(AT_ONCE, most - len(done), AT_ONCE if done else least)
            started_s = self.now_s()
            if started_s + count * pair_s > until_s:
                count = min(count, least - len(done))
                if count <= 0:
                    break
            chunk = [file for index in range(count) for file in files(len(done) + index)]
            found = self.measured(chunk)
            done += zip(found[::2], found[1::2], strict=True)
            pair_s = (self.now_s() - started_s) / count
        return done

    def heat(self, seconds: float, cool_ms: float) -> tuple[str, list[str]]:
        """Work on all cores until the gate would not have it any more; and what is wrong with it.

        On this computer, whose cores others use too, a slower session is no sign of heat.
        """
        self.say("heating")
        info = self.bench.device.setup(self.bench.placement).info
        model, probe = self.twin(), settings_of(self.protocol, self.bench.placement)
        load = replace(
            self.bench.placement,
            threads=max(self.bench.placement.threads, len(info.core_khz)),
            cores=(),
            warmup_runs=0,
            warmup_min_s=0.0,
            timed_runs=1,
            timed_min_s=HEAT_SESSION_S,
        )
        values: list[float] = []
        until_s = self.now_s() + seconds
        while len(values) < PROBES:
            settings = load if self.now_s() < until_s else probe
            try:
                reason, value_ms = self.unguarded(model, settings)
            except DeviceError as error:
                return f"could not be heated: {error.detail}", []
            if reason:
                return f"refused: {reason}", []
            if settings is probe:
                values.append(value_ms)
        slower = median(values) / cool_ms - 1
        if slower > SLOWED and not info.on_this_computer:
            reason = "and nothing that it tells of its heat and clocks gave a reason to refuse it"
            failed = [f"heat: it became {slower:.0%} slower under load, {reason}"]
            return f"not seen: {slower:.0%} slower after {seconds:.0f} s of load", failed
        return f"could not be heated: {slower:+.1%} after {seconds:.0f} s of load", []

    def unguarded(self, model: ModelFile, settings: RunSettings) -> tuple[str, float]:
        """A session without a pause before it: why the gate would refuse it or the next, its time.

        Raises:
            DeviceError: If it fails.
        """
        bench = self.bench
        bench.guard()
        setup = bench.device.setup(settings)
        record = bench.device.run(model, settings)
        reason = bench.gate.why_refused(setup, record)
        reason = reason or bench.gate.why_not(setup.info.unit, bench.device.state())
        return reason, session_value_ms(record, statistic_of(record))

    def measured(self, files: Sequence[ModelFile]) -> list[LatencyMeasurement]:
        """Each file's measurement, in their order, from one interleaved batch."""
        candidates = [
            Candidate(model=file, precision=Precision.FP32, protocol=self.protocol)
            for file in files
        ]
        self.seed += 1
        found: dict[int, LatencyMeasurement] = {}
        for result in measure_batch(self.bench, candidates, seed=self.seed):
            if not isinstance(result, Measured):
                raise result.error
            found[result.index] = result.measurement
            if result.measurement.verdict is Verdict.REJECTED:
                self.rejected.append(result.measurement.reason)
        return [found[index] for index in range(len(files))]

    def twin(self) -> ModelFile:
        """The file of the A/A test."""
        return self.file(blocks=16, channels=32, size=28)

    def file(self, *, blocks: int, channels: int, size: int, kernel: int = 3) -> ModelFile:
        """A network of the test."""
        return equal_blocks(
            home() / "acceptance", blocks=blocks, channels=channels, size=size, kernel=kernel
        )

    def now_s(self) -> float:
        """By the bench's clock."""
        return self.bench.patience.clock.now_s()


def flips_of(first: Sequence[Pair], second: Sequence[Pair]) -> Flips:
    """How the order of pairs changed from one pass to the other."""
    both = list(zip(first, second, strict=True))
    apart = [(one, two) for one, two in both if _ratio(*one).separated and _ratio(*two).separated]
    return Flips(
        pairs=len(both),
        flips=sum(_changed(one, two) for one, two in both),
        told_apart=len(apart),
        flips_told_apart=sum(_changed(one, two) for one, two in apart),
    )


def aa_failures(covered: int, pairs: int) -> list[str]:
    """What is wrong with the A/A test."""
    if at_most(covered, pairs, AA_BEARABLE) >= BY_CHANCE:
        return []
    return [
        f"A/A: {covered} of {pairs} intervals of one file against itself hold 1, "
        f"{CONFIDENCE:.0%} are stated"
    ]


def aa_false_failures(pairs: int) -> float:
    """How often a phone whose intervals cover as often as they say fails the A/A test.

    >>> aa_false_failures(20) < 0.001
    True
    """
    failing = [covered for covered in range(pairs + 1) if aa_failures(covered, pairs)]
    return at_most(max(failing), pairs, CONFIDENCE) if failing else 0.0


def ladder_failures(medians_ms: Sequence[float]) -> list[str]:
    """What is wrong with the ladder.

    Its steps are a third and more: where sessions differ by 10 %, one of five sessions each is
    upside down by chance in less than one of 1,000 tests.
    """
    steps = zip(medians_ms, medians_ms[1:], LADDER, LADDER[1:], strict=False)
    return [
        f"ladder: {channels} channels take {narrow_ms:.4g} ms, {more} channels {wide_ms:.4g} ms"
        for narrow_ms, wide_ms, channels, more in steps
        if wide_ms <= narrow_ms
    ]


def order_failures(flips: Flips) -> list[str]:
    """What is wrong with the order of pairs."""
    failed, right = [], flips.told_apart - flips.flips_told_apart
    if at_most(flips.pairs - flips.flips, flips.pairs, 1 - FLIPS_BEARABLE) < BY_CHANCE:
        failed.append(
            f"order: {flips.flips} of {flips.pairs} pairs of networks 3 % apart changed their "
            "order from one pass to the next: such networks cannot be ranked on it"
        )
    if at_most(right, flips.told_apart, 1 - WRONG_BEARABLE) < BY_CHANCE:
        failed.append(
            f"order: {flips.flips_told_apart} of {flips.told_apart} pairs that were told apart "
            "changed their order"
        )
    return failed


def settings_failures(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """What is not as it was before the test."""
    return [
        f"settings: {name} was {before.get(name)!r} before the test, is {after.get(name)!r} after"
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]


def at_most(hits: int, trials: int, share: float) -> float:
    """How likely at most ``hits`` of ``trials`` are, each with probability ``share``.

    >>> round(at_most(1, 2, 0.5), 2)
    0.75
    """
    return sum(
        math.comb(trials, k) * share**k * (1 - share) ** (trials - k) for k in range(hits + 1)
    )


def _changed(one: Pair, two: Pair) -> bool:
    return (one[0].median_ms < one[1].median_ms) != (two[0].median_ms < two[1].median_ms)


def _ratio(one: LatencyMeasurement, other: LatencyMeasurement) -> RatioInterval:
    return interval_of_ratio(one.session_values_ms, other.session_values_ms, CONFIDENCE)
