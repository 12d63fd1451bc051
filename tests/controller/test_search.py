import signal
import sqlite3
import threading
import time
from dataclasses import replace

import pytest

from controller.algorithm import (
    AGAIN,
    Evaluated,
    Failed,
    FailureKind,
    Proposal,
    Skipped,
    Stopped,
    create,
    settings_named,
)
from controller.candidate import Candidate
from controller.early_stopping import EarlyStopping, StoppingSettings
from controller.finish import front
from controller.objectives import losses, parse
from controller.pareto import FrontPoint, front_of
from controller.replay import replay
from controller.search import HOPELESS_AFTER, HopelessSearchError, Mode, SearchSettings
from controller.study import StudyError
from latency.measurement import Verdict
from search_space.architecture import Classifier
from search_space.layers import params
from training.executor import TrainingError, TrainingTimeoutError
from training.schedule import Schedule
from workspace.errors import InputError


def facts(study):
    """All of each trial that must not depend on time."""
    return [
        (c.proposal, c.asked_after, c.key, c.told, c.outcome, c.same_as, c.latency, c.training)
        for c in study.candidates()
    ]


def fail(text, kind=TrainingError):
    raise kind(text)


def outcomes(study):
    return [candidate.outcome for candidate in study.told()]


def test_asks_for_a_window_then_one_by_one_and_tells_in_order(lab):
    algorithm = lab.algorithm()
    study = lab.study()
    executor = lab.Executor(delay_s=0.01)
    lab.run(
        study, lab.evaluation(study, executor=executor), trials=6, window=3, algorithm=algorithm
    )
    assert algorithm.calls == [
        *[("ask", 3), ("tell", 0), ("ask", 1), ("tell", 1), ("ask", 1), ("tell", 2), ("ask", 1)],
        *[("tell", 3), ("tell", 4), ("tell", 5)],
    ]


def test_an_ordered_search_is_the_same_whatever_finishes_first(lab):
    alone = lab.run(lab.study("alone"))
    study = lab.study("hasty")
    slow = lab.evaluation(
        study,
        source=lab.Source(lanes=3, delay_s=0.01),
        executor=lab.Executor(lanes=4, delay_s=0.02),
    )
    assert facts(lab.run(study, slow)) == facts(alone)


def test_every_proposal_is_stored_before_its_work_starts(lab):
    study = lab.study()
    stored = []

    def look(request, estimate):
        index = int(request.id.removeprefix("trial-"))
        stored.append(study.candidate(index).index == index)
        return estimate

    lab.run(study, lab.evaluation(study, source=lab.Source(say=look)))
    assert len(stored) > 5
    assert all(stored)


def test_a_network_is_evaluated_once_however_often_it_is_proposed(lab):
    study = lab.study()
    source, executor = lab.Source(lanes=2, delay_s=0.005), lab.Executor(delay_s=0.005)
    evaluation = lab.evaluation(study, source=source, executor=executor)
    lab.run(study, evaluation, trials=60)
    timed = [request.subject.architecture.key for request in source.asked]
    trained = [job.architecture.key for job in executor.jobs]
    assert len(set(timed)) == len(timed)
    assert sorted(trained) == sorted(timed)
    trials = list(study.candidates())
    again = [trial for trial in trials if trial.same_as is not None]
    assert len(again) == 60 - len(timed) - sum(not trial.key for trial in trials)
    for trial in again:
        first = trials[trial.same_as]
        assert (first.key, first.same_as) == (trial.key, None)
        assert (first.latency, first.training) == (trial.latency, trial.training)
        assert first.outcome.reward == trial.outcome.reward
        assert trial.outcome.proposal == trial.proposal


class Repeating:
    """Proposes one point, the third and fourth time to be evaluated anew."""

    def __init__(self):
        self._asked = 0

    def ask(self, count):
        first, self._asked = self._asked, self._asked + count
        return tuple(
            Proposal(index=i, point=(1, 1, 1), note={AGAIN: i} if i in (2, 3) else {})
            for i in range(first, first + count)
        )

    def tell(self, outcomes):
        pass


