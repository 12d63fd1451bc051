"""Progressive learning against training at one size, the images' own.

On Fashion-MNIST (28 pixels), or with ``--problem scenes`` on generated scenes with detail at 96
(``comparison/stage_plans.py``). One network of ours, one thread a training, all with the same
seeds. In this order, each stage from where a run that was stopped left it (``--log``):

1. ``rates``: the learning rate of the baseline, chosen at each of its budgets on validation.
2. ``stages``: of several schedules of growing size and regularization, at the main budget and with
   the baseline's rate, on validation: the cheapest of those that are at most 0.2 points below the
   baseline, or the most accurate one if none is.
3. ``compare``: baseline at every budget, progressive learning, and its parts alone: growing size
   with the last regularization, growing regularization at the full size, the same sizes in an
   order that is drawn (``comparison/stage_arms.py``). Seed by seed, arm by arm, so that whatever
   else this computer does meets all alike. Accuracies are of the test split, at the own size.

``speedup`` is at equal samples: how much less time the steps take (geometric mean over seeds).
``speedup_equal_accuracy`` is the honest figure: the time after which the baseline, tuned at its
budgets, is as accurate, over that of progressive learning; between two budgets it lies on a line
of accuracy over the logarithm of time, and beyond them nothing is made up but a bound told. Times
are CPU time of training steps (making images of another size included), so they mean the same
with other work beside. Differences and ratios are paired by seed (Student's t, 95 %); the figure
at equal accuracy has the interval of ``comparison/resampling.py``.

Needs the extra ``train``. Run: ``python benchmarks/progressive.py [--problem NAME] [--quick]
[--plan] [--log FOLDER]``; one JSON object comes last on stdout. It takes some four hours on two
cores. Times are of this x86 computer.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from benchmarks.comparison.durations import EVALUATED, seconds_a_sample
from benchmarks.comparison.fronts import Place
from benchmarks.comparison.log import Log
from benchmarks.comparison.script import Say, parser_of, run, seeds_of
from benchmarks.comparison.stage_arms import Arm
from benchmarks.comparison.stage_figures import POINTS_BELOW, figures
from benchmarks.comparison.stage_plans import PLANS, QUICK, Plan
from benchmarks.comparison.step_time import stepped
from benchmarks.comparison.trainings import Job, Trained, require_trained, train
from search_space.architecture import Classifier
from training.stages import TrainingStage
from workspace.errors import OperationError

LANES = 2
"""Trainings at once."""

HEAD = Classifier(classes=10)
"""Of both data sets."""


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
    stages = plan.problem.candidates[name]
    jobs = plan.compared(rates, stages)
    results = _trained(list(jobs.values()), log, say)
    require_trained(list(jobs.values()), results)
    found: dict[tuple[Arm, int], list[Trained]] = {}
    for (arm, samples, _), one in zip(jobs, results, strict=True):
        found.setdefault((arm, samples), []).append(one)
    return {
        **figures(found, plan.main),
        "dataset": plan.problem.dataset,
        "size": plan.problem.size,
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
    known, module = plan.problem.candidates, plan.problem.network.build(HEAD, 0)
    sizes = {stage.size for name in plan.candidates for stage in known[name]}
    costs = {size: seconds_a_sample(module, size) for size in sorted(sizes)}
    rates = dict.fromkeys(plan.budgets, plan.rates[0])
    dearest = max(
        (known[name] for name in plan.candidates), key=lambda each: _cost_of(each, costs)
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
        parts = job.schedule.parts(job.size)
        yield job.schedule.samples * _cost_of(parts, costs) + EVALUATED * costs[job.size]


def _cost_of(stages: Sequence[TrainingStage], costs: Mapping[int, float]) -> float:
    """Mean seconds of an image."""
    begins = (0.0, *(stage.until for stage in stages))
    return sum(
        (stage.until - begin) * costs[stage.size]
        for begin, stage in zip(begins, stages, strict=False)
    )


def main() -> None:
    """Run it as the command line says."""
    parser = parser_of(__doc__)
    parser.add_argument("--problem", choices=PLANS, default="fashion-mnist")
    parser.add_argument("--seeds", type=int, help="trainings of each reported arm")
    arguments = parser.parse_args()
    plan = QUICK if arguments.quick else PLANS[arguments.problem]
    plan = replace(plan, seeds=seeds_of(parser, arguments.seeds, plan.seeds))
    run(
        parser,
        arguments,
        name="progressive",
        planned=partial(planned, plan),
        benchmark=partial(progressive, plan),
        times="CPU time of training steps, of this x86 computer",
    )


if __name__ == "__main__":
    main()
