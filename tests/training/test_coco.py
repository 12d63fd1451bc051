import json

import numpy as np
import pytest
import torch
from PIL import Image

from training.coco_document import CocoBox, CocoImage, document_of
from training.task import Split, create, full_name
from training.testing import DetectionTaskContract
from workspace.errors import InputError, OperationError

SIZES = ((60, 40), (40, 60), (30, 30), (90, 45))


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path / "home"))


@pytest.fixture
def root(tmp_path):
    """Noise with a bright green cat in each, of several sizes; every fifth has a crowd too."""
    folder, rng = tmp_path / "set", np.random.default_rng(0)
    (folder / "train").mkdir(parents=True)
    told = []
    for number in range(40):
        width, height = SIZES[number % len(SIZES)]
        pixels = rng.integers(0, 90, (height, width, 3), dtype=np.uint8)
        left, top = (int(value) for value in rng.integers(0, 10, 2))
        pixels[top : top + 15, left : left + 20, 1] = 255
        boxes = [CocoBox(label=0, corners=(left, top, left + 20, top + 15))]
        if number % 5 == 0:
            boxes.append(CocoBox(label=1, corners=(0, 0, 25, 25), is_crowd=True))
        Image.fromarray(pixels).save(folder / "train" / f"{number}.png")
        told.append(
            CocoImage(path=f"{number}.png", width=width, height=height, boxes=tuple(boxes))
        )
    (folder / "train.json").write_text(json.dumps(document_of(told, ("cat", "dog"), "")))
    return folder


class TestCoco(DetectionTaskContract):
    @pytest.fixture
    def task(self, root):
        return create(f"coco:{root}")

    def test_it_is_called_by_its_whole_path(self, task, root):
        assert task.name == f"coco:{root}"
        assert full_name(f"coco:{root}/../set") == task.name
        assert task.labels == ("cat", "dog")
        assert task.head.classes == 2
        assert [len(task.examples(split, 32)) for split in Split] == [32, 4, 4]

    @pytest.mark.parametrize("seed", [None, 0, 1])
    def test_boxes_are_around_their_things_at_any_size_and_scale(self, task, seed):
        generator = None if seed is None else torch.Generator().manual_seed(seed)
        for size in (32, 96):
            examples = task.examples(Split.TRAIN, size)
            examples.expect(torch.arange(20))
            (images,), targets = examples.batch(torch.arange(20), generator)
            for image, rows in zip(images, targets, strict=True):
                for label, *corners in rows.tolist():
                    if label != 0:
                        continue
                    left, top, right, bottom = (round(value) for value in corners)
                    inside = image[:, top + 1 : bottom - 1, left + 1 : right - 1]
                    if inside.numel() > 30:
                        assert inside[1].mean() > 0.7
                        assert inside[0].mean() < 0

    def test_crowds_are_told_from_things(self, task):
        _, targets = task.examples(Split.TRAIN, 64).batch(torch.arange(32), None)
        labels = targets[..., 0].unique().tolist()
        assert labels == [-3, -1, 0]  # a crowd of dogs, padding, cats


def test_an_image_of_another_size_than_is_stated_is_refused(root):
    task = create(f"coco:{root}")
    for path in (root / "train").iterdir():
        Image.new("RGB", (33, 44)).save(path)
    with pytest.raises(OperationError, match=r"is of 33 x 44 pixels, its annotations are for \d"):
        task.examples(Split.TRAIN, 32).batch(torch.arange(1), None)


def test_a_turned_photograph_is_put_upright_where_its_annotations_are(tmp_path):
    from training.pictures import fitted

    pixels = np.zeros((20, 40, 3), dtype=np.uint8)
    pixels[:10] = 255  # the upper half as it lies, the right one upright
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.jpg"
    Image.fromarray(pixels).save(path, exif=exif, quality=100)
    lying, upright = fitted(path, (40, 20), 40), fitted(path, (20, 40), 20)
    assert lying.shape == (20, 40, 3)
    assert lying[5, 20].min() > 200
    assert upright.shape == (20, 10, 3)
    assert upright[10, 8].min() > 200
    assert upright[10, 1].max() < 50


def test_a_folder_that_is_not_there_is_refused():
    with pytest.raises(InputError, match=r"'.*/nowhere' is not there"):
        create("coco:nowhere")
