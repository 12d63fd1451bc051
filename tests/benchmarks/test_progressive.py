import pytest

from benchmarks.comparison.log import Log
from benchmarks.comparison.stage_arms import Arm
from benchmarks.comparison.trainings import Trained
from training.progressive import check_sizes
from training.stages import Regularization, TrainingStage, check_covered
from workspace.errors import OperationError

pytest.importorskip("torch")


def quiet(_text):
    pass


def kept(log, jobs, result):
    """A log with the results of jobs, as if they had been trained."""
    for place, job in jobs:
        log.add(job.key, result(place, job).to_json())


def test_the_whole_form_keeps_what_was_promised(script):
    plan = script.FULL
    assert len(plan.budgets) >= 4
    assert plan.seeds >= 5
    assert plan.budgets[0] < plan.main < plan.budgets[-1]
    assert set(plan.more) <= set(plan.budgets)


@pytest.mark.parametrize("form", ["FULL", "QUICK"])
def test_every_schedule_can_be_trained_and_ends_at_the_data_s_own_size(script, form):
    for name in getattr(script, form).candidates:
        stages = script.CANDIDATES[name]
        check_covered(stages)
        check_sizes(stages, script.NETWORK.architecture)
        assert stages[-1].size == script.SIZE == 28
        assert [stage.size for stage in stages] == sorted(stage.size for stage in stages)
        strengths = [stage.regularization for stage in stages]
        assert strengths == sorted(strengths, key=lambda one: (one.dropout or 0, one.randaugment))
        assert strengths[0] != strengths[-1]


def test_a_free_schedule_grows_in_equal_steps(script):
    weakest, strongest = Regularization(dropout=0.1), Regularization(dropout=0.3, cutmix=0.4)
    stages = script.free({14: 0.5, 20: 0.75, 28: 1.0}, weakest, strongest)
    assert [(stage.size, stage.until) for stage in stages] == [(14, 0.5), (20, 0.75), (28, 1.0)]
    assert [stage.regularization.cutmix for stage in stages] == pytest.approx([0, 0.2, 0.4])
    assert [stage.regularization.dropout for stage in stages] == pytest.approx([0.1, 0.2, 0.3])


def test_arms_are_trained_seed_by_seed_with_what_differs_alone(script):
    plan = script.FULL
    rates = dict.fromkeys(plan.budgets, 0.01)
    jobs = plan.compared(rates, script.CANDIDATES["16, 28"])
    assert len({job.key for job in jobs.values()}) == len(jobs)
    assert [seed for _, _, seed in jobs] == sorted(seed for _, _, seed in jobs)
    alike = {
        (job.seed, job.size, job.task, job.schedule.samples, job.schedule.learning_rate)
        for (_, samples, seed), job in jobs.items()
        if (samples, seed) == (plan.main, 0)
    }
    assert len(alike) == 1
    assert {samples for arm, samples, _ in jobs if arm is Arm.BASELINE} == set(plan.budgets)
    assert script.FIRST_CHOOSING_SEED not in {seed for _, _, seed in jobs}


def test_each_budget_has_the_rate_that_is_best_on_validation(script, tmp_path):
    plan, log = script.FULL, Log(tmp_path / "log")
    best = dict(zip(plan.budgets, (0.005, 0.01, 0.02, 0.02, 0.005), strict=True))

    def result(place, _job):
        samples, rate = place
        right = best[samples] == rate
        return Trained(validation=0.9 if right else 0.8, test=0.1 if right else 0.99, seconds=1.0)

    kept(log, plan.rate_jobs.items(), result)
    assert script.chosen_rates(plan, log, quiet) == best


def test_a_budget_at_which_all_diverge_is_said(script, tmp_path):
    plan, log = script.FULL, Log(tmp_path / "log")

    def fails(_place, _job):
        return Trained(validation=0, test=0, seconds=0, failure="the loss is nan")

    kept(log, plan.rate_jobs.items(), fails)
    with pytest.raises(OperationError, match="baseline of 62500 images diverged at each"):
        script.chosen_rates(plan, log, quiet)


@pytest.mark.parametrize(
    ("accuracies", "chosen"),
    [
        ({"16, 28": 0.8985, "20, 28": 0.91}, "16, 28"),  # both keep it, the first is cheaper
        ({"16, 28": 0.8975, "20, 28": 0.8981}, "20, 28"),
        ({"16, 28": 0.8, "20, 28": 0.7}, "16, 28"),  # none keeps it
    ],
)
def test_the_cheapest_schedule_is_chosen_that_keeps_the_accuracy(
    script, tmp_path, accuracies, chosen
):
    plan = script.replace(script.FULL, candidates=("16, 28", "20, 28"))
    log = Log(tmp_path / "log")
    seconds = {"": 10.0, "16, 28": 5.0, "20, 28": 7.0}
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
    (seconds,) = script._lasts([script.FULL.job(1000, 0.01, 0, stages)], {14: 1.0, 28: 3.0})
    assert seconds == pytest.approx(2500 + 3 * 20_000 / 3)
