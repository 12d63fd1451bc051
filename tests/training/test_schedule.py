import json
from dataclasses import replace

import pytest

from training.schedule import Arithmetic, Decay, OptimizerName, Schedule, StageBatch
from training.schedule_document import schedule_from_json, schedule_to_json
from training.stages import Regularization, TrainingStage
from workspace.errors import InputError

STAGES = (
    TrainingStage(until=0.5, size=14, regularization=Regularization(dropout=0.1, mixup=0.2)),
    TrainingStage(until=0.75, size=20, batch=7),
    TrainingStage(until=1, size=28, regularization=Regularization(randaugment=5, cutmix=1)),
)
FULL = Schedule(
    samples=100,
    batch=16,
    arithmetic=Arithmetic.BF16,
    optimizer=OptimizerName.RMSPROP_TF,
    ema=0.99,
    decay=Decay.STAIRCASE,
    decay_epochs=1.5,
    warmup=0.0,
    clip=2.0,
    compiled=True,
    stages=STAGES,
    stage_batch=StageBatch.MEMORY,
)


def test_kept_trainings_know_a_schedule_of_today_by_the_text_it_always_had():
    assert repr(Schedule(samples=6400, batch=32, learning_rate=0.02)) == (
        "Schedule(samples=6400, batch=32, learning_rate=0.02, weight_decay=0.0001, "
        "label_smoothing=0.0, arithmetic=<Arithmetic.FP32: 'fp32'>)"
    )
    assert repr(Schedule(samples=1, ema=0.5)).endswith("'fp32'>, ema=0.5)")


def test_a_document_has_new_fields_only_where_they_say_something():
    assert schedule_to_json(Schedule(samples=640)) == {
        "samples": 640,
        "batch": 64,
        "learning_rate": 0.01,
        "weight_decay": 0.0001,
        "label_smoothing": 0.0,
        "arithmetic": "fp32",
    }


@pytest.mark.parametrize("schedule", [Schedule(samples=640), FULL])
def test_schedules_survive_json(schedule):
    import json

    assert schedule_from_json(json.loads(json.dumps(schedule_to_json(schedule)))) == schedule


def test_without_stages_there_is_one_at_the_size_that_is_asked_for():
    (part,) = Schedule(samples=10, batch=3).parts(28)
    assert part == TrainingStage(until=1, size=28, batch=3)


def test_the_batch_of_a_stage_is_its_own_or_as_large_as_memory_lets_it_be():
    assert [part.batch for part in FULL.parts(28)] == [64, 7, 16]
    constant = replace(FULL, stage_batch=StageBatch.CONSTANT)
    assert [part.batch for part in constant.parts(28)] == [16, 7, 16]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"samples": 0}, "at least 1 sample"),
        ({"learning_rate": 0.0}, "learning rate of a training must be positive"),
        ({"decay_epochs": 0.0}, "decay epochs of a training must be positive"),
        ({"weight_decay": -1.0}, "weight decay of a training must be finite and at least 0"),
        ({"clip": float("inf")}, "clip of a training must be finite"),
        ({"ema": 1.0}, r"ema of a training must be in \[0, 1\), got 1.0"),
        ({"warmup": 1.0}, r"warmup of a training must be in \[0, 1\)"),
        ({"label_smoothing": -0.1}, "label smoothing of a training"),
        ({"stages": STAGES[:2]}, "the last stage must end at 1"),
    ],
)
def test_what_no_training_can_have_is_refused_with_what_came(wrong, words):
    with pytest.raises(InputError, match=words):
        replace(Schedule(samples=10), **wrong)


def test_drops_and_jitter_are_in_order():
    for drops in ((0.9, 0.5), (0.0, 0.5), (0.5, 1.0)):
        with pytest.raises(InputError, match="each larger than the one before, got"):
            Schedule(samples=1, decay=Decay.DROPS, drops=drops)
    with pytest.raises(InputError, match="drops of a training must be at least one"):
        Schedule(samples=1, decay=Decay.DROPS)
    for jitter in ((0.5,), (2.0, 0.5), (0.0, 1.0)):
        with pytest.raises(InputError, match="two positive factors, the smaller first, got"):
            Schedule(samples=1, jitter=jitter)


def test_anchors_are_in_documents_where_they_are_not_the_data_sets_own():
    assert "anchor" not in schedule_to_json(Schedule(samples=1))
    schedule = Schedule(samples=1, anchor=4.0)
    assert schedule_from_json(schedule_to_json(schedule)) == schedule
    assert "anchor=4.0" in repr(schedule)
    with pytest.raises(InputError, match="anchor of a training must be finite and at least 0"):
        Schedule(samples=1, anchor=-1.0)


def test_drops_and_jitter_are_in_documents_where_there_are_any():
    plain = Schedule(samples=1)
    assert {"drops", "jitter"}.isdisjoint(schedule_to_json(plain))
    schedule = Schedule(samples=1, decay=Decay.DROPS, drops=(0.5, 0.75), jitter=(0.5, 2.0))
    document = json.loads(json.dumps(schedule_to_json(schedule)))
    assert schedule_from_json(document) == schedule
