import math

import pytest

from controller.reward import Reward, RewardMode
from workspace.errors import InputError

LATENCIES_MS = (20, 40, 60, 75, 80, 85, 100, 120, 160)
FIGURE_3 = {  # MnasNet, figure 3: accuracy 0.5, target 80 ms
    RewardMode.HARD: (0.5, 0.5, 0.5, 0.5, 0.5, 0.470588, 0.4, 0.333333, 0.25),
    RewardMode.SOFT: (
        0.550953,
        0.524858,
        0.510171,
        0.502264,
        0.5,
        0.497883,
        0.492251,
        0.486008,
        0.476319,
    ),
}


@pytest.mark.parametrize("mode", list(RewardMode))
def test_has_the_values_of_the_papers_figure(mode):
    reward = Reward(mode=mode, target_ms=80)
    found = [reward.value(0.5, latency_ms) for latency_ms in LATENCIES_MS]
    assert found == pytest.approx(FIGURE_3[mode], abs=1e-6)


def test_modes_are_named_as_on_the_command_line():
    assert [str(mode) for mode in RewardMode] == ["soft", "hard"]


def test_exponents_can_be_set_one_by_one():
    reward = Reward(mode=RewardMode.HARD, target_ms=100, beta=-2)
    assert reward.exponents == (0, -2)
    assert reward.value(0.8, 50) == 0.8
    assert reward.value(0.8, 200) == pytest.approx(0.2)


def test_nothing_exceeds_the_upper_bound():
    reward = Reward(mode=RewardMode.SOFT, target_ms=75)
    assert reward.upper_bound(150) == reward.value(1, 150) > reward.value(0.999, 150)


@pytest.mark.parametrize("target_ms", [0, -1, math.nan, math.inf, -math.inf])
def test_refuses_a_target_that_is_no_positive_number(target_ms):
    with pytest.raises(InputError, match=r"the target must be a positive number.*got"):
        Reward(mode=RewardMode.SOFT, target_ms=target_ms)


@pytest.mark.parametrize("exponent", [0.07, math.nan, -math.inf])
def test_refuses_exponents_that_reward_slowness_or_are_no_numbers(exponent):
    with pytest.raises(InputError, match="alpha"):
        Reward(mode=RewardMode.SOFT, target_ms=75, alpha=exponent)


@pytest.mark.parametrize(
    ("accuracy", "latency_ms"),
    [(1.1, 75), (-0.1, 75), (math.nan, 75), (0.5, 0), (0.5, -1), (0.5, math.nan), (0.5, math.inf)],
)
def test_refuses_what_no_measurement_gives(accuracy, latency_ms):
    with pytest.raises(ValueError, match="must be"):
        Reward(mode=RewardMode.SOFT, target_ms=75).value(accuracy, latency_ms)
