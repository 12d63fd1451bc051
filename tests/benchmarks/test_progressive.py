import pytest

from benchmarks.comparison.log import Log
from benchmarks.comparison.stage_plans import PLANS
from benchmarks.comparison.trainings import Trained
from training.stages import TrainingStage
from workspace.errors import OperationError

pytest.importorskip("torch")

FULL = PLANS["fashion-mnist"]


def quiet(_text):
    pass


def kept(log, jobs, result):
    """A log with the results of jobs, as if they had been trained."""
    for place, job in jobs:
        log.add(job.key, result(place, job).to_json())


def test_each_budget_has_the_rate_that_is_best_on_validation(script, tmp_path):
    plan, log = FULL, Log(tmp_path / "log")
    best = dict(zip(plan.budgets, (0.005, 0.01, 0.02, 0.005), strict=True))

    def result(place, _job):
        samples, rate = place
        right = best[samples] == rate
        return Trained(validation=0.9 if right else 0.8, test=0.1 if right else 0.99, seconds=1.0)

    kept(log, plan.rate_jobs.items(), result)
    assert script.chosen_rates(plan, log, quiet) == best


def test_a_budget_at_which_all_diverge_is_said(script, tmp_path):
    plan, log = FULL, Log(tmp_path / "log")

    def fails(_place, _job):
        return Trained(validation=0, test=0, seconds=0, failure="the loss is nan")

    kept(log, plan.rate_jobs.items(), fails)
    with pytest.raises(OperationError, match="baseline of 62500 images diverged at each"):
        script.chosen_rates(plan, log, quiet)


@pytest.mark.parametrize(
    ("accuracies", "chosen"),
    [
        # both keep it, the first is cheaper
        ({"24:0.6, 28:1": 0.8985, "20:0.5, 28:1": 0.91}, "24:0.6, 28:1"),
        ({"24:0.6, 28:1": 0.8975, "20:0.5, 28:1": 0.8981}, "20:0.5, 28:1"),
        ({"24:0.6, 28:1": 0.8, "20:0.5, 28:1": 0.7}, "24:0.6, 28:1"),  # none keeps it
    ],
)
def test_the_cheapest_schedule_is_chosen_that_keeps_the_accuracy(
    script, tmp_path, accuracies, chosen
):
    plan = script.replace(FULL, candidates=("24:0.6, 28:1", "20:0.5, 28:1"))
    log = Log(tmp_path / "log")
    seconds = {"": 10.0, "24:0.6, 28:1": 5.0, "20:0.5, 28:1": 7.0}
    jobs = [(name, job) for name, own in plan.candidate_jobs(0.01).items() for job in own]
    kept(
        log,
        jobs,
        lambda name, _job: Trained(
            validation={"": 0.9, **accuracies}[name], test=0.5, seconds=seconds[name]
        ),
    )
    assert script.chosen_stages(plan, 0.01, log, quiet) == chosen


def test_the_plan_counts_each_image_at_the_size_that_it_has(script):
    stages = (TrainingStage(until=0.25, size=14), TrainingStage(until=1.0, size=28))
    assert script._cost_of(stages, {14: 1.0, 28: 3.0}) == pytest.approx(2.5)
    (seconds,) = script._lasts([FULL.job(1000, 0.01, 0, stages)], {14: 1.0, 28: 3.0})
    assert seconds == pytest.approx(2500 + 3 * 20_000 / 3)
