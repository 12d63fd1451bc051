import random

import pytest

from controller.algorithm import START, Evaluated, Proposal, Skipped, create, settings_named
from controller.earlier import REWARD as THE_REWARD
from controller.earlier import Known, KnownFigure
from controller.random_search import RandomSearch
from controller.reward import Reward, RewardMode
from controller.settings import SurrogateSettings
from controller.surrogate import Surrogate, drawn_decisions
from controller.testing import SPACE, Make, SearchAlgorithmContract, evaluated, searched
from search_space.decisions import Choice, DecisionSpace
from workspace.errors import InputError

SETTINGS = SurrogateSettings(startup=4)
REWARD = Reward(mode=RewardMode.HARD, target_ms=6.0)


class TestForTheReward(SearchAlgorithmContract):
    @pytest.fixture
    def make(self) -> Make:
        return lambda seed: Surrogate(SPACE, SETTINGS, seed=seed)


class TestForAKnownReward(SearchAlgorithmContract):
    @pytest.fixture
    def make(self) -> Make:
        return lambda seed: Surrogate(SPACE, SETTINGS, seed=seed, reward=REWARD)


class TestForTheFront(SearchAlgorithmContract):
    @pytest.fixture
    def make(self) -> Make:
        settings = SurrogateSettings(startup=4, objectives=2)
        return lambda seed: Surrogate(SPACE, settings, seed=seed)


class TestForAFrontOfThreeObjectives(SearchAlgorithmContract):
    @pytest.fixture
    def make(self) -> Make:
        settings = SurrogateSettings(startup=4, objectives=3)
        return lambda seed: Surrogate(SPACE, settings, seed=seed)


class TestWithNoise(SearchAlgorithmContract):
    @pytest.fixture
    def make(self) -> Make:
        settings = SurrogateSettings(startup=4, noise=0.05)
        return lambda seed: Surrogate(SPACE, settings, seed=seed)


class TestForAKnownRewardWithNoise(SearchAlgorithmContract):
    @pytest.fixture
    def make(self) -> Make:
        settings = SurrogateSettings(startup=4, noise=0.05)
        return lambda seed: Surrogate(SPACE, settings, seed=seed, reward=REWARD)


class TestInASpaceOfAnyKind(SearchAlgorithmContract):
    @pytest.fixture
    def make(self, nested) -> Make:
        self.space = nested
        return lambda seed: Surrogate(nested, SETTINGS, seed=seed)

    def validate(self, proposal) -> None:
        self.space.validate(proposal.point)


BEGUN = evaluated(Proposal(index=START, point=(2, 0, 3, 3, 3, 3)), accuracy=0.9, latency_ms=1.0)
"""What is known of a point that it goes on from."""


class TestThatGoesOnFromAPoint(SearchAlgorithmContract):
    @pytest.fixture
    def make(self) -> Make:
        return lambda seed: Surrogate(SPACE, SETTINGS, seed=seed, start=BEGUN)


class TestForTheFrontThatGoesOnFromAPoint(SearchAlgorithmContract):
    @pytest.fixture
    def make(self) -> Make:
        settings = SurrogateSettings(startup=4, objectives=2, noise=0.05)
        return lambda seed: Surrogate(SPACE, settings, seed=seed, start=BEGUN)


def test_what_it_goes_on_from_is_the_best_and_not_proposed_once_more():
    point = BEGUN.proposal.point
    figure = KnownFigure(name=THE_REWARD, value=0.9, fidelity="an earlier run")
    known = [Known(point=point, figures=(figure,))]
    algorithm = Surrogate(SPACE, SETTINGS, seed=0, earlier=known, start=BEGUN)
    assert algorithm.best() == point
    for _ in range(20):
        (one,) = algorithm.ask(1)
        assert one.point != point
        algorithm.tell([evaluated(one, accuracy=0.1, latency_ms=1.0)])
    assert algorithm.best() == point


def test_the_models_begin_an_outcome_earlier_with_what_it_goes_on_from():
    def first(start) -> list[object]:
        algorithm = Surrogate(SPACE, SETTINGS, seed=0, start=start)
        asked = algorithm.ask(3)
        algorithm.tell([evaluated(one, accuracy=0.1, latency_ms=1.0) for one in asked])
        return [algorithm._started(), algorithm.ask(1)[0].index]

    assert first(None) == [False, 3]
    assert first(BEGUN) == [True, 3]


