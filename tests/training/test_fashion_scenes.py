import hashlib

import numpy as np
import pytest
import torch

from training import fashion_scenes
from training.anchors import LEVELS, anchors_of
from training.fashion_mnist import split_images
from training.framing import PAD
from training.matching import overlaps
from training.schedule import Schedule
from training.task import Split, create
from training.testing import DetectionTaskContract
from training.trainer import Trainer

pytestmark = pytest.mark.usefixtures("fashion_mnist_data")

FEW = 60


@pytest.fixture(autouse=True)
def few(monkeypatch, tmp_path_factory):
    """Sixty scenes a split, kept in a folder of the tests' own."""
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path_factory.getbasetemp() / "home"))
    monkeypatch.setattr(fashion_scenes, "COUNTS", dict.fromkeys(Split, FEW))
    fashion_scenes.scenes.cache_clear()
    yield
    fashion_scenes.scenes.cache_clear()


class TestFashionScenes(DetectionTaskContract):
    @pytest.fixture
    def task(self):
        return create("generated-fashion-scenes")

    def test_its_head_finds_the_ten_kinds_of_clothes(self, task):
        assert (task.head.classes, len(task.labels)) == (10, 10)
        assert (task.channels, task.proxy.size) == (1, 128)


def test_the_same_scenes_come_from_every_computer():
    images, boxes = fashion_scenes.scenes(Split.VALIDATION)
    assert images.shape == (FEW, 128, 128)
    assert boxes.shape == (FEW, 6, 5)
    digest = hashlib.sha256(images.tobytes() + boxes.tobytes()).hexdigest()[:16]
    assert digest == "82807cbfff08ab14"


def test_boxes_are_around_the_things_that_were_placed():
    _, boxes = fashion_scenes.scenes(Split.TRAIN)
    real = boxes[boxes[..., 0] != PAD]
    assert 1.5 * FEW < len(real) < 5 * FEW
    assert set(np.unique(real[:, 0])) <= set(range(10))
    sides = (real[:, 3:] - real[:, 1:3]) * 128
    assert (sides >= 1).all()
    assert (real[:, 3:] <= 1).all()
    assert np.allclose(sides, sides.round())


def test_each_level_has_things_of_its_own():
    boxes = np.concatenate([fashion_scenes.scenes(split)[1] for split in Split])
    real = torch.from_numpy(boxes[boxes[..., 0] != PAD][:, 1:] * 128)
    shapes = tuple((128 // 2**level,) * 2 for level in LEVELS)
    levels = anchors_of(shapes, fashion_scenes.FashionScenes.anchor)
    own = torch.cat([torch.full((len(each),), place) for place, each in enumerate(levels)])
    best = own[overlaps(real, torch.cat(levels)).argmax(1)]
    assert torch.bincount(best, minlength=5).min() >= 2


def test_a_split_is_made_of_its_own_images_and_has_scenes_of_its_own(monkeypatch):
    asked = []

    def watched(split):
        asked.append(split)
        return split_images(split)

    monkeypatch.setattr(fashion_scenes, "split_images", watched)
    monkeypatch.setattr(fashion_scenes, "COUNTS", dict.fromkeys(Split, 2))
    digests = {fashion_scenes.scenes(split)[0].tobytes() for split in Split}
    assert asked == list(Split)
    assert len(digests) == 3


def test_a_tiny_detector_learns_a_few_scenes_by_heart(monkeypatch, tiny_detector):
    monkeypatch.setattr(fashion_scenes, "COUNTS", dict.fromkeys(Split, 24))
    task, module, trainer = create("generated-fashion-scenes"), tiny_detector(10), Trainer("cpu")
    schedule = Schedule(samples=1200, batch=8, learning_rate=0.01)
    aps = [trainer.evaluate(module, task, size=128, split=Split.TRAIN)]
    trainer.fit(module, task, schedule, size=128, seed=0)
    aps.append(trainer.evaluate(module, task, size=128, split=Split.TRAIN))
    assert aps[0] < 0.01
    assert aps[1] > 0.15
