import math
import random
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace

import pytest

from controller.network_figures import macs_of
from controller.scaling_search import (
    CostAxis,
    FailedPoint,
    Grid,
    NothingTrainedError,
    ScalingPlan,
    points,
    search,
)
from search_space.architecture import Classifier
from search_space.chain import ChainArchitecture, Op, Stage, Stem
from search_space.scaling import CompoundRule, scaled
from training.executor import TrainingError, TrainingJob, TrainingResult
from training.schedule import Schedule
from workspace.errors import InputError

HEAD = Classifier(classes=10)
STAGES = tuple(
    Stage(op=Op.MBCONV, kernel=3, stride=2, expansion=3, filters=filters, repeats=repeats)
    for filters, repeats in ((32, 3), (64, 4))
)
BASE = ChainArchitecture(size=32, stem=Stem(filters=32), stages=STAGES, head_filters=128)
PLAN = ScalingPlan(base=BASE, head=HEAD, task="digits", schedule=Schedule(samples=100))


class MadeUpTraining:
    """Width is worth the most, then size, then depth, and seeds differ. Nothing is trained."""

    lanes = 2
    on_this_computer = False
    deterministic = True
    stops_early = False

    def __init__(
        self, cut_after: int | None = None, fails: Callable[[TrainingJob], bool] | None = None
    ) -> None:
        self.jobs: list[TrainingJob] = []
        self._cut_after = cut_after
        self._fails = fails

    def submit(self, job: TrainingJob) -> Future[TrainingResult]:
        if len(self.jobs) == self._cut_after:
            raise KeyboardInterrupt
        self.jobs.append(job)
        if self._fails is not None and self._fails(job):
            msg = "out of memory"
            raise TrainingError(msg)
        network = job.architecture
        assert isinstance(network, ChainArchitecture)
        layers = sum(stage.repeats for stage in network.stages)
        worth = network.stages[1].filters / 400 + network.size / 400 + layers / 200
        luck = random.Random(f"{network.key}/{job.seed}").gauss(0, 0.002)
        future: Future[TrainingResult] = Future()
        future.set_result(
            TrainingResult(
                accuracy=worth + luck, samples=100, seconds=2.0, stand_in="a fake: nothing trained"
            )
        )
        return future

    def close(self) -> None:
        """Nothing is open."""


def test_the_grid_of_the_paper_has_its_constants():
    rules = Grid(step=0.05, tolerance=0.05).rules(1.0)
    assert CompoundRule(alpha=1.2, beta=1.1, gamma=1.15) in rules
    assert all(1.9 <= rule.product <= 2.1 for rule in rules)
    assert {rule.alpha for rule in rules} >= {1.0, 2.0}
    distances = [abs(math.log(rule.product / 2)) for rule in rules]
    assert distances == pytest.approx(sorted(distances))


def test_values_reach_the_largest_in_spite_of_floats():
    assert Grid(step=0.1, most=1.3).values == (1.0, 1.1, 1.2, 1.3)
    assert Grid(step=0.15, most=1.4).values == (1.0, 1.15, 1.3)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"step": 0.0}, "step of 0"),
        ({"step": 0.5, "most": 1.2}, "up to 1.2"),
        ({"growth": 1.0}, "got 1 and"),
        ({"tolerance": 1.0}, "and 1"),
        ({"step": 0.01}, r"101\^3 points, more than 20000"),
        ({"step": 1e-9}, r"1e\+09\^3 points, more than 20000"),
        ({"step": 5e-324}, r"inf\^3 points, more than 20000"),
        ({"most": 1e200, "step": 1e199}, r"to 1.8e\+19 at most, .* up to 1e\+200"),
    ],
)
def test_a_grid_that_cannot_be_is_refused(wrong, said):
    with pytest.raises(InputError, match=said):
        Grid(**wrong)


def test_points_have_the_multiply_adds_that_are_asked_for_and_each_network_once():
    base, found = points(PLAN)
    assert base.network == BASE
    costs = [macs_of(point.network, HEAD) / macs_of(BASE, HEAD) for point in found]
    assert costs == [point.growth for point in found]
    assert all(1.8 <= cost <= 2.2 for cost in costs)
    assert len({point.network.key for point in found}) == len(found) > 5


def test_of_constants_that_make_one_network_those_nearest_to_the_growth_stand_for_it():
    plan = replace(PLAN, axis=CostAxis.PRODUCT, grid=Grid(step=0.05, tolerance=0.2))
    _, found = points(plan)
    by_key = {point.network.key: point for point in found}
    for rule in plan.grid.rules(1.0):
        stands = by_key[scaled(BASE, rule.factors(1)).key]
        off, other = (abs(math.log(r.product / 2)) for r in (stands.rule, rule))
        assert off <= other + 1e-9


def test_under_latency_the_points_take_twice_the_baselines_time():
    def latencies_ms(networks):
        # a device on which pixels cost four times what they do in multiply-adds
        return [3.0 * (one.size / 32) ** 4 * one.stages[1].filters / 64 for one in networks]

    plan = replace(PLAN, axis=CostAxis.LATENCY)
    base, found = points(plan, latencies_ms)
    assert base.latency_ms == 3.0
    assert found
    for point in found:
        assert point.latency_ms == latencies_ms([point.network])[0]
        assert 1.8 <= point.growth <= 2.2
        assert point.growth == (point.latency_ms or 0) / 3.0
    keys = {point.network.key for point in points(PLAN)[1]}
    assert keys != {point.network.key for point in found}


