import math

import numpy as np
import pytest
import torch

from search_space.architecture import VideoClassifier
from training.generated_clips import GeneratedClips
from training.possible import require_fitting
from training.schedule import Schedule
from training.stages import Regularization, TrainingStage
from training.task import Proxy, Split, metric_name
from training.trainer import Trainer
from training.video import VideoClassification, mean_average_precision
from workspace.errors import InputError

PARTS = (TrainingStage(until=1, size=16),)


class WithoutVideos(VideoClassification):
    proxy = Proxy(size=16, schedule=Schedule(samples=1))

    def examples(self, split, size):
        raise NotImplementedError


class Single(WithoutVideos):
    name, classes = "single", 7


class Several(WithoutVideos):
    name, classes, is_multi_label = "several", 3, True


class Views(WithoutVideos):
    name, classes, views = "views", 3, 2


def test_the_head_is_of_as_many_classes_and_the_metric_has_a_name():
    assert Single().head == VideoClassifier(classes=7)
    assert metric_name(Single()) == "accuracy"
    assert metric_name(Several()) == "mAP"


def test_one_label_costs_cross_entropy_with_its_smoothing():
    scores, labels = torch.randn(4, 7), torch.tensor([0, 6, 2, 2])
    for smoothing in (0.0, 0.1):
        wanted = torch.nn.functional.cross_entropy(scores, labels, label_smoothing=smoothing)
        assert torch.equal(Single().loss(scores, labels, label_smoothing=smoothing), wanted)


def test_several_labels_cost_the_mean_over_classes_of_their_sigmoids():
    scores = torch.tensor([[0.0, 2.0, -1.0]])
    targets = torch.tensor([[1.0, 1.0, 0.0]])
    wanted = (math.log(2) + math.log1p(math.exp(-2)) + math.log1p(math.exp(-1))) / 3
    assert float(Several().loss(scores, targets, label_smoothing=0.0)) == pytest.approx(wanted)


def test_smoothing_several_labels_is_refused_and_one_label_may_be():
    smoothed = Schedule(samples=1, label_smoothing=0.1)
    require_fitting(Single(), smoothed, PARTS)
    with pytest.raises(InputError, match=r"label smoothing is for .* 'several' has several"):
        require_fitting(Several(), smoothed, PARTS)
    with pytest.raises(InputError, match=r"scale jitter is for images with boxes"):
        require_fitting(Single(), Schedule(samples=1, jitter=(0.8, 1.2)), PARTS)


def test_views_of_a_video_become_the_mean_of_their_probabilities():
    scores = torch.tensor([[4.0, 0, 0], [0, 1, 0], [0, 0, 9], [0, 0, 9]])
    found = Views().predictions(scores, 16)
    wanted = scores.softmax(1).reshape(2, 2, 3).mean(1)
    assert torch.allclose(found, wanted)
    assert found.argmax(1).tolist() == [0, 2]
    labels = torch.tensor([1, 2])
    loss = Views().loss(scores, labels, label_smoothing=0.0)
    each = torch.nn.functional.cross_entropy(scores, torch.tensor([1, 1, 2, 2]))
    assert torch.allclose(loss, each)


def test_one_label_gives_top_1_top_5_and_calibration_and_several_map_alone():
    scores = torch.eye(7) * 9
    labels = torch.tensor([0, 1, 2, 3, 4, 5, 0])
    figures = Single().figures(Single().predictions(scores, 16), labels)
    assert figures["accuracy"] == pytest.approx(6 / 7)
    assert 6 / 7 <= figures["top5"] <= 1
    assert 0 < figures["calibration_error"] < 0.2
    targets = torch.eye(3)
    assert Several().figures(torch.eye(3), targets) == {"accuracy": 1.0}


def test_map_is_the_mean_precision_at_the_places_of_what_is_there():
    """As Charades' evaluation has it: sorted by score, precision at each example of the class."""
    rng = np.random.default_rng(0)
    scores, targets = rng.random((40, 6)), (rng.random((40, 6)) < 0.3).astype(float)
    targets[:, 4] = 0
    precisions = []
    for column in (0, 1, 2, 3, 5):
        hits = targets[np.argsort(-scores[:, column]), column]
        at = np.cumsum(hits) / np.arange(1, 41)
        precisions.append((at * hits).sum() / hits.sum())
    found = mean_average_precision(torch.from_numpy(scores), torch.from_numpy(targets))
    assert found == pytest.approx(np.mean(precisions))
    assert mean_average_precision(torch.rand(4, 3), torch.zeros(4, 3)) == 0


class Moving(VideoClassification):
    """Grey clips of noise that is brighter for the second of two classes; a ``Task``."""

    name, classes = "moving", 2
    proxy = Proxy(size=16, schedule=Schedule(samples=1))

    def examples(self, split, size):
        rng = np.random.default_rng(list(Split).index(split))
        labels = np.arange(48) % 2
        clips = rng.integers(0, 120, (48, 5, 16, 16)) + 100 * labels[:, None, None, None]
        return GeneratedClips(clips.astype(np.uint8), labels, size, frames=4)


def test_clips_are_learnt_in_stages_of_growing_regularization(tiny_video_network):
    strong = Regularization(randaugment=5, mixup=0.2, cutmix=0.2)
    stages = (
        TrainingStage(until=0.5, size=12),
        TrainingStage(until=1, size=16, regularization=strong),
    )
    schedule = Schedule(samples=384, batch=16, learning_rate=0.01, stages=stages)
    module = tiny_video_network(2)
    before = Trainer("cpu").examine(module, Moving(), size=16, split=Split.VALIDATION)
    result = Trainer("cpu").fit(module, Moving(), schedule, size=16, seed=0)
    assert result.evaluation.loss < 0.8 * before.loss
