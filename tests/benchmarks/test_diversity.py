import csv
import statistics
from itertools import product

import pytest

from benchmarks.comparison.reported import Reported
from controller.reward import Reward, RewardMode
from controller.tabular import TabularProblem
from search_space.chain import Op, Skip
from workspace.errors import InputError

cost = pytest.importorskip("exporters.cost", exc_type=ImportError)

REWARD = Reward(mode=RewardMode.SOFT, target_ms=1.0)


@pytest.fixture(scope="module")
def problem(tmp_path_factory):
    """All points; the last digit costs, the first one gives accuracy, one point is exceptional."""
    path = tmp_path_factory.mktemp("problem") / "made.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("choices", "accuracy", "cost"))
        for point in product(range(3), repeat=6):
            accuracy = 0.7 + 0.05 * point[0] + (0.2 if point == (1, 2, 0, 2, 1, 0) else 0)
            writer.writerow(("".join(map(str, point)), accuracy, 1.0 + point[5]))
    return TabularProblem.read(path)


def test_the_target_is_the_median_cost_of_the_space(script, problem):
    assert script.reward_of(problem).target_ms == statistics.median(problem.column("cost")) == 2.0
    counted = script.reward_of(None)
    assert counted.mode is RewardMode.SOFT
    assert 0.3 < counted.target_ms < 3.0  # million multiply-adds at 14 pixels


def test_the_best_of_the_problem_is_taken_unless_one_is_named(script, problem):
    reward = script.reward_of(problem)
    assert script.chosen_point(None, problem, reward) == (1, 2, 0, 2, 1, 0)
    assert script.chosen_point("000012", problem, reward) == (0, 0, 0, 0, 1, 2)
    with pytest.raises(InputError, match=r"the problem is not there yet: .*--point"):
        script.chosen_point(None, None, reward)


@pytest.mark.parametrize("text", ["12", "33", "abcdef", "333333", ""])
def test_a_point_that_is_none_is_refused(script, text):
    with pytest.raises(InputError):
        script.point_of(text)


def test_another_problem_is_refused(script, tmp_path):
    path = tmp_path / "other.csv"
    path.write_text("choices,accuracy,cost\n0,0.5,1\n1,0.6,2\n")
    problem = TabularProblem.read(path)
    with pytest.raises(InputError, match=r"other\.csv has choices of"):
        script.best_point(problem, script.reward_of(problem))


def test_uniform_networks_keep_depth_widths_and_strides_and_have_one_type(script):
    networks = script.networks_of(script.point_of(script.QUICK_POINT))
    assert len(networks) == 5
    found = networks.pop(script.FOUND)
    assert any(stage.se_ratio for stage in found.stages)
    for name, (expansion, kernel) in script.TYPES.items():
        one = networks[name]
        assert [(s.filters, s.repeats, s.stride) for s in one.stages] == [
            (s.filters, s.repeats, s.stride) for s in found.stages
        ]
        types = {(s.op, s.expansion, s.kernel, s.se_ratio, s.skip) for s in one.stages}
        assert types == {(Op.MBCONV, expansion, kernel, 0.0, Skip.IDENTITY)}
        assert (one.stem, one.head_filters, one.size) == (
            found.stem,
            found.head_filters,
            found.size,
        )
        assert one.activation is found.activation


def test_the_quick_point_is_none_of_the_uniform_networks(script):
    networks = script.networks_of(script.point_of(script.QUICK_POINT))
    assert len({one.key for one in networks.values()}) == 5


def test_every_network_is_trained_with_every_seed_and_the_first_leaves_weights(script, tmp_path):
    networks = script.networks_of(script.point_of(script.QUICK_POINT))
    jobs = script.jobs_of(networks, script.FULL, tmp_path)
    assert len({(job.network.name, job.seed) for job in jobs}) == len(jobs) == 25
    assert len({(job.schedule, job.size) for job in jobs}) == 1
    kept = [job for job in jobs if job.checkpoint is not None]
    assert {job.network.name for job in kept} == set(networks)
    assert {job.seed for job in kept} == {0}


def row(name, test, latency_ms, macs=1_000_000):
    return Reported(
        name=name,
        key=name,
        test=test,
        validation=test,
        sessions_ms=tuple(latency_ms * factor for factor in (0.99, 1.0, 1.0, 1.01)),
        cost=cost.Cost(params=1, total_params=1, macs=macs, peak_activation_bytes=1),
    )


def test_differences_are_paired_by_seed_and_in_points(script):
    found = row(script.FOUND, (0.80, 0.82, 0.84), 1.0)
    told = script.compared([found, row("other", (0.79, 0.81, 0.83), 2.0)], REWARD)
    difference = told["differences"]["other"]
    assert difference["accuracy"]["value"] == pytest.approx(1.0)
    assert difference["accuracy"]["verdict"] == "above"
    assert difference["reward"]["value"] == pytest.approx(0.01)
    assert difference["latency_ratio"]["value"] == pytest.approx(2.0)
    assert difference["latency_ratio"]["verdict"] == "above"
    assert set(told["networks"]) == {script.FOUND, "other"}
    assert {"accuracy", "latency_ms", "macs", "reward"} <= told["networks"]["other"].keys()


def test_the_reward_counts_multiply_adds(script):
    found = row(script.FOUND, (0.8, 0.8), 1.0)
    heavier = row("heavier", (0.81, 0.81), 1.0, macs=4_000_000)
    told = script.compared([found, heavier], REWARD)
    assert told["networks"]["heavier"]["reward"] == pytest.approx(0.81 * 4**-0.07)
    assert told["differences"]["heavier"]["accuracy"]["value"] == pytest.approx(-1.0)
    assert told["differences"]["heavier"]["reward"]["value"] > 0
