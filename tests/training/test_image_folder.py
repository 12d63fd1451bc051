import numpy as np
import pytest
import torch
from PIL import Image

from training import image_folder, prefetch
from training.image_listing import list_images
from training.task import Split, create
from training.testing import TaskContract
from workspace.errors import InputError


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path / "home"))


@pytest.fixture
def root(tmp_path):
    """Forty images of noise of each of three classes, each class in a colour."""
    rng = np.random.default_rng(0)
    for label, name in enumerate(("blue", "green", "red")):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(40):
            pixels = rng.integers(0, 100, (30 + number, 50, 3), dtype=np.uint8)
            pixels[:, :, 2 - label] += 150
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{number}.png")
    return tmp_path / "images"


class TestImageFolder(TaskContract):
    @pytest.fixture
    def task(self, root):
        return create(f"folder:{root}")

    def test_classes_are_the_folders(self, task, root):
        assert task.name == f"folder:{root}"
        assert task.head.classes == 3
        assert task.labels == ("blue", "green", "red")
        assert [len(task.examples(split, 28)) for split in Split] == [96, 12, 12]

    @pytest.mark.parametrize("split", Split)
    def test_an_image_keeps_its_class_whatever_is_done_to_it(self, task, split):
        examples = task.examples(split, 24)
        for generator in (None, torch.Generator().manual_seed(0)):
            (images,), labels = examples.batch(torch.arange(12), generator)
            assert torch.equal(images.mean((2, 3)).argmax(1), 2 - labels)

    def test_evaluation_sees_the_middle_as_its_preprocessing_says(self, task, root):
        examples = task.examples(Split.TEST, 21)
        (images,), _ = examples.batch(torch.arange(3), None)
        picture = list_images(root).splits[Split.TEST][0]
        with Image.open(root / picture.path) as image:
            side = 0.875 * min(image.size)
            left, top = (image.width - side) / 2, (image.height - side) / 2
            square = image.resize(
                (21, 21), Image.Resampling.BILINEAR, (left, top, left + side, top + side)
            )
        expected = torch.tensor(np.asarray(square)).permute(2, 0, 1) / 255
        how = task.preprocessing
        assert how.crop == 0.875
        assert torch.allclose(images[0], (expected - how.mean[0]) / how.std[0], atol=1e-6)

    def test_expecting_examples_changes_no_batch(self, task):
        indices = torch.tensor([5, 3, 90, 3])
        batches = []
        for expected in ([], [5, 3, 90, 3], [1, 2]):
            examples = task.examples(Split.TRAIN, 28)
            examples.expect(torch.tensor(expected, dtype=torch.long))
            batches.append(examples.batch(indices, torch.Generator().manual_seed(4))[0][0])
        assert torch.equal(batches[0], batches[1])
        assert torch.equal(batches[0], batches[2])

    def test_random_crops_differ_from_image_to_image_and_from_batch_to_batch(self, task):
        examples = task.examples(Split.TRAIN, 28)
        generator = torch.Generator().manual_seed(0)
        same = torch.zeros(8, dtype=torch.long)
        first, second = (examples.batch(same, generator)[0][0] for _ in range(2))
        assert len({image.numpy().tobytes() for image in torch.cat((first, second))}) == 16


def test_no_memory_for_a_cache_changes_no_batch(root, monkeypatch):
    indices = torch.arange(20)
    batches = []
    for limit in (0, 8 << 30):
        monkeypatch.setattr(prefetch, "LARGEST_BYTES", limit)
        task = image_folder.ImageFolder(list_images(root), "folder:x")
        examples = task.examples(Split.TRAIN, 20)
        for _ in range(2):
            batches.append(examples.batch(indices, torch.Generator().manual_seed(1))[0][0])
    assert all(torch.equal(batch, batches[0]) for batch in batches)


def test_what_was_decoded_is_kept_for_the_next_evaluation(root):
    task = image_folder.ImageFolder(list_images(root), "folder:x")
    first = task.examples(Split.VALIDATION, 20)
    assert task.examples(Split.VALIDATION, 20) is first
    for size in range(21, 21 + image_folder.KEPT):
        task.examples(Split.TRAIN, size)
    assert task.examples(Split.VALIDATION, 20) is not first


def test_a_folder_is_looked_through_once_in_a_process(root, monkeypatch):
    first = create(f"folder:{root}")
    assert create(f"folder:{root}") is first
    monkeypatch.chdir(root.parent)
    assert create("folder:images") is first


def test_a_proxy_is_two_epochs_at_most(root):
    proxy = create(f"folder:{root}").proxy
    assert proxy.schedule.samples == 192
    assert proxy.space_options["channels"] == "3"


def test_a_folder_that_is_not_there_is_refused_and_not_taken_for_a_module(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"image folder '.*/nowhere' is not there"):
        create("folder:nowhere")
