from types import SimpleNamespace

import pytest

from benchmarks.comparison.networks import Own
from benchmarks.comparison.step_time import StepClock, stepped
from benchmarks.comparison.trainings import Job, fitted
from search_space.mnasnet import MnasNetSpace
from training.classification import SMALL_IMAGES
from training.schedule import Schedule
from training.stages import TrainingStage

pytest.importorskip("torch")

SPACE = MnasNetSpace.from_options({**SMALL_IMAGES, "size": "16", "width": "0.25"})
STAGES = (TrainingStage(until=0.5, size=8), TrainingStage(until=1.0, size=16))


def job(**more):
    network = Own(name="ours", architecture=SPACE.decode((0,) * len(SPACE.points.choices)))
    schedule = Schedule(samples=64, batch=16, learning_rate=0.01, stages=STAGES, **more)
    return Job(network=network, seed=0, schedule=schedule, size=16, task="digits")


def test_a_training_is_the_same_and_its_steps_take_less_than_all_of_it():
    alone, timed = fitted(job()), stepped(job())
    assert (timed.validation, timed.test) == (alone.validation, alone.test)
    assert 0 < timed.seconds < alone.seconds


def test_a_training_that_diverges_is_told_as_such():
    found = stepped(job(weight_decay=1e30))
    assert "diverged" in found.failure


def test_the_first_step_counts_as_long_as_the_others(monkeypatch):
    clock, now = StepClock(), iter([100.0, 101.0, 103.0])
    monkeypatch.setattr("benchmarks.comparison.step_time.time.process_time", lambda: next(now))
    assert clock.seconds == 0
    for number in (1, 2, 3):
        clock.on_step(SimpleNamespace(number=number))  # type: ignore[arg-type]  # all it looks at
    assert clock.seconds == 4.5
