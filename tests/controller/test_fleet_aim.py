"""A search by models where each device of a fleet will have a network of its own."""

from dataclasses import replace
from statistics import fmean

import pytest

from controller.algorithm import Evaluated, Goal, Objective, Proposal, Skipped, create
from controller.candidate import objective_of
from controller.fleet_aim import DeviceAim, EachAim
from controller.reward import Reward, RewardMode
from controller.settings import SurrogateSettings
from controller.surrogate import Surrogate
from search_space.decisions import Choice, DecisionSpace

SPACE = DecisionSpace(
    choices=tuple(Choice(name=f"d{i}", options=("0", "1", "2", "3", "4")) for i in range(5))
)
TARGETS_MS = {"a": 20.0, "b": 60.0}


def aims(**weights):
    return {
        name: DeviceAim(
            reward=Reward(mode=RewardMode.HARD, target_ms=target_ms),
            weight=weights.get(name, 1.0),
        )
        for name, target_ms in TARGETS_MS.items()
    }


def figures(point):
    """Accuracy, and the latencies on devices that dislike different decisions."""
    accuracy = sum(point) / 25
    first = 10 + sum(w * v for w, v in zip((9, 9, 1, 1, 1), point, strict=True))
    second = 10 + sum(w * v for w, v in zip((1, 1, 20, 20, 2), point, strict=True))
    return accuracy, {"a": float(first), "b": float(second)}


def evaluated(proposal):
    accuracy, times_ms = figures(proposal.point)
    rewards = [aim.reward.value(accuracy, times_ms[name]) for name, aim in aims().items()]
    return Evaluated(
        proposal=proposal,
        objectives=(
            Objective(name="accuracy", value=accuracy, goal=Goal.MAXIMIZE),
            Objective(name="latency_ms", value=1.0, goal=Goal.MINIMIZE),
            *(
                Objective(name=objective_of(name), value=time_ms, goal=Goal.MINIMIZE)
                for name, time_ms in times_ms.items()
            ),
        ),
        reward=fmean(rewards),
    )


def best_rewards(trials, **more):
    """Each device's largest reward that a search finds."""
    algorithm = create(SurrogateSettings(), SPACE, 0, **more)
    best = dict.fromkeys(TARGETS_MS, 0.0)
    for _ in range(trials):
        (proposal,) = algorithm.ask(1)
        algorithm.tell([evaluated(proposal)])
        accuracy, times_ms = figures(proposal.point)
        for name, aim in aims().items():
            best[name] = max(best[name], aim.reward.value(accuracy, times_ms[name]))
    return best


def test_it_finds_a_network_for_each_device():
    every = [SPACE.checked(point) for point in _all_points()]
    found = best_rewards(60, devices=aims())
    for name, aim in aims().items():
        told = [figures(point) for point in every]
        best = max(aim.reward.value(accuracy, times_ms[name]) for accuracy, times_ms in told)
        assert found[name] >= 0.97 * best


def _all_points():
    from itertools import product

    return product(*map(range, SPACE.option_counts))


def test_of_one_device_it_is_the_aim_at_its_reward():
    import numpy as np

    from controller.aims import KnownRewardAim
    from controller.point_codes import coding_of

    reward = aims()["a"].reward
    one, plain = EachAim({"a": DeviceAim(reward=reward)}, 0.0), KnownRewardAim(reward, 0.0)
    points = [(0, 0, 0, 0, 0), (1, 2, 0, 1, 0), (4, 0, 1, 1, 3), (2, 2, 2, 2, 2), (0, 1, 0, 4, 1)]
    for index, point in enumerate(points):
        outcome = evaluated(Proposal(index=index, point=point))
        latency = replace(outcome.objectives[2], name="latency_ms")
        own = reward.value(outcome.objectives[0].value, latency.value)
        one.learn(outcome)
        plain.learn(replace(outcome, objectives=(outcome.objectives[0], latency), reward=own))
    coding = coding_of(SPACE, points)
    for aim in (one, plain):
        for model in aim.models:
            model.refresh(coding, aim.worth)
    codes = coding.codes([(3, 3, 3, 3, 3), (1, 0, 4, 0, 2)])
    np.testing.assert_allclose(one.scores(codes), plain.scores(codes))
    assert one.parents() == plain.parents()


def test_an_outcome_without_a_devices_latency_is_refused():
    aim = EachAim(aims(), 0.0)
    outcome = evaluated(Proposal(index=0, point=(0,) * 5))
    aim.check(outcome)
    with pytest.raises(ValueError, match="the latency on b is needed"):
        aim.check(replace(outcome, objectives=outcome.objectives[:3]))


def test_what_was_skipped_and_what_is_evaluated_again_do_not_disturb():
    settings = SurrogateSettings(startup=3, noise=0.01)
    algorithm = Surrogate(SPACE, settings, seed=0, devices=aims())
    for step in range(25):
        (proposal,) = algorithm.ask(1)
        skipped = Skipped(proposal=proposal, latency_ms=3.0, bound=0.3)
        algorithm.tell([skipped if step % 5 == 4 else evaluated(proposal)])
    assert SPACE.checked(algorithm.best())


def test_a_weight_turns_the_search_to_a_device():
    heavy, light = aims(a=1000.0), aims(a=0.001)
    assert best_rewards(30, devices=heavy)["a"] >= best_rewards(30, devices=light)["a"]
    assert best_rewards(30, devices=light)["b"] >= best_rewards(30, devices=heavy)["b"]
