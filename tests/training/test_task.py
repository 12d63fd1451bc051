import pytest

from training.digits import Digits
from training.fashion_mnist import FashionMnist
from training.task import Split, create
from training.testing import TaskContract
from workspace.errors import InputError

OWN_TASK = """
from search_space.architecture import Detector
from training.digits import Digits

class Mine(Digits):
    name = "mine"

NOTHING = 3

class Boxes(Digits):
    head = Detector(classes=2)
"""


class TestDigits(TaskContract):
    @pytest.fixture
    def task(self):
        return create("digits")

    def test_all_images_are_in_one_split(self, task):
        lengths = {split: len(task.examples(split, 28)) for split in Split}
        assert lengths == {Split.TRAIN: 1197, Split.VALIDATION: 300, Split.TEST: 300}

    def test_every_class_has_about_its_share_of_the_validation_split(self, task):
        import torch

        _, labels = task.examples(Split.VALIDATION, 28).batch(torch.arange(300), None)
        counts = torch.bincount(labels, minlength=10)
        assert counts.min() >= 27
        assert counts.max() <= 33


@pytest.mark.usefixtures("fashion_mnist_data")
class TestFashionMnist(TaskContract):
    @pytest.fixture
    def task(self):
        return FashionMnist()

    def test_the_validation_split_is_held_out_of_the_training_images(self, task):
        lengths = [len(task.examples(split, 28)) for split in Split]
        assert lengths == [50_000, 10_000, 10_000]


def test_an_unknown_data_set_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match=r"unknown dataset 'mnist'; there are digits, fashion"):
        create("mnist")


def test_a_task_of_the_users_own_is_found_in_the_current_folder(tmp_path, monkeypatch):
    (tmp_path / "own_task.py").write_text(OWN_TASK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert create("own_task:Mine").name == "mine"
    with pytest.raises(InputError, match=r"is no task: it lacks name, head"):
        create("own_task:NOTHING")
    with pytest.raises(InputError, match=r"is no task: it lacks predictions, figures"):
        create("own_task:Boxes")


def test_digits_are_larger_without_finer_detail():
    import torch

    (small,), _ = Digits().examples(Split.TRAIN, 8).batch(torch.arange(4), None)
    (large,), _ = Digits().examples(Split.TRAIN, 32).batch(torch.arange(4), None)
    assert torch.allclose(small.mean((1, 2, 3)), large.mean((1, 2, 3)), atol=0.05)
