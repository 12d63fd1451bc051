import argparse
import csv
import json
import random
import statistics
from itertools import product

import pytest


@pytest.fixture
def problem(tmp_path):
    """Smooth but for a little of each point's own."""
    path = tmp_path / "made.csv"
    rng = random.Random(0)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("choices", "accuracy", "cost"))
        for point in product(range(3), repeat=5):
            accuracy = 0.5 + 0.02 * sum(point) + 0.01 * point[0] * point[1] + rng.random() / 100
            writer.writerow(("".join(map(str, point)), accuracy, 1 + sum(point)))
    return path


def asked(path, **more):
    usual = {
        "problem": path,
        "objective": "accuracy",
        "target": None,
        "objectives": 1,
        "evaluations": 40,
        "seeds": 3,
        "in_flight": 1,
        "noise": 0.0,
        "algorithms": ["random", "surrogate", "optuna_tpe"],
    }
    return argparse.Namespace(**{**usual, **more})


@pytest.mark.slow
@pytest.mark.parametrize("objective", ["accuracy", "soft", "hard"])
def test_regret_is_what_is_left_to_the_best_of_the_file(script, problem, objective):
    found = script.tabular(asked(problem, objective=objective))
    assert found["points"] == 243
    assert found["regret"]["surrogate"] < 0.5 * found["regret"]["random"]
    assert all(regret >= 0 for regret in found["regret"].values())
    low, high = found["of_tpe"]["surrogate"]["interval"]
    assert low <= found["of_tpe"]["surrogate"]["ratio"] <= high
    json.dumps(found)


def test_with_noise_the_chosen_point_is_judged_by_what_it_truly_gives(script, problem):
    table = script.Table(table=script.TabularProblem.read(problem), reward=None)
    noise = 0.5 * table.spread
    assert table.spread == max(table.values) - statistics.median(table.values)
    one = script.searched(
        table, "random", 0, evaluations=60, in_flight=1, objectives=1, noise=noise
    )
    best_seen = max(table.value(point) for point in one.points)
    assert table.value(one.chosen) < best_seen  # luck chose another, by this seed


def test_the_surrogate_is_told_of_the_noise_under_a_name_of_its_own(script, problem):
    table = script.Table(table=script.TabularProblem.read(problem), reward=None)
    one = script.searched(
        table, script.AWARE, 0, evaluations=60, in_flight=1, objectives=1, noise=0.05
    )
    assert len(set(one.points)) < 60
    assert one.chosen in one.points


def test_the_hypervolume_is_a_share_of_the_box(script):
    analytic = script.Analytic()
    rng = random.Random(1)
    points = [analytic.points.sample(rng) for _ in range(20)]
    some, all_ = script.share_of_box(analytic, points[:5]), script.share_of_box(analytic, points)
    assert 0 < some < all_ < 1
    accuracy, cost = analytic.worst
    best = [analytic.figures(point) for point in points]
    corner = max(a for a, _ in best) - accuracy, cost - min(c for _, c in best)
    assert all_ <= corner[0] * corner[1] / ((1 - accuracy) * cost)


def test_pymoo_evaluates_as_many_points_as_it_may(script):
    analytic = script.Analytic()
    one = script.pymoo_searched(analytic, 0, 120)
    assert len(one.points) == 120
    for point in one.points:
        analytic.points.validate(point)
