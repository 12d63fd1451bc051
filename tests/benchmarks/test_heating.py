import importlib.util
import sys
from pathlib import Path

import pytest

from latency.chains import equal_blocks


@pytest.fixture(scope="module")
def heating():
    path = Path(__file__).parents[2] / "benchmarks" / "heating.py"
    spec = importlib.util.spec_from_file_location("heating", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["heating"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["heating"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return equal_blocks(tmp_path_factory.mktemp("models"), blocks=1, channels=8, size=8)


@pytest.mark.parametrize("scenario", ["heats", "heats-fast", "cools-slowly"])
def test_the_gate_lets_no_throttled_session_through_and_does_five_times_the_jobs(
    heating, model, scenario
):
    gate = heating.jobs(scenario, model, 0.5, heating.Gate)
    pause = heating.jobs(scenario, model, 0.5, heating.Pause)
    assert gate["throttled_sessions"] == 0
    assert gate["jobs_per_hour"] >= 5 * pause["jobs_per_hour"] > 0


def test_without_a_gate_throttled_sessions_would_be_there_to_be_found(heating, model):
    rare = heating.jobs("heats-fast", model, 0.3, heating.Rarely)
    assert rare["throttled_sessions"] > 0
