import json
import sqlite3

import pytest

from controller import versions
from controller.replay import ReplayError, ReplayReport, replay
from controller.search import Mode


def test_makes_the_calls_of_the_search_again(lab):
    study, first, again = lab.study(), lab.algorithm(), lab.algorithm()
    lab.run(study, trials=25, window=3, algorithm=first)
    assert replay(study, again) == ReplayReport(proposals=25, outcomes=25)
    assert again.calls == first.calls


def test_also_of_one_that_told_whatever_was_done_first(lab):
    study, first, again = lab.study(), lab.algorithm(), lab.algorithm()
    slow = lab.evaluation(
        study, source=lab.Source(lanes=3, delay_s=0.01), executor=lab.Executor(delay_s=0.01)
    )
    lab.run(study, slow, trials=25, mode=Mode.ASYNCHRONOUS, algorithm=first)
    assert replay(study, again) == ReplayReport(proposals=25, outcomes=25)
    assert again.calls == first.calls


def test_also_of_one_that_was_cut_off(lab):
    study, again = lab.study(), lab.algorithm()
    with pytest.raises(KeyboardInterrupt):
        lab.run(study, trials=25, observer=lab.Notebook(interrupt_after=9))
    assert replay(study, again) == ReplayReport(proposals=12, outcomes=9)


def test_nothing_is_replayed_of_a_search_that_has_not_begun(lab):
    assert replay(lab.study(), lab.algorithm()) == ReplayReport(proposals=0, outcomes=0)


def test_the_first_proposal_that_differs_is_named(lab):
    study = lab.run(lab.study(), trials=3)
    with pytest.raises(ReplayError, match=r"trial 0 was point \(.*no version .* has changed"):
        replay(study, lab.algorithm(seed=1))


def test_changed_versions_are_named_as_what_may_have_made_it(lab):
    study = lab.run(lab.study(), trials=3)
    study.versions = {**versions.current(), "optuna": "0.0.1"}
    with pytest.raises(ReplayError, match=r"optuna 0\.0\.1 then, .* now"):
        replay(study, lab.algorithm(seed=1))


def test_an_outcome_without_its_figures_is_no_outcome(lab):
    study = lab.run(lab.study(), trials=3)
    connection = sqlite3.connect(lab.folder / "study" / "study.db")
    connection.execute("DELETE FROM training")
    connection.commit()
    connection.close()
    with pytest.raises(ReplayError, match=r"trial \d is stored without its figures"):
        replay(study, lab.algorithm())


def test_a_search_with_other_settings_is_not_resumed(lab):
    study = lab.run(lab.study(), trials=3)
    evaluation = lab.evaluation(study)
    with pytest.raises(ReplayError, match="trial 0 was"):
        lab.run(study, evaluation, trials=6, algorithm=lab.algorithm(seed=1))
    assert study.counts() == (3, 3)


def test_versions_are_those_installed():
    assert json.loads(json.dumps(versions.current())) == versions.current()
    assert versions.differences(versions.current(), versions.current()) == ""
