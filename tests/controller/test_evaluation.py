from concurrent.futures import Future
from dataclasses import replace

import pytest

from controller import evaluation as evaluation_module
from controller.algorithm import Failed, FailureKind, Proposal
from controller.found_latency import FoundLatency
from controller.objectives import parse
from controller.reward import training_aware_reward
from latency.source import Decides, Origin
from search_space.architecture import Classifier
from search_space.layers import params
from training.executor import TrainingTimeoutError
from training.schedule import Schedule
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


class Refining:
    """A stand-in for a mixed source: predictions are 3 % off, and measured where asked for."""

    def __init__(self, lab):
        self.fake = lab.Source(say=self._say)
        self.name, self.lanes, self.on_this_computer = "fake", 1, False
        self.estimate, self.close = self.fake.estimate, self.fake.close
        self.first_low_ms: dict[str, float] = {}

    def refines(self):
        return True

    def _say(self, request, estimate):
        latency_ms = estimate.latency_ms
        estimate = replace(estimate, low_ms=0.7 * latency_ms, high_ms=1.6 * latency_ms)
        self.first_low_ms.setdefault(request.id, estimate.low_ms)
        if request.decides is Decides.FRONT:
            return replace(estimate, origin=Origin.MEASURED)
        return replace(estimate, latency_ms=1.03 * latency_ms)

    def asked(self, index):
        return [each for each in self.fake.asked if each.id == f"trial-{index}"]


def test_every_latency_is_first_held_against_what_would_not_be_trained(lab):
    source = Refining(lab)
    lab.run(study := lab.study(), lab.evaluation(study, source=source, skip_above=2.0))
    assert source.asked(0)[0].thresholds_ms == (6.0,)
    assert source.asked(0)[0].decides is Decides.REWARD


def test_whatever_may_join_the_front_is_measured_and_nothing_else(lab):
    source = Refining(lab)
    study = lab.run(study := lab.study(), lab.evaluation(study, source=source), trials=40)
    evaluated = [one for one in study.candidates() if one.training and one.same_as is None]
    again = [one for one in evaluated if len(source.asked(one.index)) > 1]
    assert 3 < len(again) < len(evaluated)
    for one in evaluated:
        before = [c for c in study.told() if c.told < one.asked_after and c.training]
        better = [c for c in before if c.training.accuracy >= one.training.accuracy]
        limit_ms = min((c.latency.latency_ms for c in better), default=float("inf"))
        assert (one in again) == (limit_ms > source.first_low_ms[f"trial-{one.index}"])
    for one in again:
        assert one.latency.is_measured
        assert one.outcome.objectives[1].value == one.latency.latency_ms


def test_of_three_objectives_what_is_small_may_join_the_front_though_others_beat_it(lab):
    source, names = Refining(lab), parse(["accuracy", "latency_ms", "params"])
    source.fake.say = lambda request, estimate: source._say(
        request,
        replace(estimate, latency_ms=9 / estimate.latency_ms),  # what is small is slow
    )
    study = lab.study()
    lab.run(study, lab.evaluation(study, source=source, objectives=names), trials=40)
    evaluated = [one for one in study.candidates() if one.training and one.same_as is None]
    beaten_in_two = 0
    for one in evaluated:
        before = [c for c in study.told() if c.told < one.asked_after and c.training]
        better = [c for c in before if c.training.accuracy >= one.training.accuracy]
        smaller = [c for c in better if params_of(c) <= params_of(one)]
        limits_ms = [
            min((c.latency.latency_ms for c in some), default=float("inf"))
            for some in (better, smaller)
        ]
        low_ms = source.first_low_ms[f"trial-{one.index}"]
        beaten_in_two += limits_ms[0] <= low_ms < limits_ms[1]
        assert (len(source.asked(one.index)) > 1) == (limits_ms[1] > low_ms)
    assert beaten_in_two > 0


def params_of(candidate):
    return params(candidate.architecture, Classifier(classes=10))


def test_a_source_that_cannot_do_better_is_asked_once(lab):
    source = lab.Source()
    lab.run(study := lab.study(), lab.evaluation(study, source=source))
    assert len({each.id for each in source.asked}) == len(source.asked)


def test_a_search_by_a_mixed_source_that_is_cut_off_goes_on_as_if_it_had_not_been(lab):
    whole = lab.run(study := lab.study("a"), lab.evaluation(study, source=Refining(lab)))
    study = lab.study("b")
    with pytest.raises(KeyboardInterrupt):
        lab.search(
            study,
            lab.evaluation(study, source=Refining(lab)),
            observer=lab.Notebook(interrupt_after=8),
        ).run()
    lab.run(study, lab.evaluation(study, source=Refining(lab)))
    assert [c.outcome for c in study.told()] == [c.outcome for c in whole.told()]


def timed(seconds):
    return lambda _, result: replace(result, samples=600, seconds=seconds)


def test_a_reward_of_the_training_step_is_told_with_it(lab):
    reward = training_aware_reward()
    executor = lab.Executor(say=timed(3.0))
    schedule = Schedule(samples=600, batch=20)
    study = lab.study()
    lab.run(
        study,
        lab.evaluation(study, executor=executor, reward=reward, schedule=schedule),
        trials=10,
    )
    evaluated = [one for one in study.candidates() if one.training]
    assert evaluated
    for one in evaluated:
        told = {each.name: each.value for each in one.outcome.objectives}
        assert told["train_step_ms"] == pytest.approx(100.0)  # 30 steps in 3 s
        assert told["params"] == params_of(one)
        assert one.reward == pytest.approx(reward.rated(told["accuracy"], told))


def test_a_training_that_tells_no_time_of_its_steps_fails_the_trial_and_says_so(lab):
    executor = lab.Executor(say=timed(0.0))
    study = lab.study()
    evaluation = lab.evaluation(study, executor=executor, reward=training_aware_reward())
    with pytest.raises(OperationError, match="told no time of its steps: 600 samples in 0 s"):
        lab.run(study, evaluation, trials=5)


def test_a_training_step_can_be_an_objective_of_any_search(lab):
    names = parse(["accuracy", "train_step_ms"])
    study = lab.study()
    executor = lab.Executor(say=timed(0.6))
    schedule = Schedule(samples=600, batch=1)
    evaluation = lab.evaluation(study, executor=executor, objectives=names, schedule=schedule)
    lab.run(study, evaluation, trials=5)
    told = [one.outcome.objectives for one in study.candidates() if one.training]
    assert all(each[1].name == "train_step_ms" for each in told)
    assert all(each[1].value == pytest.approx(1.0) for each in told)
