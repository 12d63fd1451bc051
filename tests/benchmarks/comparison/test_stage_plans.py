from dataclasses import replace

import pytest

from benchmarks.comparison.stage_arms import Arm
from benchmarks.comparison.stage_plans import (
    FASHION,
    FIRST_CHOOSING_SEED,
    PLANS,
    QUICK,
    SCENES,
    free,
)
from training.progressive import check_sizes
from training.stages import Regularization, check_covered
from training.task import create

ALL = [*PLANS.values(), QUICK]


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_a_whole_run_keeps_what_was_promised(plan):
    assert len(plan.budgets) >= 4
    assert plan.seeds >= 5
    assert plan.budgets[0] < plan.main < plan.budgets[-1]
    assert set(plan.more) <= set(plan.budgets)


def test_images_have_the_size_that_is_their_own():
    assert (FASHION.size, SCENES.size) == (28, 96)
    for problem in (FASHION, SCENES):
        assert problem.network.architecture.inputs[0].shape[0] == create(problem.dataset).channels


@pytest.mark.parametrize("plan", ALL)
def test_every_schedule_can_be_trained_and_grows_to_the_images_own_size(plan):
    for name in plan.candidates:
        stages = plan.problem.candidates[name]
        check_covered(stages)
        check_sizes(stages, plan.problem.network.architecture)
        assert stages[-1].size == plan.problem.size
        assert [stage.size for stage in stages] == sorted(stage.size for stage in stages)
        strengths = [stage.regularization for stage in stages]
        assert strengths == sorted(strengths, key=lambda one: (one.dropout or 0, one.randaugment))
        assert strengths[0] != strengths[-1]


def test_a_free_schedule_grows_in_equal_steps():
    stages = free({14: 0.5, 20: 0.75, 28: 1.0}, Regularization(dropout=0.3, cutmix=0.4))
    assert [(stage.size, stage.until) for stage in stages] == [(14, 0.5), (20, 0.75), (28, 1.0)]
    assert [stage.regularization.cutmix for stage in stages] == pytest.approx([0, 0.2, 0.4])
    assert [stage.regularization.dropout for stage in stages] == pytest.approx([0, 0.15, 0.3])


@pytest.mark.parametrize("plan", ALL)
def test_arms_are_trained_seed_by_seed_and_differ_in_their_stages_alone(plan):
    rates = dict.fromkeys(plan.budgets, 0.01)
    jobs = plan.compared(rates, plan.problem.candidates[plan.candidates[0]])
    assert len({job.key for job in jobs.values()}) == len(jobs)
    assert [seed for _, _, seed in jobs] == sorted(seed for _, _, seed in jobs)
    alike = {
        replace(job, schedule=replace(job.schedule, stages=()))
        for (_, samples, seed), job in jobs.items()
        if (samples, seed) == (plan.main, 0)
    }
    assert len(alike) == 1
    assert {samples for arm, samples, _ in jobs if arm is Arm.BASELINE} == set(plan.budgets)
    assert FIRST_CHOOSING_SEED not in {seed for _, _, seed in jobs}