def test_a_network_that_could_not_be_timed_is_left_out_and_the_baseline_is_needed():
    plan = replace(PLAN, axis=CostAxis.LATENCY)

    def growing(networks):
        return [macs_of(one, HEAD) / 1e6 for one in networks]

    def lost(networks):
        times = [*growing(networks)]
        return [times[0], *(None if place % 2 else time for place, time in enumerate(times[1:]))]

    assert len(points(plan, lost)[1]) < len(points(plan, growing)[1])
    with pytest.raises(InputError, match="baseline could not be timed"):
        points(plan, lambda networks: [None for _ in networks])
    with pytest.raises(InputError, match="needs something that tells latencies"):
        points(plan)


def test_a_grid_without_a_point_says_what_is_nearest():
    with pytest.raises(InputError, match=r"2 times .* the nearest is .* take a smaller step"):
        points(replace(PLAN, grid=Grid(step=1.0, tolerance=0.001)))


def searched(tmp_path, executor=None, plan=PLAN):
    said: list[str] = []
    found = search(plan, executor or MadeUpTraining(), tmp_path / "log.jsonl", said.append)
    return found, said


def test_the_most_accurate_point_is_first_and_what_it_is_not_separated_from_is_told(tmp_path):
    found, said = searched(tmp_path, plan=replace(PLAN, seeds=3))
    accuracies = [one.accuracy for one in found.points]
    assert accuracies == sorted(accuracies, reverse=True)
    assert found.best.point.rule.beta > 1.2
    assert 0.001 < (found.noise or 0) < 0.004
    for one in found.points[1:]:
        near = found.best.accuracy - one.accuracy <= 2 * (found.noise or 0) * math.sqrt(2 / 3)
        assert (one in found.tied) == near
    assert found.base.point.growth == 1.0
    assert found.base.accuracy < found.best.accuracy
    assert said[0] == f"{len(found.points)} networks cost 2 times the baseline's macs"


def test_from_one_seed_no_point_is_called_better(tmp_path):
    found, _ = searched(tmp_path)
    assert found.noise is None
    assert found.tied == found.points[1:]


def test_a_search_that_was_cut_off_gives_the_table_of_one_that_was_not(tmp_path):
    whole, _ = searched(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        searched(tmp_path / "cut", MadeUpTraining(cut_after=4))
    kept = len((tmp_path / "cut" / "log.jsonl").read_text().splitlines())
    rest = MadeUpTraining()
    found, _ = searched(tmp_path / "cut", rest)
    assert found == whole
    assert kept >= 2
    assert len(rest.jobs) == len(whole.points) + 1 - kept


def test_a_point_whose_trainings_fail_is_told_and_the_others_are_ranked(tmp_path):
    whole, _ = searched(tmp_path / "whole")
    name = whole.best.point.name
    failing = MadeUpTraining(fails=lambda job: name in job.id)
    found, said = searched(tmp_path / "failed", failing)
    assert found.points == whole.points[1:]
    (failed,) = found.failed
    assert failed == FailedPoint(point=whole.best.point, failures=("out of memory",))
    assert found.failures == 1
    assert found.rows == (found.base, *found.points, failed)
    assert sum(text.endswith(f"scale-{name}-seed0, failed: out of memory") for text in said) == 1
    mended, _ = searched(tmp_path / "failed")
    assert mended == whole


def test_a_point_is_ranked_by_the_seeds_that_did_not_fail(tmp_path):
    plan = replace(PLAN, seeds=3)
    whole, _ = searched(tmp_path / "whole", plan=plan)
    failing = MadeUpTraining(fails=lambda job: job.seed == 1)
    found, _ = searched(tmp_path / "failed", failing, plan)
    assert not found.failed
    assert len(found.points) == len(whole.points)
    by_name = {one.point.name: one for one in whole.points}
    for one in found.points:
        first, _, third = by_name[one.point.name].accuracies
        assert one.accuracies == (first, third)
        assert one.failures == ("out of memory",)


def test_a_baseline_that_fails_is_told_as_such(tmp_path):
    found, _ = searched(tmp_path, MadeUpTraining(fails=lambda job: job.architecture == BASE))
    assert isinstance(found.base, FailedPoint)
    assert found.points


def test_where_every_point_fails_that_is_one_sentence(tmp_path):
    failing = MadeUpTraining(fails=lambda job: job.architecture != BASE)
    with pytest.raises(NothingTrainedError, match=r"all trainings of the .* the first: out of"):
        searched(tmp_path, failing)


def test_points_that_no_memory_holds_are_refused_before_they_are_made():
    grid = Grid(step=5e8, most=1e10, growth=1e9)
    with pytest.raises(InputError, match=r"GiB for one image, .* take a smaller growth"):
        points(replace(PLAN, grid=grid))


def test_a_deadline_that_is_none_is_refused():
    with pytest.raises(InputError, match="a number above 0 s, got 0"):
        replace(PLAN, deadline_s=0.0)
