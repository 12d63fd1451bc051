import hashlib

import numpy as np
import pytest
import torch

from training import fashion_scene_classes
from training.fashion_mnist import split_images
from training.fashion_scene_classes import SIZE, FashionSceneClasses
from training.task import Split, create
from training.testing import TaskContract

pytestmark = pytest.mark.usefixtures("fashion_mnist_data")


@pytest.fixture(autouse=True)
def few(monkeypatch, tmp_path):
    """Scenes of a few hundred, kept in a folder of the test's own."""
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path))
    monkeypatch.setattr(fashion_scene_classes, "COUNTS", dict.fromkeys(Split, 120))
    fashion_scene_classes._scenes.cache_clear()
    yield
    fashion_scene_classes._scenes.cache_clear()


class TestFashionSceneClasses(TaskContract):
    size = 48

    @pytest.fixture
    def task(self):
        return create("generated-fashion-scene-classes")


def test_the_same_scenes_come_from_every_computer():
    images, labels = fashion_scene_classes._scenes(Split.VALIDATION)
    assert images.shape == (120, SIZE, SIZE)
    assert labels[:8].tolist() == [8, 7, 3, 5, 0, 5, 8, 9]
    digest = hashlib.sha256(images.tobytes()).hexdigest()[:16]
    assert digest == "8e538963227981f1"


def test_scenes_are_read_from_where_they_are_kept_and_made_anew_if_broken(tmp_path):
    first, _ = fashion_scene_classes._scenes(Split.TEST)
    (kept,) = tmp_path.rglob("test-120.npy")
    packed = np.load(kept)
    packed[0, 1:] = 7
    np.save(kept, packed)
    fashion_scene_classes._scenes.cache_clear()
    marked, _ = fashion_scene_classes._scenes(Split.TEST)
    assert (marked[0] == 7).all()
    kept.write_bytes(kept.read_bytes()[:1000])
    fashion_scene_classes._scenes.cache_clear()
    again, _ = fashion_scene_classes._scenes(Split.TEST)
    assert np.array_equal(again, first)


def test_a_split_is_made_of_its_own_images(monkeypatch):
    asked = []

    def watched(split):
        asked.append(split)
        return split_images(split)

    monkeypatch.setattr(fashion_scene_classes, "split_images", watched)
    for split in Split:
        FashionSceneClasses().examples(split, 32).batch(torch.tensor([0]), None)
    assert asked == list(Split)
