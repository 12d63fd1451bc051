import json
import shutil

import numpy as np
import pytest

from pocketnas.config import SearchConfig
from pocketnas.training_plan import read_plan
from search_space.chain import ChainArchitecture, Op, Stage, Stem
from training import image_folder

pytest.importorskip("torch")
pillow = pytest.importorskip("PIL.Image")


@pytest.fixture(autouse=True)
def files(tmp_path):
    """A small network, and images of two classes of which two cannot be read."""
    stage = Stage(op=Op.CONV, kernel=3, stride=2, expansion=1, filters=8, repeats=1)
    network = ChainArchitecture(
        size=16, channels=3, stem=Stem(filters=8), stages=(stage,), head_filters=16
    )
    (tmp_path / "net.json").write_text(json.dumps(network.to_json()))
    rng = np.random.default_rng(0)
    for label, name in enumerate(("dark", "light")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in range(40):
            pixels = rng.integers(0, 100, (20, 30, 3), dtype=np.uint8) + 150 * label
            path = tmp_path / "photos" / name / f"{number:02}.png"
            pillow.fromarray(pixels.astype(np.uint8)).save(path)
    (tmp_path / "photos" / "dark" / "03.png").write_bytes(b"")
    (tmp_path / "photos" / "light" / "bad.jpg").write_bytes(b"no image")


TRAIN = ("train", "net.json", "--threads=1", "--run=run")


def test_a_network_is_trained_on_images_of_ones_own(pocketnas, tmp_path, caplog):
    done = pocketnas(*TRAIN, "--dataset=folder:photos", "--epochs=12", "--batch=16", "--json")
    assert done.code == 0, done.err
    (said,) = (record.getMessage() for record in caplog.records)  # once
    assert said.startswith(f"2 of the 81 images in {tmp_path}/photos cannot be read and are left")
    assert "dark/03.png: cannot identify image file" in said
    assert "light/bad.jpg: cannot identify image file" in said
    found = json.loads(done.out)
    assert found["evaluations"]["test"]["accuracy"] == 1
    assert found["evaluations"]["test"]["examples"] == 7
    plan = read_plan(tmp_path / "run")
    assert plan.dataset == f"folder:{tmp_path}/photos"


@pytest.mark.parametrize(
    ("folder", "said"),
    [("nowhere", "is not there"), ("photos/dark", "has no images in class folders")],
)
def test_a_folder_that_is_no_data_set_is_one_sentence(pocketnas, folder, said):
    done = pocketnas(*TRAIN, f"--dataset=folder:{folder}")
    assert done.code == 2
    assert said in done.err
    assert "Traceback" not in done.err


def test_a_run_knows_its_images_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = SearchConfig.load(None, {"dataset": "folder:photos", "target_ms": 1.0})
    assert made.dataset == f"folder:{tmp_path}/photos"
    assert SearchConfig.load(None, {"target_ms": 1.0}).dataset == "digits"


@pytest.fixture
def cut_off(pocketnas, tmp_path):
    """A training of two classes that lacks only its result."""
    done = pocketnas(*TRAIN, "--dataset=folder:photos", "--samples=64", "--checkpoint-s=0")
    assert done.code == 0, done.err
    (tmp_path / "run" / "result.json").unlink()


@pytest.mark.usefixtures("cut_off")
def test_a_training_goes_on_with_the_images_that_it_began_with(pocketnas, tmp_path):
    assert pocketnas("resume", "run").code == 0
    assert (tmp_path / "run" / "result.json").exists()


def swapped(photos):
    for old, new in (("dark", "new"), ("light", "dark"), ("new", "light")):
        (photos / old).rename(photos / new)


@pytest.mark.usefixtures("cut_off")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda photos: shutil.copytree(photos / "dark", photos / "grey"),
            "with other classes: dark, light, and it has dark, grey, light now",
        ),
        (
            lambda photos: (photos / "dark").rename(photos / "black"),
            "with other classes: dark, light, and it has black, light now",
        ),
        (swapped, "with other files or labels than it has now; go on with the data as it was"),
    ],
)
def test_a_training_does_not_go_on_with_other_images(pocketnas, tmp_path, change, said):
    change(tmp_path / "photos")
    image_folder.open_image_folder.cache_clear()  # as in another process
    words = (*TRAIN, "--dataset=folder:photos", "--samples=64", "--resume")
    for command in (("resume", "run"), words, (*words, "--processes=2")):
        done = pocketnas(*command)
        assert done.code == 2
        assert len(done.err.strip().splitlines()) == 1, done.err
        assert said in done.err
