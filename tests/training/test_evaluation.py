import math

import pytest
import torch

from search_space.architecture import Classifier
from training.digits import Digits
from training.evaluation import Evaluation, calibration_error, judged, top_accuracy
from training.task import Split, create


def test_confidence_that_is_right_has_no_calibration_error():
    half = torch.zeros(100, 2)  # each class at one half, of which half is right
    labels = torch.arange(100) % 2
    assert calibration_error(half, labels) == pytest.approx(0)


def test_too_much_confidence_is_a_calibration_error():
    scores = torch.tensor([[math.log(9.0), 0.0]]).repeat(10, 1)  # 0.9 of confidence
    labels = torch.tensor([0] * 6 + [1] * 4)
    assert calibration_error(scores, labels) == pytest.approx(0.3)


def test_bins_weigh_by_how_much_is_in_them():
    sure, unsure = torch.tensor([9.0, -9.0]), torch.tensor([math.log(0.6 / 0.4), 0.0])
    scores = torch.stack([sure] * 3 + [unsure])
    labels = torch.tensor([0, 0, 1, 0])
    expected = 3 / 4 * (1 - 2 / 3) + 1 / 4 * (1 - 0.6)
    assert calibration_error(scores, labels) == pytest.approx(expected, abs=1e-6)


def test_the_second_accuracy_is_of_the_five_best():
    scores = torch.arange(7.0).repeat(3, 1)
    assert top_accuracy(scores, torch.tensor([6, 2, 1]), 5) == pytest.approx(2 / 3)


def test_a_classifier_is_judged_by_all_of_it():
    task = create("digits")
    scores = torch.eye(10) * 9
    found = judged(scores, torch.arange(10), task, Split.TEST)
    assert (found.split, found.examples, found.accuracy, found.top5) == ("test", 10, 1.0, 1.0)
    assert found.loss == pytest.approx(math.log(1 + 9 * math.exp(-9)), rel=1e-3)
    assert found.calibration_error == pytest.approx(0.0011, abs=1e-4)
    assert Evaluation.from_json(found.to_json()) == found


def test_few_classes_have_no_five_best():
    class FourKinds(Digits):
        @property
        def head(self):
            return Classifier(classes=4)

    found = judged(torch.zeros(2, 4), torch.tensor([0, 1]), FourKinds(), Split.VALIDATION)
    assert found.top5 is None
    assert "top5" not in found.to_json()
    assert found.accuracy == 0.5