def test_what_is_proposed_again_is_evaluated_anew_with_another_seed(lab):
    study = lab.study()
    luck = lab.Executor(say=lambda job, result: replace(result, accuracy=0.5 + job.seed / 10))
    evaluation = lab.evaluation(study, executor=luck)
    lab.run(study, evaluation, trials=5, algorithm=Repeating(), window=2)
    trials = list(study.candidates())
    assert [trial.training.accuracy for trial in trials] == [0.5, 0.5, 0.7, 0.8, 0.8]
    assert [trial.same_as for trial in trials] == [None, 0, None, None, 3]
    (member,) = front(study, lab.reward)
    assert member.candidate.index == 0
    assert member.accuracy == pytest.approx(2.0 / 3)


def test_a_network_that_failed_is_evaluated_anew_when_it_is_proposed_again(lab):
    study = lab.study()
    source = lab.Source(delay_s=0.003)
    seen = set()

    def train(job, result):
        if job.architecture.key in seen:
            return result
        seen.add(job.architecture.key)
        return fail("out of memory")

    evaluation = lab.evaluation(study, source=source, executor=lab.Executor(say=train))
    lab.run(study, evaluation, trials=60, algorithm=lab.algorithm(seed=1))
    by_key: dict[str, list[Candidate]] = {}
    for trial in study.candidates():
        if trial.key:
            by_key.setdefault(trial.key, []).append(trial)
    often = [trials for trials in by_key.values() if len(trials) > 2]
    assert often
    for first, second, *others in often:
        assert isinstance(first.outcome, Failed)
        assert isinstance(second.outcome, Evaluated)
        assert second.same_as is None
        assert {other.same_as for other in others} == {second.index}


def test_a_point_without_a_network_fails_and_the_search_goes_on(lab):
    study = lab.run(lab.study(), trials=40)
    failed = [one for one in outcomes(study) if isinstance(one, Failed)]
    assert failed
    assert {one.kind for one in failed} == {FailureKind.DECODE}
    assert all("has no network" in one.text for one in failed)
    assert len(outcomes(study)) == 40


def test_what_fails_is_told_with_where_and_why(lab):
    study = lab.study()

    def time_(request, estimate):
        if request.id == "trial-1":
            return lab.LatencyFailure(request_id=request.id, text="no such phone", retryable=False)
        if request.id == "trial-2":
            return replace(estimate, verdict=Verdict.REJECTED)
        if request.id == "trial-3":
            return replace(estimate, latency_ms=float("nan"), low_ms=1.0, high_ms=2.0)
        return estimate

    def train(job, result):
        if job.id == "trial-4":
            fail("the loss was nan")
        if job.id == "trial-5":
            fail("took too long", TrainingTimeoutError)
        return result

    lab.space = AllDifferent(lab.space)
    source, executor = lab.Source(say=time_), lab.Executor(say=train)
    lab.run(study, lab.evaluation(study, source=source, executor=executor), trials=7)
    told = outcomes(study)
    assert [(one.kind, one.text) for one in told[1:6]] == [
        (FailureKind.LATENCY, "no such phone"),
        (FailureKind.LATENCY, "its latency was rejected: "),
        (FailureKind.LATENCY, "fake answered nan ms (1.0 to 2.0), which is no latency"),
        (FailureKind.TRAINING, "the loss was nan"),
        (FailureKind.TIMEOUT, "took too long"),
    ]
    assert isinstance(told[0], Evaluated)
    assert isinstance(told[6], Evaluated)
    trials = list(study.candidates())
    assert [trial.failure for trial in trials[1:6]] == [one.kind for one in told[1:6]]
    assert trials[4].latency is not None


