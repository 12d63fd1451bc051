import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "loop_overhead.py"


@pytest.mark.parametrize("algorithm", ["evolution", "random"])
def test_a_trial_costs_little_time_and_memory(algorithm):
    command = [sys.executable, str(SCRIPT), "--trials", "300", "--algorithm", algorithm]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    printed = json.loads(done.stdout.splitlines()[-1])
    assert printed["trials"] == 300
    assert printed["algorithm"] == algorithm
    assert 0 < printed["ms_per_trial"] < 30
    assert printed["kb_per_trial"] < 20
    assert "stand-in" in printed["stand_in"]
