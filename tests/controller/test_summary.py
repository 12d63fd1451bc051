import pytest

from controller.algorithm import FailureKind
from controller.candidate import OutcomeKind
from controller.finish import best, front
from controller.summary import summarize


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
