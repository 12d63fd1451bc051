import logging
import os
import subprocess
import sys
import textwrap

import optuna
import pytest

from controller.algorithm import START, Evaluated, Proposal, SearchAlgorithm, Skipped
from controller.optuna_adapter import Tpe
from controller.settings import TpeSettings
from controller.testing import (
    SPACE,
    Make,
    SearchAlgorithmContract,
    evaluated,
    outcome_of,
    searched,
)


class TestTpe(SearchAlgorithmContract):
    @pytest.fixture
    def make(self) -> Make:
        return lambda seed: Tpe(SPACE, TpeSettings(startup=4), seed=seed)


class TestTpeThatForgets(SearchAlgorithmContract):
    @pytest.fixture
    def make(self) -> Make:
        settings = TpeSettings(startup=4, memory=26)
        return lambda seed: Tpe(SPACE, settings, seed=seed)


FIRST = ((2, 0, 3, 3, 3, 3), (0, 0, 0, 1, 2, 3))
"""Points that are proposed before all others."""


class TestAfterPointsThatWereKnown(SearchAlgorithmContract):
    @pytest.fixture
    def make(self) -> Make:
        return lambda seed: Tpe(SPACE, TpeSettings(startup=4), seed=seed, first=FIRST)


def test_points_that_come_first_are_learnt_from():
    def near(first) -> float:
        algorithm = Tpe(SPACE, TpeSettings(startup=2), seed=0, first=first)
        for proposal in algorithm.ask(3):
            accuracy = 0.9 if proposal.point == FIRST[0] else 0.1
            algorithm.tell([evaluated(proposal, accuracy=accuracy, latency_ms=1.0)])
        later = algorithm.ask(30)
        return sum(a == b for one in later for a, b in zip(one.point, FIRST[0], strict=True))

    algorithm = Tpe(SPACE, TpeSettings(startup=2), seed=0, first=FIRST)
    assert [proposal.point for proposal in algorithm.ask(2)] == [*FIRST]
    assert near(FIRST) > near(())


BEGUN = evaluated(Proposal(index=START, point=FIRST[0]), accuracy=0.9, latency_ms=1.0)
"""What is known of a point that it goes on from."""


class TestThatGoesOnFromAPoint(SearchAlgorithmContract):
    @pytest.fixture
    def make(self) -> Make:
        settings = TpeSettings(startup=4, memory=26)
        return lambda seed: Tpe(SPACE, settings, seed=seed, start=BEGUN)


def test_what_it_goes_on_from_is_the_first_outcome_that_it_learns_from():
    def near(start) -> int:
        algorithm = Tpe(SPACE, TpeSettings(startup=3), seed=0, start=start)
        for proposal in algorithm.ask(2):
            algorithm.tell([evaluated(proposal, accuracy=0.1, latency_ms=1.0)])
        later = algorithm.ask(30)
        return sum(a == b for one in later for a, b in zip(one.point, FIRST[0], strict=True))

    assert near(BEGUN) > near(None)


def sizes(proposal: Proposal) -> list[int]:
    return [decision for decision in proposal.point if isinstance(decision, int)]


def rewarded(proposal: Proposal) -> Evaluated:
    """Larger options are better."""
    return evaluated(proposal, accuracy=sum(sizes(proposal)) / 14, latency_ms=1.0)


def best_of(algorithm: SearchAlgorithm, evaluations: int) -> float:
    best = 0.0
    for _ in range(evaluations):
        (proposal,) = algorithm.ask(1)
        outcome = rewarded(proposal)
        best = max(best, outcome.objectives[0].value)
        algorithm.tell([outcome])
    return best


@pytest.mark.parametrize("seed", range(3))
def test_it_finds_the_best_point_of_a_small_space(seed):
    assert best_of(Tpe(SPACE, TpeSettings(), seed=seed), 120) == 1.0


def test_it_finds_it_with_what_it_remembers():
    algorithm = Tpe(SPACE, TpeSettings(memory=26), seed=0)
    assert best_of(algorithm, 200) == 1.0


def test_it_forgets_while_proposals_are_in_flight():
    algorithm = Tpe(SPACE, TpeSettings(startup=4, memory=26), seed=0)
    flying = list(algorithm.ask(5))
    for _ in range(120):
        flying += algorithm.ask(1)
        algorithm.tell([rewarded(flying.pop(-2))])
    algorithm.tell([rewarded(proposal) for proposal in flying])
    assert algorithm.ask(1)[0].index == 125


def test_it_takes_skipped_outcomes_for_bad_whatever_their_bound():
    algorithm = Tpe(SPACE, TpeSettings(), seed=0)
    for _ in range(100):
        (one,) = algorithm.ask(1)
        too_slow = one.point[0] == 2
        algorithm.tell(
            [Skipped(proposal=one, latency_ms=400.0, bound=0.99) if too_slow else rewarded(one)]
        )
    assert [one.point[0] for one in algorithm.ask(20)].count(2) < 6


def test_optuna_says_nothing_and_its_verbosity_stays():
    heard = []

    class Ear(logging.Handler):
        def emit(self, record):
            heard.append(record.getMessage())

    ear, before = Ear(), optuna.logging.get_verbosity()
    logging.getLogger("optuna").addHandler(ear)
    try:
        optuna.logging.set_verbosity(optuna.logging.INFO)
        searched(Tpe(SPACE, TpeSettings(memory=26), seed=0), steps=30)
        assert optuna.logging.get_verbosity() == optuna.logging.INFO
    finally:
        optuna.logging.set_verbosity(before)
        logging.getLogger("optuna").removeHandler(ear)
    assert heard == []


def test_another_process_with_other_string_hashes_proposes_the_same():
    code = """
        from controller.optuna_adapter import Tpe
        from controller.settings import TpeSettings
        from controller.testing import SPACE, searched
        algorithm = Tpe(SPACE, TpeSettings(startup=4), seed=3)
        print([proposal.point for proposal in searched(algorithm, steps=15)])
    """
    texts = {
        subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            timeout=120,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(texts) == 1


def test_a_trial_that_was_asked_long_ago_can_still_be_told():
    algorithm = Tpe(SPACE, TpeSettings(startup=4, memory=26), seed=0)
    (early,) = algorithm.ask(1)
    searched(algorithm, steps=10)
    algorithm.tell([outcome_of(early)])
    assert algorithm.ask(1)[0].index == 31
