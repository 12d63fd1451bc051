import random

import pytest

from controller.algorithm import Evaluated, Goal, Objective, Proposal
from controller.front import Front, as_good
from controller.testing import evaluated


def outcome(accuracy: float, latency_ms: float, index: int = 0) -> Evaluated:
    return evaluated(Proposal(index=index, point=(0,)), accuracy=accuracy, latency_ms=latency_ms)


def test_keeps_what_nothing_beats_in_every_objective():
    best, fast, dominated = outcome(0.8, 90), outcome(0.6, 50), outcome(0.5, 60)
    assert Front([best, dominated, fast]).members == (best, fast)


def test_a_better_one_drives_out_what_it_beats():
    front = Front([outcome(0.5, 60), outcome(0.6, 70), outcome(0.7, 100)])
    better = outcome(0.65, 55)
    assert front.add(better)
    assert front.members == (outcome(0.7, 100), better)


def test_of_equal_outcomes_the_first_stays():
    front = Front([outcome(0.5, 60, index=0)])
    assert not front.add(outcome(0.5, 60, index=1))
    assert [member.proposal.index for member in front.members] == [0]
    assert len(front) == 1


def test_is_what_the_definition_says_on_random_outcomes():
    rng = random.Random(0)
    drawn = [outcome(rng.randrange(30) / 30, rng.randrange(1, 30)) for _ in range(300)]
    values = {tuple(one.value for one in each.objectives) for each in drawn}
    expected = {
        (a, b)
        for a, b in values
        if not any((c >= a and d <= b) and (c, d) != (a, b) for c, d in values)
    }
    found = {tuple(one.value for one in each.objectives) for each in Front(drawn).members}
    assert found == expected


def test_refuses_to_compare_other_objectives():
    ours = outcome(0.5, 60)
    energy = Objective(name="energy_mj", value=3.0, goal=Goal.MINIMIZE)
    theirs = Evaluated(proposal=ours.proposal, objectives=(energy,), reward=0.1)
    with pytest.raises(ValueError, match="energy_mj"):
        Front([ours]).add(theirs)
    with pytest.raises(ValueError, match="different objectives"):
        as_good(theirs.objectives, ours.objectives)
