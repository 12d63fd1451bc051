import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("ai_edge_quantizer", reason="the extra 'quantize' is not installed")

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "export_kills.py"


@pytest.mark.slow
def test_twenty_kills_leave_no_half_file():
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--quick"],
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 0, found
    assert (found["kills"], found["halves"]) == (20, 0)
    # Of 20 at random in 1.1 of the time that it took when nobody killed it; on a busy computer
    # that was long.
    assert found["killed_before_the_end"] >= 4
