import json

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools.coco import COCO

from training import fashion_scenes
from training.generated_coco import write_scenes
from training.task import Split, create
from workspace.errors import OperationError

pytestmark = pytest.mark.usefixtures("fashion_mnist_data")


@pytest.fixture
def written(monkeypatch, tmp_path):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(fashion_scenes, "COUNTS", dict.fromkeys(Split, 8))
    fashion_scenes.scenes.cache_clear()
    write_scenes(tmp_path / "scenes")
    yield tmp_path / "scenes"
    fashion_scenes.scenes.cache_clear()


def test_pycocotools_reads_what_is_written(written, capsys):
    file = COCO(written / "annotations/instances_val.json")
    capsys.readouterr()
    images, boxes = fashion_scenes.scenes(Split.VALIDATION)
    assert len(file.getImgIds()) == 8
    assert "generated" in file.dataset["info"]["description"].lower()
    names = [each["name"] for each in file.loadCats(file.getCatIds())]
    assert names == list(fashion_scenes.FashionScenes.labels)
    for number, image in enumerate(file.loadImgs(file.getImgIds())):
        with Image.open(written / "val" / image["file_name"]) as opened:
            assert np.array_equal(np.asarray(opened), images[number])
        told = [
            [each["category_id"] - 1, *each["bbox"]]
            for each in file.loadAnns(file.getAnnIds([image["id"]]))
        ]
        real = boxes[number][boxes[number][:, 0] >= 0].astype(float)
        real[:, 1:] *= 128
        real[:, 3:] -= real[:, 1:3]
        assert told == real.tolist()


def test_the_scenes_are_the_same_as_a_data_set_of_files(written):
    task, files = create("generated-fashion-scenes"), create(f"coco:{written}")
    for split in Split:
        (images,), boxes = task.examples(split, 128).batch(torch.arange(8), None)
        (others,), same = files.examples(split, 128).batch(torch.arange(8), None)
        assert torch.equal(images.expand(-1, 3, -1, -1), others)
        things = [rows[rows[:, 0] >= 0] for rows in boxes]
        assert all(torch.allclose(a, b[b[:, 0] >= 0]) for a, b in zip(things, same, strict=True))


@pytest.mark.usefixtures("written")
def test_a_folder_that_cannot_be_written_to_is_told(tmp_path):
    (tmp_path / "file").write_text(json.dumps("no folder"))
    with pytest.raises(OperationError, match="scenes cannot be written to"):
        write_scenes(tmp_path / "file")
