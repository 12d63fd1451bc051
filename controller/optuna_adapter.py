"""Optuna's TPE behind our ask and tell, in memory: our own study is the store.

Optuna's SQL storage would cost 0.5 s a trial of 42 decisions.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import TPESampler
from optuna.study import Study
from optuna.trial import TrialState, create_trial

from controller.algorithm import Evaluated, Failed, Outcome, Proposal, Skipped, Stopped
from controller.ledger import Ledger
from controller.settings import TPE_GOOD, TpeSettings
from search_space.decisions import Decisions, DecisionSpace, Point

_LEARNT = (TrialState.COMPLETE, TrialState.PRUNED)


class Tpe:
    """Tree-structured Parzen estimator, Optuna's; a ``SearchAlgorithm`` for the reward.

    Multivariate, and proposals in flight count as bad (constant liar), so that workers who ask in
    parallel stay apart. ``Skipped`` is told as pruned: worse than all that were evaluated, however
    high its bound. ``Failed`` teaches nothing.

    Args:
        space: A fixed tuple of choices.
        settings: Of the sampler, and what it remembers.
        seed: Of the sampler, whose generator only asks move.
        first: The points of the first proposals.
        start: An outcome that is learnt from before any is told.
    """

    def __init__(
        self,
        space: DecisionSpace,
        settings: TpeSettings,
        *,
        seed: int,
        first: Sequence[Point] = (),
        start: Evaluated | None = None,
    ) -> None:
        def sampler(number: int) -> TPESampler:
            return TPESampler(
                n_startup_trials=settings.startup,
                n_ei_candidates=settings.candidates,
                multivariate=True,
                constant_liar=True,
                seed=_numpy_seed(seed, number),
            )

        self._memory = settings.memory
        self._trials = _Trials(space, sampler)
        if start is not None:
            self._trials.add(space.checked(start.proposal.point), -start.reward)
        self._trials.enqueue(map(space.checked, first))
        self._ledger = Ledger()

    def ask(self, count: int) -> tuple[Proposal, ...]:
        """See ``SearchAlgorithm.ask``."""
        return tuple(self._propose(index) for index in self._ledger.issue(count))

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """See ``SearchAlgorithm.tell``."""
        self._ledger.settle(outcomes)
        for outcome in outcomes:
            match outcome:
                case (
                    Evaluated(proposal=proposal, reward=reward)
                    | Stopped(proposal=proposal, reward=reward)
                ):
                    self._trials.tell(proposal, -reward)
                case Skipped(proposal=proposal):
                    self._trials.end(proposal, TrialState.PRUNED)
                case Failed(proposal=proposal):
                    self._trials.end(proposal, TrialState.FAIL)

    def _propose(self, index: int) -> Proposal:
        if self._trials.learnt >= 2 * self._memory:
            self._trials.forget(best=TPE_GOOD, kept=self._memory)
        return self._trials.ask(index)


class _Trials:
    """An in-memory study of proposals, in which all values are minimized.

    Args:
        space: Each choice is a categorical parameter.
        sampler: Makes the sampler of the first study (0), of the one after ``forget`` (1), …
    """

    def __init__(self, space: DecisionSpace, sampler: Callable[[int], TPESampler]) -> None:
        self._distributions: dict[str, BaseDistribution] = {
            choice.name: CategoricalDistribution(range(len(choice.options)))
            for choice in space.choices
        }
        self._sampler = sampler
        self._studies = 0
        self._study = self._new_study()
        self._numbers: dict[int, int] = {}  # of the trials in flight, by proposal
        self.learnt = 0
        """Finished trials that the sampler learns from."""

    def add(self, point: Decisions, loss: float) -> None:
        """Learn of a point that was not asked for."""
        self._study.add_trial(
            create_trial(params=self._params(point), distributions=self._distributions, value=loss)
        )
        self.learnt += 1

    def enqueue(self, points: Iterable[Decisions]) -> None:
        """Have the next asks give these, in turn."""
        for point in points:
            self._study.enqueue_trial(self._params(point))

    def ask(self, index: int) -> Proposal:
        trial = self._study.ask(self._distributions)
        self._numbers[index] = trial.number
        params = trial.params
        return Proposal(index=index, point=tuple(params[name] for name in self._distributions))

    def tell(self, proposal: Proposal, loss: float) -> None:
        self._study.tell(self._numbers.pop(proposal.index), loss)
        self.learnt += 1

    def end(self, proposal: Proposal, state: TrialState) -> None:
        self._study.tell(self._numbers.pop(proposal.index), state=state)
        self.learnt += state in _LEARNT

    def forget(self, *, best: int, kept: int) -> None:
        """Go on with ``kept`` finished trials: the ``best`` ones, the latest others."""
        trials = self._study.get_trials(deepcopy=False, states=_LEARNT)
        complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
        good = sorted(complete, key=lambda trial: trial.values)[:best]
        numbers = {trial.number for trial in good}
        others = [trial for trial in trials if trial.number not in numbers]
        numbers |= {trial.number for trial in others[len(good) - kept :]}
        numbers |= set(self._numbers.values())
        before, self._study = self._study, self._new_study()
        renumbered: dict[int, int] = {}
        for trial in before.get_trials(deepcopy=False):
            if trial.number in numbers:
                renumbered[trial.number] = len(renumbered)
                self._study.add_trial(trial)
        self._numbers = {index: renumbered[number] for index, number in self._numbers.items()}
        self.learnt = kept

    def _params(self, point: Decisions) -> dict[str, int]:
        return dict(zip(self._distributions, point, strict=True))

    def _new_study(self) -> Study:
        sampler = self._sampler(self._studies)
        self._studies += 1
        with _quiet():
            return optuna.create_study(sampler=sampler, direction="minimize")


def _numpy_seed(seed: int, number: int) -> int:
    """A seed of the 32 bits that numpy's generator takes."""
    return random.Random(f"{seed}/optuna/{number}").getrandbits(32)


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna without its greeting in the log."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(max(before, optuna.logging.WARNING))
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
