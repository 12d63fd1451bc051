import numpy as np
import pytest
import torch

from training.detection import BoxedImages, ObjectDetection
from training.evaluation import Evaluation
from training.framing import PAD
from training.schedule import Decay, OptimizerName, Schedule
from training.stages import Regularization, TrainingStage
from training.task import Proxy, Split
from training.testing import DetectionTaskContract
from training.trainer import Trainer
from workspace.errors import InputError

SIDE = 64
COUNTS = {Split.TRAIN: 96, Split.VALIDATION: 32, Split.TEST: 16}


class Shapes(ObjectDetection):
    """Bright squares and bars on noise, one or two an image: easy to find; a ``Task``."""

    name, classes, anchor, most = "shapes", 2, 1.5, 10
    proxy = Proxy(size=SIDE, schedule=Schedule(samples=640))

    def examples(self, split, size):
        images, boxes = _drawn(split)
        return BoxedImages(lambda numbers: [images[number] for number in numbers], boxes, size)


def _drawn(split):
    rng = np.random.default_rng(list(Split).index(split))
    images = rng.integers(0, 60, (COUNTS[split], SIDE, SIDE), dtype=np.uint8)
    boxes = np.zeros((len(images), 2, 5), dtype=np.float32)
    boxes[..., 0] = PAD
    for image, rows in zip(images, boxes, strict=True):
        for row, half in zip(rows, (0, 32)[: rng.integers(1, 3)], strict=False):
            label, side = int(rng.integers(2)), int(rng.integers(12, 30))
            high = side if label == 0 else side // 3
            left, top = half + int(rng.integers(32 - side)), int(rng.integers(SIDE - high))
            image[top : top + high, left : left + side] = 220
            row[:] = label, left, top, left + side, top + high
    boxes[..., 1:] /= SIDE
    return images, boxes


class TestShapes(DetectionTaskContract):
    @pytest.fixture
    def task(self):
        return Shapes()


def fit(module, task=None, **changes):
    schedule = Schedule(samples=1600, batch=16, learning_rate=0.01)
    for name, value in changes.items():
        schedule = Schedule(**{"samples": 1600, "batch": 16, "learning_rate": 0.01, name: value})
    return Trainer("cpu").fit(module, task or Shapes(), schedule, size=SIDE, seed=0)


def test_a_detector_learns_to_find_things(tiny_detector):
    module = tiny_detector(2)
    before = Trainer("cpu").examine(module, Shapes(), size=SIDE, split=Split.VALIDATION)
    result = fit(module)
    found = result.evaluation
    assert before.accuracy < 0.02
    assert found.accuracy == result.accuracy > 0.1
    assert found.ap50 > found.accuracy > found.ap75 * 0.5
    assert found.loss < before.loss
    assert (found.top5, found.calibration_error, found.examples) == (None, None, 32)
    assert Evaluation.from_json(found.to_json()) == found


