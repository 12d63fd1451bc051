from typing import Any

import pytest
import torch

from training import batch_bound
from training.batch_statistics import take_statistics
from training.digits import Digits
from training.evaluation import judged
from training.evaluator import Evaluator
from training.executor import TrainingError
from training.feed import Feed
from training.task import Predicting, Split

FEED = Feed(torch.device("cpu"))


class Middles(Digits):
    """Digits whose outputs are maps: the loss is of their means, predictions are the means."""

    def __init__(self):
        self.batches = []

    def loss(self, outputs, targets, *, label_smoothing):
        means = torch.stack([each.mean((1, 2)) for each in outputs], dim=1)
        return super().loss(means, targets, label_smoothing=label_smoothing)

    def predictions(self, outputs, size):
        assert size == 16
        self.batches.append(len(outputs[0]))
        return torch.stack([each.mean((1, 2)) for each in outputs], dim=1)

    def figures(self, predictions, targets):
        return {"accuracy": self.metric(predictions, targets), "ap50": 0.25}


class Maps(torch.nn.Module):
    """Ten maps of an image."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = torch.nn.Conv2d(1, 10, 3)

    def forward(self, image):
        return tuple(self.conv(image).unbind(1))


def test_maps_become_predictions_batch_by_batch(monkeypatch):
    monkeypatch.setattr("training.evaluator.BATCH_PIXELS", 70 * 16**2)
    task, module = Middles(), Maps()
    assert isinstance(task, Predicting)
    assert not isinstance(Digits(), Predicting)
    found = Evaluator(task, FEED, 16).whole(module, Split.VALIDATION)
    assert task.batches == [70, 70, 70, 70, 20]
    (images,), labels = task.examples(Split.VALIDATION, 16).batch(torch.arange(300), None)
    with torch.no_grad():
        scores = task.predictions(module(images), 16)
    whole = judged(scores, labels, Digits(), Split.VALIDATION)
    assert (found.accuracy, found.examples, found.ap50) == (whole.accuracy, 300, 0.25)
    assert found.loss == pytest.approx(whole.loss, rel=1e-5)
    assert found.top5 is None


def test_one_map_that_is_not_finite_is_a_failed_training():
    module = Maps()
    torch.nn.init.constant_(module.conv.weight, float("nan"))
    with pytest.raises(TrainingError, match="outputs on the test split are not finite"):
        Evaluator(Middles(), FEED, 16).whole(module, Split.TEST)


class Clips(Middles):
    """Each image is twenty of them."""

    def examples(self, split, size):
        found: Any = super().examples(split, size)
        found.frames = 20
        return found


def test_batches_of_clips_are_counted_in_images(monkeypatch):
    monkeypatch.setattr("training.evaluator.BATCH_PIXELS", 2000 * 16**2)
    task = Clips()
    Evaluator(task, FEED, 16).whole(Maps(), Split.VALIDATION)
    assert task.batches == [100, 100, 100]


class Watched(torch.nn.Module):
    """Notes how many images it is given at once."""

    def __init__(self):
        super().__init__()
        self.seen = []
        self.norm = torch.nn.BatchNorm2d(1)
        self.scores = torch.nn.Conv2d(1, 10, 1)

    def forward(self, image):
        self.seen.append(len(image))
        return self.scores(self.norm(image)).mean((2, 3))


def taken(task, batch):
    """The batches of its statistics."""
    module = Watched()
    examples = task.examples(Split.TRAIN, 8)
    take_statistics(module, examples, FEED, size=8, batch=batch, seed=0)
    return module.seen


def test_statistics_of_clips_are_taken_of_as_many_images():
    assert taken(Digits(), 16) == [64] * 8
    assert taken(Clips(), 2) == [4] * 8
    assert taken(Clips(), 16) == [16] * 8


def test_small_images_are_evaluated_many_at_once_and_large_ones_as_far_as_pixels_go(monkeypatch):
    small, large = Watched(), Watched()
    Evaluator(Digits(), FEED, 16).whole(small, Split.VALIDATION)
    assert small.seen == [250, 50]
    monkeypatch.setattr(batch_bound, "MOST_PIXELS", 120 * 16**2)
    Evaluator(Digits(), FEED, 16).whole(large, Split.VALIDATION)
    assert large.seen == [120, 120, 60]


def test_statistics_of_large_images_are_of_as_many_in_smaller_batches(monkeypatch):
    monkeypatch.setattr(batch_bound, "MOST_PIXELS", 50 * 8**2)
    assert taken(Digits(), 100) == [50] * 16
    assert taken(Digits(), 30) == [50] * 11  # of 512 images in all