class AllDifferent:
    """The networks of another space in a fixed order, so that none comes twice."""

    def __init__(self, space):
        self.name, self.count, self.points = space.name, space.count, space.points
        self._space = space
        self._made = {}

    def decode(self, point):
        first = (len(self._made) // 12 % 3, len(self._made) // 4 % 3, len(self._made) % 4)
        return self._made.setdefault((len(self._made), point), self._space.decode(first))


def test_a_failure_that_may_pass_is_tried_again_and_only_so_often(lab):
    study = lab.study()
    tries: dict[str, int] = {}

    def say(request, estimate):
        tries[request.id] = tries.get(request.id, 0) + 1
        if request.id == "trial-0" and tries[request.id] < 3:
            return lab.LatencyFailure(request_id=request.id, text="unplugged", retryable=True)
        if request.id == "trial-1":
            return lab.LatencyFailure(request_id=request.id, text="unplugged", retryable=True)
        return estimate

    lab.space = AllDifferent(lab.space)
    lab.run(study, lab.evaluation(study, source=lab.Source(say=say)), trials=3)
    assert tries == {"trial-0": 3, "trial-1": 3, "trial-2": 1}
    first, second, third = outcomes(study)
    assert isinstance(first, Evaluated)
    assert second == Failed(proposal=second.proposal, kind=FailureKind.LATENCY, text="unplugged")
    assert isinstance(third, Evaluated)


def test_an_unstable_latency_counts_and_is_marked(lab):
    study = lab.study()
    source = lab.Source(say=lambda _, estimate: replace(estimate, verdict=Verdict.UNSTABLE))
    lab.run(study, lab.evaluation(study, source=source), trials=3)
    evaluated = [trial for trial in study.candidates() if isinstance(trial.outcome, Evaluated)]
    assert evaluated
    assert {trial.latency.verdict for trial in evaluated} == {"unstable"}


def test_candidates_far_beyond_the_target_are_not_trained_when_asked_so(lab):
    study = lab.study()
    executor = lab.Executor()
    lab.run(study, lab.evaluation(study, executor=executor, skip_above=1.5), trials=40)
    skipped = [one for one in outcomes(study) if isinstance(one, Skipped)]
    evaluated = [one for one in outcomes(study) if isinstance(one, Evaluated)]
    assert skipped
    assert evaluated
    assert all(one.latency_ms > 4.5 for one in skipped)
    assert all(one.bound == lab.reward.upper_bound(one.latency_ms) for one in skipped)
    assert all(one.objectives[1].value <= 4.5 for one in evaluated)
    trained = {job.id for job in executor.jobs}
    assert not trained & {f"trial-{one.proposal.index}" for one in skipped}


def test_sizes_that_are_trained_and_timed_may_differ(lab):
    study = lab.study()
    source, executor = lab.Source(), lab.Executor()
    evaluation = lab.evaluation(
        study, source=source, executor=executor, timed_size=32, train_size=8
    )
    lab.run(study, evaluation, trials=4)
    assert {request.subject.architecture.size for request in source.asked} == {32}
    assert {job.architecture.size for job in executor.jobs} == {8}


def test_gives_up_when_nothing_ever_succeeds(lab):
    study = lab.study()
    lab.space = AllDifferent(lab.space)

    executor = lab.Executor(say=lambda job, _: fail(f"{job.id} ran out of memory"))
    evaluation = lab.evaluation(study, executor=executor)
    with pytest.raises(HopelessSearchError, match=r"all 10 trials failed.*trial-9 ran out of"):
        lab.run(study, evaluation, trials=30)
    assert study.counts()[1] == HOPELESS_AFTER
    lab.space = AllDifferent(type(lab).space)
    lab.run(study, trials=14)
    assert isinstance(outcomes(study)[-1], Evaluated)


def test_a_short_search_of_failures_is_no_success(lab):
    study = lab.study()
    source = lab.Source(
        say=lambda request, _: lab.LatencyFailure(
            request_id=request.id, text="it is off", retryable=False
        )
    )
    for _ in range(2):
        with pytest.raises(HopelessSearchError, match="all 3 trials failed"):
            lab.run(study, lab.evaluation(study, source=source), trials=3)


def test_does_not_go_on_where_its_points_stand_for_other_networks(lab):
    class Wider(AllDifferent):
        def decode(self, point):
            return replace(self._space.decode(point), head_filters=24)

    study = lab.study()
    with pytest.raises(KeyboardInterrupt):
        lab.run(study, observer=lab.Notebook(interrupt_after=3))
    lab.space = Wider(lab.space)
    with pytest.raises(InputError, match="its trial 0 is another network now"):
        lab.run(study)


def test_goes_on_where_it_was_cut_off_as_if_it_had_not_been(lab):
    alone = lab.run(lab.study("alone"), trials=30)
    study = lab.study("cut")
    for told in (1, 4, 3, 1, 7):
        source, executor = lab.Source(delay_s=0.004), lab.Executor(delay_s=0.004)
        evaluation = lab.evaluation(study, source=source, executor=executor)
        with pytest.raises(KeyboardInterrupt):
            lab.run(study, evaluation, trials=30, observer=lab.Notebook(interrupt_after=told))
        assert executor.closed
        assert source.closed
    assert study.counts()[1] == 16
    lab.run(study, trials=30)
    assert facts(study) == facts(alone)


def test_ctrl_c_keeps_what_was_found_and_ends_what_runs(lab):
    study = lab.study()
    closed = threading.Event()

    def wait(*_):
        return fail("killed") if closed.wait(10) else fail("never killed")

    lab.space = AllDifferent(lab.space)
    source, executor = lab.Source(), lab.Executor(say=wait)
    executor.on_close = closed.set
    evaluation = lab.evaluation(study, source=source, executor=executor)
    presser = threading.Thread(target=press_ctrl_c_when, args=(lambda: len(source.asked) == 3,))
    presser.start()
    with pytest.raises(KeyboardInterrupt):
        lab.run(study, evaluation, trials=3, window=3)
    presser.join()
    assert source.closed
    assert study.counts() == (3, 0)
    fresh = lab.Source()
    lab.space = AllDifferent(type(lab).space)
    lab.run(study, lab.evaluation(study, source=fresh), trials=3)
    assert fresh.asked == []
    assert [type(one) for one in outcomes(study)] == [Evaluated] * 3


def press_ctrl_c_when(condition):
    for _ in range(1000):
        if condition():
            break
        time.sleep(0.01)
    time.sleep(0.1)  # the last latency is on its way into the study
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, signal.SIGINT)


