from concurrent.futures import Future

import pytest

from controller import evaluation as evaluation_module
from controller.algorithm import Failed, FailureKind, Proposal
from controller.candidate import FoundLatency
from latency.source import Decides
from training.executor import TrainingTimeoutError
from workspace.errors import InputError, OperationError

POINT = (0, 0, 1)


@pytest.fixture
def architecture(lab):
    return lab.space.decode(POINT)


def proposal():
    return Proposal(index=3, point=POINT)


def stored(lab, architecture):
    study = lab.study()
    study.propose([(proposal(), architecture)], told=0)
    return study


def test_a_job_is_fixed_by_the_settings_and_the_trial(lab, architecture):
    evaluation = lab.evaluation(lab.study(), seed=7, train_size=8, deadline_s=5.0)
    job = evaluation.job(3, architecture, checkpoint="best.safetensors")
    assert (job.id, job.seed, job.deadline_s) == ("trial-3", 7, 5.0)
    assert job.architecture == architecture.at(8)
    assert job.checkpoint == "best.safetensors"


def test_the_last_question_is_another_one_than_the_search_asked(lab, architecture):
    evaluation = lab.evaluation(lab.study(), preset="quick")
    first, last = (
        evaluation.request(3, architecture),
        evaluation.request(3, architecture, final="final"),
    )
    assert (first.id, first.preset, first.decides) == ("trial-3", "quick", Decides.REWARD)
    assert (last.id, last.preset, last.decides) == ("final-3", "final", Decides.FRONT)
    assert first.subject == last.subject


def test_a_training_that_never_ends_is_given_up(lab, architecture, monkeypatch):
    monkeypatch.setattr(evaluation_module, "DEADLINE_GRACE_S", 0.05)
    executor = lab.Executor()
    executor.submit = lambda _: Future()
    evaluation = lab.evaluation(lab.study(), executor=executor, deadline_s=0.05)
    with pytest.raises(
        TrainingTimeoutError, match=r"trial-3 did not end by its deadline of 0\.05"
    ):
        evaluation.train(evaluation.job(3, architecture))


@pytest.mark.parametrize("error", [InputError("no heads here"), OperationError("no such phone")])
def test_a_source_that_raises_fails_the_trial(lab, architecture, error):
    def say(*_):
        raise error

    study = stored(lab, architecture)
    evaluation = lab.evaluation(study, source=lab.Source(say=say))
    outcome = evaluation.latency(proposal(), architecture, None)
    assert outcome == Failed(proposal=proposal(), kind=FailureKind.LATENCY, text=str(error))
    assert study.candidate(3).latency is None


@pytest.mark.parametrize("setting", ["timed_size", "train_size"])
def test_a_size_that_a_network_cannot_run_at_fails_the_trial(lab, architecture, setting):
    evaluation = lab.evaluation(stored(lab, architecture), **{setting: 1})
    outcome = evaluation.latency(proposal(), architecture, None)
    if isinstance(outcome, FoundLatency):
        outcome = evaluation.accuracy(proposal(), architecture, None, outcome)
    assert isinstance(outcome, Failed)
    assert outcome.kind is FailureKind.DECODE
    assert "at least 4 pixels" in outcome.text


def test_figures_are_kept_as_they_are_found(lab, architecture):
    study = stored(lab, architecture)
    evaluation = lab.evaluation(study)
    found = evaluation.latency(proposal(), architecture, None)
    assert study.candidate(3).latency == found
    assert study.candidate(3).training is None
    evaluation.accuracy(proposal(), architecture, None, found)
    assert study.candidate(3).training is not None
    assert study.candidate(3).outcome is None


def test_only_what_failed_is_asked_again(lab, architecture):
    tries = []

    def say(request, estimate):
        tries.append(request.id)
        if request.id == "final-1" and tries.count("final-1") == 1:
            return lab.LatencyFailure(request_id=request.id, text="unplugged", retryable=True)
        return estimate

    evaluation = lab.evaluation(lab.study(), source=lab.Source(say=say))
    requests = [evaluation.request(index, architecture, final="final") for index in range(3)]
    answers = list(evaluation.ask(requests))
    assert [answer.request_id for answer in answers] == ["final-0", "final-2", "final-1"]
    assert tries == ["final-0", "final-1", "final-2", "final-1"]
