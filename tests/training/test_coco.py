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


def striped(root, side):
    """Twenty images of black and white columns, each a pixel wide, with one box."""
    pixels = np.zeros((side, side, 3), dtype=np.uint8)
    pixels[:, ::2] = 255
    (root / "train").mkdir(parents=True)
    box = CocoBox(label=0, corners=(0, 0, side, side))
    images = [
        CocoImage(path=f"{number}.png", width=side, height=side, boxes=(box,))
        for number in range(20)
    ]
    for image in images:
        Image.fromarray(pixels).save(root / "train" / image.path)
    (root / "train.json").write_text(json.dumps(document_of(images, ("stripes",), "")))
    return create(f"coco:{root}")


@pytest.mark.parametrize(("size", "factor"), [(64, 2.0), (32, 4.0), (160, 0.8)])
def test_images_are_decoded_to_what_the_largest_scale_shows(tmp_path, size, factor):
    task = striped(tmp_path / "set", 128)
    examples = task.examples(Split.TRAIN, size).jittered(factor, factor)
    (images,), _ = examples.batch(torch.arange(4), torch.Generator().manual_seed(0))
    shown = images.abs().amax(1) > 0.1  # without padding
    assert images.abs().amax(1)[shown].min() == 1  # every column is as it was


def test_what_is_decoded_for_a_jitter_is_kept(tmp_path):
    task = striped(tmp_path / "set", 64)
    once, again, other = (
        task.examples(Split.TRAIN, 32).jittered(0.5, most) for most in (2.0, 2.0, 1.5)
    )
    assert once is again
    assert once is not other


def test_smaller_scales_leave_what_is_looked_at_without_them_as_it_is(tmp_path):
    task = striped(tmp_path / "set", 64)
    examples = task.examples(Split.TRAIN, 64).jittered(0.1, 0.5)
    (images,), _ = examples.batch(torch.arange(2), None)
    assert (images.abs() == 1).all()


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