def test_more_trials_may_be_asked_of_a_search_that_has_ended(lab):
    study = lab.run(lab.study(), trials=5)
    lab.run(study, trials=5)
    assert study.counts() == (5, 5)
    lab.run(study, trials=9)
    assert study.counts() == (9, 9)


def test_an_asynchronous_search_tells_whatever_is_done_first(lab):
    study = lab.study()
    first_may_end = threading.Event()

    def say(request, estimate):
        if request.id == "trial-0":
            first_may_end.wait(10)
        if request.id == "trial-5":
            first_may_end.set()
        return estimate

    lab.space = AllDifferent(lab.space)
    evaluation = lab.evaluation(study, source=lab.Source(lanes=2, say=say))
    algorithm = lab.algorithm()
    lab.run(study, evaluation, trials=8, mode=Mode.ASYNCHRONOUS, algorithm=algorithm)
    order = [candidate.index for candidate in study.told()]
    assert sorted(order) == list(range(8))
    assert order.index(0) >= 2  # trial 5, which lets it end, is asked after two were told
    assert [call[1] for call in algorithm.calls if call[0] == "tell"] == order


def test_an_asynchronous_search_is_resumed_by_making_the_same_calls(lab):
    study = lab.study()
    first, second = lab.algorithm(), lab.algorithm()
    slow = lab.evaluation(
        study, source=lab.Source(lanes=2, delay_s=0.01), executor=lab.Executor(delay_s=0.02)
    )
    settings = {"trials": 24, "mode": Mode.ASYNCHRONOUS}
    with pytest.raises(KeyboardInterrupt):
        lab.run(
            study,
            slow,
            algorithm=first,
            observer=lab.Notebook(interrupt_after=11),
            **settings,
        )
    lab.run(study, algorithm=second, **settings)
    assert second.calls[: len(first.calls)] == first.calls
    assert study.counts() == (24, 24)


