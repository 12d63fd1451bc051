import json

import pytest

from training.evaluation import Evaluation
from training.progress import Step
from training.stages import Regularization, TrainingStage
from training.training_log import TrainingLog, read_log

PART = TrainingStage(until=1, size=16, batch=4, regularization=Regularization(mixup=0.2))
FOUND = Evaluation(split="validation", examples=9, accuracy=0.5, loss=1.0)


def step(number, steps=4, loss=1.0):
    return Step(
        number=number,
        steps=steps,
        seen=4 * number,
        images=4,
        samples=4 * steps,
        stage=0,
        part=PART,
        learning_rate=0.1,
        loss=loss,
        seconds=float(number),
        done=number / steps,
    )


def test_it_tells_of_stages_steps_and_evaluations(tmp_path):
    log = TrainingLog(tmp_path / "log.jsonl")
    log.on_stage(0, PART, 0)
    log.on_step(step(1, loss=2.5))
    log.on_evaluation(FOUND, 4)
    assert read_log(tmp_path / "log.jsonl") == [
        {
            "kind": "stage",
            "seen": 0,
            "stage": 0,
            "until": 1,
            "size": 16,
            "batch": 4,
            "randaugment": 0.0,
            "mixup": 0.2,
            "cutmix": 0.0,
        },
        {
            "kind": "step",
            "seen": 4,
            "step": 1,
            "stage": 0,
            "size": 16,
            "batch": 4,
            "learning_rate": 0.1,
            "loss": 2.5,
            "seconds": 1.0,
        },
        {
            "kind": "evaluation",
            "seen": 4,
            "stage": 0,
            "seconds": 1.0,
            "split": "validation",
            "examples": 9,
            "accuracy": 0.5,
            "loss": 1.0,
        },
    ]


def test_a_long_training_has_a_line_for_some_steps_with_the_mean_of_their_losses(tmp_path):
    log = TrainingLog(tmp_path / "log.jsonl")
    log.on_stage(0, PART, 0)
    for number in range(1, 3001):
        log.on_step(step(number, steps=3000, loss=float(number)))
    lines = [line for line in read_log(tmp_path / "log.jsonl") if line["kind"] == "step"]
    assert len(lines) == 1000
    assert [line["loss"] for line in lines[:2]] == [2.0, 5.0]
    assert lines[-1]["step"] == 3000


def test_where_losses_are_read_now_and_then_lines_wait_for_them(tmp_path):
    log = TrainingLog(tmp_path / "log.jsonl")
    log.on_stage(0, PART, 0)
    for number, loss in ((1, None), (2, 3.0), (3, None)):
        log.on_step(step(number, loss=loss))
    assert [line["step"] for line in read_log(tmp_path / "log.jsonl")[1:]] == [2]


def told(lines):
    return [(line["kind"], line["seen"]) for line in lines]


def test_what_a_checkpoint_does_not_have_is_told_once(tmp_path):
    path = tmp_path / "log.jsonl"
    first = TrainingLog(path)
    first.on_stage(0, PART, 0)
    for number in (1, 2, 3):
        first.on_step(step(number))
    with path.open("a") as file:
        file.write('{"kind": "st')  # the process was killed here
    second = TrainingLog(path)
    second.on_stage(0, PART, 8)
    second.on_step(step(3))
    assert told(read_log(path)) == [
        ("stage", 0),
        ("step", 4),
        ("step", 8),
        ("step", 12),
    ]
    third = TrainingLog(path)
    third.on_stage(1, PART, 8)
    assert told(read_log(path))[-2:] == [("step", 8), ("stage", 8)]
    fourth = TrainingLog(path)
    fourth.on_stage(1, PART, 8)
    assert told(read_log(path))[-2:] == [("step", 8), ("stage", 8)]


def test_evaluations_after_the_last_step_are_told_once_too(tmp_path):
    path = tmp_path / "log.jsonl"
    first = TrainingLog(path)
    first.on_stage(0, PART, 0)
    first.on_step(step(4))
    first.on_evaluation(FOUND, 16)
    second = TrainingLog(path)
    second.on_evaluation(FOUND, 16)
    assert told(read_log(path)) == [("stage", 0), ("step", 16), ("evaluation", 16)]
    assert json.loads(path.read_text().splitlines()[-1])["accuracy"] == 0.5


def test_tensorboard_can_read_it(tmp_path):
    pytest.importorskip("tensorboard")
    pytest.importorskip("torch")
    log = TrainingLog(tmp_path / "log.jsonl", tmp_path / "board")
    log.on_stage(0, PART, 0)
    for number in (1, 2, 3, 4):
        log.on_step(step(number, loss=float(number)))
    log.on_evaluation(FOUND, 16)
    log.close()
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(tmp_path / "board")).Reload()
    losses = found.Scalars("train/loss")
    assert [(each.step, each.value) for each in losses] == [(4, 1), (8, 2), (12, 3), (16, 4)]
    assert [each.value for each in found.Scalars("validation/accuracy")] == [0.5]
