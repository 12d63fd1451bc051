import json
import math
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from controller.algorithm import (
    START,
    Evaluated,
    Failed,
    FailureKind,
    Outcome,
    Proposal,
    Skipped,
)
from controller.ppo import Policy, Ppo
from controller.settings import PpoSettings
from controller.testing import SPACE, Make, SearchAlgorithmContract, evaluated, searched

SMALL = PpoSettings(hidden=16, minibatch=8, learning_rate=0.01)


class TestPpo(SearchAlgorithmContract):
    @pytest.fixture
    def make(self) -> Make:
        return lambda seed: Ppo(SPACE, SMALL, seed=seed)


FIRST = ((2, 0, 3, 3, 3, 3), (0, 0, 0, 1, 2, 3))
"""Points that are proposed before all others."""


class TestAfterPointsThatWereKnown(SearchAlgorithmContract):
    @pytest.fixture
    def make(self) -> Make:
        return lambda seed: Ppo(SPACE, SMALL, seed=seed, first=FIRST)


BEGUN = evaluated(Proposal(index=START, point=FIRST[0]), accuracy=0.5, latency_ms=1.0)
"""What is known of a point that it goes on from."""


class TestThatGoesOnFromAPoint(SearchAlgorithmContract):
    @pytest.fixture
    def make(self) -> Make:
        return lambda seed: Ppo(SPACE, SMALL, seed=seed, start=BEGUN)


def policy(option_counts: tuple[int, ...]) -> Policy:
    generator = torch.Generator().manual_seed(0)
    return Policy(option_counts, hidden=12, init=0.5, generator=generator)


def rewarded(proposal: Proposal) -> Evaluated:
    """Larger options are better."""
    sizes = [decision for decision in proposal.point if isinstance(decision, int)]
    return evaluated(proposal, accuracy=sum(sizes) / 14, latency_ms=1.0)


def told(algorithm: Ppo, outcomes_of: Callable[[Proposal], Outcome], steps: int) -> list[float]:
    """The reward of every proposal in turn."""
    rewards = []
    for _ in range(steps):
        asked = algorithm.ask(8)
        rewards += [rewarded(proposal).reward for proposal in asked]
        algorithm.tell([outcomes_of(proposal) for proposal in asked])
    return rewards


def test_what_it_draws_has_the_log_probability_that_the_policy_gives():
    drawn = policy((3, 1, 5, 2))
    for index in range(20):
        point, log_probability = drawn.draw(random.Random(index))
        every = drawn(torch.tensor([point]))[0].tolist()
        expected = sum(every[step][option] for step, option in enumerate(point))
        assert log_probability == pytest.approx(expected, abs=1e-5)


def test_probabilities_sum_to_one_over_the_options_that_there_are():
    points = torch.tensor([[0, 0, 4, 1], [2, 0, 0, 0]])
    every = policy((3, 1, 5, 2))(points).detach().exp()
    assert every.shape == (2, 4, 5)
    assert torch.allclose(every.sum(-1), torch.ones(2, 4))
    assert float(every[:, 0, 3:].abs().max()) == 0.0


def test_draws_follow_the_probabilities():
    drawn = policy((3,))
    shares = drawn(torch.tensor([[0]]))[0, 0].exp().tolist()
    points = [drawn.draw(random.Random(index))[0][0] for index in range(4000)]
    for option, share in enumerate(shares):
        # five standard deviations: false failure about once in a million
        tolerance = 5 * math.sqrt(share * (1 - share) / 4000)
        assert points.count(option) / 4000 == pytest.approx(share, abs=tolerance)


def test_the_weights_start_uniform_within_the_range():
    weights = torch.cat([one.detach().flatten() for one in policy((3, 4)).parameters()])
    assert 0.49 < float(weights.abs().max()) <= 0.5
    assert float(weights.mean()) == pytest.approx(0, abs=0.03)


def test_learns_which_options_pay():
    rewards = told(Ppo(SPACE, SMALL, seed=0), rewarded, steps=30)
    assert sum(rewards[-40:]) / 40 > sum(rewards[:40]) / 40 + 0.2


def test_learns_from_outcomes_that_come_after_further_updates():
    algorithm = Ppo(SPACE, SMALL, seed=0)
    flying = list(algorithm.ask(24))
    rewards = []
    for _ in range(40):
        flying += algorithm.ask(8)
        rewards += [rewarded(proposal).reward for proposal in flying[-8:]]
        algorithm.tell([rewarded(proposal) for proposal in flying[:8]])
        del flying[:8]
    assert flying[0].note["policy"] != algorithm.ask(1)[0].note["policy"]
    assert sum(rewards[-40:]) / 40 > sum(rewards[:40]) / 40 + 0.2