class Listening:
    """An algorithm that notes the feedback of each outcome it is told."""

    def __init__(self, algorithm):
        self.ask, self._algorithm = algorithm.ask, algorithm
        self.heard = {}

    def tell(self, outcomes):
        for outcome in outcomes:
            if isinstance(outcome, Evaluated | Stopped):
                self.heard[outcome.proposal.index] = dict(outcome.feedback)
        self._algorithm.tell(outcomes)


def gated(job, result):
    """What was trained, with gates by the network."""
    share = job.architecture.stages[0].filters / 1000 + 1 / 3
    return replace(result, feedback={"6": (share, 1 - share), "9": (1e-9,)})


def test_learned_gates_reach_the_algorithm_and_after_a_break_one_that_goes_on(lab):
    study = lab.study()
    first, second = Listening(lab.algorithm()), Listening(lab.algorithm())
    with pytest.raises(KeyboardInterrupt):
        lab.run(
            study,
            lab.evaluation(study, executor=lab.Executor(say=gated)),
            algorithm=first,
            observer=lab.Notebook(interrupt_after=9),
        )
    lab.run(study, lab.evaluation(study, executor=lab.Executor(say=gated)), algorithm=second)
    assert 0 < len(first.heard) < len(second.heard)
    assert all(second.heard[index] == heard for index, heard in first.heard.items())
    for candidate in study.told():
        if not isinstance(candidate.outcome, Evaluated):
            continue
        filters = candidate.architecture.stages[0].filters
        share = filters / 1000 + 1 / 3
        heard = second.heard[candidate.index]
        assert heard == {"6": (share, 1 - share), "9": (1e-9,)}
        assert heard == candidate.training.feedback


def test_timing_and_training_take_turns_on_this_computer(lab):
    watch = lab.Watch()
    study = lab.study()
    evaluation = lab.evaluation(
        study,
        source=lab.Source(on_this_computer=True, delay_s=0.004, watch=watch),
        executor=lab.Executor(on_this_computer=True, delay_s=0.004, watch=watch),
    )
    lab.run(study, evaluation)
    assert not any({"timing", "training"} <= kinds for kinds in watch.together)


@pytest.mark.parametrize(("lanes", "whole"), [(1, False), (2, True)])
def test_on_one_computer_a_window_is_timed_before_its_trainings_so_that_lanes_fill(
    lab, lanes, whole
):
    order = []

    def noted(kind):
        def say(_, told):
            order.append(kind)
            return told

        return say

    study = lab.study()
    evaluation = lab.evaluation(
        study,
        source=lab.Source(on_this_computer=True, say=noted("timing")),
        executor=lab.Executor(lanes=lanes, on_this_computer=True, say=noted("training")),
    )
    lab.run(study, evaluation, trials=4, window=4)
    timings = order.count("timing")
    assert timings == order.count("training") > 2
    assert (order.index("training") == timings) is whole


def test_timing_overlaps_with_training_on_separate_devices(lab):
    watch = lab.Watch()
    study = lab.study()
    evaluation = lab.evaluation(
        study,
        source=lab.Source(delay_s=0.01, watch=watch),
        executor=lab.Executor(on_this_computer=True, delay_s=0.02, watch=watch),
    )
    lab.run(study, evaluation)
    assert any({"timing", "training"} <= kinds for kinds in watch.together)


def test_says_how_it_goes(lab):
    notebook = lab.Notebook()
    study = lab.run(lab.study(), observer=notebook)
    assert [seen.told for seen in notebook.seen] == list(range(1, 21))
    assert [seen.outcome for seen in notebook.seen] == outcomes(study)
    last = notebook.seen[-1]
    assert last.left_s == 0
    assert all(seen.left_s > 0 for seen in notebook.seen[:-1])
    rewards = [one.reward for one in outcomes(study) if isinstance(one, Evaluated)]
    assert last.best.reward == max(rewards)
    latencies = [point.losses[1] for point in last.front]
    assert latencies == sorted(latencies)


