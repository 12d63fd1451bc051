import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.crash_safety import ALGORITHMS
from controller.algorithm import create, settings_named
from search_space.proxyless import ProxylessSpace

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "crash_safety.py"


def test_a_search_that_is_killed_ends_as_one_left_alone():
    command = [sys.executable, str(SCRIPT), "--kills", "3", "--trials", "40", "--delay-ms", "50"]
    command += ["--algorithms", "evolution"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    printed = json.loads(done.stdout.splitlines()[-1])
    assert printed["kills"] == {"evolution": 3}
    assert printed["lost"] == {"evolution": 0}
    assert printed["doubled"] == {"evolution": 0}
    assert printed["same_front"] == {"evolution": True}
    assert printed["same_trials"] == {"evolution": True}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_that_is_killed_by_default_searches_its_space(algorithm):
    if algorithm in ("ppo", "tpe"):
        pytest.importorskip("torch" if algorithm == "ppo" else "optuna")
    points = ProxylessSpace().points
    (proposal,) = create(settings_named(algorithm, {}), points, 0).ask(1)
    assert len(proposal.point) == len(points.option_counts)
