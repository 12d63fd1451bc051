import pytest

from latency.chains import equal_blocks


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return equal_blocks(tmp_path_factory.mktemp("models"), blocks=1, channels=8, size=8)


@pytest.mark.parametrize("scenario", ["heats", "heats-fast", "cools-slowly"])
def test_the_gate_lets_no_throttled_session_through_and_does_five_times_the_jobs(
    script, model, scenario
):
    gate = script.jobs(scenario, model, 0.5, script.Gate)
    pause = script.jobs(scenario, model, 0.5, script.Pause)
    assert gate["throttled_sessions"] == 0
    assert gate["jobs_per_hour"] >= 5 * pause["jobs_per_hour"] > 0


def test_without_a_gate_throttled_sessions_would_be_there_to_be_found(script, model):
    rare = script.jobs("heats-fast", model, 0.3, script.Rarely)
    assert rare["throttled_sessions"] > 0
