import math

import pytest

from controller.reward import (
    Factor,
    FigureReward,
    Reward,
    RewardMode,
    RewardName,
    create,
    macs_reward,
    training_aware_reward,
)
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


def test_a_reward_of_latency_reads_it_from_what_is_told():
    reward = Reward(mode=RewardMode.HARD, target_ms=80)
    assert reward.weighs == ("latency_ms",)
    assert (
        reward.rated(0.5, {"latency_ms": 160.0, "params": 3e6}) == reward.value(0.5, 160) == 0.25
    )
    assert reward.limit_ms == 80
    assert Reward(mode=RewardMode.SOFT, target_ms=80).limit_ms == math.inf


def test_multiply_adds_are_weighed_as_a_soft_latency_is():
    reward = macs_reward(400e6)
    for relative in (0.25, 0.5, 1.0, 1.5, 2.0):
        soft = Reward(mode=RewardMode.SOFT, target_ms=80).value(0.5, 80 * relative)
        assert reward.rated(0.5, {"macs": 400e6 * relative}) == pytest.approx(soft)
    assert reward.weighs == ("macs",)
    assert (reward.target_ms, reward.limit_ms) == (None, math.inf)


def test_b0_has_its_accuracy_as_reward_but_for_its_few_spare_multiply_adds():
    # EfficientNet, section 4: a target of 400 million; B0 has 385,814,752 and 77.1 %.
    found = macs_reward(400e6).rated(0.771, {"macs": 385_814_752})
    assert found == pytest.approx(0.771 * (385_814_752 / 400e6) ** -0.07)
    assert 0.771 < found < 0.774


def test_training_aware_weighs_step_and_parameters_with_the_papers_exponents():
    # EfficientNetV2, section 3.2: A * S^-0.07 * P^-0.05.
    reward = training_aware_reward()
    told = {"train_step_ms": 120.0, "params": 21.5e6}
    assert reward.weighs == ("train_step_ms", "params")
    assert reward.rated(0.8, told) == pytest.approx(0.8 * 120**-0.07 * 21.5**-0.05)
    slower = reward.rated(0.8, {**told, "train_step_ms": 240.0})
    larger = reward.rated(0.8, {**told, "params": 43e6})
    assert slower / reward.rated(0.8, told) == pytest.approx(2**-0.07)
    assert larger / reward.rated(0.8, told) == pytest.approx(2**-0.05)


@pytest.mark.parametrize(
    ("accuracy", "told", "said"),
    [
        (1.1, {"macs": 1e6}, "accuracy must be in .0, 1., got 1.1"),
        (0.5, {}, "macs must be a positive number, got nan"),
        (0.5, {"macs": 0.0}, "macs must be a positive number, got 0.0"),
        (0.5, {"macs": math.inf}, "got inf"),
    ],
)
def test_figures_that_no_network_has_are_refused(accuracy, told, said):
    with pytest.raises(ValueError, match=said):
        macs_reward(1e6).rated(accuracy, told)


@pytest.mark.parametrize("target", [0, -4e8, math.nan, math.inf])
def test_a_target_of_multiply_adds_is_a_positive_number(target):
    with pytest.raises(InputError, match="target of macs must be a positive number, got"):
        macs_reward(target)


@pytest.mark.parametrize("exponent", [0.07, math.nan])
def test_what_costs_more_is_never_worth_more(exponent):
    with pytest.raises(InputError, match="exponent of macs must be at most 0, got"):
        macs_reward(1e6, exponent)


def test_factors_can_be_put_together_by_hand():
    factors = tuple(Factor(figure=name, reference=2.0, exponent=-1.0) for name in ("a", "b"))
    assert FigureReward(factors=factors).rated(0.5, {"a": 4.0, "b": 1.0}) == 0.5


def test_each_name_makes_its_reward():
    made = [create(name, target_ms=75, target_macs=4e8) for name in RewardName]
    assert made == [
        Reward(mode=RewardMode.SOFT, target_ms=75),
        Reward(mode=RewardMode.HARD, target_ms=75),
        macs_reward(4e8),
        training_aware_reward(),
    ]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("medium", "unknown reward 'medium'; there are soft, hard, macs, training-aware"),
        ("hard", "reward hard needs the latency"),
        ("macs", "reward macs needs the multiply-adds"),
    ],
)
def test_a_name_without_a_reward_or_its_target_is_refused(name, said):
    with pytest.raises(InputError, match=said):
        create(name)