@pytest.mark.parametrize(("accuracy", "is_better"), [(0.9, True), (0.1, False)])
def test_the_first_outcome_is_measured_by_what_it_goes_on_from(accuracy, is_better):
    settings = replace(SMALL, minibatch=1)
    algorithm = Ppo(SPACE, settings, seed=0, first=FIRST[:1], start=BEGUN)
    (one,) = algorithm.ask(1)
    algorithm.tell([evaluated(one, accuracy=accuracy, latency_ms=1.0)])
    before, now = one.note["log_probability"], algorithm._policy.log_probability(FIRST[0])
    assert isinstance(before, float)
    assert (now > before) is is_better


def test_every_full_minibatch_makes_a_new_policy():
    algorithm = Ppo(SPACE, SMALL, seed=0)
    first = algorithm.ask(17)
    algorithm.tell([rewarded(proposal) for proposal in first[:7]])
    assert algorithm.ask(1)[0].note["policy"] == 0
    algorithm.tell([rewarded(proposal) for proposal in first[7:]])
    assert algorithm.ask(1)[0].note["policy"] == 2


def test_learns_from_notes_that_went_through_json():
    direct, stored = Ppo(SPACE, SMALL, seed=0), Ppo(SPACE, SMALL, seed=0)

    def reread(proposal: Proposal) -> Proposal:
        return replace(proposal, note=json.loads(json.dumps(dict(proposal.note))))

    for _ in range(4):
        asked = direct.ask(8)
        assert stored.ask(8) == asked
        direct.tell([rewarded(proposal) for proposal in asked])
        stored.tell([rewarded(reread(proposal)) for proposal in asked])
    assert stored.ask(4) == direct.ask(4)


def test_a_skipped_outcome_is_no_better_than_the_worst_evaluated_one_however_high_its_bound():
    def skips_large_first_options(proposal: Proposal) -> Outcome:
        if proposal.point[0] == 2:
            return Skipped(proposal=proposal, latency_ms=400.0, bound=0.95)
        return rewarded(proposal)

    algorithm = Ppo(SPACE, SMALL, seed=0)
    told(algorithm, skips_large_first_options, steps=40)
    last = [proposal.point[0] for proposal in algorithm.ask(40)]
    assert last.count(2) < 5


def test_avoids_what_fails():
    def fails_with_large_first_options(proposal: Proposal) -> Outcome:
        if proposal.point[0] == 2:
            return Failed(proposal=proposal, kind=FailureKind.EXPORT, text="no such operator")
        return rewarded(proposal)

    algorithm = Ppo(SPACE, SMALL, seed=0)
    told(algorithm, fails_with_large_first_options, steps=40)
    last = [proposal.point[0] for proposal in algorithm.ask(40)]
    assert last.count(2) < 5


def test_neither_torchs_random_numbers_nor_its_threads_change():
    torch.manual_seed(11)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    searched(Ppo(SPACE, SMALL, seed=0), steps=6)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


def test_searches_under_any_number_of_threads_alike():
    found = []
    threads = torch.get_num_threads()
    for count in (1, 2):
        torch.set_num_threads(count)
        found.append(searched(Ppo(SPACE, PpoSettings(minibatch=8), seed=0), steps=6))
    torch.set_num_threads(threads)
    assert found[0] == found[1]


def test_points_that_come_first_are_learnt_from_like_those_that_were_drawn():
    """Their log-probability is that of the policy; what is good gets likelier."""
    settings = replace(SMALL, minibatch=2)
    algorithm = Ppo(SPACE, settings, seed=0, first=FIRST)
    asked = algorithm.ask(2)
    assert [proposal.point for proposal in asked] == [*FIRST]
    # a start near zero gives each option about the same weight, whatever the point
    counts = math.prod(SPACE.option_counts)
    for proposal in asked:
        assert proposal.note["log_probability"] == pytest.approx(-math.log(counts), abs=0.2)
    outcomes = [evaluated(one, accuracy=0.5 - 0.4 * one.index, latency_ms=1.0) for one in asked]
    algorithm.tell(outcomes)
    first, second = (algorithm._policy.log_probability(point) for point in FIRST)
    before = [float(str(proposal.note["log_probability"])) for proposal in asked]
    assert first - before[0] > second - before[1]