def test_two_trainings_are_equal_to_the_last_bit(tiny_detector):
    states = []
    for _ in range(2):
        module = tiny_detector(2)
        fit(module, samples=160)
        states.append(module.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_schedule_scales_images_by_factors_of_its_own(tiny_detector):
    losses = {fit(tiny_detector(2), samples=160).evaluation.loss}
    schedule = Schedule(samples=160, batch=16, learning_rate=0.01, jitter=(0.5, 2.0))
    result = Trainer("cpu").fit(tiny_detector(2), Shapes(), schedule, size=SIDE, seed=0)
    assert result.evaluation.loss not in losses
    examples = Shapes().examples(Split.TRAIN, SIDE)
    sides = []
    for factors in ((1.0, 1.0), (2.0, 2.0)):
        scaled = examples.jittered(*factors)
        _, targets = scaled.batch(torch.arange(30), torch.Generator().manual_seed(0))
        real = targets[targets[..., 0] == 0]
        sides.append(float((real[:, 3:] - real[:, 1:3]).max()))
    assert sides[1] > 1.6 * sides[0]


def test_other_anchors_are_of_the_same_images():
    task = Shapes()
    other = task.anchored(4.0)
    assert (task.anchor, other.anchor, other.name) == (1.5, 4.0, "shapes")
    outputs = tuple(
        torch.zeros(1, width, 2**n, 2**n) for width in (18, 36) for n in (3, 2, 1, 0, 0)
    )
    targets = torch.tensor([[[0.0, 4, 4, 40, 40]]])
    costs = [float(each.loss(outputs, targets, label_smoothing=0)) for each in (task, other)]
    assert costs[0] != costs[1]
    found = [each.predictions(outputs, SIDE) for each in (task, other)]
    assert not torch.equal(*found)


def test_a_schedules_anchors_are_trained_and_evaluated_with(tiny_detector):
    plain = fit(tiny_detector(2), samples=160)
    schedule = Schedule(samples=160, batch=16, learning_rate=0.01, anchor=2.5)
    asked = Trainer("cpu").fit(tiny_detector(2), Shapes(), schedule, size=SIDE, seed=0)
    own = fit(tiny_detector(2), Shapes().anchored(2.5), samples=160)
    assert asked.evaluation == own.evaluation
    assert asked.evaluation.loss != plain.evaluation.loss


def test_spinenets_protocol_trains_too(tiny_detector):
    schedule = Schedule(
        samples=320,
        batch=16,
        learning_rate=0.02,
        optimizer=OptimizerName.SGD,
        decay=Decay.DROPS,
        drops=(0.8, 0.9),
        clip=10.0,
        stages=(TrainingStage(until=0.5, size=32), TrainingStage(until=1, size=SIDE)),
    )
    module = tiny_detector(2)
    before = Trainer("cpu").examine(module, Shapes(), size=SIDE, split=Split.VALIDATION)
    result = Trainer("cpu").fit(module, Shapes(), schedule, size=SIDE, seed=0)
    assert result.evaluation.loss < before.loss


def test_a_detector_learns_from_images_that_are_changed_and_mixed(tiny_detector):
    strong = Regularization(randaugment=5, mixup=0.4)
    stages = (
        TrainingStage(until=0.5, size=48),
        TrainingStage(until=1, size=SIDE, regularization=strong),
    )
    schedule = Schedule(samples=800, batch=16, learning_rate=0.01, stages=stages)
    module = tiny_detector(2)
    before = Trainer("cpu").examine(module, Shapes(), size=SIDE, split=Split.VALIDATION)
    result = Trainer("cpu").fit(module, Shapes(), schedule, size=SIDE, seed=0)
    assert result.evaluation.loss < 0.7 * before.loss


def test_labels_of_boxes_are_not_smoothed(tiny_detector):
    with pytest.raises(
        InputError, match=r"label smoothing is for one label .* 'shapes' has boxes"
    ):
        fit(tiny_detector(2), label_smoothing=0.1)


def test_a_network_that_is_no_detector_is_refused_in_words():
    with pytest.raises(InputError, match="a detector of 2 classes gives 5 levels"):
        fit(torch.nn.Conv2d(1, 2, 3))


def test_colour_images_are_framed_too():
    images = np.zeros((3, 20, 40, 3), dtype=np.uint8)
    images[..., 1] = 255
    boxes = np.array([[[0, 0, 0, 1, 1]]] * 3, dtype=np.float32)
    examples = BoxedImages(lambda numbers: list(images[numbers]), boxes, 32)
    (pixels,), targets = examples.batch(torch.tensor([2, 0]), None)
    assert pixels.shape == (2, 3, 32, 32)
    assert pixels[0, :, 5, 5].tolist() == [-1, 1, -1]
    assert pixels[0, :, 20, 5].abs().max() < 0.01
    assert targets.tolist() == [[[0, 0, 0, 32, 16]]] * 2
