"""A laboratory of small real parts, and of fakes where a test decides what a device says."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from controller.evaluation import Evaluation, EvaluationSettings
from controller.evolution import RegularizedEvolution
from controller.reward import Reward, RewardMode
from controller.search import Search, SearchSettings
from controller.settings import EvolutionSettings
from controller.study import Study
from latency.measurement import Verdict
from latency.source import LatencyEstimate, LatencyFailure, Origin
from search_space.architecture import Classifier
from search_space.chain import ChainArchitecture, Op, Stage, Stem
from search_space.decisions import Choice, DecisionSpace
from search_space.layers import macs
from training.executor import Look, TrainingError, TrainingResult
from training.schedule import Schedule
from workspace.errors import InputError

HEAD = Classifier(classes=10)


class SmallSpace:
    """36 real networks of 16 pixels, from 45 points: the fifth repeat has none."""

    name = "small"
    points = DecisionSpace(
        choices=(
            Choice(name="kernel", options=("3", "5", "7")),
            Choice(name="filters", options=("8", "12", "16")),
            Choice(name="repeats", options=("1", "2", "3", "4", "too many")),
        )
    )
    count = 45

    def decode(self, point):
        kernel, filters, repeats = self.points.checked(point)
        if repeats == 4:
            msg = f"point {point} has no network"
            raise InputError(msg)
        stage = Stage(
            op=Op.MBCONV,
            kernel=(3, 5, 7)[kernel],
            stride=2,
            expansion=3,
            filters=(8, 12, 16)[filters],
            repeats=repeats + 1,
        )
        return ChainArchitecture(size=16, stem=Stem(filters=8), stages=(stage,), head_filters=16)

    def encode(self, architecture):
        stage = architecture.stages[0]
        return (stage.kernel // 2 - 1, stage.filters // 4 - 2, stage.repeats - 1)


class FakeSource:
    """Answers MACs as if they were microseconds; no device, no table."""

    name = "fake"

    def __init__(self, *, lanes=1, on_this_computer=False, say=None, delay_s=0.0, watch=None):
        self.lanes = lanes
        self.on_this_computer = on_this_computer
        self.say = say or (lambda _, estimate: estimate)
        self.asked = []
        self.closed = False
        self._delay_s = delay_s
        self._watch = watch

    def estimate(self, requests):
        return (self._answer(request) for request in requests)

    def close(self):
        self.closed = True

    def _answer(self, request):
        self.asked.append(request)
        if self._watch is not None:
            self._watch.begin("timing")
        time.sleep(random.random() * self._delay_s)
        if self._watch is not None:
            self._watch.end("timing")
        time_ms = macs(request.subject.architecture, HEAD) / 1e4
        return self.say(
            request,
            LatencyEstimate(
                request_id=request.id,
                latency_ms=time_ms,
                low_ms=0.9 * time_ms,
                high_ms=1.1 * time_ms,
                origin=Origin.TABLE,
                source=self.name,
                coverage=1.0,
                verdict=Verdict.STABLE,
            ),
        )


class FakeExecutor:
    """Answers accuracies that grow with the number of layers; trains nothing."""

    deterministic = True
    stops_early = True

    def __init__(self, *, lanes=2, on_this_computer=False, say=None, delay_s=0.0, watch=None):
        self.lanes = lanes
        self.on_this_computer = on_this_computer
        self.say = say or (lambda _, result: result)
        self.jobs = []
        self.closed = False
        self.on_close = lambda: None
        self._pool = ThreadPoolExecutor(lanes)
        self._delay_s = delay_s
        self._watch = watch

    def submit(self, job):
        self.jobs.append(job)
        return self._pool.submit(self._train, job)

    def close(self):
        self.closed = True
        self.on_close()
        self._pool.shutdown()

    def _train(self, job):
        if self._watch is not None:
            self._watch.begin("training")
        time.sleep(random.random() * self._delay_s)
        if self._watch is not None:
            self._watch.end("training")
        stage = job.architecture.stages[0]
        accuracy = 1 - 1 / (1 + stage.repeats + stage.kernel / 10)
        looks, stopped = [], False
        for rung in job.rungs:
            looks.append(Look(samples=rung.samples, accuracy=accuracy / 2))
            stopped = accuracy / 2 < rung.least
            if stopped:
                break
        result = TrainingResult(
            accuracy=looks[-1].accuracy if stopped else accuracy,
            samples=looks[-1].samples if stopped else job.schedule.samples,
            seconds=0.0,
            stand_in="a fake: nothing was trained",
            looks=tuple(looks),
            stopped=stopped,
        )
        return self.say(job, result)


class Watch:
    """Sees which kinds of work go on at once."""

    def __init__(self):
        self._lock = threading.Lock()
        self._now = []
        self.together = set()

    def begin(self, kind):
        with self._lock:
            self._now.append(kind)
            self.together.add(frozenset(self._now))

    def end(self, kind):
        with self._lock:
            self._now.remove(kind)


class Recorder:
    """An algorithm that notes which calls are made of it."""

    def __init__(self, algorithm):
        self._algorithm = algorithm
        self.calls = []

    def ask(self, count):
        self.calls.append(("ask", count))
        return self._algorithm.ask(count)

    def tell(self, outcomes):
        self.calls += [("tell", outcome.proposal.index) for outcome in outcomes]
        self._algorithm.tell(outcomes)


class Notebook:
    """An observer that keeps all it is told, and stops the search where asked to."""

    def __init__(self, *, interrupt_after=None):
        self.seen = []
        self._left = interrupt_after

    def on_progress(self, progress):
        self.seen.append(progress)
        if self._left is not None:
            self._left -= 1
            if self._left == 0:
                raise KeyboardInterrupt


class Lab:
    """Makes searches of one folder."""

    space = SmallSpace()
    reward = Reward(mode=RewardMode.SOFT, target_ms=3.0)
    settings = EvaluationSettings(task="fake", head=HEAD, schedule=Schedule(samples=1))
    Source, Executor, Watch = FakeSource, FakeExecutor, Watch
    Recorder, Notebook = Recorder, Notebook
    LatencyFailure, TrainingError = LatencyFailure, TrainingError

    def __init__(self, folder):
        self.folder = folder
        self._opened = []

    def study(self, name="study"):
        path = self.folder / name
        path.mkdir(exist_ok=True)
        study = Study.in_folder(path, config="[a search]", exist_ok=True)
        self._opened.append(study)
        return study

    def algorithm(self, seed=0):
        settings = EvolutionSettings(population=6, tournament=3)
        return Recorder(RegularizedEvolution(self.space.points, settings, seed=seed))

    def evaluation(self, study, *, source=None, executor=None, reward=None, **settings):
        made = Evaluation(
            replace(self.settings, **settings),
            source or FakeSource(),
            executor or FakeExecutor(),
            reward or self.reward,
            study,
        )
        self._opened.append(made)
        return made

    def search(
        self, study, evaluation, *, algorithm=None, observer=None, stopping=None, **settings
    ):
        return Search(
            SearchSettings(**{"trials": 20, **settings}),
            self.space,
            algorithm or self.algorithm(),
            evaluation,
            study,
            observer or Notebook(),
            stopping,
        )

    def run(self, study, evaluation=None, **settings):
        self.search(study, evaluation or self.evaluation(study), **settings).run()
        return study

    def close(self):
        for each in self._opened:
            each.close()


@pytest.fixture
def lab(tmp_path):
    made = Lab(tmp_path)
    yield made
    made.close()


class NestedSpace:
    """An order of four blocks, and one to three stages of kernel and operator; a PointSpace."""

    def sample(self, rng):
        stages = tuple(self._stage(rng) for _ in range(rng.randrange(1, 4)))
        return (tuple(rng.sample(range(4), 4)), stages)

    def mutate(self, point, rng):
        order, stages = point
        kind = rng.randrange(3)
        if kind == 0:
            first, second = rng.sample(range(4), 2)
            changed = list(order)
            changed[first], changed[second] = changed[second], changed[first]
            return (tuple(changed), stages)
        if kind == 1:
            more = len(stages) < 3 and (len(stages) == 1 or rng.random() < 0.5)
            return (order, (*stages, self._stage(rng)) if more else stages[:-1])
        place = rng.randrange(len(stages))
        (kernel, op) = stages[place]
        stage = ((kernel + 2) % 6, op)
        return (order, (*stages[:place], stage, *stages[place + 1 :]))

    def crossover(self, first, second, rng):
        return (first[0], rng.choice((first, second))[1])

    def validate(self, point):
        order, stages = point
        assert sorted(order) == [0, 1, 2, 3]
        assert 1 <= len(stages) <= 3
        assert all(kernel in (1, 3, 5) and op in ("conv", "mbconv") for kernel, op in stages)

    def _stage(self, rng):
        return (rng.choice((1, 3, 5)), rng.choice(("conv", "mbconv")))


@pytest.fixture
def nested():
    return NestedSpace()
