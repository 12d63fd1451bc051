import json
import subprocess
import sys
from pathlib import Path

import pytest

from controller.algorithm import create, settings_named
from controller.settings import AlgorithmName

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "search_analytic.py"


@pytest.fixture(scope="module")
def problem(script):
    return script.pixel1()


@pytest.fixture
def best_of(script, problem):
    def best_of(name, seed, evaluations):
        algorithm = create(settings_named(name, {}), problem.space.points, seed)
        return script.searched(problem, algorithm, evaluations).best

    return best_of


@pytest.mark.parametrize("seed", range(3))
def test_evolution_beats_random_search_after_300_evaluations(best_of, seed):
    assert best_of("evolution", seed, 300) > best_of("random", seed, 300) + 0.002


@pytest.mark.parametrize("name", ["ppo", "nsga2", "tpe"])
def test_the_others_do_too(best_of, name):
    assert best_of(name, 0, 300) > best_of("random", 0, 300) + 0.001


def test_prints_the_keys_of_every_algorithm_last_on_stdout():
    command = [sys.executable, str(SCRIPT), "--seeds", "1", "--evaluations", "20"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    printed = json.loads(done.stdout.splitlines()[-1])
    assert printed["evaluations"] == 20
    assert printed["seeds"] == 1
    assert set(printed["wins"]) == set(AlgorithmName) - {"random", "guided"}
    assert set(printed["mean_best_reward"]) == set(AlgorithmName) - {"guided"}
    assert all(time > 0 for time in printed["ms_per_proposal"].values())
    assert "stand-in" in printed["stand_in"]