def test_says_so_too_of_earlier_sessions(lab):
    study, notebook, whole = lab.study(), lab.Notebook(), lab.Notebook()
    with pytest.raises(KeyboardInterrupt):
        lab.run(study, trials=12, observer=lab.Notebook(interrupt_after=10))
    lab.run(study, trials=12, observer=notebook)
    lab.run(lab.study("whole"), trials=12, observer=whole)
    for seen, expected in zip(notebook.seen, whole.seen[10:], strict=True):
        assert (seen.told, seen.best, seen.front) == (expected.told, expected.best, expected.front)


def test_a_database_that_refuses_stops_the_search_and_is_no_failed_trial(lab):
    study = lab.study()
    path = lab.folder / "study" / "study.db"
    connection = sqlite3.connect(path)
    connection.execute(
        'CREATE TRIGGER full BEFORE INSERT ON training WHEN NEW."index" = 2 '
        "BEGIN SELECT RAISE(FAIL, 'disk full'); END"
    )
    connection.close()
    lab.space = AllDifferent(lab.space)
    with pytest.raises(StudyError, match="disk full"):
        lab.run(study)
    assert study.counts()[1] == 2
    assert all(isinstance(one, Evaluated) for one in outcomes(study))


@pytest.mark.parametrize("settings", [{"trials": 0}, {"trials": 1, "window": 0}])
def test_a_search_of_nothing_is_refused(settings):
    with pytest.raises(InputError, match="at least 1"):
        SearchSettings(**settings)


WHOLE = Schedule(samples=900)


def stopping(lab):
    settings = StoppingSettings()
    return EarlyStopping(settings, settings.samples(900, batch=4), lab.reward)


def stop_early(lab, study, *, evaluation=None, **settings):
    evaluation = evaluation or lab.evaluation(study, schedule=WHOLE)
    return lab.run(study, evaluation, stopping=stopping(lab), trials=40, **settings)


def test_trainings_that_fall_behind_are_stopped_and_told_with_what_was_expected(lab):
    study = stop_early(lab, lab.study())
    cut = [c for c in study.candidates() if isinstance(c.outcome, Stopped)]
    own = [c for c in cut if c.same_as is None]
    assert own
    assert all(c.training.samples in (100, 300) for c in own)
    assert all(c.outcome.objectives[0].value == c.expected.accuracy for c in own)
    # the fake's looks are half of what comes in the end, so lines are exact
    whole = [c for c in lab.run(lab.study("all"), trials=40).told() if c.training]
    finished = {c.key: c.training.accuracy for c in whole}
    errors = [abs(c.expected.accuracy - finished[c.key]) for c in own if c.key in finished]
    assert max(errors) < 0.05


def test_gates_of_trainings_that_were_stopped_reach_the_algorithm_as_they_were_then(lab):
    study, algorithm = lab.study(), Listening(lab.algorithm())
    evaluation = lab.evaluation(study, executor=lab.Executor(say=gated), schedule=WHOLE)
    stop_early(lab, study, evaluation=evaluation, algorithm=algorithm)
    cut = [c for c in study.candidates() if isinstance(c.outcome, Stopped)]
    assert cut
    for candidate in cut:
        share = candidate.architecture.stages[0].filters / 1000 + 1 / 3
        assert candidate.outcome.feedback == {"6": (share, 1 - share), "9": (1e-9,)}
        assert algorithm.heard[candidate.index] == candidate.outcome.feedback


def test_what_was_stopped_is_not_on_the_front(lab):
    study = stop_early(lab, lab.study())
    members = front(study, lab.reward)
    assert members
    assert all(isinstance(member.candidate.outcome, Evaluated) for member in members)


