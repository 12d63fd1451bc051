from dataclasses import replace

import pytest

from controller.algorithm import Evaluated, FailureKind
from controller.candidate import OutcomeKind
from controller.finish import best, front, measure_front
from controller.objectives import losses_of, parse
from controller.summary import summarize
from latency.source import Origin


def test_counts_what_became_of_the_trials(lab):
    study = lab.run(lab.study(), lab.evaluation(lab.study(), skip_above=1.5), trials=40)
    summary = summarize(study, lab.reward)
    assert summary.told == len(summary.trials) == 40
    assert set(summary.counts) == set(OutcomeKind) - {OutcomeKind.STOPPED}
    assert summary.saving is None
    assert summary.failures == {FailureKind.DECODE: summary.counts[OutcomeKind.FAILED]}
    assert summary.repeated == sum(trial.same_as is not None for trial in summary.trials) > 0
    assert summary.front == front(study, lab.reward)
    assert summary.best == best(study, lab.reward)
    assert 0 < summary.hypervolume < max(member.accuracy for member in summary.front)
    assert summary.stand_ins == ("a fake: nothing was trained",)
    assert summary.created == study.created


def test_of_one_that_was_cut_off(lab):
    study = lab.study()
    with pytest.raises(KeyboardInterrupt):
        lab.run(study, trials=40, observer=lab.Notebook(interrupt_after=5))
    summary = summarize(study, lab.reward)
    assert summary.told == 5
    assert len(summary.trials) == 8
    assert [trial.kind for trial in summary.trials[5:]] == [None] * 3


def test_of_one_that_has_not_begun(lab):
    summary = summarize(lab.study(), lab.reward)
    assert (summary.told, summary.front, summary.best) == (0, (), None)
    assert summary.hypervolume == 0.0


def test_without_the_latency_the_front_is_another_and_the_best_is_still_that_for_the_target(lab):
    """Kernels make networks more accurate for few parameters and much time."""
    names = parse(["accuracy", "params"])
    study = lab.study()
    lab.run(study, lab.evaluation(study, objectives=names), trials=40)
    summary = summarize(study, lab.reward, names)
    found = [c for c in summary.trials if isinstance(c.outcome, Evaluated)]
    assert summary.best is not None
    assert summary.best.reward == max(one.outcome.reward for one in found)
    assert summary.best == best(study, lab.reward, names)
    told = [losses_of(member.objectives, names) for member in summary.front]
    assert told == sorted(told, reverse=True)
    assert summary.front == front(study, lab.reward, names)
    most = max(losses_of(one.outcome.objectives, names)[1] for one in found)
    assert summary.box.worst == (0.0, most)
    assert f"at {most:,.0f} parameters (the most of any trial)" in summary.box.text()


def test_what_is_measured_at_the_end_is_the_front_and_that_on_which_the_best_is(lab):
    names = parse(["accuracy", "params"])
    study = lab.study()
    lab.run(study, lab.evaluation(study, objectives=names), trials=40)

    def measured(_, estimate):
        return replace(estimate, origin=Origin.MEASURED, source="adb:FAKE")

    phone = lab.evaluation(study, objectives=names, source=lab.Source(say=measured))
    list(measure_front(study, phone, "final"))
    again = {c.index for c in study.candidates() if c.final is not None}
    fronts = [*front(study, lab.reward, names), *front(study, lab.reward)]
    assert again == {member.candidate.index for member in fronts}
