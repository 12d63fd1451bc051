import itertools
import random

import pytest

from pocketnas.training_plan import TrainingPlan
from pocketnas.training_progress import show_training, stage_in_words
from search_space.space import create
from training.evaluation import Evaluation
from training.progress import Step
from training.schedule import Schedule
from training.stages import Regularization, TrainingStage

PART = TrainingStage(
    until=0.5, size=16, batch=4, regularization=Regularization(dropout=0.1, randaugment=5)
)
FOUND = Evaluation(split="validation", examples=9, accuracy=0.512, loss=1.0)


def step(number, done, loss=1.5):
    return Step(
        number=number,
        steps=4,
        seen=1000 * number,
        images=1000,
        samples=4000,
        stage=0,
        part=PART,
        learning_rate=0.1,
        loss=loss,
        seconds=float(number),
        done=done,
    )


@pytest.fixture(autouse=True)
def ten_seconds_between_two_looks_at_the_clock(monkeypatch):
    ticks = itertools.count(100, 10)
    monkeypatch.setattr("time.monotonic", lambda: float(next(ticks)))


def test_a_stage_is_said_with_what_it_does():
    assert stage_in_words(0, PART, 0) == (
        "stage 1 from image 0 on: 16 pixels, batch 4, dropout 0.1, RandAugment 5"
    )


def test_lines_say_how_far_it_is_and_how_long_it_takes_by_its_pixels(capsys):
    with show_training(quiet=False) as shown:
        shown.on_stage(0, PART, 0)
        shown.on_step(step(1, 0.1))
        shown.on_step(step(2, 0.2, loss=None))
        shown.on_evaluation(FOUND, 2000)
        shown.on_text("evaluating on the test split")
    assert capsys.readouterr().err.splitlines() == [
        "stage 1 from image 0 on: 16 pixels, batch 4, dropout 0.1, RandAugment 5",
        "1,000/4,000 images, loss 1.5000, rate 0.1, 0:00 left",
        "2,000/4,000 images, loss 1.5000, rate 0.1, 2:40 left",
        "validation 51.20% after 2,000 images",
        "evaluating on the test split",
    ]


def test_a_training_on_clips_speaks_of_clips_and_its_own_figure(capsys, tmp_path):
    labels = tmp_path / "list.csv"
    labels.write_text("path,split,labels\na.mp4,train,0 2\n")
    clips = create("assemblenet", {"size": "32", "frames": "4", "dilations": "1,2"})
    plan = TrainingPlan(
        name="streams",
        architecture=clips.decode(clips.points.sample(random.Random(0))),
        dataset=f"video-list:{labels}",
        schedule=Schedule(samples=72, batch=12, learning_rate=0.01),
    )
    with show_training(quiet=False) as shown:
        shown.on_plan(plan)
        shown.on_stage(0, PART, 0)
        shown.on_step(step(1, 0.1))
        shown.on_evaluation(FOUND, 2000)
    assert capsys.readouterr().err.splitlines() == [
        "stage 1 from clip 0 on: 16 pixels, batch 4, dropout 0.1, RandAugment 5",
        "1,000/4,000 clips, loss 1.5000, rate 0.1, 0:00 left",
        "validation mAP 51.20% after 2,000 clips",
    ]


def test_quiet_says_nothing(capsys):
    with show_training(quiet=True) as shown:
        shown.on_stage(0, PART, 0)
        shown.on_step(step(1, 0.5))
        shown.on_evaluation(FOUND, 1000)
        shown.on_text("done")
    assert capsys.readouterr() == ("", "")