def test_a_search_that_stops_early_is_the_same_whatever_finishes_first(lab):
    alone = stop_early(lab, lab.study("alone"))
    study = lab.study("hasty")
    slow = lab.evaluation(
        study,
        source=lab.Source(lanes=3, delay_s=0.01),
        executor=lab.Executor(lanes=4, delay_s=0.02),
        schedule=WHOLE,
    )
    assert facts(stop_early(lab, study, evaluation=slow)) == facts(alone)


def test_a_search_that_stops_early_goes_on_as_if_it_had_not_been_cut_off(lab):
    alone = stop_early(lab, lab.study("alone"))
    study = lab.study("cut")
    for told in (1, 6, 9):
        with pytest.raises(KeyboardInterrupt):
            stop_early(lab, study, observer=lab.Notebook(interrupt_after=told))
    stop_early(lab, study)
    assert facts(study) == facts(alone)


def test_what_is_evaluated_again_is_trained_to_its_end(lab):
    class Again:
        def __init__(self, algorithm):
            self._algorithm = algorithm

        def ask(self, count):
            return tuple(
                replace(one, note={AGAIN: 1}) if one.index > 20 else one
                for one in self._algorithm.ask(count)
            )

        def tell(self, outcomes):
            self._algorithm.tell(outcomes)

    study = stop_early(lab, lab.study(), algorithm=Again(lab.algorithm()))
    again = [one for one in study.candidates() if one.proposal.again and one.training]
    assert again
    assert all((one.training.samples, one.training.looks) == (900, ()) for one in again)


NAMED = parse(["accuracy", "params", "latency_ms"])


def weighing(lab, study):
    """A search over a front of three objectives."""
    settings = {"population": "4", "objectives": "3"}
    algorithm = create(settings_named("nsga2", settings), lab.space.points, 0)
    return {"algorithm": algorithm, "trials": 30}, lab.evaluation(study, objectives=NAMED)


def test_outcomes_tell_the_objectives_of_the_search_in_its_order(lab):
    study, notebook = lab.study(), lab.Notebook()
    settings, evaluation = weighing(lab, study)
    lab.run(study, evaluation, observer=notebook, **settings)
    found = [one for one in outcomes(study) if isinstance(one, Evaluated)]
    for one in found:
        assert tuple(each.name for each in one.objectives) == NAMED
        network = lab.space.decode(one.proposal.point)
        assert one.objectives[1].value == params(network, Classifier(classes=10))
    last = notebook.seen[-1]
    points = [FrontPoint(index=one.proposal.index, losses=losses(one.objectives)) for one in found]
    assert last.front == front_of(points)
    assert len(last.front) > 2
    most = max(one.objectives[1].value for one in found)
    assert last.box.worst == (0.0, most, 2 * lab.reward.target_ms)
    assert 0 < last.hypervolume < 1


def test_a_search_of_three_objectives_that_is_cut_off_goes_on_as_if_it_had_not_been(lab):
    whole, cut = lab.study("whole"), lab.study("cut")
    settings, evaluation = weighing(lab, whole)
    lab.run(whole, evaluation, **settings)
    settings, evaluation = weighing(lab, cut)
    with pytest.raises(KeyboardInterrupt):
        lab.run(cut, evaluation, observer=lab.Notebook(interrupt_after=17), **settings)
    settings, evaluation = weighing(lab, cut)
    lab.run(cut, evaluation, **settings)
    assert facts(cut) == facts(whole)
    settings, _ = weighing(lab, cut)
    assert replay(cut, settings["algorithm"]).outcomes == 30


def test_what_sessions_do_not_tell_fails_the_trial_before_it_is_trained(lab):
    study, executor = lab.study(), lab.Executor()
    evaluation = lab.evaluation(
        study, executor=executor, objectives=parse(["accuracy", "energy_mj"])
    )
    with pytest.raises(HopelessSearchError):
        lab.run(study, evaluation)
    texts = {one.text for one in outcomes(study) if "has no network" not in one.text}
    assert texts == {"the sessions of fake told no energy_mj, which is an objective"}
    assert executor.jobs == []