LARGE = DecisionSpace(
    choices=tuple(Choice(name=f"c{i}", options=tuple("abcd")) for i in range(12))
)
"""Too many points to look at each."""


def size_of(proposal: Proposal) -> float:
    return 1.0 + sum(option for option in proposal.point if isinstance(option, int))


def test_a_large_space_is_searched_from_its_best_points():
    def best(algorithm) -> float:
        found = 0.0
        for _ in range(60):
            (proposal,) = algorithm.ask(1)
            accuracy = sum(option == place % 4 for place, option in enumerate(proposal.point)) / 12
            algorithm.tell([evaluated(proposal, accuracy=accuracy, latency_ms=1.0)])
            found = max(found, accuracy)
        return found

    assert best(Surrogate(LARGE, SurrogateSettings(), seed=0)) == 1.0
    assert best(RandomSearch(LARGE, seed=0)) < 0.8


def test_the_best_of_an_ordered_space_is_found_soon():
    algorithm = Surrogate(SPACE, SETTINGS, seed=0)
    for proposal in searched_for(algorithm, 30):
        if proposal.point == (2, 0, 3, 3, 3, 3):
            return
    pytest.fail("not in 30 evaluations of 768 points")


def searched_for(algorithm, count):
    proposals = []
    for _ in range(count):
        (proposal,) = algorithm.ask(1)
        algorithm.tell([evaluated(proposal, accuracy=size_of(proposal) / 16, latency_ms=1.0)])
        proposals.append(proposal)
    return proposals


def test_a_known_reward_finds_the_best_within_the_target():
    """Accuracy and latency rise together, so the best is where the target is met just so."""

    def outcome(proposal) -> Evaluated:
        size = size_of(proposal)
        made = evaluated(proposal, accuracy=size / (size + 4), latency_ms=size)
        reward = REWARD.value(made.objectives[0].value, made.objectives[1].value)
        return Evaluated(proposal=proposal, objectives=made.objectives, reward=reward)

    algorithm = Surrogate(SPACE, SETTINGS, seed=1, reward=REWARD)
    latencies = []
    for _ in range(12):
        (proposal,) = algorithm.ask(1)
        algorithm.tell([outcome(proposal)])
        latencies.append(size_of(proposal))
    assert 6.0 in latencies[4:]


def test_no_point_is_proposed_twice_as_long_as_there_are_others():
    proposals = searched(Surrogate(SPACE, SETTINGS, seed=0), steps=60)
    assert len({proposal.point for proposal in proposals}) == 180


def test_a_space_that_is_used_up_is_searched_on():
    space = DecisionSpace(choices=(Choice(name="k", options=("3", "5", "7", "9", "11")),))
    algorithm = Surrogate(space, SETTINGS, seed=0)
    proposals = searched_for(algorithm, 12)
    assert {proposal.point for proposal in proposals[:5]} == {(i,) for i in range(5)}


def test_proposals_asked_together_stay_apart():
    algorithm = Surrogate(LARGE, SETTINGS, seed=0)
    rng = random.Random(0)
    for proposal in algorithm.ask(20):
        algorithm.tell([evaluated(proposal, accuracy=rng.random(), latency_ms=1.0)])
    assert len({proposal.point for proposal in algorithm.ask(8)}) == 8


def test_what_was_too_slow_teaches_the_latency():
    """Nothing fast is known but by what was skipped; the search turns to what is faster."""
    algorithm = Surrogate(SPACE, SETTINGS, seed=0, reward=REWARD)
    (last,) = algorithm.ask(1)
    for _ in range(30):
        size = size_of(last)
        if size > 9:
            algorithm.tell([Skipped(proposal=last, latency_ms=size, bound=6.0 / size)])
            (last,) = algorithm.ask(1)
            continue
        made = evaluated(last, accuracy=size / (size + 4), latency_ms=size)
        reward = REWARD.value(made.objectives[0].value, size)
        algorithm.tell([Evaluated(proposal=last, objectives=made.objectives, reward=reward)])
        (last,) = algorithm.ask(1)
    assert size_of(last) <= 9


