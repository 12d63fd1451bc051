from dataclasses import replace

import numpy as np
import pytest
import torch

from training import classification
from training.classification import LabelledImages
from training.stages import TrainingStage
from training.task import Split, create
from training.trainer import Trainer


def images(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def examples(pixels, size):
    labels = np.arange(len(pixels)) % 10
    return LabelledImages(pixels, labels, size, shift=0.1, flip=True)


@pytest.mark.parametrize("pixels", [images(40, 8, 8), images(40, 20, 20, 3)])
@pytest.mark.parametrize("size", [7, 8, 20, 33])
@pytest.mark.parametrize("count", [1, 3, 32])
def test_a_batch_has_the_same_bits_whether_all_or_each_are_resized(pixels, size, count):
    chosen = torch.randperm(40, generator=torch.Generator().manual_seed(1))[:count]
    each, whole = examples(pixels, size), examples(pixels, size)
    whole.prepare()
    for generator in (lambda: None, lambda: torch.Generator().manual_seed(2)):
        (first,), labels = each.batch(chosen, generator())
        (second,), again = whole.batch(chosen, generator())
        assert first.shape == (count, pixels.shape[3] if pixels.ndim == 4 else 1, size, size)
        assert first.is_contiguous()
        assert torch.equal(first, second)
        assert torch.equal(labels, again)


def test_a_training_ends_with_the_same_bits_however_many_are_resized_at_once(job, monkeypatch):
    def trained():
        task = create("digits")
        module = job.architecture.build(task.head)
        result = Trainer("cpu").fit(module, task, job.schedule, size=16, seed=0)
        return module.state_dict(), result.evaluation

    expected, evaluation = trained()
    monkeypatch.setattr(classification, "WHOLE_BYTES", 0)
    found, again = trained()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert again == evaluation


def resized_at(monkeypatch):
    """How many images each call resized."""
    counts, own = [], classification._resized

    def resized(pixels, size):
        counts.append(len(pixels))
        return own(pixels, size)

    monkeypatch.setattr(classification, "_resized", resized)
    return counts


def test_how_many_there_are_is_known_without_resizing_any(monkeypatch):
    counts = resized_at(monkeypatch)
    assert len(create("digits").examples(Split.TRAIN, 224)) == 1197
    assert counts == []


def test_all_are_resized_at_once_unless_that_takes_too_much_memory(monkeypatch):
    counts = resized_at(monkeypatch)
    monkeypatch.setattr(classification, "WHOLE_BYTES", 4 * 40 * 16**2)
    for size in (16, 17, 8):  # of 17 they are too large, of 8 as they are
        found = examples(images(40, 8, 8), size)
        found.prepare()
        found.prepare()
        found.batch(torch.arange(5), None)
    assert counts == [40, 5, 5]


def test_a_training_resizes_at_once_what_it_is_trained_on_alone(job, monkeypatch):
    counts = resized_at(monkeypatch)
    task = create("digits")
    stages = (TrainingStage(until=0.5, size=12), TrainingStage(until=1, size=16))
    schedule = replace(job.schedule, stages=stages)
    module = job.architecture.build(task.head)
    Trainer("cpu").fit(module, task, schedule, size=20, seed=0)
    assert counts == [1197, 1197, *[64] * 8, 250, 50]
