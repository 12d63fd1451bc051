"""Progressive learning against training at one size, on Fashion-MNIST at its own 28 pixels.

One network of ours, one thread a training, all with the same seeds. In this order, each stage from
where a run that was stopped left it (``--log``):

1. ``rates``: the learning rate of the baseline, chosen at each of its budgets on validation.
2. ``stages``: of several schedules of growing size and regularization, at the main budget and with
   the baseline's rate, on validation: the cheapest of those that are at most 0.2 points below the
   baseline, or the most accurate one if none is.
3. ``compare``: baseline at every budget, progressive learning, and its parts alone: growing size
   with the last regularization, growing regularization at the full size, the same sizes in an
   order that is drawn (``comparison/stage_arms.py``). Seed by seed, arm by arm, so that whatever
   else this computer does meets all alike. Accuracies are of the test split, at 28 pixels.

``speedup`` is at equal samples: how much less time the steps take (geometric mean over seeds).
``speedup_equal_accuracy`` is the honest figure: the time after which the baseline, tuned at its
budgets, is as accurate, over that of progressive learning; between two budgets it lies on a line
of accuracy over the logarithm of time, and beyond them nothing is made up but a bound told. Times
are CPU time of training steps (making images of another size included), so they mean the same
with other work beside. Differences and ratios are paired by seed (Student's t, 95 %); the figure
at equal accuracy has the interval of ``comparison/resampling.py``.

Needs the extra ``train``. Run: ``python benchmarks/progressive.py [--quick] [--plan]
[--log FOLDER]``; one JSON object comes last on stdout. Times are of this x86 computer.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks.comparison.durations import EVALUATED, Hours, seconds_a_sample
from benchmarks.comparison.fronts import Place
from benchmarks.comparison.log import Log, log_folder
from benchmarks.comparison.networks import Own
from benchmarks.comparison.stage_arms import Arm, stages_of
from benchmarks.comparison.stage_figures import POINTS_BELOW, figures
from benchmarks.comparison.step_time import stepped
from benchmarks.comparison.trainings import Job, Trained, require_trained, train
from search_space.architecture import Classifier
from search_space.chain import Activation, ChainArchitecture, Op, Stage, Stem
from training.progressive import Rule, stages_for
from training.schedule import Schedule
from training.stages import Regularization, TrainingStage
from workspace.errors import InputError, OperationError

SIZE = 28
DATASET = "fashion-mnist"
HEAD = Classifier(classes=10)
LANES = 2
"""Trainings at once."""

FIRST_CHOOSING_SEED = 100
"""Of the trainings that choose; those that are reported have others, from 0 on."""

Say = Callable[[str], None]


def network() -> Own:
    """A chain of MBConv blocks with 66,000 parameters; 28 pixels become 14 and 7."""
    blocks = ((16, 3, 1, 2), (32, 4, 1, 2), (64, 4, 2, 1))
    stages = tuple(
        Stage(op=Op.MBCONV, kernel=3, filters=filters, expansion=e, repeats=r, stride=s)
        for filters, e, r, s in blocks
    )
    architecture = ChainArchitecture(
        size=SIZE,
        channels=1,
        stem=Stem(filters=12, stride=1),
        stages=stages,
        head_filters=128,
        activation=Activation.RELU6,
        dropout=0.2,
    )
    return Own(name="mbconv", architecture=architecture)


NETWORK = network()


def free(
    shape: Mapping[int, float], weakest: Regularization, strongest: Regularization
) -> tuple[TrainingStage, ...]:
    """Stages of sizes that end at shares of the training, regularization in equal steps.

    Args:
        shape: Where each size ends, by size.
        weakest: Regularization of the first.
        strongest: Of the last.
    """
    steps = max(1, len(shape) - 1)
    names = ("dropout", "randaugment", "mixup", "cutmix")

    def between(name: str, number: int) -> float:
        low, high = (getattr(each, name) or 0.0 for each in (weakest, strongest))
        return float(low + (high - low) * number / steps)

    return tuple(
        TrainingStage(
            until=until,
            size=size,
            regularization=Regularization(**{name: between(name, number) for name in names}),
        )
        for number, (size, until) in enumerate(shape.items())
    )


_NONE, _DROPOUT = Regularization(dropout=0.0), Regularization(dropout=0.2)
_MIXED = Regularization(dropout=0.2, mixup=0.1, cutmix=0.1)
CANDIDATES: Mapping[str, tuple[TrainingStage, ...]] = {
    "paper": stages_for(Rule.PAPER, NETWORK.architecture),
    "code": stages_for(Rule.CODE, NETWORK.architecture),
    "14, 20, 28": free({14: 0.5, 20: 0.75, 28: 1.0}, _NONE, _DROPOUT),
    "16, 20, 28": free({16: 0.4, 20: 0.7, 28: 1.0}, _NONE, _DROPOUT),
    "16, 28": free({16: 0.5, 28: 1.0}, _NONE, _DROPOUT),
    "20, 28": free({20: 0.5, 28: 1.0}, _NONE, _DROPOUT),
    "20, 24, 28": free({20: 0.4, 24: 0.7, 28: 1.0}, _NONE, _DROPOUT),
    "24, 28": free({24: 0.6, 28: 1.0}, _NONE, _DROPOUT),
    "16, 20, 28 mixed": free({16: 0.4, 20: 0.7, 28: 1.0}, _NONE, _MIXED),
    "20, 28 mixed": free({20: 0.5, 28: 1.0}, _NONE, _MIXED),
}
"""Schedules to choose from: both published rules in proportion, and free ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much of everything.

    Attributes:
        budgets: Training images of the baseline, the fewest first.
        main: That of them at which arms are compared.
        more: Further ones of them at which progressive learning is trained too.
        rates: Learning rates to choose from.
        candidates: Names of the schedules to choose from.
        choosing: Seeds of what chooses a schedule.
        seeds: Of what is reported.
    """

    budgets: tuple[int, ...]
    main: int
    more: tuple[int, ...]
    rates: tuple[float, ...]
    candidates: tuple[str, ...]
    choosing: int
    seeds: int

    def job(
        self, samples: int, rate: float, seed: int, stages: tuple[TrainingStage, ...] = ()
    ) -> Job:
        """A training."""
        schedule = Schedule(samples=samples, batch=64, learning_rate=rate, stages=stages)
        return Job(network=NETWORK, seed=seed, schedule=schedule, size=SIZE, task=DATASET)

    @property
    def choosing_seeds(self) -> range:
        """Of the trainings that choose."""
        return range(FIRST_CHOOSING_SEED, FIRST_CHOOSING_SEED + self.choosing)

    @property
    def rate_jobs(self) -> dict[tuple[int, float], Job]:
        """By budget and rate."""
        return {
            (samples, rate): self.job(samples, rate, FIRST_CHOOSING_SEED)
            for samples in self.budgets
            for rate in self.rates
        }

    def candidate_jobs(self, rate: float) -> dict[str, list[Job]]:
        """By schedule, the baseline (``""``) among them, with each choosing seed."""
        schedules = {"": (), **{name: CANDIDATES[name] for name in self.candidates}}
        return {
            name: [self.job(self.main, rate, seed, stages) for seed in self.choosing_seeds]
            for name, stages in schedules.items()
        }

    def compared(
        self, rates: Mapping[int, float], stages: Sequence[TrainingStage]
    ) -> dict[tuple[Arm, int, int], Job]:
        """By arm, budget and seed, in the order in which they are trained."""
        arms = [(arm, self.main) for arm in Arm]
        arms += [(Arm.PROGRESSIVE, samples) for samples in self.more]
        arms += [(Arm.BASELINE, each) for each in self.budgets if each != self.main]
        return {
            (arm, samples, seed): self.job(
                samples, rates[samples], seed, stages_of(arm, stages, seed)
            )
            for seed in range(self.seeds)
            for arm, samples in arms
        }


FULL = Plan(
    budgets=(62_500, 125_000, 250_000, 375_000, 500_000),
    main=250_000,
    more=(125_000, 375_000),
    rates=(0.005, 0.01, 0.02),
    candidates=tuple(CANDIDATES),
    choosing=2,
    seeds=6,
)
QUICK = Plan(
    budgets=(1_280, 2_560),
    main=2_560,
    more=(),
    rates=(0.01,),
    candidates=("16, 20, 28", "20, 28 mixed"),
    choosing=1,
    seeds=2,
)


def chosen_rates(plan: Plan, log: Log, say: Say) -> dict[int, float]:
    """The learning rate of each budget with the best accuracy on validation.

    Raises:
        OperationError: If the trainings of a budget diverged at every rate.
    """
    jobs = plan.rate_jobs
    found = dict(zip(jobs, _trained(list(jobs.values()), log, say), strict=True))
    rates = {}
    for samples in plan.budgets:
        own = {rate: found[samples, rate] for rate in plan.rates}
        valid = {rate: one.validation for rate, one in own.items() if not one.failure}
        if not valid:
            msg = f"the baseline of {samples} images diverged at each of the rates {plan.rates}"
            raise OperationError(msg)
        rates[samples] = max(valid, key=valid.__getitem__)
        say(f"{samples} images: rate {rates[samples]:g}, {max(valid.values()):.2%} on validation")
    return rates


def chosen_stages(plan: Plan, rate: float, log: Log, say: Say) -> str:
    """The schedule that is the cheapest of those that keep the accuracy on validation.

    Raises:
        OperationError: If a training diverged.
    """
    jobs = plan.candidate_jobs(rate)
    flat = [job for own in jobs.values() for job in own]
    results = dict(zip(flat, _trained(flat, log, say), strict=True))
    require_trained(flat, list(results.values()))
    found = {
        name: Place(
            accuracy=statistics.fmean(results[job].validation for job in own),
            latency_ms=1000 * statistics.fmean(results[job].seconds for job in own),
        )
        for name, own in jobs.items()
    }
    for name, place in found.items():
        say(
            f"{name or 'baseline'}: {place.accuracy:.2%} on validation in "
            f"{place.latency_ms / 1000:.1f} s"
        )
    least = found.pop("").accuracy - POINTS_BELOW / 100
    kept = [name for name, place in found.items() if place.accuracy >= least]
    if kept:
        return min(kept, key=lambda name: found[name].latency_ms)
    return max(found, key=lambda name: found[name].accuracy)


def progressive(plan: Plan, folder: Path, say: Say) -> dict[str, object]:
    """All stages.

    Raises:
        InputError: If the folder holds something else.
        OperationError: If a stage cannot be done; what was done is kept.
    """
    log = Log(folder / "trainings.jsonl")
    rates = chosen_rates(plan, log, say)
    name = chosen_stages(plan, rates[plan.main], log, say)
    say(f"chosen: {name}")
    stages = CANDIDATES[name]
    jobs = plan.compared(rates, stages)
    results = _trained(list(jobs.values()), log, say)
    require_trained(list(jobs.values()), results)
    found: dict[tuple[Arm, int], list[Trained]] = {}
    for (arm, samples, _), one in zip(jobs, results, strict=True):
        found.setdefault((arm, samples), []).append(one)
    return {
        **figures(found, plan.main),
        "schedule": name,
        "stages": [asdict(stage) for stage in stages],
        "learning_rates": {str(samples): rate for samples, rate in rates.items()},
        "samples": plan.main,
        "seeds": plan.seeds,
    }


def _trained(jobs: Sequence[Job], log: Log, say: Say) -> list[Trained]:
    return train(jobs, log, say, processes=LANES, fit=stepped)


def planned(plan: Plan, say: Say) -> float:
    """Say what each stage takes, from a few training steps at each size; hours in all."""
    say("training steps are timed for the plan")
    sizes = {stage.size for name in plan.candidates for stage in CANDIDATES[name]} | {SIZE}
    module = NETWORK.build(HEAD, 0)
    costs = {size: seconds_a_sample(module, size) for size in sorted(sizes)}
    rates = dict.fromkeys(plan.budgets, plan.rates[0])
    dearest = max(
        (CANDIDATES[name] for name in plan.candidates), key=lambda each: _cost_of(each, costs)
    )
    hours = {}
    for stage, jobs in (
        ("rates", list(plan.rate_jobs.values())),
        ("stages", [job for own in plan.candidate_jobs(plan.rates[0]).values() for job in own]),
        ("compare", list(plan.compared(rates, dearest).values())),
    ):
        hours[stage] = sum(_lasts(jobs, costs)) / LANES / 3600
        say(f"plan: {stage} {hours[stage]:.2f} hours, {len(jobs)} trainings")
    total = sum(hours.values())
    say(f"plan: {total:.2f} hours in all if nothing is in the log yet")
    return total


def _lasts(jobs: Sequence[Job], costs: Mapping[int, float]) -> Iterator[float]:
    """Seconds of each training, with its evaluations."""
    for job in jobs:
        parts = job.schedule.parts(SIZE)
        yield job.schedule.samples * _cost_of(parts, costs) + EVALUATED * costs[SIZE]


def _cost_of(stages: Sequence[TrainingStage], costs: Mapping[int, float]) -> float:
    """Mean seconds of an image."""
    begins = (0.0, *(stage.until for stage in stages))
    return sum(
        (stage.until - begin) * costs[stage.size]
        for begin, stage in zip(begins, stages, strict=False)
    )


def told(text: str) -> None:
    """Say something to people."""
    sys.stderr.write(f"{text}\n")


def main() -> None:
    """Run it as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tiny numbers, that compare nothing")
    parser.add_argument("--log", type=Path, help="folder to go on from, or to make")
    parser.add_argument("--seeds", type=int, help="trainings of each reported arm")
    parser.add_argument("--plan", action="store_true", help="only say what it would take")
    arguments = parser.parse_args()
    plan = QUICK if arguments.quick else FULL
    if arguments.seeds is not None:
        plan = replace(plan, seeds=arguments.seeds)
    if plan.seeds < 2:
        parser.error(f"--seeds must be at least 2, for an interval, got {plan.seeds}")
    try:
        expected = planned(plan, told)
        if arguments.plan:
            print(json.dumps({"planned_hours": expected}))
            return
        with log_folder("progressive", arguments.log, quick=arguments.quick) as folder:
            told(f"the log is {folder}")
            hours = Hours(Log(folder / "hours.jsonl"))

            def say(text: str) -> None:
                hours.note()
                told(f"{hours.here:.2f} h: {text}")

            found = progressive(plan, folder, say)
            whole = hours.total
    except InputError as error:
        parser.error(str(error))
    except OperationError as error:
        sys.exit(str(error))
    form = "quick: tiny numbers that compare nothing" if arguments.quick else "whole"
    times = "CPU time of training steps, of this x86 computer"
    print(json.dumps({**found, "form": form, "hours": round(whole, 3), "times": times}))


if __name__ == "__main__":
    main()