def test_a_reward_of_accuracy_and_latency_needs_both():
    algorithm = Surrogate(SPACE, SETTINGS, seed=0, reward=REWARD)
    (proposal,) = algorithm.ask(1)
    made = evaluated(proposal, accuracy=0.5, latency_ms=1.0)
    with pytest.raises(ValueError, match="needs accuracy and latency_ms"):
        algorithm.tell([Evaluated(proposal=proposal, objectives=made.objectives[:1], reward=0.5)])
    algorithm.tell([made])


@pytest.mark.parametrize(("option", "text"), [("startup", "1"), ("objectives", "0")])
def test_an_option_out_of_range_is_named(option: str, text: str):
    with pytest.raises(InputError, match=f"option {option} of algorithm surrogate"):
        settings_named("surrogate", {option: text})


def test_it_is_made_by_its_name():
    made = create(settings_named("surrogate", {}), SPACE, 0, reward=REWARD)
    assert isinstance(made, Surrogate)


def noisy(algorithm, noise: float, count: int) -> list[Proposal]:
    """Proposals of a search whose accuracies err."""
    rng = random.Random(0)
    proposals = []
    for _ in range(count):
        (proposal,) = algorithm.ask(1)
        accuracy = size_of(proposal) / 32 + rng.gauss(0.0, noise)
        algorithm.tell([evaluated(proposal, accuracy=accuracy, latency_ms=1.0)])
        proposals.append(proposal)
    return proposals


def test_with_noise_the_promising_are_evaluated_again():
    settings = SurrogateSettings(noise=0.05)
    proposals = noisy(Surrogate(SPACE, settings, seed=0), 0.05, 60)
    again = [proposal for proposal in proposals if proposal.again]
    assert len(again) > 5
    for proposal in again:
        before = [one.point for one in proposals[: proposal.index]]
        assert before.count(proposal.point) == proposal.again
    sizes = sorted(size_of(proposal) for proposal in proposals if not proposal.again)
    middle = sizes[len(sizes) // 2]
    assert sum(size_of(proposal) >= middle for proposal in again) > 0.8 * len(again)


def test_without_noise_nothing_is_evaluated_again():
    proposals = noisy(Surrogate(SPACE, SETTINGS, seed=0), 0.05, 40)
    assert not any(proposal.again for proposal in proposals)
    assert len({proposal.point for proposal in proposals}) == 40


def test_with_noise_the_best_is_not_the_luckiest():
    """One poor point had luck; its like tell that it was luck."""
    algorithm = Surrogate(SPACE, SurrogateSettings(startup=60, noise=0.2), seed=0)
    asked = algorithm.ask(60)
    poor = min(asked, key=size_of)
    for proposal in asked:
        accuracy = 0.6 if proposal == poor else size_of(proposal) / 32
        algorithm.tell([evaluated(proposal, accuracy=accuracy, latency_ms=1.0)])
    assert max(size_of(proposal) for proposal in asked) / 32 < 0.6
    chosen = next(one for one in asked if one.point == algorithm.best())
    assert size_of(chosen) >= 13


def test_before_anything_was_evaluated_nothing_is_the_best():
    algorithm = Surrogate(SPACE, SETTINGS, seed=0)
    algorithm.ask(3)
    with pytest.raises(ValueError, match="nothing was evaluated"):
        algorithm.best()


def test_candidates_come_from_anywhere_and_from_their_parents():
    parents = [(0,) * 12, (1,) * 12]
    drawn = drawn_decisions(LARGE, parents, 400, random.Random(0))
    for point in drawn:
        LARGE.validate(point)
    nearest = [min(sum(a != b for a, b in zip(p, q, strict=True)) for q in parents) for p in drawn]
    from_one = [distance for number, distance in enumerate(nearest) if number % 4 > 1]
    assert set(from_one) == {1, 2, 3}
    anywhere = nearest[::4]
    assert sum(anywhere) / len(anywhere) > 6
    crossed = drawn[1::4]
    assert all(sum(option in (0, 1) for option in point) >= 9 for point in crossed)
